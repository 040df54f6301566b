import ArgumentParser
import Envelope
import Foundation
import NIOPosix
import Relay
import Synchronization
import Wire

/// Envelopes acknowledged in a second.
struct SubmitCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "submit",
    abstract: "Submit envelopes of all senders, pipelined, and count how many are acknowledged a second.")

  @OptionGroup var options: LoadOptions
  @Option(help: "Envelopes of a sender on their way at a time.") var window = 64
  @Flag(help: "Receivers are connected and take what comes.") var deliver = false

  func run() async throws {
    let (relay, envelopes) = try options.prepare()
    let each = envelopes[0].count
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    var receivers: [LoadClient] = []
    if deliver {
      for index in 0..<options.senders {
        receivers.append(LoadClient(relay, try options.identity("receiver\(index)"), group: group))
      }
      for receiver in receivers { try await receiver.up() }
    }
    let clients = try (0..<options.senders).map { LoadClient(relay, try options.identity("sender\($0)"), group: group) }
    for client in clients { try await client.up() }
    let begun = ContinuousClock.now
    for (client, envelopes) in zip(clients, envelopes) { client.submit(envelopes.map(\.bytes), window: window) }
    for client in clients { try await client.finished() }
    let elapsed = ContinuousClock.now - begun
    let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
    let refused = clients.map(\.refused).reduce(0, +)
    let count = each * options.senders
    if deliver {
      while receivers.map(\.received).reduce(0, +) < count - refused { try await Task.sleep(for: .milliseconds(5)) }
    }
    print(
      "\(count) envelopes, \(refused) refused, \(String(format: "%.3f", seconds)) s, \(Int(Double(count - refused) / seconds)) a second"
    )
    for client in clients + receivers { await client.client.stop() }
    if refused > 0 { throw ExitCode(1) }
  }
}

/// A sender or a receiver.
final class LoadClient: Sendable {
  private struct State {
    var isUp = false
    var envelopes: [[UInt8]] = []
    var next = 0
    var open = 0
    var refused = 0
    var received = 0
    var times: [(seq: UInt64, at: ContinuousClock.Instant)] = []
    var waiter: CheckedContinuation<Void, any Error>?
    var lastError = ""
  }

  private final class Box: Sendable {
    let state = Mutex(State())
    let client = Mutex<RelayClient?>(nil)
  }

  let client: RelayClient
  private let box = Box()

  init(
    _ relay: RelayClientConfiguration.Relay, _ identity: Identity, group: MultiThreadedEventLoopGroup,
    keepsTimes: Bool = false
  ) {
    let box = box
    var configuration = RelayClientConfiguration(relays: [relay], identity: identity)
    configuration.answerTime = .seconds(120)
    client = RelayClient(configuration, group: group, clock: LoadClient.now) { event in
      switch event {
      case .up:
        box.state.withLock { state in
          state.isUp = true
          state.waiter?.resume()
          state.waiter = nil
        }
      case .down(_, let reason): box.state.withLock { $0.lastError = reason }
      case .held: break
      case .answered(_, let answer):
        let (next, number) = box.state.withLock { state -> ([UInt8]?, Int) in
          if case .refused = answer { state.refused += 1 }
          state.open -= 1
          guard state.next < state.envelopes.count else {
            if state.open == 0 {
              state.waiter?.resume()
              state.waiter = nil
            }
            return (nil, 0)
          }
          defer { state.next += 1 }
          state.open += 1
          return (state.envelopes[state.next], state.next)
        }
        if let next { box.client.withLock { $0 }?.submit(next, number: UInt64(number)) }
      case .delivery(let delivery):
        delivery.answer(.taken)
        let now = ContinuousClock.now
        let sequence =
          keepsTimes ? (try? SignedEnvelope(parsing: delivery.bytes))?.header.sequence : nil
        box.state.withLock { state in
          state.received += 1
          if let sequence { state.times.append((sequence, now)) }
        }
      }
    }
    box.client.withLock { $0 = client }
    client.start()
  }

  private static let now: @Sendable () -> Instant = {
    Instant(microseconds: Int64(Date().timeIntervalSince1970 * 1e6))
  }

  var refused: Int { box.state.withLock { $0.refused } }
  var received: Int { box.state.withLock { $0.received } }
  var times: [(seq: UInt64, at: ContinuousClock.Instant)] { box.state.withLock { $0.times } }

  /// Waits for a session.
  func up() async throws {
    try await withCheckedThrowingContinuation { continuation in
      let isUp = box.state.withLock { state -> Bool in
        if !state.isUp { state.waiter = continuation }
        return state.isUp
      }
      if isUp { continuation.resume() }
    }
  }

  func submit(_ envelopes: [[UInt8]], window: Int) {
    let first = box.state.withLock { state -> [[UInt8]] in
      state.envelopes = envelopes
      state.next = min(window, envelopes.count)
      state.open = state.next
      return Array(envelopes[..<state.next])
    }
    for (number, bytes) in first.enumerated() { client.submit(bytes, number: UInt64(number)) }
  }

  /// Waits until everything is answered.
  func finished() async throws {
    try await withCheckedThrowingContinuation { continuation in
      let isDone = box.state.withLock { state -> Bool in
        let isDone = state.open == 0
        if !isDone { state.waiter = continuation }
        return isDone
      }
      if isDone { continuation.resume() }
    }
  }
}
