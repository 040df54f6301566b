import Envelope
import Queue
import Wire

/// What a relay does, without its connections: admits, stores, hands out, reports.
///
/// It serves one group: the members of the access list that its oracle signed. Bytes and the time come in,
/// answers and held messages go out; whatever was answered 2.04 is on disk.
public struct RelayCore<Store: MailboxStore> {
  public let identity: RelayIdentity
  public let limits: RelayLimits
  let oracle: PublicIdentity
  /// The access list that is obeyed; `nil` until the first one came.
  public internal(set) var directory: AccessDirectory?
  var mailboxes: Mailboxes<Store>
  var sequence: SequenceReserve<Store>
  /// Those who were members once, oldest first.
  var removed: [Address] = []
  var refusals = DropCounters()

  /// A relay over `store`, with the access list that was stored before, if any.
  ///
  /// Throws ``StoreError``; ``StoreError/Kind/corrupt`` if the stored list is not one that `oracle` signed.
  public init(
    _ identity: RelayIdentity, oracle: PublicIdentity, store: Store, queueLimits: QueueLimits = QueueLimits(),
    limits: RelayLimits = RelayLimits()
  ) throws(StoreError) {
    self.identity = identity
    self.oracle = oracle
    self.limits = limits
    mailboxes = Mailboxes(store, limits: queueLimits)
    sequence = SequenceReserve("relay.sequence", in: store)
    if let bytes = try store.value(RelayKey.accessList) {
      do throws(ParseError) {
        let envelope = try SignedEnvelope(parsing: bytes, maximumSize: .max)
        directory = try AccessDirectory.accept(envelope, for: identity.address, oracle: oracle, current: nil)
      } catch { throw StoreError(.corrupt, detail: "stored access list: \(error)") }
    }
    let addresses = try store.value(RelayKey.removed) ?? []
    removed = stride(from: 0, to: addresses.count, by: Address.length).compactMap {
      Address(Array(addresses[$0..<min($0 + Address.length, addresses.count)]))
    }
  }

  /// What was refused or dropped, by reason.
  public var counters: DropCounters {
    var sum = refusals
    sum.add(mailboxes.counters)
    return sum
  }

  // MARK: Sessions

  /// A session of `client`, whose signature the caller has checked, for its own mailbox and those of
  /// `serving`.
  ///
  /// Throws ``DropReason/envelopeSenderUnknown`` or ``DropReason/senderRevoked`` for a client that is not on
  /// the access list, and ``DropReason/envelopeNotAllowed`` for an address that it does not host.
  public func openSession(client: Address, serving: [Address] = []) throws(ParseError) -> RelaySession {
    guard let directory, directory.party(client) != nil else { throw ParseError(unknown(.full(client))) }
    var served = [client]
    for address in serving where !served.contains(address) {
      guard directory.mayServe(client, for: address) else { throw ParseError(.envelopeNotAllowed) }
      served.append(address)
    }
    return RelaySession(client: client, served: served)
  }

  /// Whether the session is still good for `address`.
  func mayServe(_ session: RelaySession, _ address: Address) -> Bool {
    session.served.contains(address) && directory?.mayServe(session.client, for: address) ?? false
  }

  /// The reason to refuse someone who is not on the access list.
  func unknown(_ reference: AddressReference) -> DropReason {
    removed.contains(where: reference.matches) ? .senderRevoked : .envelopeSenderUnknown
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
    let holding = Set(try mailboxes.store.mailboxes().map(\.mailbox))
    var messages: [HeldMessage] = []
    for address in session.served
    where messages.count < limit && holding.contains(address.mailbox) && mayServe(session, address) {
      messages += try mailboxes.list(
        address.mailbox, after: after[address] ?? 0, limit: limit - messages.count)
    }
    return messages
  }

  /// The endpoint has taken a message: it leaves for good. An unknown number is harmless; so is an address
  /// that the session does not serve.
  @discardableResult
  public mutating func delivered(
    _ number: UInt64, to address: Address, in session: RelaySession
  ) throws(StoreError) -> Bool {
    guard mayServe(session, address) else { return false }
    return try mailboxes.confirm(number, in: address.mailbox)
  }

