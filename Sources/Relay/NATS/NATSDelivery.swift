import Queue
import Synchronization
import Wire

/// Mailboxes that clients of this relay are served, and what has come for them.
///
/// Each has a consumer that pushes up to `window` unconfirmed messages. The consumer's name is the mailbox's, so that
/// there is one in the cluster: whoever makes it anew has taken the mailbox over. It is in memory on one server, which
/// costs a cluster far less than one that is replicated; when it is lost it is made again, and everything that is still
/// held comes again. What is removed is removed from the stream, never by a consumer.
final class NATSDelivery: Sendable {
  /// A message that is here.
  struct Arrived: Sendable {
    var message: HeldMessage
    /// Where to say that the consumer may push another.
    var acknowledgment: String
  }

  fileprivate struct Served {
    /// Which of its consumers pushes here; what an older one pushed late is passed over.
    var generation: UInt64
    var subscriptions: [NATSSubscription] = []
    /// By number.
    var arrived: [Arrived] = []
    var lastHeard: ContinuousClock.Instant
    /// Another relay said that it serves this mailbox.
    var isContested = false
    /// News was given of something that was not listed since.
    var isAnnounced = false
  }

  private struct State {
    var served: [Mailbox: Served] = [:]
    var generation: UInt64 = 0
  }

  private let link: NATSLink
  private let names: NATSNames
  private let window: Int
  private let heartbeat: Duration
  private let events: NATSEvents
  private let state = Mutex(State())
  /// Held while consumers are made, by the relay's thread or by the one that looks after them.
  private let making = Mutex(())

  init(_ link: NATSLink, _ names: NATSNames, window: Int, heartbeat: Duration, events: NATSEvents) {
    self.link = link
    self.names = names
    self.window = window
    self.heartbeat = heartbeat
    self.events = events
  }

  // MARK: Serving

  func serve(_ mailbox: Mailbox) throws(StoreError) {
    try making.withLock { _ throws(StoreError) in
      let chunks = try link.subscribe(names.chunk(mailbox.address)) { [events] message in
        events.chunk(mailbox.address, message.bytes)
      }
      do throws(StoreError) {
        if let failure = try make([mailbox], chunks: chunks).first { throw failure }
      } catch {
        // What was served before is not known to be served any more.
        forget(mailbox)
        throw error
      }
    }
  }

  /// Interest ends, and so does the consumer, a while later.
  func release(_ mailbox: Mailbox) {
    making.withLock { _ in forget(mailbox) }
  }

  func close() {
    let served = state.withLock { state in
      defer { state.served = [:] }
      return state.served
    }
    withExtendedLifetime(served) {}
  }

  func isServed(_ mailbox: Mailbox) -> Bool { state.withLock { $0.served[mailbox] != nil } }

  /// The subscriptions end outside the lock, since that calls libnats.
  private func forget(_ mailbox: Mailbox) {
    let forgotten = state.withLock { $0.served.removeValue(forKey: mailbox) }
    withExtendedLifetime(forgotten) {}
  }

  /// Makes consumers anew, all at once, and returns what failed.
  private func make(_ mailboxes: [Mailbox], chunks: NATSSubscription? = nil) throws(StoreError) -> [StoreError] {
    guard !mailboxes.isEmpty else { return [] }
    var create: [NATSRequest] = []
    for mailbox in mailboxes {
      let generation = state.withLock { state in
        state.generation += 1
        return state.generation
      }
      let subject = names.deliver("\(names.token(mailbox)).\(generation)")
      let subscription = try link.subscribe(subject) { [weak self] in self?.arrived($0, for: mailbox, generation) }
      let replaced = state.withLock { state in
        var served = Served(generation: generation, lastHeard: .now)
        let old = state.served[mailbox]
        // Chunks and what has arrived are the same whichever consumer pushes.
        served.subscriptions = [subscription] + (chunks.map { [$0] } ?? Array(old?.subscriptions.dropFirst() ?? []))
        served.arrived = old?.arrived ?? []
        served.isAnnounced = old?.isAnnounced ?? false
        state.served[mailbox] = served
        return old
      }
      withExtendedLifetime(replaced) {}
      let name = names.token(mailbox)
      let configuration = NATSConsumerConfiguration(
        durableName: name, deliverSubject: subject, filterSubject: names.mail(mailbox),
        ackWait: 300_000_000_000, maxAckPending: window, idleHeartbeat: heartbeat.wholeNanoseconds)
      create.append(
        NATSRequest(
          api: "CONSUMER.DURABLE.CREATE.\(names.mail).\(name)",
          NATSConsumerRequest(streamName: names.mail, config: configuration)))
    }
    let remove = mailboxes.map { NATSRequest(api: "CONSUMER.DELETE.\(names.mail).\(names.token($0))") }
    var pending = Array(mailboxes.indices)
    var failures: [StoreError] = []
    // Again if another relay made one in between: the last one wins.
    for _ in 0..<3 where !pending.isEmpty {
      failures = []
      // Whether there was one does not matter, nor that the server which had it may be gone.
      _ = try link.exchange(pending.map { remove[$0] })
      let answers = try link.exchange(pending.map { create[$0] })
      var failed: [Int] = []
      for (index, answer) in zip(pending, answers) {
        do throws(StoreError) {
          if let failure = try link.parse(answer, of: create[index]).error {
            throw failure.storeError(create[index].subject)
          }
          try link.send(
            NATSRequest(subject: names.taken(names.token(mailboxes[index])), bytes: Array(names.relay.utf8)))
        } catch {
          failed.append(index)
          failures.append(error)
        }
      }
      pending = failed
    }
    return failures
  }

