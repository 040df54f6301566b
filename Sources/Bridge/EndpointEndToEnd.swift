import COSE
import CoAP
import Crypto
import Envelope
import MemberSecurity
import OSCORE
import Queue
import Wire

// Commands end to end: CoAP messages of EDHOC and OSCORE in auth-only envelopes of format 65004. Every step takes what came
// and what is said next in one transaction with the keys that it used up, so that a process may end after any of them.

extension Endpoint {
  static var contextPrefix: String { "end-to-end.context." }
  static var commandPrefix: String { "end-to-end.command." }
  static func commandKey(endToEnd number: UInt64) -> String { commandPrefix + String(number) }
  /// Under the number of an envelope: that of the command that it is a step of. Whatever answers it must be protected.
  static func stepKey(_ sequence: UInt64) -> String { "end-to-end.step.\(sequence)" }
  /// Under a number of the inbox: what was said there.
  static func answerKey(_ number: UInt64) -> String { "end-to-end.answer.\(number)" }

  static func endToEnd(
    of identity: Identity, in store: Store, directory: PeerDirectory, random: some RandomNumberGenerator & Sendable
  ) -> MemberContexts {
    var states: [(member: Address, state: OSCOREDurableState)] = []
    for (name, value) in (try? store.values(withPrefix: contextPrefix)) ?? [] {
      if let member = Address(hex: name.dropFirst(contextPrefix.count)), directory.member(member) != nil,
        let state = try? OSCOREDurableState(parsing: value)
      {
        states.append((member, state))
      } else {
        try? store.setValue(name, to: nil)
      }
    }
    return MemberContexts(identity: identity, restoring: states, random: random)
  }

  static func keep(in store: Store) -> MemberContexts.Keep {
    { member, state in
      let value = state.flatMap { try? $0.encoded() }
      guard state == nil || value != nil else { return false }
      return (try? store.setValue(contextPrefix + member.description, to: value)) != nil
    }
  }

  /// A new peer record is obeyed: who is not on it any more, or with another key-agreement key, has no keys.
  mutating func forgetRemovedMembers(since before: PeerDirectory) {
    for (name, _) in (try? mailboxes.store.values(withPrefix: Self.contextPrefix)) ?? [] {
      guard let member = Address(hex: name.dropFirst(Self.contextPrefix.count)) else { continue }
      let key = directory.member(member)?.agreementKey.point
      guard key == nil || key != before.member(member)?.agreementKey.point else { continue }
      endToEnd.remove(member, keep: Self.keep(in: mailboxes.store))
      try? mailboxes.store.setValue(name, to: nil)
    }
  }

  // MARK: Saying

  /// Takes a command in. If others agree on keys with its node, it waits for that.
  mutating func begin(
    _ command: CommandText, to node: Member, key: String, lifetime: UInt64, now: Instant
  ) throws -> UInt64 {
    try changing { (step) throws(StoreError) in
      let number = try step.sequence.next()
      let request: ProtectedRequest
      do { request = ProtectedRequest(try command.message.request(), to: node) } catch { throw StoreError.abandoned }
      let seconds = UInt64(max(0, now.seconds))
      let (lastSecond, isEndless) = seconds.addingReportingOverflow(lifetime)
      let kept = EndToEndCommand(
        number: number, node: node.address, lastSecond: isEndless ? .max : lastSecond, request: [])
      try step.store.setValue(key, to: Array(String(number).utf8))
      try step.store.setValue(Self.commandKey(number), to: Array(command.description.utf8))
      try step.store.setValue(Self.recipientsKey(number), to: node.address.bytes)
      // Under this number no answer in the open is believed either.
      try step.store.setValue(Self.stepKey(number), to: Array(String(number).utf8))
      try step.forgetLate(node, now: now)
      try step.save(kept, request)
      try step.startWaiting(node, fresh: number, now: now)
      return number
    }
  }

  // MARK: Hearing

