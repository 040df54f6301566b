import CoAP
import Envelope
import Queue
import Wire

extension Gateway {
  /// Answers a request whose protection, if it had any, was taken off: `POST /e`, `GET /e`, `GET /e?done=N`,
  /// `DELETE /e/N`, `GET /key`.
  mutating func answer(_ request: NodeRequest, now: Instant) -> NodeAnswer {
    let path = request.request.uriPath
    switch (request.request.code, path) {
    case (.post, ["e"]): return post(request, now: now)
    case (.get, ["e"]): return poll(request, now: now)
    case (.delete, _) where path.count == 2 && path[0] == "e": return delete(request, number: path[1], now: now)
    case (.get, ["key"]): return linkKey(request)
    case (.get, [".well-known", "core"]):
      let links = #"</e>;rt="pangate.e";ct=18;title="envelopes",</rd>;rt="core.rd";ct=40"#
      return NodeAnswer(CoAPResponse(.content, contentFormat: .linkFormat, payload: Array(links.utf8)))
    case (.post, ["rd"]): return register(request, now: now)
    case (.post, _) where path.count == 2 && path[0] == "rd",
      (.delete, _) where path.count == 2 && path[0] == "rd":
      return changeRegistration(request, id: path[1], now: now)
    case (_, ["e"]), (_, ["rd"]), (_, ["key"]): return NodeAnswer(CoAPResponse(.methodNotAllowed))
    default: return NodeAnswer(CoAPResponse(.notFound))
    }
  }

  private mutating func post(_ request: NodeRequest, now: Instant) -> NodeAnswer {
    let isEnvelope = request.request.contentFormat.map { UInt64($0.rawValue) } == ContentFormats.envelope
    var refusal = Refusal(
      reason: .envelopeStructure, radio: node(eui64: request.eui64)?.name, kind: isEnvelope ? .envelope : .plain,
      size: request.request.payload.count)
    do throws(ParseError) {
      guard isEnvelope else { return NodeAnswer(CoAPResponse(.changed), [.accepted(try sign(request, now: now))]) }
      let envelope = try SignedEnvelope(parsing: request.request.payload, maximumSize: limits.maximumEnvelope)
      refusal.sequence = envelope.header.sequence
      let sender = try signer(of: envelope, refusal: &refusal)
      if envelope.header.class == .stream {
        try check(chunk: envelope, from: sender, now: now)
        var answer = NodeAnswer(CoAPResponse(.changed))
        answer.chunk = envelope.bytes
        return answer
      }
      return NodeAnswer(CoAPResponse(.changed), [.accepted(try take(envelope, from: sender, now: now))])
    } catch {
      refusal.reason = error.reason
      refusals.count(error.reason)
      return NodeAnswer(.refusal(error.reason), [.refused(refusal)])
    }
  }

  // MARK: An envelope that the node signed

  /// The node of this gateway that has signed it.
  private func signer(of envelope: SignedEnvelope, refusal: inout Refusal) throws(ParseError) -> Member {
    let sender = try directory.sender(envelope.header.sender)
    refusal.claimed = sender.name
    try envelope.verify(with: sender.signingKey)
    guard sender.gateway == identity.address, sender.roles.contains(.node) else {
      throw ParseError(.envelopeNotAllowed)
    }
    return sender
  }

  private mutating func take(
    _ envelope: SignedEnvelope, from sender: Member, now: Instant
  ) throws(ParseError) -> UplinkReport {
    let header = envelope.header
    let deduplication = Deduplication(.uplink, digest: envelope.contentDigest.bytes32)
    try check { () throws(StoreError) in
      try mailboxes.replayed(sender.address.bytes32, header.sequence, deduplication)
    }
    try Freshness(skew: limits.clockSkew).check(header, arrival: now, now: now)
    let recipients = try admit(envelope, from: sender)
    let deposit = envelope.deposit(from: sender.address, accepted: now)
    let outbox = outbox
    try check { () throws(StoreError) in
      try mailboxes.put(deposit, in: outbox, deduplication: deduplication).outcome
    }
    return UplinkReport(
      kind: header.contentFormat == ContentFormats.receipt ? .receipt : .envelope, from: sender.name,
      class: header.class, to: recipients.map(\.name), sequence: header.sequence,
      size: envelope.bytes.count, envelopeSize: envelope.bytes.count, inReplyTo: header.extensions.inReplyTo,
      readableBy: readers(of: envelope, node: sender, recipients: recipients))
  }

