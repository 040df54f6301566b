import ArgumentParser
import Foundation
import IEEE802154
import Radio
import UnixSignals

/// `pangate sniff`: what is on the air.
struct Sniff: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show or record what a radio hears.",
    discussion: """
      Without -o, and on a terminal, prints one line for each frame as it comes, like
      'decode'. With -o writes pcapng with signal strength, link quality and channel
      (TAP headers, link type 283); each frame is in the file at once. Ends on Ctrl-C
      or SIGTERM, with a whole file and a summary on standard error.

      EXAMPLES
        pangate sniff linux:monitor0 --channel 15
        pangate sniff 'spinel:/dev/ttyACM0?baud=460800' --channel 15 -o night.pcapng
        pangate sniff linux:monitor0 --channel 15 -o - | wireshark -k -i -
        pangate sniff zep://0.0.0.0:17754 --channel 26 --json | jq .coap
        pangate sniff pcap:Captures/home.pcap --context 1=fd00:1::/64

      EXIT CODES
        0  done
        1  the radio failed; what was heard until then is shown or recorded
        2  wrong usage
        3  could not start: the radio cannot be opened or the file cannot be written
      """)

  @Argument(help: ArgumentHelp("The radio: \(RadioProbe.forms)", valueName: "url"))
  var url: String

  @Option(
    name: [.short, .long],
    help: ArgumentHelp("Record to this file; - is standard output.", valueName: "path"))
  var output: String?

  @Option(
    help: ArgumentHelp(
      "The channel: 11 to 26 at 2.4 GHz, 0 to 10 below 1 GHz. Only a recording needs none.", valueName: "number"))
  var channel: UInt8?

  @Option(help: ArgumentHelp("The channel page.", valueName: "number"))
  var page: UInt8 = 0

  @Option(help: ArgumentHelp("Stop after so many frames.", valueName: "number"))
  var count: Int?

  @Option(help: ArgumentHelp("Stop after so many seconds.", valueName: "seconds"))
  var duration: Double?

  @OptionGroup var decoding: DecodingOptions

  @Flag(help: "Print one JSON object for each frame, with all fields.")
  var json = false

  @Option(
    help: ArgumentHelp(
      "How many times as fast as recorded a recording is played, or max.", valueName: "factor", visibility: .hidden))
  var speed: RecordingSpeed?

  func validate() throws {
    let radio = try radioURL(url)
    var isRecording = false
    if case .pcap(let path) = radio.target {
      isRecording = true
      if let output, Self.resolved(output) == Self.resolved(path) {
        throw ValidationError("-o \(output) would overwrite the recording that is played")
      }
    }
    if channel == nil, !isRecording {
      throw ValidationError("--channel is missing: give the channel to listen on, for example --channel 15")
    }
    if speed != nil, !isRecording { throw ValidationError("--speed is for recordings (pcap:FILE)") }
    if let count, count < 1 { throw ValidationError("--count \(count): give 1 or more") }
    if let duration, !(duration > 0 && duration < 1e9) {
      throw ValidationError("--duration \(duration): give a number of seconds above 0")
    }
    if output == "-" {
      if json { throw ValidationError("--json and -o - both want standard output") }
      if isatty(STDOUT_FILENO) == 1 {
        throw ValidationError("-o - writes binary data: give -o FILE, or send standard output elsewhere")
      }
    }
  }

  private static func resolved(_ path: String) -> String {
    URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath().path
  }

  func run() async throws {
    // Whoever reads the output has seen enough.
    signal(SIGPIPE, SIG_DFL)
    let radio = try radioURL(url)
    let settings = RadioSettings.listening(channel: channel ?? 11, page: page)
    let driver: any RadioDriver
    let signals: UnixSignalsSequence
    do throws(RadioError) {
      driver = RadioDrivers.make(radio, recordingSpeed: speed?.value ?? .real)
      let description = try await driver.open(settings)
      signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
      note("\(radio): \(description.name), listening\(channel.map { " on channel \($0)" } ?? "")")
    } catch { throw Failure.cannotStart(error.description) }
    let listening = Task { [plan = try plan(radio, settings)] in
      var run = try SniffRun(plan)
      for await event in driver.events where try !run.take(event) { break }
      return run.finish()
    }
    let result = await ended(listening, signals)
    await driver.close()
    let summary = try result.get()
    note(summary.text(driver.statistics))
    if let error = summary.error {
      note("pangate: \(error)")
      throw ExitCode(Exit.inputErrors)
    }
  }

  private func plan(_ radio: RadioURL, _ settings: RadioSettings) throws -> SniffPlan {
    let toTerminal = output != "-" && isatty(STDOUT_FILENO) == 1
    return SniffPlan(
      radio: radio, channel: TAPHeader.Channel(settings, on: radio), output: output, count: count,
      print: json ? .json : output == nil || toTerminal ? .table : nil, settings: try decoding.settings)
  }

  /// Waits until the listening ends by itself, by a signal, or because its time is over. A second signal does not wait.
  private func ended(
    _ listening: Task<SniffSummary, any Error>, _ signals: UnixSignalsSequence
  ) async -> Result<SniffSummary, any Error> {
    let stop = Task {
      var isStopping = false
      for await signal in signals {
        if isStopping { Foundation.exit(128 + (signal == .sigint ? SIGINT : SIGTERM)) }
        isStopping = true
        listening.cancel()
      }
    }
    let timer = Task { [duration] in
      guard let duration else { return }
      try await Task.sleep(for: .seconds(duration))
      listening.cancel()
    }
    defer {
      stop.cancel()
      timer.cancel()
    }
    return await listening.result
  }
}

/// `--speed`.
struct RecordingSpeed: ExpressibleByArgument {
  var value: PcapDriver.Speed

  init?(argument: String) {
    if argument == "max" {
      value = .max
    } else if let factor = Double(argument), factor > 0 {
      value = .times(factor)
    } else {
      return nil
    }
  }
}
