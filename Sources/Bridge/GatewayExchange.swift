import CoAP
import Envelope
import MemberSecurity
import OSCORE
import Queue
import Wire

/// Something held for a node that the gateway takes to it, since the node does not fetch it.
public struct NodeExchange: Sendable {
  public enum Kind: Sendable, Hashable {
    /// A command that is exchanged with a plain CoAP server, whose response goes back as an envelope.
    case request
    /// An envelope that is posted to a node that serves `/e`.
    case envelope
  }

  public var kind: Kind
  /// The node, and the address of its radio.
  public var node: Member
  public var eui64: UInt64
  public var command: HeldCommand
  public var request: CoAPRequest
  /// Doing it twice is the same as doing it once (RFC 7252, 5.1), so that it may be sent again when nobody knows.
  public var isIdempotent: Bool
  /// How the command is protected between its commander and the node: it is exchanged as it is.
  var endToEnd: EndToEndProtection?
  /// What binds the response to the request, if it goes under OSCORE.
  var protection: OSCOREExchange?
  /// The node has restarted and asked for proof that the request is new; that is done once.
  var wasChallenged = false
}

extension Gateway {
  /// Whether commands for `node` are made CoAP requests here, since it neither polls for envelopes nor reads them.
  public func exchanges(with node: Member) -> Bool {
    // To a confidential one only what is protected end to end is carried: see ``request(in:for:)``.
    node.traits.contains(.coapServer) && (node.traits.contains(.vouched) || node.class == .confidential)
      && node.gateway == identity.address && node.eui64 != nil
  }

  /// Whether `node` has told the resource directory that it takes envelopes itself, at `/e`.
  func takesEnvelopes(_ node: Member, now: Instant) -> Bool {
    guard node.gateway == identity.address, node.eui64 != nil, !exchanges(with: node) else { return false }
    return registration(of: node, now: now)?.links.contains("</e>") == true
  }

  /// Whether the gateway talks to `node` first, and does not wait until it asks.
  public func isAsked(_ node: Member, now: Instant) -> Bool { exchanges(with: node) || takesEnvelopes(node, now: now) }

  private static func attemptKey(_ node: Member) -> String { "exchange." + node.address.bytes.hex }

  /// The next command to exchange with `node`, in held order; `nil` if none is held.
  ///
  /// That it begins is on disk before it is returned: one that must not be done twice, and was begun before a restart, is
  /// not done again, and its sender is told that nobody knows.
  public mutating func nextExchange(
    with node: Member, now: Instant
  ) throws(StoreError) -> (exchange: NodeExchange?, events: [GatewayEvent]) {
    guard isAsked(node, now: now), let eui64 = node.eui64 else { return (nil, []) }
    var events = try expire(now: now)
    guard exchanges(with: node) else {
      guard let (message, more) = try mailboxes.peek(queue(of: node)) else { return (nil, events) }
      let command = command(message)
      events.append(.handed(command, more: more))
      // The node tells envelopes apart by their numbers, so that none acts twice.
      let request = CoAPRequest(.post, path: ["e"], contentFormat: .coseSign1, payload: message.bytes)
      let exchange = NodeExchange(
        kind: .envelope, node: node, eui64: eui64, command: command, request: request, isIdempotent: true)
      return (exchange, events)
    }
    while let (message, _) = try mailboxes.peek(queue(of: node)) {
      let command = command(message)
      do throws(ParseError) {
        let (request, endToEnd) = try Self.request(in: message, for: node)
        // Commands for a node that must prove itself wait until it has agreed on keys.
        if endToEnd == nil, awaitsKeys(node) { return (nil, events) }
        // A second message_1 only begins a second session.
        let isIdempotent = request.code.isIdempotent || endToEnd == .edhoc
        let key = Self.attemptKey(node)
        let number = Array(String(message.number).utf8)
        let attempted = try stored(key)
        if attempted == number, !isIdempotent { throw ParseError(.envelopeOutcomeUnknown) }
        try store { (store) throws(StoreError) in try store.setValue(key, to: number) }
        let exchange = try protected(
          NodeExchange(
            kind: .request, node: node, eui64: eui64, command: command, request: request, isIdempotent: isIdempotent,
            endToEnd: endToEnd))
        events.append(.exchanging(command))
        return (exchange, events)
      } catch {
        if error.reason == .queueUnavailable { throw StoreError(.failed, detail: "the queue of \(node.name)") }
        events += try reject(message, of: node, reason: error.reason, now: now)
      }
    }
    return (nil, events)
  }

