import Envelope
import Queue
import Synchronization
import Wire

/// A store in memory that lets nothing in but what a relay may hold, and that fails when it is told to.
final class CheckingStore: MailboxStore {
  /// How many transactions fail from now on.
  static let failures = Atomic<Int>(0)

  private let home: Home
  private let store = MemoryStore()
  private var depth = 0

  init(_ home: Home) { self.home = home }

  func put(_ deposit: Deposit, in mailboxes: [Mailbox]) throws(StoreError) -> [UInt64] {
    check(deposit, mailboxes)
    return try store.put(deposit, in: mailboxes)
  }

  /// An envelope that a member or the relay itself signed, as strong as all it concerns demand, for those it names.
  private func check(_ deposit: Deposit, _ mailboxes: [Mailbox]) {
    guard let envelope = try? SignedEnvelope(parsing: deposit.bytes) else { finding("held: no envelope") }
    let header = envelope.header
    precondition(header.sequence == deposit.seq && header.class != .stream && Set(mailboxes).count == mailboxes.count)
    let isReport = header.sender.matches(home.relay.address)
    guard let sender = home.access.party(header.sender) ?? (isReport ? home.access.party(home.relay.address) : nil)
    else { finding("held: of a stranger") }
    precondition(deposit.sender == Bytes32(sender.address.bytes))
    guard (try? envelope.verify(with: sender.key)) != nil else { finding("held: a forgery") }
    precondition(isReport || envelope.satisfies(sender.class))
    for mailbox in mailboxes {
      guard mailbox.kind == .mailbox, let address = Address(mailbox.address.bytes),
        let recipient = home.access.party(address)
      else { finding("held: for a stranger") }
      precondition(header.recipients.contains { $0.matches(address) })
      precondition(isReport || home.access.maySend(sender, to: recipient) && envelope.satisfies(recipient.class))
    }
  }

  func transaction<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
    if depth == 0, Self.failures.load(ordering: .relaxed) > 0 {
      let left = Self.failures.subtract(1, ordering: .relaxed).newValue
      throw StoreError(left % 2 == 0 ? .failed : .full, detail: "as was asked")
    }
    depth += 1
    defer { depth -= 1 }
    return try store.transaction(body)
  }

  // MARK: As it is

  var undoneTransactions: UInt64 { store.undoneTransactions }
  func next(in mailbox: Mailbox, after number: UInt64) throws(StoreError) -> HeldMessage? {
    try store.next(in: mailbox, after: number)
  }
  func list(in mailbox: Mailbox, after number: UInt64, limit: Int) throws(StoreError) -> [HeldMessage] {
    try store.list(in: mailbox, after: number, limit: limit)
  }
  func remove(_ number: UInt64, in mailbox: Mailbox) throws(StoreError) -> Bool {
    try store.remove(number, in: mailbox)
  }
  func usage(of mailbox: Mailbox) throws(StoreError) -> Usage { try store.usage(of: mailbox) }
  func totalUsage() throws(StoreError) -> Usage { try store.totalUsage() }
  func mailboxes() throws(StoreError) -> [(mailbox: Mailbox, usage: Usage)] { try store.mailboxes() }
  func first(topic: UInt64, of sender: Bytes32, in mailbox: Mailbox) throws(StoreError) -> HeldMessage? {
    try store.first(topic: topic, of: sender, in: mailbox)
  }
  func oldestNoConsequence(in mailbox: Mailbox?) throws(StoreError) -> HeldMessage? {
    try store.oldestNoConsequence(in: mailbox)
  }
  func expired(at instant: Instant, limit: Int) throws(StoreError) -> [HeldMessage] {
    try store.expired(at: instant, limit: limit)
  }
  func earliestExpiry() throws(StoreError) -> Instant? { try store.earliestExpiry() }
  func list(from sender: Bytes32, limit: Int) throws(StoreError) -> [HeldMessage] {
    try store.list(from: sender, limit: limit)
  }
  func digest(of key: ReplayKey) throws(StoreError) -> Bytes32? { try store.digest(of: key) }
  func record(_ digest: Bytes32, for key: ReplayKey) throws(StoreError) { try store.record(digest, for: key) }
  func replayWindow(_ scope: ReplayScope, of sender: Bytes32) throws(StoreError) -> HomeRecords {
    try store.replayWindow(scope, of: sender)
  }
  func pruneReplay(_ scope: ReplayScope, of sender: Bytes32, keeping: Int) throws(StoreError) {
    try store.pruneReplay(scope, of: sender, keeping: keeping)
  }
  func counter(_ name: String) throws(StoreError) -> UInt64 { try store.counter(name) }
  func setCounter(_ name: String, to value: UInt64) throws(StoreError) { try store.setCounter(name, to: value) }
  func value(_ name: String) throws(StoreError) -> [UInt8]? { try store.value(name) }
  func setValue(_ name: String, to value: [UInt8]?) throws(StoreError) { try store.setValue(name, to: value) }
  func values(withPrefix prefix: String) throws(StoreError) -> [(name: String, value: [UInt8])] {
    try store.values(withPrefix: prefix)
  }
}
