import Foundation
import Queue
import Synchronization
import Wire

/// What relays keep together on a NATS server with JetStream, or on a cluster of them.
///
/// Used by one thread, whose calls block for a round trip or a few; ``news`` and ``onChunk`` are called on threads of the
/// client library and must return soon, without calling the store. What returned without an error is stored by a quorum
/// of ``Configuration/replicas`` servers. A single server acknowledges what its operating system has: that outlives
/// the server's process, while what came in the last minutes may be lost with the machine's power.
///
/// What differs from a store on one machine:
///
/// - Each call is durable for itself; ``transaction(_:)`` undoes nothing.
/// - A message's number is that of its stream: it rises within a mailbox, with gaps.
/// - A mailbox holds `limits.mailbox.messages` of no consequence and as many others, however long; all together hold
///   `limits.total`, and 512 bytes more for each message. Room is made only among messages of no consequence, by the
///   oldest; everything else is refused when its mailbox is full.
/// - Of messages with one topic, superseded ones are left out and removed when they are listed, as far as they have arrived
///   together (``Configuration/window``). Until then they take room.
/// - Replay records are kept for ``Configuration/replayAge`` and not by number: a message that is replayed later counts as
///   new, which the relay's limit on the age of messages must prevent.
/// - A message that was stored, and whose replay record was not because the relay or the servers failed in between, is not
///   acknowledged. When its sender tries again at the same relay it is stored once; at another it is delivered again, and
///   recipients recognise it by sender and sequence number.
/// - After ``RelayStoreNews/availability(_:)`` says true, messages with lower numbers than the last listed one may arrive:
///   those whose delivery was lost with the connection.
/// - What expires is found when this relay took it in, when it has arrived here, and by looking through everything held
///   every ``Configuration/sweepInterval``. Of two relays that find the same message, the one that does not remove it
///   withdraws its report.
/// - ``usage(of:)`` counts messages; bytes are estimated from the average of all.
public final class NATSRelayStore: RelayStore {
  public let configuration: Configuration
  let names: NATSNames
  let link: NATSLink
  let delivery: NATSDelivery
  let events: NATSEvents
  private let watch: NATSValueWatch
  private let caretaker: NATSCaretaker
  private let taken: NATSSubscription
  let sweep: NATSSweep
  /// Messages that expire before the sweep after the next: their instants, by number.
  var expiring: [UInt64: (expires: Instant, mailbox: Mailbox)] = [:]
  /// When ``expire(now:limit:report:)`` was called last, if ever.
  var lastExpiry: Instant?
  var sweepBegan: Instant?
  var sweepIsBusy = false
  /// What earlier tries have stored.
  var unrecorded: [ReplayKey: Unrecorded] = [:]
  /// Subjects that refused a message and had no room since.
  var fullSubjects: Set<String> = []
  public internal(set) var counters = DropCounters()

  /// Connects, and creates the streams that are not there yet.
  ///
  /// Throws ``StoreError`` if no server is reached, or JetStream does not work, within ``Configuration/connectTimeout``.
  public init(_ configuration: Configuration) throws(StoreError) {
    try configuration.check()
    self.configuration = configuration
    let names = NATSNames(prefix: configuration.prefix)
    self.names = names
    let events = NATSEvents()
    self.events = events
    let caller = Caller()
    let deadline = ContinuousClock.now + configuration.connectTimeout
    let link = try NATSLink(
      configuration.connectionOptions(name: "pangate-relay-\(names.relay)"), name: names.relay,
      timeout: configuration.timeout
    ) { caller.connectionChanged($0) }
    self.link = link
    let delivery = NATSDelivery(
      link, names, window: configuration.window, heartbeat: configuration.heartbeat, events: events)
    self.delivery = delivery
    let watch = NATSValueWatch(link, names, heartbeat: configuration.heartbeat, events: events)
    self.watch = watch
    sweep = NATSSweep(link, names)
    let streams = NATSStreams(configuration, names)
    caretaker = NATSCaretaker(every: configuration.heartbeat, events: events) { isAll throws(StoreError) in
      if isAll { try streams.create(on: link) }
      try delivery.check(all: isAll)
      try watch.check(again: isAll)
    }
    do throws(StoreError) {
      try retry(until: deadline) { () throws(StoreError) in try streams.create(on: link) }
      taken = try link.subscribe(names.taken("*")) { message in
        guard message.bytes != Array(names.relay.utf8), let token = message.subject.split(separator: ".").last,
          let mailbox = names.mailbox(token: token)
        else { return }
        delivery.contested(mailbox)
        caller.wake()
      }
      try retry(until: deadline) { () throws(StoreError) in try watch.check(again: true) }
      try link.flush()
    } catch {
      link.close()
      throw error
    }
    caller.set(caretaker)
    caretaker.start()
  }

  deinit { close() }

  /// Ends the connection. Every later call throws; nothing is told any more.
  public func close() {
    guard !isClosed else { return }
    isClosed = true
    events.onNews = nil
    events.onChunk = nil
    link.close()
    caretaker.stop()
    delivery.close()
    watch.close()
    sweep.close()
  }
  private var isClosed = false

  public var isShared: Bool { true }

  public var news: (@Sendable (RelayStoreNews) -> Void)? {
    get { events.onNews }
    set { events.onNews = newValue }
  }

  /// Called with each chunk for a served mailbox's address, on any thread.
  public var onChunk: (@Sendable (Bytes32, [UInt8]) -> Void)? {
    get { events.onChunk }
    set { events.onChunk = newValue }
  }