  /// The node answered: its response goes to the commander as an envelope, and the command leaves the queue, in one
  /// transaction.
  public mutating func finish(
    _ exchange: NodeExchange, with response: CoAPResponse, now: Instant
  ) throws(StoreError) -> [GatewayEvent] {
    guard let message = try held(exchange) else { return [] }
    if exchange.kind == .envelope {
      if response.code.isSuccess {
        try mailboxes.confirm(message.number, in: queue(of: exchange.node))
        return [.confirmed(exchange.command)]
      }
      // It may have room later; what it refuses it would refuse again.
      guard response.code.class == 4 else { return [.exchangeFailed(exchange.command, .nodeUnreachable)] }
      return try reject(message, of: exchange.node, reason: .coapRequestRefused, now: now)
    }
    guard let response = verified(response, of: exchange) else { return try fail(exchange, now: now) }
    let encapsulated = EncapsulatedMessage(response)
    // An answer in the open to what was protected is nobody's: the node has lost the keys, or it is not the node.
    if let asked = exchange.endToEnd, !encapsulated.answers(asked) {
      return try reject(message, of: exchange.node, reason: .oscoreContextUnknown, now: now)
    }
    let content = try? encapsulated.cbor()
    let sequence = try answer(
      message, of: exchange.node, content.map { .init(format: ContentFormats.coapMessage, bytes: $0) },
      onBehalf: true, endToEnd: exchange.endToEnd, now: now)
    return [.exchanged(exchange.command, code: response.code.description, sequence: sequence)]
  }

  /// The node did not answer. What may be sent again stays, for another time; for the rest the sender is told.
  public mutating func fail(
    _ exchange: NodeExchange, now: Instant
  ) throws(StoreError) -> [GatewayEvent] {
    guard let message = try held(exchange) else { return [] }
    if exchange.isIdempotent { return [.exchangeFailed(exchange.command, .nodeUnreachable)] }
    return try reject(message, of: exchange.node, reason: .envelopeOutcomeUnknown, now: now)
  }

  /// The command, if it still waits: it may have expired, or been withdrawn, while the node was asked.
  func held(_ exchange: NodeExchange) throws(StoreError) -> HeldMessage? {
    let number = exchange.command.number
    return try mailboxes.next(in: queue(of: exchange.node), after: number - 1).flatMap { message in
      message.number == number ? message : nil
    }
  }

  /// The request in a held command, and how it is protected end to end. Throws ``DropReason/envelopeClassTooWeak`` for one
  /// that would go to a confidential node in the open.
  static func request(
    in message: HeldMessage, for node: Member
  ) throws(ParseError) -> (CoAPRequest, EndToEndProtection?) {
    let envelope = try SignedEnvelope(parsing: message.bytes, maximumSize: .max)
    guard envelope.header.class != .confidential, envelope.header.contentFormat == ContentFormats.coapMessage else {
      throw ParseError(.unsupported)
    }
    let encapsulated = try EncapsulatedMessage(parsing: Array(envelope.payload))
    let endToEnd = envelope.endToEnd
    guard endToEnd != nil || node.class != .confidential else { throw ParseError(.envelopeClassTooWeak) }
    let code = CoAPCode(rawValue: encapsulated.code)
    guard code.isRequest else { throw ParseError(.coapCodeClassReserved) }
    var options = CoAPOptions()
    for option in encapsulated.options {
      let number = CoAPOptionNumber(rawValue: option.number)
      // What belongs to one hop is for the exchange layer here.
      guard ![.block1, .block2, .size1, .size2, .observe, .requestTag, .proxyUri, .proxyScheme].contains(number)
      else { throw ParseError(.unsupported) }
      options.append(CoAPOption(number, option.value))
    }
    return (CoAPRequest(code: code, options: options, payload: encapsulated.payload), endToEnd)
  }

