import Envelope
import Queue
import Wire

/// What a relay does, without its connections: admits, stores, hands out, reports.
///
/// It serves groups: each the members of the access list that one oracle signed. Bytes and the time come in, answers and
/// held messages go out; whatever was answered 2.04 is durable.
public struct RelayCore<Store: RelayStore> {
  public let identity: RelayIdentity
  public let limits: RelayLimits
  public let store: Store
  /// Who may do what; a value to check envelopes against elsewhere.
  public internal(set) var members: RelayDirectory
  var refusals = DropCounters()
  private var sequence: ClosedRange<UInt64>?
  /// Mailboxes that the relay has put reports into, besides those of ``CommitResult/arrivals``.
  private var told: [Mailbox] = []

  /// A relay over `store`, with the access lists that were stored before, if any.
  ///
  /// Throws ``StoreError``; ``StoreError/Kind/corrupt`` if a stored list is not one that its oracle signed.
  public init(
    _ identity: RelayIdentity, oracles: [PublicIdentity], store: Store, limits: RelayLimits = RelayLimits()
  ) throws(StoreError) {
    self.identity = identity
    self.limits = limits
    self.store = store
    members = RelayDirectory(relay: identity.address, limits: limits, oracles: oracles)
    for (name, bytes) in try store.values(withPrefix: RelayKey.accessList) { try restore(name, bytes) }
    for (name, bytes) in try store.values(withPrefix: RelayKey.removed) {
      guard let position = position(RelayKey.removed, name) else { continue }
      let addresses = stride(from: 0, to: bytes.count, by: Address.length).compactMap {
        Address(Array(bytes[$0..<min($0 + Address.length, bytes.count)]))
      }
      members.update(position) { $0.removed = addresses }
    }
  }

  /// The oracle of a stored value; `nil` for one that is trusted no more.
  private func position(_ prefix: String, _ name: String) -> Int? {
    Address(hex: name.dropFirst(prefix.count)).flatMap(members.position(ofOracle:))
  }

  private mutating func restore(_ name: String, _ bytes: [UInt8]) throws(StoreError) {
    guard let position = position(RelayKey.accessList, name) else { return }
    do throws(ParseError) {
      let envelope = try SignedEnvelope(parsing: bytes, maximumSize: .max)
      let access = try AccessDirectory.accept(
        envelope, for: identity.address, oracle: members.groups[position].oracle, current: nil)
      members.update(position) { $0.access = access }
    } catch { throw StoreError(.corrupt, detail: "stored access list \(name): \(error)") }
  }

  /// What was refused or dropped, by reason.
  public var counters: DropCounters {
    var sum = refusals
    sum.add(store.counters)
    return sum
  }

  /// Counts a refusal that was given elsewhere.
  public mutating func count(_ reason: DropReason) { refusals.count(reason) }

  /// The access list of the first group; `nil` until one came.
  public var directory: AccessDirectory? { members.lists.first }

  /// See ``RelayDirectory/openSession(client:serving:)``.
  public func openSession(client: Address, serving: [Address] = []) throws(ParseError) -> RelaySession {
    try members.openSession(client: client, serving: serving)
  }

  // MARK: Delivery

  /// Up to `limit` messages for the session, those of each address in held order, its own first.
  ///
  /// `after` says for an address which number is on its way already: a window of messages is one call after
  /// another. What has expired is removed before, and reported.
  public mutating func pending(
    for session: RelaySession, after: [Address: UInt64] = [:], limit: Int, now: Instant
  ) throws(StoreError) -> [HeldMessage] {
    try expire(now: now)
    // A gateway serves many addresses, and few of them have mail.
    let holding = try store.holders()
    var messages: [HeldMessage] = []
    for address in session.served
    where messages.count < limit && holding?.contains(address.mailbox) ?? true && members.mayServe(session, address) {
      messages += try pending(address, after: after[address] ?? 0, limit: limit - messages.count, now: now)
    }
    return messages
  }

