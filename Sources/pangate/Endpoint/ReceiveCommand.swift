import ArgumentParser
import Bridge
import Envelope
import Foundation
import Radio
import Relay
import UnixSignals
import Wire

/// `pangate receive`: what members say to this endpoint.
struct ReceiveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "receive",
    abstract: "Receive what the relays hold for this endpoint, and what comes.",
    discussion: """
      Each message is verified, opened, and on disk before the relay forgets it; what is shown leaves the disk again. What
      came with an earlier command and was not shown comes first. Without --follow, ends when nothing has come for --idle
      seconds.

      EXAMPLES
        pangate receive --config Config/endpoint.yaml
        pangate receive --config Config/endpoint.yaml --follow --json

      \(Exit.help)
      """)

  @Option(help: "The endpoint's configuration; Config/endpoint.yaml explains every key.") var config: String
  @Flag(help: "Go on until interrupted.") var follow = false
  @Option(help: "Seconds of silence after which it ends.") var idle: Int = 3
  @Option(help: "End after so many messages.") var count: Int?
  @Flag(help: "As JSON, one object a line.") var json = false
  @Option(help: ArgumentHelp("See 'pangate relay'.", visibility: .hidden)) var startTime: Int64?

  func run() async throws {
    let runner = try EndpointRunner(EndpointConfiguration.load(config), clock: ShiftedClock(start: startTime))
    let interrupt = runner.interruption
    let signals = Task {
      for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) { interrupt() }
    }
    defer { signals.cancel() }
    var idleTimer: Task<Void, Never>?
    let idle = idle
    func restartTimer() {
      idleTimer?.cancel()
      guard !follow else { return }
      idleTimer = Task {
        try? await Task.sleep(for: .seconds(idle))
        if !Task.isCancelled { interrupt() }
      }
    }
    var shown = 0
    var lastError: String?
    for delivery in try runner.say({ try $0.inboxContents() }) where shown < count ?? .max {
      try show(delivery, runner)
      shown += 1
    }
    if let count, shown >= count { return }
    _ = try await runner.run(timeout: nil) { step in
      switch step {
      case .up(let url):
        lastError = nil
        note("connected to \(url)")
        restartTimer()
      case .down(let url, let reason):
        lastError = "\(url): \(reason)"
        note("pangate: \(url): \(reason); trying again")
        // Whoever does not follow wants to know.
        if !follow { restartTimer() }
      case .delivered(let delivery):
        try show(delivery, runner)
        shown += 1
        if let count, shown >= count { return true }
        restartTimer()
      case .heardRefused(let reason): note("pangate: a message was refused: \(reason.name)")
      default: break
      }
      return false
    }
    await runner.stop()
    if let lastError, !follow { throw Failure.cannotStart(lastError) }
  }

  private func show(_ delivery: Endpoint<SQLiteStore>.Delivery, _ runner: EndpointRunner) throws {
    let record = HomeRecord(time: .now, frame: nil, event: .delivered(DeliveredMessage(delivery)))
    if json {
      pangate.show(JSONOutput.line(HomeRecordJSON(record)))
    } else {
      pangate.show(record.cells(to: runner.name).filter { !$0.isEmpty }.joined(separator: "  "))
    }
    try runner.say { try $0.forget(delivery.number) }
  }
}
