import Queue
import Synchronization
import Wire

/// Looks through everything held, without the bytes, as fast as ``take()`` is called.
final class NATSSweep: Sendable {
  struct Found: Sendable {
    var number: UInt64
    var mailbox: Mailbox
    var expires: Instant?
    fileprivate var acknowledgment: String
  }

  private struct State {
    var generation: UInt64 = 0
    var subscription: NATSSubscription?
    var found: [Found] = []
  }

  /// Messages that are looked at in one call.
  private static let window = 512
  private let link: NATSLink
  private let names: NATSNames
  private let state = Mutex(State())

  init(_ link: NATSLink, _ names: NATSNames) {
    self.link = link
    self.names = names
  }

  /// Begins at the oldest message.
  func start() throws(StoreError) {
    let generation = state.withLock { state in
      state.generation += 1
      state.found = []
      return state.generation
    }
    let subject = names.deliver("sweep.\(generation)")
    let subscription = try link.subscribe(subject) { [weak self] in self?.arrived($0, generation) }
    var configuration = NATSConsumerConfiguration(
      deliverSubject: subject, filterSubject: names.prefix + ".mail.>", ackWait: 3_600_000_000_000,
      maxAckPending: NATSSweep.window)
    configuration.headersOnly = true
    _ = try link.ask(
      NATSRequest(
        api: "CONSUMER.CREATE.\(names.mail)", NATSConsumerRequest(streamName: names.mail, config: configuration)))
    let replaced = state.withLock { state in
      defer { state.subscription = subscription }
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

  /// What was found since the last call. More is looked at from then on.
  func take() -> [Found] {
    let found = state.withLock { state in
      defer { state.found = [] }
      return state.found
    }
    for found in found { try? link.send(NATSRequest(subject: found.acknowledgment)) }
    return found
  }

  private func arrived(_ message: NATSMessage, _ generation: UInt64) {
    guard message.status == nil, let acknowledgment = message.reply else { return }
    let deposit = NATSDeposit.parse(message.headers[.deposit], bytes: [])
    guard let deposit, let number = NATSDelivery.streamSequence(of: message),
      let mailbox = names.mailbox(subject: message.subject)
    else {
      try? link.send(NATSRequest(subject: acknowledgment))
      return
    }
    state.withLock { state in
      guard state.generation == generation else { return }
      state.found.append(
        Found(number: number, mailbox: mailbox, expires: deposit.expires, acknowledgment: acknowledgment))
    }
  }
}