  /// The class rule and the peer record: what a node may say to whom. A node reports to its readers and answers its
  /// commanders.
  private func admit(_ envelope: SignedEnvelope, from sender: Member) throws(ParseError) -> [Member] {
    let header = envelope.header
    guard header.class != .stream else { throw ParseError(.envelopeClassReserved) }
    guard envelope.satisfies(sender.class) else { throw ParseError(.envelopeClassTooWeak) }
    guard header.extensions.onBehalfOf == nil else { throw ParseError(.envelopeOnBehalfOfRefused) }
    let recipients = try directory.recipients(header.recipients)
    for recipient in recipients {
      guard sender.readers.contains(recipient.address) || sender.commanders.contains(recipient.address) else {
        throw ParseError(.envelopeNotAllowed)
      }
      guard envelope.satisfies(recipient.class) else { throw ParseError(.envelopeClassTooWeak) }
    }
    return recipients
  }

  // MARK: A plain representation, signed on the node's behalf

  private mutating func sign(_ request: NodeRequest, now: Instant) throws(ParseError) -> UplinkReport {
    // Whoever spoofs a radio address forges what is said here, unless it was proven: no other class may rely on it.
    let node = try speaker(request)
    guard node.isVouchedFor else { throw ParseError(.envelopePlainRefused) }
    guard !request.request.payload.isEmpty else { throw ParseError(.envelopeStructure) }
    let recipients = node.readers.compactMap { directory.member($0) }
    guard !recipients.isEmpty else { throw ParseError(.envelopeRecipientUnknown) }
    let known = PlainDeduplication(request, now: now)
    if try isKnown(known, of: node) { throw ParseError(.coapDuplicate) }
    let draft = EnvelopeDraft(
      class: recipients.map(\.class).reduce(node.class, max), recipients: recipients.map { .init($0) },
      sequence: try nextSequence(), issuedAt: UInt64(max(0, now.seconds)), lifetime: limits.readingLifetime,
      extensions: EnvelopeExtensions(onBehalfOf: .full(node.address)),
      content: .init(
        format: request.request.contentFormat.map { UInt64($0.rawValue) }, bytes: request.request.payload))
    var generator = SystemRandomNumberGenerator()
    let made = try? SignedEnvelope.make(
      draft, from: identity, maximumSize: limits.maximumEnvelope, using: &generator)
    guard let envelope = made else { throw ParseError(.envelopeTooLarge) }
    try hold(envelope, for: node, known, now: now)
    return UplinkReport(
      kind: .plain, from: node.name, class: envelope.header.class, to: recipients.map(\.name),
      sequence: envelope.header.sequence, size: request.request.payload.count, envelopeSize: envelope.bytes.count,
      readableBy: readers(of: envelope, node: node, recipients: recipients))
  }

  /// Puts what was signed for a node into the outbox, with the record that tells its request when it comes again.
  private mutating func hold(
    _ envelope: SignedEnvelope, for node: Member, _ known: PlainDeduplication, now: Instant
  ) throws(ParseError) {
    let deposit = envelope.deposit(from: identity.address, accepted: now)
    let (outbox, keeping, address) = (outbox, mailboxes.limits.replayRecords, node.address.bytes32)
    try check { () throws(StoreError) in
      try mailboxes.transaction { (mailboxes) throws(StoreError) -> PutOutcome in
        let outcome = try mailboxes.put(deposit, in: outbox).outcome
        if case .held = outcome { try known.record(address, in: mailboxes.store, keeping: keeping) }
        return outcome
      }
    }
  }

  private mutating func nextSequence() throws(ParseError) -> UInt64 {
    do { return try sequence.next() } catch { throw ParseError(error.reason) }
  }

  private func isKnown(_ known: PlainDeduplication, of node: Member) throws(ParseError) -> Bool {
    do { return try known.isKnown(node.address.bytes32, in: mailboxes.store) } catch { throw ParseError(error.reason) }
  }

  private func readers(of envelope: SignedEnvelope, node: Member, recipients: [Member]) -> [String] {
    switch envelope.readers {
    case .everyone: ["gateway", "relay"] + recipients.map(\.name)
    case .recipients, .holdersOfStreamKey: recipients.map(\.name)
    }
  }

  /// Turns what the queues said into a reason.
  private func check(_ body: () throws(StoreError) -> PutOutcome?) throws(ParseError) {
    let outcome: PutOutcome?
    do { outcome = try body() } catch { throw ParseError(error.reason) }
    if let reason = outcome?.refusal { throw ParseError(reason) }
  }
}

extension PutOutcome {
  /// Why nothing was stored; `nil` if custody was taken.
  var refusal: DropReason? {
    switch self {
    case .held(_, let refused): refused.first?.reason
    case .alreadyHeld: .envelopeReplay
    // Too old to tell from a replay: it may never have been taken, so it must not look as if it had been.
    case .refused(.envelopeReplay): .envelopeReplayOtherBytes
    case .refused(let reason): reason
    }
  }
}
