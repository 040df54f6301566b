import Crypto
import Envelope
import MemberSecurity
import Queue
import Wire

/// A phone or a laptop: reads what is reported to it, commands nodes, matches receipts.
///
/// Durable in the same way as a gateway: what it has acknowledged is in its inbox on disk, what it has said is in its
/// outbox until the relay has it.
public struct Endpoint<Store: MailboxStore> {
  public let identity: Identity
  public internal(set) var directory: PeerDirectory
  /// Whose peer records are obeyed when they come.
  let oracle: PublicIdentity?
  public let relay: Address
  public var clockSkew: UInt64 = 120
  public private(set) var counters = DropCounters()
  var mailboxes: Mailboxes<Store>
  var sequence: SequenceReserve<Store>
  /// Keys that are shared with nodes: neither relay nor gateway has them.
  public internal(set) var endToEnd: MemberContexts

  /// With `oracle`, peer records that it signs are obeyed as they come; what was obeyed before counts if it is newer than
  /// `directory`. `random` draws keys: it must be fit for that.
  public init(
    identity: Identity, directory: PeerDirectory, oracle: PublicIdentity? = nil, relay: Address, store: Store,
    queues: QueueLimits = QueueLimits(),
    random: some RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
  ) {
    self.identity = identity
    self.oracle = oracle
    let newest =
      oracle.map { .newest(directory, stored: Self.peerRecordKey, in: store, for: identity, oracle: $0) } ?? directory
    self.directory = newest
    endToEnd = Self.endToEnd(of: identity, in: store, directory: newest, random: random)
    self.relay = relay
    mailboxes = Mailboxes(store, limits: queues)
    // One number at a time: an endpoint says little, and its numbers are what people see.
    sequence = SequenceReserve("endpoint.seq", in: store, step: 1)
  }

  var inbox: Mailbox { Mailbox(.mailbox, identity.address.bytes32) }
  var outbox: Mailbox { Mailbox(.outbox, relay.bytes32) }

  // MARK: Saying

  /// Signs a command, seals it if the node's class says so, and puts it in the outbox. `label` names it once for all: a
  /// command that was given under this label before is not given again, and `nil` is returned.
  ///
  /// With `endToEnd` it goes under OSCORE, after EDHOC where there are no keys yet, so that neither relay nor gateway can
  /// read it or make another of it; the number stands for all the envelopes that this takes, and what the node answers is
  /// a ``Delivery`` with ``Delivery/answers``.
  ///
  /// Throws ``CommandError``.
  public mutating func command(
    _ command: CommandText, label: String, lifetime: UInt64 = 86_400, endToEnd: Bool = false, now: Instant
  ) throws -> UInt64? {
    guard let node = directory.member(named: command.node) else {
      let known = directory.record.members.filter { $0.roles.contains(.node) }.map(\.name)
      throw CommandError.unknownNode(command.node, known: known)
    }
    guard node.commanders.contains(identity.address) else { throw CommandError.notAllowed(command.node) }
    let key = "command.\(label)"
    if try mailboxes.store.value(key) != nil { return nil }
    if endToEnd { return try begin(command, to: node, key: key, lifetime: lifetime, now: now) }
    return try say(
      .init(format: ContentFormats.coapMessage, bytes: try command.message.cbor()), to: [node], as: .authOnly,
      description: command.description, key: key, lifetime: lifetime, now: now)
  }

  /// What was said under a sequence number, as a line for people.
  public func command(_ number: UInt64) throws(StoreError) -> String? {
    try mailboxes.store.value(Self.commandKey(number)).map { String(decoding: $0, as: UTF8.self) }
  }

  public func outbound(after number: UInt64 = 0, limit: Int) throws(StoreError) -> [HeldMessage] {
    try mailboxes.list(outbox, after: number, limit: limit)
  }

  public func confirmOutbound(_ number: UInt64) throws(StoreError) { try mailboxes.confirm(number, in: outbox) }

  // MARK: Hearing

  /// An envelope that was taken.
  public struct Delivery: Sendable, Equatable {
    /// The member that says it: the node, where a gateway vouches for one.
    public var from: String
    /// The gateway that vouches.
    public var vouchedBy: String?
    public var `class`: EnvelopeClass
    public var sequence: UInt64
    public var content: SignedEnvelope.Content
    /// The sequence number of what it answers; of a command that was challenged, the first one.
    public var inReplyTo: UInt64?
    /// The command that it answers, if it is a receipt or a response.
    public var answers: String?
    public var receipt: Receipt?
    /// Nobody but the node has said it, and nobody on the way has read it.
    public var isEndToEnd = false
    /// Its number in the inbox; see ``Endpoint/forget(_:)``.
    public var number: UInt64 = 0
  }

  /// Takes what the relay delivers. Custody is taken when this returns so.
  public mutating func deliver(_ bytes: [UInt8], now: Instant) -> (custody: Custody, delivery: Delivery?) {
    do throws(ParseError) {
      return (.taken, try accept(bytes, now: now))
    } catch {
      counters.count(error.reason)
      switch error.reason {
      case .envelopeReplay: return (.taken, nil)
      case .queueUnavailable: return (.later(error.reason), nil)
      default: return (.refused(error.reason), nil)
      }
    }
  }

