import CoAP
import Crypto
import Envelope
import MemberSecurity
import Queue
import Wire

/// The gateway between its nodes and its relay: class policy, node queues, outbox, receipts.
///
/// Nothing is acknowledged before it is on disk: every answer that promises custody is made after the transaction that
/// took it has returned. The gateway holds no time and makes no I/O of its own; the store is handed in.
public struct Gateway<Store: MailboxStore> {
  public let identity: Identity
  /// The oracle whose word is obeyed.
  public let oracle: PublicIdentity
  public internal(set) var directory: PeerDirectory
  /// The relay that the outbox is for.
  public let relay: Address
  public var limits: GatewayLimits
  /// What was refused, or gave way in a queue, by reason.
  public var counters: DropCounters {
    var sum = refusals
    // The queues count their refusals too, which are counted here.
    for reason in [DropReason.queueOldestDropped, .queueSuperseded] {
      sum.count(reason, times: mailboxes.counters[reason])
    }
    sum.add(security.counters)
    return sum
  }
  var refusals = DropCounters()
  var mailboxes: Mailboxes<Store>
  var sequence: SequenceReserve<Store>
  /// OSCORE with the nodes of this gateway.
  public internal(set) var security: MemberContexts
  /// The nodes with whom keys are agreed.
  var roster: MemberRoster

  /// `directory` counts until the oracle sends a newer record; then that one does, also after a restart.
  /// `random` draws ephemeral keys and challenges: it must be fit for keys.
  public init(
    identity: Identity, oracle: PublicIdentity, directory: PeerDirectory, relay: Address, store: Store,
    queues: QueueLimits = QueueLimits(), limits: GatewayLimits = GatewayLimits(),
    random: some RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
  ) {
    self.identity = identity
    self.oracle = oracle
    let newest = PeerDirectory.newest(
      directory, stored: Self.peerRecordKey, in: store, for: identity, oracle: oracle)
    self.directory = newest
    roster = Self.roster(newest, host: identity.address)
    security = Self.security(of: identity, in: store, roster: roster, limits: limits.security, random: random)
    self.relay = relay
    self.limits = limits
    mailboxes = Mailboxes(store, limits: queues)
    sequence = SequenceReserve("gateway.seq", in: store)
  }

  var outbox: Mailbox { Mailbox(.outbox, relay.bytes32) }

  func queue(of node: Member) -> Mailbox { Mailbox(.nodeQueue, node.address.bytes32) }

  /// The nodes of this gateway.
  public var nodes: [Member] {
    directory.record.members.filter { $0.roles.contains(.node) && $0.gateway == identity.address }
  }

  /// The node whose radio this is, if this gateway hosts it.
  func node(eui64: UInt64?) -> Member? {
    guard let eui64, let member = directory.member(eui64: eui64), member.gateway == identity.address else { return nil }
    return member
  }

  /// The name of a member, or its address if it has left.
  func name(_ address: Bytes32) -> String {
    guard let address = Address(address) else { return "-" }
    return directory.member(address)?.name ?? address.short.description
  }

  // MARK: Toward the relay

  /// Up to `limit` envelopes for the relay with numbers over `number`, in the order in which custody was taken.
  public func outbound(after number: UInt64 = 0, limit: Int) throws(StoreError) -> [HeldMessage] {
    try mailboxes.list(outbox, after: number, limit: limit)
  }

  /// The relay has taken custody, or has refused for good.
  public func confirmOutbound(_ number: UInt64) throws(StoreError) { try mailboxes.confirm(number, in: outbox) }

  /// What waits for the relay.
  public func outboxUsage() throws(StoreError) -> Usage { try mailboxes.usage(of: outbox) }

  /// What is held for a node.
  public func queueUsage(of node: Member) throws(StoreError) -> Usage { try mailboxes.usage(of: queue(of: node)) }

  // MARK: Time

  /// When ``expire(now:)`` has something to do; `nil` if nothing held ever expires.
  public func nextExpiry() throws(StoreError) -> Instant? { try mailboxes.earliestExpiry() }

  /// Takes out what has expired. The sender of each command is told by a receipt that this gateway signs, which is in
  /// the outbox when this returns.
  public mutating func expire(now: Instant) throws(StoreError) -> [GatewayEvent] {
    let limit = limits.expiredAtOnce
    var events: [GatewayEvent] = []
    var sequence = sequence
    let (identity, limits, directory, outbox) = (identity, limits, directory, outbox)
    let expired = try mailboxes.transaction { (mailboxes) throws(StoreError) -> [HeldMessage] in
      let expired = try mailboxes.expire(now: now, limit: limit)
      for message in expired where message.mailbox.kind == .nodeQueue {
        guard let sender = Address(message.sender).flatMap({ directory.member($0) }),
          let held = try? SignedEnvelope(parsing: message.bytes, maximumSize: .max),
          let receipt = Self.receipt(
            Receipt(.expired, reason: DropReason.envelopeExpired.name), for: held, to: sender, from: identity,
            sequence: try sequence.next(), lifetime: limits.receiptLifetime, now: now)
        else { continue }
        _ = try mailboxes.put(receipt.deposit(from: identity.address, accepted: now), in: outbox)
      }
      return expired
    }
    self.sequence = sequence
    for message in expired where message.mailbox.kind == .nodeQueue {
      events.append(.expired(command(message), receiptTo: name(message.sender)))
    }
    return events
  }

  func command(_ message: HeldMessage) -> HeldCommand {
    HeldCommand(
      node: name(message.mailbox.address), number: message.number, from: name(message.sender), sequence: message.seq,
      size: message.bytes.count)
  }

  static func receipt(
    _ receipt: Receipt, for envelope: SignedEnvelope, to recipient: Member, from identity: Identity, sequence: UInt64,
    lifetime: UInt64, now: Instant
  ) -> SignedEnvelope? {
    guard let content = try? receipt.cbor() else { return nil }
    let draft = EnvelopeDraft(
      class: max(.authOnly, recipient.class), recipients: [.init(recipient)], sequence: sequence,
      issuedAt: UInt64(max(0, now.seconds)), lifetime: lifetime,
      extensions: EnvelopeExtensions(inReplyTo: envelope.header.sequence, answerHash: envelope.answerHash),
      content: .init(format: ContentFormats.receipt, bytes: content))
    // No content key is drawn for one recipient: HPKE makes its own.
    var generator = SystemRandomNumberGenerator()
    return try? SignedEnvelope.make(draft, from: identity, using: &generator)
  }
}

extension SignedEnvelope {
  /// What the queues must know of it. `sender` is the whole address that the envelope's sender stands for.
  func deposit(from sender: Address, accepted: Instant) -> Deposit {
    let last = Freshness.lastSecond(of: header, arrival: accepted)
    // A lifetime beyond any clock is one without end.
    let expires = Int64(exactly: last).flatMap { $0 < Int64.max / 2_000_000 ? Instant(seconds: $0 + 1) : nil }
    return Deposit(
      sender: sender.bytes32, seq: header.sequence, topic: header.extensions.topic,
      protectionClass: header.class.rawValue, accepted: accepted, expires: expires,
      receiptWanted: header.flags.contains(.receiptWanted), bytes: bytes)
  }
}
