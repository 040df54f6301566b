import ArgumentParser
import BorderRouter
import Bridge
import Envelope
import Foundation
import IEEE802154
import Radio
import Relay
import Wire

/// `pangate replay`: the whole gateway on a capture.
struct Replay: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Run the whole gateway, with relay and owner, on a recorded radio.",
    discussion: """
      Shows each envelope as it is made or refused, commands held and handed to nodes when they poll, receipts, and
      what stands in the queues at the end. The clock is that of the capture. With --state everything that was
      acknowledged is on disk when the acknowledgment is made: a replay that was killed is run again and nothing is
      lost or doubled.

      EXAMPLES
        pangate replay Captures/home.pcap --config Config/demo/gateway.yaml
        pangate replay Captures/home.pcap --config Config/demo/gateway.yaml --state /var/tmp/home --tx answers.pcap
        pangate replay Captures/home.pcap --config Config/demo/gateway.yaml --command 'lock: PUT /lock closed'

      \(Exit.help)
      """)

  enum Speed: String, ExpressibleByArgument, CaseIterable {
    case real
    case max
  }

  @Argument(help: "Capture files, pcap or pcapng; '-' is standard input.") var files: [String]
  @Option(help: "The gateway's configuration; Config/gateway.yaml explains every key.") var config: String
  @Option(help: "How fast: as recorded, or as fast as it goes.") var speed: Speed = .max
  @Option(help: "A directory for what must survive: queues, sequence numbers, the owner's inbox.") var state: String?
  @Option(help: "Write what the gateway sends to this capture file.") var tx: String?
  @Option(
    help: ArgumentHelp(
      "A command that the owner gives at the start, beside those of the configuration: 'NAME: PUT /path value'."))
  var command: [String] = []
  @Flag(help: "One JSON object a line, the last one the summary.") var json = false
  @Flag(help: "Check the configuration and what it names, and stop.") var checkConfig = false

  func run() throws {
    let configuration = try GatewayConfiguration.load(config)
    let commands = try (configuration.commands + command).map { text in
      guard let command = CommandText(text) else {
        throw Failure.usage("'\(text)' is no command: write NAME: PUT /path value, for example 'lock: PUT /lock open'")
      }
      return command
    }
    let home = try Self.home(configuration, state: state)
    if checkConfig {
      print(
        "\(config): good; \(home.gateway.gateway.nodes.count) nodes, peer record of epoch \(home.directory.record.version.epoch)"
      )
      return
    }
    var output = ReplayOutput(json: json)
    let isClean: Bool
    do {
      isClean = try replay(home, commands: commands, to: &output)
    } catch {
      // What was shown before is shown all the same.
      try? output.flush()
      throw error
    }
    try output.finish(home)
    guard isClean, !output.sawRefusal else { throw ExitCode(Exit.inputErrors) }
  }

  private func replay(
    _ home: Home, commands: [CommandText], to output: inout ReplayOutput
  ) throws -> Bool {
    var transmissions = try tx.map { path throws(CaptureError) in
      try PcapWriter(path: path, linkType: .ieee802154WithoutFCS)
    }
    var pace = ReplayPace(isReal: speed == .real)
    var relays: ReplayRelays?
    var last = Instant(seconds: 0)
    var isClean = true
    var isFirst = true
    for file in files {
      var reader = try CaptureReader(path: file)
      do {
        while let record = try reader.next() {
          let now = record.timestamp
          pace.wait(until: now)
          last = now
          if isFirst {
            relays = try connect(home, now: now)
            try give(commands, to: home, now: now)
            isFirst = false
          }
          output.frames += 1
          let sent = try step(home, record)
          output.sent += sent.count
          for frame in sent { transmissions?.write(frame.rawSpan, timestamp: now) }
          try relays?.pass(home, now: now)
          try output.show(home.takeRecords())
        }
      } catch let error as CaptureError {
        // A damaged file does not undo what came before the damage.
        pangate.note("pangate: \(error)")
        isClean = false
      }
    }
    try relays?.settle(home, now: last)
    relays?.stop()
    try transmissions?.flush()
    return isClean
  }

  /// With relays over the network: what they hold comes before the first frame.
  private func connect(_ home: Home, now: Instant) throws -> ReplayRelays? {
    guard case .network(let section) = try GatewayConfiguration.load(config).relay else { return nil }
    let clock = ShiftedClock(start: now.seconds)
    let relays = ReplayRelays(
      try section.client(
        home.gateway.gateway.identity, serving: home.gateway.gateway.nodes.map(\.address), directory: home.directory),
      clock: { clock.now }, patience: 30)
    try relays.settle(home, now: now)
    return relays
  }

  private func step(_ home: Home, _ record: borrowing CaptureRecord) throws -> [[UInt8]] {
    let frame: CapturedFrame
    do throws(ParseError) {
      guard let view = try record.frame() else { throw ParseError(.captureNotIEEE802154) }
      frame = view.owned
    } catch {
      home.drop(error.reason, at: record.timestamp, number: record.number)
      return []
    }
    try home.advance(to: record.timestamp)
    try home.pass(now: record.timestamp)
    home.receive(frame.bytes.rawSpan, metadata: frame.metadata, number: record.number)
    try home.pass(now: record.timestamp)
    // A recorded radio sends at once.
    var sent: [[UInt8]] = []
    while let psdu = home.takeTransmission() {
      sent.append(psdu)
      home.transmitted(.sent, now: record.timestamp)
      try home.pass(now: record.timestamp)
    }
    return sent
  }

  private static func home(_ configuration: GatewayConfiguration, state: String?) throws -> Home {
    let pan = try configuration.pan(hardwareAddress: nil)
    return try Home(
      configuration, pan: pan,
      mac: configuration.mac(pan, capabilities: [.acknowledges, .retransmits]), state: state,
      random: ReplayGenerator(seed: pan.extendedAddress.value), now: Instant(seconds: 0))
  }

  private func give(_ commands: [CommandText], to home: Home, now: Instant) throws {
    guard commands.isEmpty || home.hasOwner else {
      throw Failure.usage("--command needs an owner: the configuration has no 'demo.owner'")
    }
    for (index, command) in commands.enumerated() {
      do { _ = try home.command(command, label: "\(index) \(command)", now: now) } catch let error as CommandError {
        throw Failure.usage("--command '\(command)': \(error)")
      }
      try home.pass(now: now)
    }
  }
}

/// Waits as long as was waited in the recording.
struct ReplayPace {
  let isReal: Bool
  private var last: Instant?

  init(isReal: Bool) { self.isReal = isReal }

  mutating func wait(until now: Instant) {
    defer { last = now }
    guard isReal, let last, now > last else { return }
    Thread.sleep(forTimeInterval: Double(now.microseconds - last.microseconds) / 1e6)
  }
}
