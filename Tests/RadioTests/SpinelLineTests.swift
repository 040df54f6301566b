import Foundation
import Glibc
import IEEE802154
import Testing
import Wire

@testable import Radio

@Suite("Spinel lines: serial ports and programs", .timeLimit(.minutes(5)))
struct SpinelLineTests {
  private func refusal(_ url: String, timing: SpinelTiming = SpinelDriverTests.patient) async throws -> RadioError {
    let driver = SpinelDriver(url: try RadioURL(url), timing: timing)
    do throws(RadioError) {
      _ = try await driver.open(SpinelBench.settings)
    } catch {
      return error
    }
    await driver.close()
    throw CocoaError(.featureUnsupported)
  }

  @Test("What is not there, is no serial port, or has no such baud rate")
  func refusals() async throws {
    let missing = try await refusal("spinel:/dev/ttyNOTHERE")
    #expect(missing.kind == .notFound && missing.detail == "there is no device /dev/ttyNOTHERE")
    #expect(missing.remedy.contains("pangate radio list") && missing.radio == "spinel:/dev/ttyNOTHERE")
    let null = try await refusal("spinel:/dev/null")
    #expect(null.kind == .notSupported && null.detail == "/dev/null is no serial port")
    let baud = try await refusal("spinel:/dev/ttyNOTHERE?baud=12345")
    #expect(baud.kind == .settingRefused && baud.detail == "serial ports have no baud rate 12345")
    #expect(baud.remedy.contains("460800") && baud.remedy.contains("1000000"))
    for other in ["zep://0.0.0.0", "pcap:x.pcap", "linux:wpan0"] {
      #expect(try await refusal(other).kind == .notSupported)
    }
  }

  @Test("What the system says, in words, with what to do")
  func systemErrors() {
    func error(_ code: CInt) -> RadioError {
      SpinelLine.refusal(of: "/dev/ttyACM0", TerminalError(code: code), radio: "spinel:/dev/ttyACM0")
    }
    #expect(error(EACCES).kind == .noPermission)
    #expect(error(EACCES).remedy.hasPrefix("add the user to the group dialout"))
    #expect(error(EBUSY).kind == .inUse && error(EBUSY).remedy.contains("fuser /dev/ttyACM0"))
    #expect(error(ENXIO).kind == .notFound && error(ENODEV).kind == .notFound)
    #expect(error(EIO).kind == .gone && error(EIO).canHeal)
    #expect(error(ENOMEM).kind == .failed && error(ENOMEM).detail.contains("Cannot allocate memory"))
  }

  @Test("A port is opened once; when it is closed it is free for others")
  func exclusive() async throws {
    let line = try await SpinelFakeLine()
    let driver = SpinelDriver(url: try line.url, timing: SpinelDriverTests.patient)
    _ = try await driver.open(SpinelBench.settings)
    let second = try await refusal("spinel:\(line.path)")
    #expect(second.kind == .inUse && second.detail == "another program has \(line.path)")
    // The first is not troubled by it.
    #expect(await driver.transmit(SpinelBench.frame(to: 2, "hello")) == .acknowledged(framePending: false))
    await driver.close()
    let other = SpinelDriver(url: try line.url, timing: SpinelDriverTests.patient)
    _ = try await other.open(SpinelBench.settings)
    await other.close()
  }

  @Test("A port is free again when opening it has failed")
  func released() async throws {
    let line = try await SpinelFakeLine { $0.answers[.protocolVersion] = [9, 0] }
    for _ in 0..<3 { #expect(try await refusal("spinel:\(line.path)").kind == .notSupported) }
  }

  @Test("The baud rate of the URL, 8 data bits, no parity, no flow control, nothing interpreted")
  func baud() async throws {
    let rates: [(Int, Int32)] = [
      (9_600, B9600), (115_200, B115200), (460_800, B460800), (1_000_000, B1000000), (4_000_000, B4000000),
    ]
    for (rate, constant) in rates {
      let line = try await SpinelFakeLine()
      let driver = SpinelDriver(
        url: try RadioURL("spinel:\(line.path)?baud=\(rate)"), timing: SpinelDriverTests.patient)
      _ = try await driver.open(SpinelBench.settings)
      let settings = try Terminal.settings(line.terminal.fileDescriptor)
      #expect(Terminal.speed(settings) == speed_t(constant))
      let control = UInt32(settings.c_cflag)
      #expect(control & UInt32(CSIZE) == UInt32(CS8))
      for (flag, isSet) in [
        (Int64(CLOCAL), true), (Int64(CREAD), true), (Int64(PARENB), false), (Int64(CSTOPB), false),
      ] {
        #expect((Int64(control) & flag != 0) == isSet)
      }
      let uninterpreted = (settings.c_iflag, settings.c_oflag, settings.c_lflag)
      #expect(uninterpreted.0 & tcflag_t(IXON) == 0)
      #expect(uninterpreted.0 & tcflag_t(ICRNL) == 0)
      #expect(uninterpreted.1 & tcflag_t(OPOST) == 0)
      #expect(uninterpreted.2 & tcflag_t(ICANON) == 0)
      #expect(uninterpreted.2 & tcflag_t(ECHO) == 0)
      await driver.close()
    }
  }

  @Test("A program as the radio: a whole session; it is ended with the driver")
  func program() async throws {
    let line = try await SpinelFakeLine()
    let script = FileManager.default.temporaryDirectory.appendingPathComponent("spinel-\(UUID().uuidString).sh")
    // Carries everything between its own terminal and that of the fake; its second process must end with it.
    try "echo $$ > \"$2\"; cat < \"$1\" & exec cat > \"$1\"\n".write(to: script, atomically: true, encoding: .utf8)
    let mark = script.appendingPathExtension("pid")
    defer {
      try? FileManager.default.removeItem(at: script)
      try? FileManager.default.removeItem(at: mark)
    }
    let driver = SpinelDriver(
      url: try RadioURL("spinel+exec:sh \(script.path) \(line.path) \(mark.path)"), timing: SpinelDriverTests.patient)
    _ = try await driver.open(SpinelBench.settings)
    var events = driver.events.makeAsyncIterator()
    try await line.change { try $0.hear("hello all") }
    guard case .frame(let frame) = await events.next() else {
      Issue.record("no frame came")
      return
    }
    #expect(frame.bytes.hex == "418801cdabffff020068656c6c6f20616c6c")
    let all = SpinelBench.frame(to: 2, "") + (0...100).map { UInt8($0) }
    #expect(await driver.transmit(all) == .acknowledged(framePending: false))
    #expect(try await line.look { $0.transmissions.last?.psdu } == all + [0, 0])
    let text = try String(contentsOf: mark, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
    let identifier = try #require(pid_t(text))
    #expect(kill(identifier, 0) == 0)
    await driver.close()
    #expect(kill(identifier, 0) == -1 && errno == ESRCH)
  }

  @Test("Programs that are not there, may not be run, end at once, or only echo")
  func noPrograms() async throws {
    let missing = try await refusal("spinel+exec:no-such-program 1")
    #expect(missing.kind == .notFound && missing.detail == "there is no program 'no-such-program'")
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("spinel-\(UUID().uuidString)")
    try Data().write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    #expect(try await refusal("spinel+exec:\(file.path)").kind == .noPermission)
    let ended = try await refusal("spinel+exec:true")
    #expect(ended.kind == .gone && ended.detail == "the program has ended")
    var timing = SpinelTiming()
    timing.reset = .milliseconds(50)
    let echo = try await refusal("spinel+exec:cat", timing: timing)
    #expect(echo.kind == .silent)
  }
}
