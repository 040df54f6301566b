import Envelope
import Queue
import Wire

// A node that cannot tell a new command from an old one asks its commander for an echo. The endpoint gives it as long as it
// wants the command: command, challenge, echo and answer are one exchange under the number of the command.
extension Endpoint {
  private static var openPrefix: String { "open." }
  private static func openKey(_ number: UInt64) -> String { "\(openPrefix)\(number)" }
  /// Under the number of an echo: that of the command.
  private static func echoKey(_ number: UInt64) -> String { "echo-of.\(number)" }

  /// A node's challenge, whose signature is valid and which may be answered or not.
  struct Challenge {
    var command: UInt64
    var node: Member
    var envelope: SignedEnvelope
    var bytes: [UInt8]
  }

  /// Remembers a command for as long as it is wanted; forgets those that are not any more.
  static func open(
    _ envelope: SignedEnvelope, _ content: SignedEnvelope.Content, to recipients: [Member], in store: Store,
    now: Instant
  ) throws(StoreError) {
    for (name, value) in try store.values(withPrefix: openPrefix) {
      let command = try? OpenCommand(parsing: value)
      if command.map({ Self.isOver($0, now: now) }) ?? true { try store.setValue(name, to: nil) }
    }
    let nodes = recipients.filter { $0.roles.contains(.node) }
    guard content.format == ContentFormats.coapMessage, !nodes.isEmpty else { return }
    let command = OpenCommand(
      class: envelope.header.class, content: content, answerHash: envelope.answerHash,
      lastSecond: Freshness.lastSecond(of: envelope.header, arrival: now), waiting: nodes.map(\.address))
    try save(command, number: envelope.header.sequence, in: store)
  }

  private static func isOver(_ command: OpenCommand, now: Instant) -> Bool {
    UInt64(max(0, now.seconds)) > command.lastSecond
  }

  private static func save(_ command: OpenCommand, number: UInt64, in store: Store) throws(StoreError) {
    guard let bytes = try? command.cbor() else { return }
    try store.setValue(openKey(number), to: bytes)
  }

  private static func opened(_ number: UInt64, in store: Store) throws(StoreError) -> OpenCommand? {
    try store.value(openKey(number)).flatMap { try? OpenCommand(parsing: $0) }
  }

  private static func original(_ number: UInt64, in store: Store) throws(StoreError) -> UInt64 {
    let text = try store.value(echoKey(number)).map { String(decoding: $0, as: UTF8.self) }
    return text.flatMap { UInt64($0) } ?? number
  }

  /// The command that a number stands for: that of an echo stands for the command that was challenged.
  func original(_ number: UInt64?) throws(ParseError) -> UInt64? {
    guard let number else { return nil }
    do { return try Self.original(number, in: mailboxes.store) } catch { throw ParseError(error.reason) }
  }

  /// A command that was answered by its node, or by whoever gave it up for its only node, is not said again. That is
  /// remembered until its time is over.
  static func settle(_ envelope: SignedEnvelope, from sender: Member, in store: Store) throws(StoreError) {
    guard let answered = envelope.header.extensions.inReplyTo else { return }
    let number = try original(answered, in: store)
    guard var command = try opened(number, in: store) else { return }
    if command.waiting.count == 1, !sender.roles.contains(.node) { command.waiting = [] }
    command.waiting.removeAll { $0 == sender.address }
    if command.waiting.isEmpty { command.content.bytes = [] }
    try save(command, number: number, in: store)
  }

  /// The challenge in an envelope that was judged.
  func challenge(in envelope: SignedEnvelope, from sender: Member) -> Challenge? {
    guard let bytes = envelope.header.extensions.echoChallenge, let number = envelope.header.extensions.inReplyTo else {
      return nil
    }
    return Challenge(command: number, node: sender, envelope: envelope, bytes: bytes)
  }

  /// Says the command again with the echo, in one transaction with the record that this was done. False if it is not
  /// wanted any more.
  ///
  /// Throws ``DropReason/envelopeEchoMismatch`` for a challenge of something else than was said, and
  /// ``DropReason/envelopeReplay`` for one that was answered before.
  mutating func answer(_ challenge: Challenge, now: Instant) throws(ParseError) -> Bool {
    let (node, number) = (challenge.node.address, challenge.command)
    let opened: OpenCommand?
    do { opened = try Self.opened(number, in: mailboxes.store) } catch { throw ParseError(error.reason) }
    // What is over was forgotten, and is shown so.
    guard var command = opened else { return false }
    guard command.answerHash == challenge.envelope.header.extensions.answerHash else {
      throw ParseError(.envelopeEchoMismatch)
    }
    guard command.waiting.contains(node), !command.challenged.contains(node) else { throw ParseError(.envelopeReplay) }
    guard !Self.isOver(command, now: now) else { return false }
    command.challenged.append(node)
    do { try say(command, as: number, to: challenge, now: now) } catch { throw ParseError(error.reason) }
    return true
  }

  private mutating func say(
    _ command: OpenCommand, as original: UInt64, to challenge: Challenge, now: Instant
  ) throws(StoreError) {
    var sequence = sequence
    let (outbox, identity) = (outbox, identity)
    let (node, answered) = (challenge.node, challenge.envelope)
    try mailboxes.transaction { (mailboxes) throws(StoreError) in
      let number = try sequence.next()
      let seconds = UInt64(max(0, now.seconds))
      let draft = EnvelopeDraft(
        class: command.class, recipients: [.init(node)], sequence: number, issuedAt: seconds,
        lifetime: command.lastSecond - min(seconds, command.lastSecond), flags: .receiptWanted,
        extensions: EnvelopeExtensions(
          inReplyTo: answered.header.sequence, answerHash: answered.answerHash, echoResponse: challenge.bytes),
        content: command.content, addressForm: .short)
      var generator = SystemRandomNumberGenerator()
      guard let envelope = try? SignedEnvelope.make(draft, from: identity, using: &generator),
        case .held = try mailboxes.put(envelope.deposit(from: identity.address, accepted: now), in: outbox).outcome
      else { throw .abandoned }
      try Self.save(command, number: original, in: mailboxes.store)
      try mailboxes.store.setValue(Self.echoKey(number), to: Array(String(original).utf8))
      try mailboxes.store.setValue(Self.recipientsKey(number), to: node.address.bytes)
      try mailboxes.store.setValue(Self.commandKey(number), to: try mailboxes.store.value(Self.commandKey(original)))
    }
    self.sequence = sequence
  }
}