  /// Hands a chunk to whichever relay serves the address now. It is not stored: without a connection, or if nobody serves
  /// the address, it is lost.
  public func publishChunk(_ bytes: [UInt8], to address: Bytes32) throws(StoreError) {
    try link.send(NATSRequest(subject: names.chunk(address), bytes: bytes))
  }

  public func transaction<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result { try body() }

  // MARK: Serving

  public func serve(_ mailbox: Mailbox) throws(StoreError) { try delivery.serve(mailbox) }
  public func release(_ mailbox: Mailbox) throws(StoreError) { delivery.release(mailbox) }

  public func list(in mailbox: Mailbox, after number: UInt64, limit: Int) throws(StoreError) -> [HeldMessage] {
    let arrived = delivery.list(in: mailbox, after: 0)
    // By sender and topic: the newest.
    var newest: [Topic: HeldMessage] = [:]
    for message in arrived {
      guard let topic = Topic(message) else { continue }
      if let known = newest[topic], known.seq > message.seq { continue }
      newest[topic] = message
    }
    let superseded = arrived.filter { message in
      guard let topic = Topic(message) else { return false }
      return newest[topic]?.number != message.number
    }
    if !superseded.isEmpty {
      try confirm(superseded.map { MessageName(mailbox, $0.number) })
      counters.count(.queueSuperseded, times: UInt64(superseded.count))
    }
    let gone = Set(superseded.map(\.number))
    return Array(arrived.lazy.filter { $0.number > number && !gone.contains($0.number) }.prefix(max(0, limit)))
  }

  private struct Topic: Hashable {
    var sender: Bytes32
    var topic: UInt64

    init?(_ message: HeldMessage) {
      guard let topic = message.topic else { return nil }
      sender = message.sender
      self.topic = topic
    }
  }

  public func confirm(_ messages: [MessageName]) throws(StoreError) {
    guard !messages.isEmpty else { return }
    // A number alone does not say whose message it is: what has not arrived here is looked at first.
    let unknown = messages.filter { delivery.message($0) == nil }
    var foreign: Set<MessageName> = []
    for (name, found) in zip(unknown, try link.messages(unknown.map(\.number), of: names.mail)) {
      let subject = found?.headers[.subject]
      if subject.flatMap({ names.mailbox(subject: $0) }) != name.mailbox { foreign.insert(name) }
    }
    try remove(messages.filter { !foreign.contains($0) })
  }

  /// Removes messages that are in these mailboxes, if anywhere, and says of each whether it was.
  @discardableResult
  func remove(_ messages: [MessageName]) throws(StoreError) -> [Bool] {
    let removed = try link.delete(messages.map(\.number), from: names.mail)
    for name in messages { expiring[name.number] = nil }
    delivery.remove(messages)
    return removed
  }

  // MARK: Removing

  /// Finds what has arrived here; whoever delivers the rest asks the access list again.
  public func remove(
    from sender: Bytes32, reason: DropReason, where condition: (HeldMessage) -> Bool
  ) throws(StoreError) -> [HeldMessage] {
    let found = delivery.all().filter { $0.sender == sender && condition($0) }
    try confirm(found.map { MessageName($0.mailbox, $0.number) })
    counters.count(reason, times: UInt64(found.count))
    return found
  }

  public func removeAll(in mailbox: Mailbox, reason: DropReason) throws(StoreError) {
    let request = NATSRequest(
      api: "STREAM.PURGE.\(names.mail)", NATSPurgeRequest(filter: names.mail(mailbox), seq: nil))
    let purged = try link.ask(request).purged ?? 0
    counters.count(reason, times: UInt64(max(0, purged)))
    delivery.remove(delivery.list(in: mailbox, after: 0).map { MessageName(mailbox, $0.number) })
  }

  // MARK: Usage

  public func usage(of mailbox: Mailbox) throws(StoreError) -> Usage {
    let request = NATSRequest(
      api: "STREAM.INFO.\(names.mail)", NATSInfoRequest(subjectsFilter: names.mail(mailbox), offset: nil))
    let state = try link.ask(request).state
    let messages = state?.subjects?.values.reduce(0, +) ?? 0
    guard let state, state.messages > 0 else { return Usage(messages: messages) }
    return Usage(messages: messages, bytes: Int(Double(state.bytes) / Double(state.messages) * Double(messages)))
  }

  /// Bytes are those that the stream counts: headers and subjects as well, and a message for several recipients for each.
  public func totalUsage() throws(StoreError) -> Usage {
    let state = try link.ask(NATSRequest(api: "STREAM.INFO.\(names.mail)")).state
    return Usage(messages: state?.messages ?? 0, bytes: state?.bytes ?? 0)
  }

  /// A cluster keeps copies by itself, and `nats stream backup` makes more.
  public func backup(to path: String) throws(StoreError) {
    throw StoreError(.failed, path: path, detail: "the cluster has tools of its own: nats stream backup")
  }
}

/// Does it again until it works or the time is up: a cluster that has just started, or lost a server, has no leaders yet.
private func retry(until deadline: ContinuousClock.Instant, _ body: () throws(StoreError) -> Void) throws(StoreError) {
  while true {
    do throws(StoreError) { return try body() } catch {
      guard deadline > .now, error.kind == .failed else { throw error }
      Thread.sleep(forTimeInterval: 0.1)
    }
  }
}

/// Calls the caretaker, which is made later than what calls it.
private final class Caller: Sendable {
  private let caretaker = Mutex<NATSCaretaker?>(nil)

  func set(_ caretaker: NATSCaretaker) { self.caretaker.withLock { $0 = caretaker } }
  func connectionChanged(_ isUp: Bool) { caretaker.withLock { $0 }?.connectionChanged(isUp) }
  func wake() { caretaker.withLock { $0 }?.look() }
}