  /// The command that an envelope answers a step of; `nil` if it answers nothing that went end to end.
  ///
  /// Throws ``DropReason/coapExchangeUnknown`` for an answer to a step that is over: only the last one is answered, and
  /// once.
  func endToEndCommand(
    answeredBy envelope: SignedEnvelope, from delivery: Delivery
  ) throws(ParseError) -> EndToEndCommand? {
    guard let answered = envelope.header.extensions.inReplyTo,
      [ContentFormats.coapMessage, ContentFormats.receipt].contains(delivery.content.format ?? 0)
    else { return nil }
    do throws(StoreError) {
      guard
        let number = try mailboxes.store.value(Self.stepKey(answered)).flatMap({
          UInt64(String(decoding: $0, as: UTF8.self))
        })
      else {
        return nil
      }
      guard let bytes = try mailboxes.store.value(Self.commandKey(endToEnd: number)),
        let command = try? EndToEndCommand(parsing: bytes), command.sent == answered
      else { throw StoreError.abandoned }
      // Receipts were judged before: the node, its gateway or a relay may give one.
      guard delivery.receipt != nil || directory.member(command.node)?.name == delivery.from else {
        throw StoreError.abandoned
      }
      return command
    } catch { throw ParseError(error.kind == .abandoned ? .coapExchangeUnknown : error.reason) }
  }

  /// Takes the answer to the last step of a command, and says what comes next. `nil` if that tells nothing yet.
  mutating func proceed(
    _ command: EndToEndCommand, _ delivery: Delivery, _ deposit: Deposit, _ envelope: SignedEnvelope, now: Instant
  ) throws(ParseError) -> Delivery? {
    let deduplication = Deduplication(.endpoint, digest: envelope.contentDigest.bytes32)
    let inbox = inbox
    guard let node = directory.member(command.node) else { throw ParseError(.senderRevoked) }
    let outcome: PutOutcome
    let answer: EndToEndAnswer?
    do throws(StoreError) {
      (outcome, answer) = try changing { (step) throws(StoreError) -> (PutOutcome, EndToEndAnswer?) in
        let outcome = try step.mailboxes.put(deposit, in: inbox, deduplication: deduplication).outcome
        guard case .held(let numbers, _) = outcome, let number = numbers.first.flatMap({ $0 }) else {
          return (outcome, nil)
        }
        let answer = try step.advance(command, to: node, by: delivery, now: now)
        if let answer, let bytes = try? answer.cbor() {
          try step.store.setValue(Self.answerKey(number), to: bytes)
        } else {
          try step.mailboxes.confirm(number, in: inbox)
        }
        return (outcome, answer)
      }
    } catch { throw ParseError(error.reason) }
    if let reason = outcome.refusal { throw ParseError(reason) }
    guard case .held(let numbers, _) = outcome, let answer else { return nil }
    do throws(StoreError) {
      var shown = try show(answer, in: delivery)
      shown.number = numbers.first.flatMap { $0 } ?? 0
      return shown
    } catch { throw ParseError(error.reason) }
  }

  /// A delivery of the inbox as it was told when it came.
  func shown(_ delivery: Delivery) throws(StoreError) -> Delivery {
    guard let bytes = try mailboxes.store.value(Self.answerKey(delivery.number)),
      let answer = try? EndToEndAnswer(parsing: bytes)
    else { return delivery }
    return try show(answer, in: delivery)
  }

  private func show(_ answer: EndToEndAnswer, in delivery: Delivery) throws(StoreError) -> Delivery {
    var delivery = delivery
    delivery.inReplyTo = answer.number
    delivery.answers = try command(answer.number)
    delivery.receipt = answer.receipt
    delivery.isEndToEnd = answer.response != nil
    if let response = answer.response {
      delivery.content = .init(format: ContentFormats.coapMessage, bytes: response)
      delivery.vouchedBy = nil
    }
    return delivery
  }

  // MARK: One step

  /// Runs `body` in a transaction over all that a step may change. If that fails, nothing was changed: no key either, since
  /// nothing that was protected has left.
  private mutating func changing<Result>(
    _ body: (inout EndToEndStep<Store>) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    var step = EndToEndStep(
      identity: identity, outbox: outbox, contexts: endToEnd, sequence: sequence, mailboxes: mailboxes)
    let result = try mailboxes.transaction { (mailboxes) throws(StoreError) -> Result in
      step.mailboxes = mailboxes
      let result = try body(&step)
      mailboxes = step.mailboxes
      return result
    }
    (endToEnd, sequence) = (step.contexts, step.sequence)
    return result
  }
}