  // MARK: What arrives

  private func arrived(_ message: NATSMessage, for mailbox: Mailbox, _ generation: UInt64) {
    // A heartbeat has a status.
    let isMail = message.status == nil
    let deposit = isMail ? NATSDeposit.parse(message.headers[.deposit], bytes: message.bytes) : nil
    let number = NATSDelivery.streamSequence(of: message)
    let isNews = state.withLock { state in
      guard state.served[mailbox]?.generation == generation else { return false }
      state.served[mailbox]?.lastHeard = .now
      guard let deposit, let number, let acknowledgment = message.reply else { return false }
      let held = HeldMessage(mailbox: mailbox, number: number, deposit: deposit)
      return state.served[mailbox]?.take(Arrived(message: held, acknowledgment: acknowledgment)) ?? false
    }
    if isNews { events.news(.arrival(mailbox)) }
    // What cannot be read stays for whoever can, and makes room here.
    if isMail, deposit == nil, let acknowledgment = message.reply {
      try? link.send(NATSRequest(subject: acknowledgment))
    }
  }

  /// The number of a message in its stream: `$JS.ACK.STREAM.CONSUMER.DELIVERED.NUMBER...`, from newer servers with domain
  /// and account before the stream.
  static func streamSequence(of message: NATSMessage) -> UInt64? {
    let tokens = message.reply?.split(separator: ".") ?? []
    guard tokens.count >= 9 else { return nil }
    return UInt64(tokens[tokens.count == 9 ? 5 : 7])
  }

  /// What has arrived with numbers over `number`, in order.
  func list(in mailbox: Mailbox, after number: UInt64) -> [HeldMessage] {
    state.withLock { state in
      state.served[mailbox]?.isAnnounced = false
      return state.served[mailbox]?.arrived.lazy.map(\.message).filter { $0.number > number } ?? []
    }
  }

  /// Everything that has arrived.
  func all() -> [HeldMessage] {
    state.withLock { state in state.served.values.flatMap { $0.arrived.map(\.message) } }
  }

  func message(_ name: MessageName) -> HeldMessage? {
    state.withLock { $0.served[name.mailbox]?.arrived.first { $0.message.number == name.number }?.message }
  }

  /// These are gone from the stream: others may come. That a consumer learns of it is not needed, and not waited for.
  func remove(_ messages: [MessageName]) {
    let acknowledgments = state.withLock { state in
      messages.compactMap { name -> String? in
        guard let index = state.served[name.mailbox]?.arrived.firstIndex(where: { $0.message.number == name.number })
        else { return nil }
        return state.served[name.mailbox]?.arrived.remove(at: index).acknowledgment
      }
    }
    for acknowledgment in acknowledgments { try? link.send(NATSRequest(subject: acknowledgment)) }
  }

  // MARK: Looking after consumers

  /// Another relay serves this mailbox, or did; which one does is asked later.
  func contested(_ mailbox: Mailbox) {
    state.withLock { $0.served[mailbox]?.isContested = true }
  }

  /// Makes sure of consumers that may be gone, or of all of them. Called by the thread that looks after the store.
  func check(all isAll: Bool) throws(StoreError) {
    try making.withLock { _ throws(StoreError) in
      let doubtful = state.withLock { state in
        state.served.compactMap { mailbox, served -> (Mailbox, String, isLost: Bool)? in
          let isLost = isAll || served.lastHeard.duration(to: .now) > heartbeat * 3
          guard isLost || served.isContested else { return nil }
          return (mailbox, names.deliver("\(names.token(mailbox)).\(served.generation)"), isLost)
        }
      }
      guard !doubtful.isEmpty else { return }
      let ask = doubtful.map { NATSRequest(api: "CONSUMER.INFO.\(names.mail).\(names.token($0.0))") }
      var lost: [Mailbox] = []
      for ((mailbox, subject, isLost), (request, message)) in zip(doubtful, zip(ask, try link.exchange(ask))) {
        // No answer comes if the server that had the consumer is gone.
        let answer = try? link.parse(message, of: request)
        if let current = answer?.config?.deliverSubject, current != subject {
          forget(mailbox)
          events.news(.replaced(mailbox))
          continue
        }
        state.withLock { $0.served[mailbox]?.isContested = false }
        if isLost || answer?.error != nil { lost.append(mailbox) }
      }
      // Those that fail are silent, and so their turn comes again.
      if let failure = try make(lost).first { throw failure }
    }
  }
}

extension NATSDelivery.Served {
  /// Keeps a message in its place. True if news of it should be given.
  fileprivate mutating func take(_ new: NATSDelivery.Arrived) -> Bool {
    let index = arrived.lastIndex { $0.message.number <= new.message.number }.map { $0 + 1 } ?? 0
    if index > 0, arrived[index - 1].message.number == new.message.number {
      // Pushed again: only where to acknowledge it is new.
      arrived[index - 1] = new
      return false
    }
    arrived.insert(new, at: index)
    defer { isAnnounced = true }
    return !isAnnounced
  }
}