  private func stored(_ key: String) throws(ParseError) -> [UInt8]? {
    do { return try mailboxes.store.value(key) } catch { throw ParseError(error.reason) }
  }

  private func store(_ body: (Store) throws(StoreError) -> Void) throws(ParseError) {
    do { try body(mailboxes.store) } catch { throw ParseError(error.reason) }
  }

  private mutating func reject(
    _ message: HeldMessage, of node: Member, reason: DropReason, now: Instant
  ) throws(StoreError) -> [GatewayEvent] {
    refusals.count(reason)
    let receipt = try? Receipt.rejected(reason).cbor()
    _ = try answer(
      message, of: node, receipt.map { .init(format: ContentFormats.receipt, bytes: $0) }, onBehalf: false, now: now)
    return [.exchangeFailed(command(message), reason)]
  }

  /// Takes a command out of the queue and puts an answer to its sender, if that is still a member, into the outbox.
  private mutating func answer(
    _ message: HeldMessage, of node: Member, _ content: SignedEnvelope.Content?, onBehalf: Bool,
    endToEnd: EndToEndProtection? = nil, now: Instant
  ) throws(StoreError) -> UInt64? {
    let queue = queue(of: node)
    guard let content, let commander = Address(message.sender).flatMap({ directory.member($0) }),
      let envelope = try? SignedEnvelope(parsing: message.bytes, maximumSize: .max)
    else {
      try mailboxes.confirm(message.number, in: queue)
      return nil
    }
    var sequence = sequence
    let (identity, outbox, limits) = (identity, outbox, limits)
    let number = try mailboxes.transaction { (mailboxes) throws(StoreError) -> UInt64 in
      let number = try sequence.next()
      try mailboxes.confirm(message.number, in: queue)
      let draft = EnvelopeDraft(
        // Sealing once more would hide from the relay that it is protected.
        class: endToEnd == nil ? max(.authOnly, commander.class) : .authOnly, recipients: [.init(commander)],
        sequence: number, issuedAt: UInt64(max(0, now.seconds)), lifetime: limits.receiptLifetime,
        extensions: EnvelopeExtensions(
          inReplyTo: envelope.header.sequence, answerHash: envelope.answerHash,
          onBehalfOf: onBehalf ? .full(node.address) : nil),
        content: content)
      var generator = SystemRandomNumberGenerator()
      // A response that no envelope can hold is a rejection.
      var made = try? SignedEnvelope.make(
        draft, from: identity, maximumSize: limits.maximumEnvelope, using: &generator)
      if made == nil {
        made = Self.receipt(
          .rejected(.envelopeTooLarge), for: envelope, to: commander, from: identity, sequence: number,
          lifetime: limits.receiptLifetime, now: now)
      }
      guard let made else { return number }
      let outcome = try mailboxes.put(made.deposit(from: identity.address, accepted: now), in: outbox).outcome
      // Without room for the answer the command stays: it is asked again, or expires.
      if case .refused = outcome { throw .abandoned }
      return number
    }
    self.sequence = sequence
    return number
  }
}

extension CoAPCode {
  /// Methods that may be repeated without harm (RFC 7252, 5.1; RFC 8132, 3).
  var isIdempotent: Bool { [.get, .put, .delete, .fetch, .iPatch].contains(self) }
}
