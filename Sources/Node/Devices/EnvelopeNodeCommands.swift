import Envelope
import Wire

extension EnvelopeNode {
  /// Obeys a command, or says why not. What follows from it is in ``memory`` when this returns.
  ///
  /// Whoever may command is told of a refusal, too; others are not answered.
  @discardableResult
  mutating func obey(_ bytes: [UInt8], now: Instant) -> DropReason? {
    do throws(ParseError) {
      let envelope = try SignedEnvelope(
        parsing: bytes, maximumSize: max(configuration.maximumEnvelope, configuration.maximumRecord))
      if try obeyRecord(envelope) { return nil }
      guard bytes.count <= configuration.maximumEnvelope else {
        throw ParseError(.envelopeTooLarge, at: configuration.maximumEnvelope)
      }
      let header = envelope.header
      guard let commander = configuration.commanders.first(where: { header.sender.matches($0.address) }) else {
        throw ParseError(.envelopeNotAllowed)
      }
      try envelope.verify(with: commander.signingKey)
      guard header.recipients.contains(where: { $0.matches(configuration.identity.address) }) else {
        throw ParseError(.envelopeNotForUs)
      }
      let verdict = window(of: commander.address).verdict(header.sequence, envelope.contentDigest)
      if let reason = verdict.reason { throw ParseError(reason) }
      if try serveEndToEnd(envelope, from: commander, now: now) { return nil }
      try obey(envelope, from: commander, now: now)
      return nil
    } catch {
      events.append(.refused(error.reason))
      return error.reason
    }
  }

  private mutating func obey(
    _ envelope: SignedEnvelope, from commander: Member, now: Instant
  ) throws(ParseError) {
    let content: SignedEnvelope.Content
    let message: EncapsulatedMessage
    var command = CommandName(sequence: envelope.header.sequence, answerHash: envelope.answerHash)
    do throws(ParseError) {
      content = try judge(envelope, now: now)
      message = try EncapsulatedMessage(parsing: content.bytes)
      if envelope.header.extensions.echoResponse != nil {
        command = try echoed(envelope, content, from: commander, now: now)
      }
    } catch {
      let isLate = error.reason == .envelopeExpired
      remember(
        envelope, from: commander, Receipt(isLate ? .expired : .rejected, reason: error.reason.name), of: command)
      throw error
    }
    // One write to the flash: that it was obeyed or challenged, and that it is to be answered.
    if envelope.header.extensions.echoResponse == nil, needsEcho(envelope.header) {
      record(envelope, from: commander)
      challenge(envelope, content, from: commander, now: now)
      return
    }
    remember(envelope, from: commander, Receipt(.delivered), of: command)
    values[message.path] = message.payload
    events.append(.acted(by: commander.address, sequence: command.sequence, message))
  }

  private func window(of commander: Address) -> ReplayWindow { memory.windows[commander] ?? ReplayWindow() }

  private mutating func record(_ envelope: SignedEnvelope, from commander: Member) {
    memory.windows[commander.address, default: ReplayWindow()]
      .record(envelope.header.sequence, envelope.contentDigest)
  }

  /// What a receipt answers.
  struct CommandName {
    var sequence: UInt64
    var answerHash: UInt64
  }

  private mutating func remember(
    _ envelope: SignedEnvelope, from commander: Member, _ receipt: Receipt, of command: CommandName
  ) {
    record(envelope, from: commander)
    memory.owed.append(
      OwedReceipt(
        commander: commander.address, sequence: command.sequence, answerHash: command.answerHash, receipt: receipt))
  }

  /// Everything that is asked of a command whose signature is good and that is new.
  private func judge(_ envelope: SignedEnvelope, now: Instant) throws(ParseError) -> SignedEnvelope.Content {
    let header = envelope.header
    guard header.class != .stream else { throw ParseError(.envelopeClassReserved) }
    guard header.class.satisfies(max(.authOnly, configuration.class)) else { throw ParseError(.envelopeClassTooWeak) }
    if configuration.hasClock { try Freshness().check(header, arrival: now, now: now) }
    let content = try envelope.open(with: configuration.identity)
    guard content.format == ContentFormats.coapMessage else { throw ParseError(.unsupported) }
    return content
  }
}