  /// The endpoint refuses a message for good: it leaves, and its sender is told if it asked.
  @discardableResult
  public mutating func rejected(
    _ number: UInt64, to address: Address, in session: RelaySession, reason: DropReason, now: Instant
  ) throws(StoreError) -> Bool {
    guard mayServe(session, address), number > 0,
      let message = try mailboxes.next(in: address.mailbox, after: number - 1), message.number == number
    else { return false }
    try transaction { (relay) throws(StoreError) in
      try relay.mailboxes.confirm(number, in: address.mailbox)
      if message.receiptWanted { try relay.report(message.deposit, .rejected(reason), now: now) }
    }
    return true
  }

  // MARK: Expiry

  /// When the first held message expires, and with it when to call ``expire(now:)``.
  public func earliestExpiry() throws(StoreError) -> Instant? { try mailboxes.earliestExpiry() }

  /// Removes what has expired and tells the senders that asked, in one transaction. Returns how many there
  /// were.
  @discardableResult
  public mutating func expire(now: Instant) throws(StoreError) -> Int {
    var count = 0
    while let earliest = try mailboxes.earliestExpiry(), earliest <= now {
      count += try transaction { (relay) throws(StoreError) -> Int in
        let expired = try relay.mailboxes.expire(now: now)
        for message in expired where message.receiptWanted {
          try relay.report(
            message.deposit, Receipt(.expired, reason: DropReason.envelopeExpired.name), now: now)
        }
        return expired.count
      }
    }
    return count
  }

  // MARK: Reports

  /// Puts a signed answer into the mailbox of a message's sender, unless it is no member any more. The answer
  /// itself is not answered.
  mutating func report(_ deposit: Deposit, _ receipt: Receipt, now: Instant) throws(StoreError) {
    guard let sender = Address(deposit.sender), directory?.party(sender) != nil else { return }
    // What was held was read when it came; if the disk has damaged it since, the rest must not wait for it.
    guard let envelope = try? SignedEnvelope(parsing: deposit.bytes, maximumSize: .max) else {
      return refusals.count(.envelopeStructure)
    }
    let number = try sequence.next()
    let status: SignedEnvelope
    do throws(EmitError) {
      status = try identity.status(
        receipt, of: envelope, to: sender, sequence: number, now: now, lifetime: limits.statusLifetime)
    } catch { throw StoreError(.failed, detail: "report: \(error)") }
    // A full mailbox of the sender is counted there, and nobody is left to be told.
    _ = try mailboxes.put(
      Deposit(
        sender: identity.address.opaque, seq: number, protectionClass: EnvelopeClass.authOnly.rawValue,
        accepted: now, expires: status.header.expiry(arrival: now), bytes: status.bytes),
      in: sender.mailbox)
  }

  /// Runs `body` as one transaction: many envelopes, one sync of the disk.
  ///
  /// No answer that was given inside may leave before this returns. When this throws, everything is undone, in memory
  /// too, and none of the answers holds.
  public mutating func transaction<Result>(
    _ body: (inout RelayCore) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    let (directory, removed, counters) = (directory, removed, mailboxes.counters)
    do throws(StoreError) {
      return try mailboxes.store.transaction { () throws(StoreError) -> Result in try body(&self) }
    } catch {
      (self.directory, self.removed) = (directory, removed)
      mailboxes.counters = counters
      throw error
    }
  }
}

/// Names of stored values.
enum RelayKey {
  static let accessList = "relay.access-list"
  static let removed = "relay.removed"
}

extension EnvelopeHeader {
  /// The first instant at which the envelope must not be obeyed any more; `nil` if that is beyond all time.
  func expiry(arrival: Instant) -> Instant? {
    let last = Freshness.lastSecond(of: self, arrival: arrival)
    guard let next = Int64(exactly: last), next < Int64.max / 1_000_000 - 1 else { return nil }
    return Instant(seconds: next + 1)
  }
}
