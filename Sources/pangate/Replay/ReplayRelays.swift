import Bridge
import Dispatch
import Envelope
import Foundation
import NIOPosix
import Queue
import Radio
import Relay
import Synchronization
import Wire

/// The relays of a replay over the network: it waits for them where a daemon would go on, so that a recording that takes
/// no time meets what they hold.
final class ReplayRelays {
  private let client: RelayClient
  private let queue: Events
  private let patience: TimeInterval
  private var isUp = false
  private var lastError = "no answer yet"

  private final class Events: Sendable {
    private let events = Mutex<[RelayClientEvent]>([])
    private let signal = DispatchSemaphore(value: 0)

    func put(_ event: RelayClientEvent) {
      events.withLock { $0.append(event) }
      signal.signal()
    }

    func take(until deadline: DispatchTime) -> RelayClientEvent? {
      guard signal.wait(timeout: deadline) == .success else { return nil }
      return events.withLock { $0.removeFirst() }
    }
  }

  init(_ configuration: RelayClientConfiguration, clock: @escaping @Sendable () -> Instant, patience: TimeInterval) {
    let queue = Events()
    self.queue = queue
    self.patience = patience
    client = RelayClient(configuration, group: MultiThreadedEventLoopGroup.singleton, clock: clock) { queue.put($0) }
    client.start()
  }

  /// Sends what is to be sent and takes what has come, without waiting.
  func pass(_ home: Home, now: Instant) throws {
    try send(home)
    while let event = queue.take(until: .now()) { _ = try take(event, home, now: now) }
    try send(home)
  }

  /// Waits until the relays hold nothing for the home and the home nothing for them. Throws ``Failure`` if that takes too
  /// long.
  func settle(_ home: Home, now: Instant) throws {
    let deadline = DispatchTime.now() + patience
    var isAsked = false
    while true {
      try send(home)
      if isUp, !isAsked, try home.gateway.gateway.outboxUsage().messages == 0 {
        client.askHeld()
        isAsked = true
      }
      guard let event = queue.take(until: deadline) else {
        throw Failure.cannotStart("the relays do not answer within \(Int(patience)) seconds: \(lastError)")
      }
      if case .held(_, let count) = event {
        // What is on its way comes before the next answer.
        isAsked = false
        if count == 0, try home.gateway.gateway.outboxUsage().messages == 0 { return }
        continue
      }
      if try take(event, home, now: now) { isAsked = false }
    }
  }

  private func send(_ home: Home) throws {
    for message in try home.takeUplink() { client.submit(message.bytes, number: message.number) }
  }

  private func take(_ event: RelayClientEvent, _ home: Home, now: Instant) throws -> Bool {
    switch event {
    case .up: isUp = true
    case .down(let url, let reason):
      isUp = false
      lastError = "\(url): \(reason)"
    case .answered(let number, let answer): try home.answered(number, answer, now: now)
    case .held: break
    case .delivery(let delivery):
      switch home.deliver(delivery.bytes, now: now) {
      case .taken: delivery.answer(.taken)
      case .refused(let reason): delivery.answer(.refused(reason))
      case .later(let reason): delivery.answer(.later(reason))
      }
    }
    return true
  }

  func stop() {
    let (client, done) = (client, DispatchSemaphore(value: 0))
    Task {
      await client.stop()
      done.signal()
    }
    done.wait()
  }
}