  /// `nil` for a challenge that was answered, and for a step of an exchange end to end that tells nothing yet.
  private mutating func accept(_ bytes: [UInt8], now: Instant) throws(ParseError) -> Delivery? {
    let envelope = try SignedEnvelope(parsing: bytes, maximumSize: SignedEnvelope.maximumRecordSize)
    if let record = try obey(envelope) { return record }
    guard envelope.bytes.count <= SignedEnvelope.defaultMaximumSize else {
      throw ParseError(.envelopeTooLarge, at: SignedEnvelope.defaultMaximumSize)
    }
    let sender = try directory.verifiedSender(of: envelope)
    var delivery = try read(envelope, from: sender)
    try Freshness(skew: clockSkew).check(envelope.header, arrival: now, now: now)
    let deposit = envelope.deposit(from: sender.address, accepted: now)
    if let challenge = challenge(in: envelope, from: sender), try answer(challenge, now: now) { return nil }
    if let command = try endToEndCommand(answeredBy: envelope, from: delivery) {
      return try proceed(command, delivery, deposit, envelope, now: now)
    }
    let outcome: PutOutcome
    do {
      outcome = try take(
        deposit, Deduplication(.endpoint, digest: envelope.contentDigest.bytes32), envelope, from: sender, now: now)
    } catch { throw ParseError(error.reason) }
    if let reason = outcome.refusal { throw ParseError(reason) }
    if case .held(let numbers, _) = outcome { delivery.number = numbers.first.flatMap { $0 } ?? 0 }
    return delivery
  }

  /// Judges and opens an envelope whose signature is valid.
  private func read(_ envelope: SignedEnvelope, from sender: Member) throws(ParseError) -> Delivery {
    let vouched = try directory.vouched(envelope.header, by: sender, endToEnd: envelope.endToEnd)
    let subject = vouched ?? sender
    guard envelope.satisfies(max(subject.class, sender.class)) else {
      throw ParseError(.envelopeClassTooWeak)
    }
    if subject.roles.contains(.node) {
      guard subject.readers.contains(identity.address) || subject.commanders.contains(identity.address) else {
        throw ParseError(.envelopeNotAllowed)
      }
    }
    let content = try envelope.open(with: identity)
    var receipt: Receipt?
    var answers: String?
    let inReplyTo = try original(envelope.header.extensions.inReplyTo)
    if content.format == ContentFormats.receipt {
      receipt = try Receipt(parsing: content.bytes)
      if let number = inReplyTo {
        do { answers = try command(number) } catch { throw ParseError(error.reason) }
        try checkReceipt(from: sender, of: number)
      }
    } else if envelope.header.extensions.echoChallenge != nil, let number = inReplyTo {
      // The node asks back; it is shown only if that is too late.
      do { answers = try command(number) } catch { throw ParseError(error.reason) }
      guard try wasSaid(number, to: sender) else { throw ParseError(.envelopeNotAllowed) }
      receipt = Receipt(.expired, reason: DropReason.envelopeExpired.name)
    } else if content.format == ContentFormats.coapMessage, let number = inReplyTo {
      // A response of the node that was commanded.
      do { answers = try command(number) } catch { throw ParseError(error.reason) }
      if answers.flatMap({ CommandText($0)?.node }) != subject.name { answers = nil }
    }
    return Delivery(
      from: subject.name, vouchedBy: vouched == nil ? nil : sender.name, class: envelope.header.class,
      sequence: envelope.header.sequence, content: content, inReplyTo: inReplyTo,
      answers: answers, receipt: receipt)
  }

  private func wasSaid(_ number: UInt64, to member: Member) throws(ParseError) -> Bool {
    do { return try recipients(of: number).contains(member.address) } catch { throw ParseError(error.reason) }
  }

  /// Only who was sent a message, its gateway or a relay may say what became of it.
  private func checkReceipt(from sender: Member, of number: UInt64) throws(ParseError) {
    let recipients: [Address]
    do { recipients = try self.recipients(of: number) } catch { throw ParseError(error.reason) }
    let isAllowed =
      !recipients.isEmpty && sender.roles.contains(.relay)
      || recipients.contains { $0 == sender.address || directory.member($0)?.gateway == sender.address }
    guard isAllowed else { throw ParseError(.envelopeNotAllowed) }
  }

  /// Everything in the inbox, oldest first, opened again.
  public func inboxContents() throws(StoreError) -> [Delivery] {
    var contents: [Delivery] = []
    for message in try mailboxes.list(inbox) {
      guard let envelope = try? SignedEnvelope(parsing: message.bytes),
        let sender = try? directory.verifiedSender(of: envelope), var delivery = try? read(envelope, from: sender)
      else { continue }
      delivery.number = message.number
      contents.append(try shown(delivery))
    }
    return contents
  }

  /// Removes from the inbox what whoever it is for has seen; an unknown number is harmless.
  public func forget(_ number: UInt64) throws(StoreError) {
    try mailboxes.confirm(number, in: inbox)
    try mailboxes.store.setValue(Self.answerKey(number), to: nil)
  }
}

/// Why a command cannot be given.
public enum CommandError: Error, CustomStringConvertible, Sendable {
  case unknownNode(String, known: [String])
  case notAllowed(String)

  public var description: String {
    switch self {
    case .unknownNode(let name, let known):
      "no node '\(name)' in the peer record; its nodes: \(known.joined(separator: ", "))"
    case .notAllowed(let name): "the peer record does not let this endpoint command '\(name)'"
    }
  }
}