  /// Up to `limit` messages for one address. What its sender may not send any more is removed before, and reported.
  public mutating func pending(
    _ address: Address, after number: UInt64, limit: Int, now: Instant
  ) throws(StoreError) -> [HeldMessage] {
    var messages: [HeldMessage] = []
    var last = number
    while messages.count < limit {
      let wanted = limit - messages.count
      let listed = try store.list(in: address.mailbox, after: last, limit: wanted)
      let members = members
      let refused = listed.filter { !Self.mayDeliver($0, members) }
      try remove(refused, now: now)
      messages += refused.isEmpty ? listed : listed.filter { Self.mayDeliver($0, members) }
      // Fewer than there are would look like all of them.
      guard listed.count == wanted, let number = listed.last?.number else { break }
      last = number
    }
    return messages
  }

  private mutating func remove(_ refused: [HeldMessage], now: Instant) throws(StoreError) {
    guard !refused.isEmpty else { return }
    try reserve(refused.count)
    try transaction { (self) throws(StoreError) in
      for message in refused where message.receiptWanted {
        try self.report(message.deposit, .rejected(.envelopeNotAllowed), now: now)
      }
      try self.store.confirm(refused.map { MessageName($0.mailbox, $0.number) })
    }
    for _ in refused { refusals.count(.senderRevoked) }
  }

  private static func mayDeliver(_ message: HeldMessage, _ members: RelayDirectory) -> Bool {
    guard let sender = Address(message.sender), let recipient = Address(message.mailbox.address) else { return false }
    return members.mayDeliver(from: sender, to: recipient)
  }

  /// The endpoint has taken a message: it leaves for good. An unknown number is harmless. False for an address that the
  /// session does not serve.
  @discardableResult
  public mutating func delivered(
    _ number: UInt64, to address: Address, in session: RelaySession
  ) throws(StoreError) -> Bool {
    guard members.mayServe(session, address) else { return false }
    try store.confirm([MessageName(address.mailbox, number)])
    return true
  }

  /// The endpoint refuses a message for good: it leaves, and its sender is told if it asked.
  @discardableResult
  public mutating func rejected(
    _ message: HeldMessage, in session: RelaySession, reason: DropReason, now: Instant
  ) throws(StoreError) -> Bool {
    guard let address = Address(message.mailbox.address), members.mayServe(session, address) else { return false }
    try reserve(1)
    try transaction { (self) throws(StoreError) in
      if message.receiptWanted { try self.report(message.deposit, .rejected(reason), now: now) }
      try self.store.confirm([MessageName(message.mailbox, message.number)])
    }
    return true
  }

  // MARK: Expiry

  /// When the first held message expires, and with it when to call ``expire(now:)``.
  public func earliestExpiry() throws(StoreError) -> Instant? { try store.nextExpiry() }

  /// Removes what has expired and tells the senders that asked, in one transaction. Returns how many there
  /// were.
  @discardableResult
  public mutating func expire(now: Instant) throws(StoreError) -> Int {
    let limit = 1000
    var count = 0
    while let earliest = try store.nextExpiry(), earliest <= now {
      try reserve(limit)
      let receipt = Receipt(.expired, reason: DropReason.envelopeExpired.name)
      let expired = try store.expire(now: now, limit: limit) { (message) throws(StoreError) -> RelayDeposit? in
        message.receiptWanted ? try answer(message.deposit, receipt, now: now) : nil
      }
      count += expired.count
      if expired.isEmpty { break }
    }
    return count
  }

  /// Runs `body` as one transaction of the store. When this throws, the numbers that were drawn inside are void.
  mutating func transaction(_ body: (inout RelayCore) throws(StoreError) -> Void) throws(StoreError) {
    let block = sequence?.upperBound
    do throws(StoreError) {
      try store.transaction { () throws(StoreError) in try body(&self) }
    } catch {
      // So are those that were reserved inside.
      if sequence?.upperBound != block { sequence = nil }
      throw error
    }
  }

