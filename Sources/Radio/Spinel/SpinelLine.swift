import Glibc

/// The line to a co-processor: a serial port, or a program on a pseudo-terminal.
struct SpinelLine: Sendable {
  private let descriptor: CInt
  private let program: ChildProgram?

  /// Opens what the URL names, which is a serial port or a command.
  static func open(_ url: RadioURL) throws(RadioError) -> SpinelLine {
    switch url.target {
    case .serial(let path, let baud): try serial(path, baud: baud, radio: url.description)
    case .command(let words): try command(words, radio: url.description)
    case .linux, .zep, .zepPeer, .pcap:
      throw RadioError(
        .notSupported, radio: url.description, detail: "it is no spinel radio",
        remedy: "write spinel:/dev/ttyACM0?baud=460800 or spinel+exec:COMMAND")
    }
  }

  private static func serial(_ path: String, baud: Int, radio: String) throws(RadioError) -> SpinelLine {
    let choices = speeds.map { String($0.baud) }.joined(separator: ", ")
    guard let speed = speeds.first(where: { $0.baud == baud })?.speed else {
      throw RadioError(
        .settingRefused, radio: radio, detail: "serial ports have no baud rate \(baud)",
        remedy: "choose one of \(choices)")
    }
    do throws(TerminalError) {
      return SpinelLine(descriptor: try Terminal.open(path: path, speed: speed), program: nil)
    } catch {
      guard error.code == EINVAL else { throw refusal(of: path, error, radio: radio) }
      throw RadioError(
        .settingRefused, radio: radio, detail: "\(path) does not take the baud rate \(baud)",
        remedy: "choose another of \(choices)")
    }
  }

  private static func command(_ words: [String], radio: String) throws(RadioError) -> SpinelLine {
    do throws(TerminalError) {
      let (program, descriptor) = try ChildProgram.start(words)
      return SpinelLine(descriptor: descriptor, program: program)
    } catch {
      let name = words.first ?? ""
      throw switch error.code {
      case ENOENT: RadioError(.notFound, radio: radio, detail: "there is no program '\(name)'", remedy: "give its path")
      case EACCES: RadioError(.noPermission, radio: radio, detail: "'\(name)' may not be run by this user")
      default: RadioError(.failed, radio: radio, detail: "'\(name)' cannot be run (\(error.text))")
      }
    }
  }

  /// Why a serial port cannot be opened, and what to do.
  static func refusal(of path: String, _ error: TerminalError, radio: String) -> RadioError {
    switch error.code {
    case ENOENT, ENODEV, ENXIO:
      RadioError(
        .notFound, radio: radio, detail: "there is no device \(path)",
        remedy: "plug the radio in; 'pangate radio list' shows which there are")
    case EIO:
      RadioError(
        .gone, radio: radio, detail: "the device behind \(path) was unplugged", remedy: "plug it in again")
    case EACCES, EPERM:
      RadioError(
        .noPermission, radio: radio, detail: "this user may not open \(path)",
        remedy: "add the user to the group dialout and log in again")
    case EBUSY:
      RadioError(
        .inUse, radio: radio, detail: "another program has \(path)",
        remedy: "stop it ('fuser \(path)' says which it is)")
    case ENOTTY, EISDIR:
      RadioError(
        .notSupported, radio: radio, detail: "\(path) is no serial port",
        remedy: "'pangate radio list' shows the radios there are")
    default: RadioError(.failed, radio: radio, detail: "\(path) cannot be opened (\(error.text))")
    }
  }

  /// What happens when the line hangs up.
  func gone(radio: String) -> RadioError {
    program == nil
      ? RadioError(.gone, radio: radio, detail: "the radio was unplugged", remedy: "plug it in again")
      : RadioError(.gone, radio: radio, detail: "the program has ended", remedy: "")
  }

  /// Two descriptors of the line for a channel, which closes them. The line keeps one of its own.
  func channelDescriptors() throws(TerminalError) -> (input: CInt, output: CInt) {
    let input = try Terminal.duplicate(descriptor)
    do throws(TerminalError) {
      return (input, try Terminal.duplicate(descriptor))
    } catch {
      Terminal.close(input)
      throw error
    }
  }

  /// Whether everything that was written has left.
  var isDrained: Bool { Terminal.unsent(descriptor) == 0 }

  /// Throws away what has not left: closing would wait for it, on a device that takes nothing any more.
  func discardOutput() { if !isDrained { Terminal.discardOutput(descriptor) } }

  /// Lets go of the line, and ends the program: that may take a moment.
  func release() {
    Terminal.release(descriptor)
    program?.end()
  }

  /// The baud rates that serial ports have.
  private static let speeds: [(baud: Int, speed: speed_t)] = [
    (9_600, speed_t(B9600)), (19_200, speed_t(B19200)), (38_400, speed_t(B38400)), (57_600, speed_t(B57600)),
    (115_200, speed_t(B115200)), (230_400, speed_t(B230400)), (460_800, speed_t(B460800)), (500_000, speed_t(B500000)),
    (576_000, speed_t(B576000)), (921_600, speed_t(B921600)), (1_000_000, speed_t(B1000000)),
    (1_152_000, speed_t(B1152000)), (1_500_000, speed_t(B1500000)), (2_000_000, speed_t(B2000000)),
    (2_500_000, speed_t(B2500000)), (3_000_000, speed_t(B3000000)), (3_500_000, speed_t(B3500000)),
    (4_000_000, speed_t(B4000000)),
  ]
}
