import Envelope
import Queue
import Wire

extension Endpoint {
  /// Signs a message, seals it if the class of a recipient says so, and puts it in the outbox.
  ///
  /// - Parameters:
  ///   - as: the weakest class; it is as strong as any recipient demands.
  ///   - description: what people are shown when it is answered.
  ///   - key: a value that is set with it, so that the same is not said twice.
  ///   - lifetime: seconds.
  /// - Returns: its sequence number.
  /// - Throws: ``StoreError``, also when the outbox is full; ``EmitError`` if it cannot be written.
  public mutating func say(
    _ content: SignedEnvelope.Content, to recipients: [Member], as weakest: EnvelopeClass, description: String,
    key: String? = nil, lifetime: UInt64 = 86_400, now: Instant
  ) throws -> UInt64 {
    let strongest = recipients.map(\.class).max() ?? weakest
    var sequence = sequence
    let (outbox, identity) = (outbox, identity)
    let number = try mailboxes.transaction { (mailboxes) throws(StoreError) -> UInt64 in
      let number = try sequence.next()
      let draft = EnvelopeDraft(
        class: max(weakest, strongest), recipients: recipients.map { .init($0) }, sequence: number,
        issuedAt: UInt64(max(0, now.seconds)), lifetime: lifetime, flags: .receiptWanted, content: content,
        addressForm: .short)
      var generator = SystemRandomNumberGenerator()
      guard let envelope = try? SignedEnvelope.make(draft, from: identity, using: &generator) else {
        throw .abandoned
      }
      let result = try mailboxes.put(envelope.deposit(from: identity.address, accepted: now), in: outbox)
      guard case .held = result.outcome else { throw .abandoned }
      if let key { try mailboxes.store.setValue(key, to: Array(String(number).utf8)) }
      try mailboxes.store.setValue(Self.commandKey(number), to: Array(description.utf8))
      try mailboxes.store.setValue(Self.recipientsKey(number), to: recipients.flatMap(\.address.bytes))
      return number
    }
    self.sequence = sequence
    return number
  }

  static func commandKey(_ number: UInt64) -> String { "sent.\(number)" }
  static func recipientsKey(_ number: UInt64) -> String { "sent-to.\(number)" }

  /// To whom a message was sent; empty for a number that was never used.
  func recipients(of number: UInt64) throws(StoreError) -> [Address] {
    let bytes = try mailboxes.store.value(Self.recipientsKey(number)) ?? []
    return stride(from: 0, to: bytes.count, by: Address.length).compactMap {
      Address(Array(bytes[$0..<min($0 + Address.length, bytes.count)]))
    }
  }

  /// Puts a message into the inbox, and the receipt that its sender wants into the outbox, in one transaction.
  mutating func take(
    _ deposit: Deposit, _ deduplication: Deduplication, _ envelope: SignedEnvelope, from sender: Member, now: Instant
  ) throws(StoreError) -> PutOutcome {
    var sequence = sequence
    let (outbox, inbox, identity) = (outbox, inbox, identity)
    let isAnswer = envelope.header.contentFormat == ContentFormats.receipt || sender.roles.contains(.node)
    let outcome = try mailboxes.transaction { (mailboxes) throws(StoreError) -> PutOutcome in
      let outcome = try mailboxes.put(deposit, in: inbox, deduplication: deduplication).outcome
      guard case .held = outcome, envelope.header.flags.contains(.receiptWanted), !isAnswer,
        let receipt = Gateway<Store>.receipt(
          Receipt(.delivered), for: envelope, to: sender, from: identity, sequence: try sequence.next(),
          lifetime: 30 * 86_400, now: now)
      else { return outcome }
      _ = try mailboxes.put(receipt.deposit(from: identity.address, accepted: now), in: outbox)
      return outcome
    }
    self.sequence = sequence
    return outcome
  }
}
