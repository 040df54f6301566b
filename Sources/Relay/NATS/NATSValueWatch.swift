import Queue
import Synchronization
import Wire

/// Hears of values that other relays set.
final class NATSValueWatch: Sendable {
  private struct State {
    var generation: UInt64 = 0
    var subscription: NATSSubscription?
    var lastHeard = ContinuousClock.now
    /// What is known of each name: its number in the stream.
    var known: [String: UInt64] = [:]
    /// Anything up to it was there before this relay was.
    var floor: UInt64?
  }

  private let link: NATSLink
  private let names: NATSNames
  private let heartbeat: Duration
  private let events: NATSEvents
  private let state = Mutex(State())

  init(_ link: NATSLink, _ names: NATSNames, heartbeat: Duration, events: NATSEvents) {
    self.link = link
    self.names = names
    self.heartbeat = heartbeat
    self.events = events
  }

  /// Begins to watch, or begins again if nothing was heard for too long; the newest of each value comes then, and what
  /// was missed is told.
  func check(again: Bool) throws(StoreError) {
    let isFine = state.withLock { $0.subscription != nil && $0.lastHeard.duration(to: .now) <= heartbeat * 3 }
    guard again || !isFine else { return }
    if state.withLock({ $0.floor }) == nil {
      let last = try link.ask(NATSRequest(api: "STREAM.INFO.\(names.values)")).state?.lastSeq ?? 0
      state.withLock { $0.floor = last }
    }
    let generation = state.withLock { state in
      state.generation += 1
      return state.generation
    }
    let subject = names.deliver("values.\(generation)")
    let subscription = try link.subscribe(subject) { [weak self] in self?.arrived($0, generation) }
    var configuration = NATSConsumerConfiguration(deliverSubject: subject, filterSubject: "$KV.\(names.prefix).>")
    configuration.deliverPolicy = "last_per_subject"
    configuration.ackPolicy = "none"
    configuration.idleHeartbeat = heartbeat.wholeNanoseconds
    _ = try link.ask(
      NATSRequest(
        api: "CONSUMER.CREATE.\(names.values)",
        NATSConsumerRequest(streamName: names.values, config: configuration)))
    let replaced = state.withLock { state in
      defer {
        state.subscription = subscription
        state.lastHeard = .now
      }
      return state.subscription
    }
    withExtendedLifetime(replaced) {}
  }

  func close() {
    let ended = state.withLock { state in
      defer { state.subscription = nil }
      return state.subscription
    }
    withExtendedLifetime(ended) {}
  }

  private func arrived(_ message: NATSMessage, _ generation: UInt64) {
    let name = names.valueName(subject: message.subject)
    let number = NATSDelivery.streamSequence(of: message)
    let isNews = state.withLock { state in
      guard state.generation == generation else { return false }
      state.lastHeard = .now
      guard message.status == nil, let name, let number else { return false }
      guard number > state.known[name] ?? state.floor ?? 0 else { return false }
      state.known[name] = number
      return message.headers[.relay] != names.relay
    }
    if isNews, let name { events.news(.value(name, message.bytes)) }
  }
}