  // MARK: Reports

  /// Puts a signed answer into the mailbox of a message's sender, unless it is no member any more. The answer
  /// itself is not answered.
  mutating func report(_ deposit: Deposit, _ receipt: Receipt, now: Instant) throws(StoreError) {
    // A full mailbox of the sender is counted there, and nobody is left to be told.
    if let answer = try answer(deposit, receipt, now: now) { _ = try store.put([answer]) }
  }

  /// The mailboxes that reports were put into since the last call.
  mutating func takeTold() -> [Mailbox] {
    defer { told.removeAll() }
    return told
  }

  mutating func answer(_ deposit: Deposit, _ receipt: Receipt, now: Instant) throws(StoreError) -> RelayDeposit? {
    guard let sender = Address(deposit.sender), members.access(of: sender) != nil else { return nil }
    // What was held was read when it came; if the disk has damaged it since, the rest must not wait for it.
    guard let envelope = try? SignedEnvelope(parsing: deposit.bytes, maximumSize: .max) else {
      refusals.count(.envelopeStructure)
      return nil
    }
    let number = try nextSequence()
    let status: SignedEnvelope
    do throws(EmitError) {
      status = try identity.status(
        receipt, of: envelope, to: sender, sequence: number, now: now, lifetime: limits.statusLifetime)
    } catch { throw StoreError(.failed, detail: "report: \(error)") }
    told.append(sender.mailbox)
    return RelayDeposit(
      Deposit(
        sender: identity.address.opaque, seq: number, protectionClass: EnvelopeClass.authOnly.rawValue,
        accepted: now, expires: status.header.expiry(arrival: now), bytes: status.bytes),
      in: [sender.mailbox])
  }

  /// Sees to it that `count` numbers are reserved, before a transaction that may be undone.
  mutating func reserve(_ count: Int) throws(StoreError) {
    if let sequence, sequence.count > count { return }
    let block = UInt64(max(64, count + 1))
    let first = try store.advance(RelayKey.sequence(of: identity.address), by: block)
    sequence = first + 1...first + block
  }

  /// Writes something that means nothing, a number that is not used: whether the store works.
  func probe() throws(StoreError) { _ = try store.advance(RelayKey.sequence(of: identity.address), by: 1) }

  private mutating func nextSequence() throws(StoreError) -> UInt64 {
    if sequence == nil { try reserve(1) }
    guard let range = sequence else { throw StoreError(.failed, detail: "no sequence number") }
    sequence = range.lowerBound < range.upperBound ? range.lowerBound + 1...range.upperBound : nil
    return range.lowerBound
  }
}

extension RelayCore {
  /// A relay of one group over a store on this machine.
  public init<Local: MailboxStore>(
    _ identity: RelayIdentity, oracle: PublicIdentity, store: Local, queueLimits: QueueLimits = QueueLimits(),
    limits: RelayLimits = RelayLimits()
  ) throws(StoreError) where Store == LocalRelayStore<Local> {
    try self.init(
      identity, oracles: [oracle], store: LocalRelayStore(store, limits: queueLimits), limits: limits)
  }
}

/// Names of stored values and counters.
enum RelayKey {
  static let accessList = "relay.access-list."
  static let removed = "relay.removed."

  static func accessList(_ oracle: Address) -> String { accessList + oracle.description }
  static func removed(_ oracle: Address) -> String { removed + oracle.description }
  static func sequence(of relay: Address) -> String { "relay.sequence.\(relay)" }
}

extension EnvelopeHeader {
  /// The first instant at which the envelope must not be obeyed any more; `nil` if that is beyond all time.
  func expiry(arrival: Instant) -> Instant? {
    let last = Freshness.lastSecond(of: self, arrival: arrival)
    guard let next = Int64(exactly: last), next < Int64.max / 1_000_000 - 1 else { return nil }
    return Instant(seconds: next + 1)
  }
}
