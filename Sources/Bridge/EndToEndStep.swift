import COSE
import CoAP
import Envelope
import MemberSecurity
import OSCORE
import Queue
import Wire

/// What one step of a command end to end changes, all at once or not at all.
struct EndToEndStep<Store: MailboxStore> {
  let identity: Identity
  let outbox: Mailbox
  var contexts: MemberContexts
  var sequence: SequenceReserve<Store>
  var mailboxes: Mailboxes<Store>

  /// How often a command is begun again when its node has lost the keys.
  private static var maximumFailures: UInt64 { 3 }

  var store: Store { mailboxes.store }

  func save(_ command: EndToEndCommand, _ request: ProtectedRequest) throws(StoreError) {
    var command = command
    do {
      command.request = try request.kept()
      try store.setValue(Endpoint<Store>.commandKey(endToEnd: command.number), to: try command.cbor())
    } catch let error as StoreError { throw error } catch { throw .abandoned }
  }

  /// The commands that are not answered, in the order in which they were given.
  private func commands(for node: Member) throws(StoreError) -> [EndToEndCommand] {
    try store.values(withPrefix: Endpoint<Store>.commandPrefix)
      .compactMap { try? EndToEndCommand(parsing: $0.value) }
      .filter { $0.node == node.address }.sorted { $0.number < $1.number }
  }

  /// Forgets the commands to a node that were not answered in time, so that others need not wait for them.
  func forgetLate(_ node: Member, now: Instant) throws(StoreError) {
    for command in try commands(for: node) where Self.isLate(command, now: now) {
      try store.setValue(Endpoint<Store>.commandKey(endToEnd: command.number), to: nil)
    }
  }

  private static func isLate(_ command: EndToEndCommand, now: Instant) -> Bool {
    UInt64(max(0, now.seconds)) > command.lastSecond
  }

  /// Begins the commands to a node that wait for their turn, in order, as long as no keys are being agreed on. The one with
  /// the number `fresh`, which no envelope has had yet, is begun under that.
  mutating func startWaiting(_ node: Member, fresh: UInt64? = nil, now: Instant) throws(StoreError) {
    for var command in try commands(for: node) where command.sent == nil {
      guard try !isAgreeing(with: node),
        var request = try? ProtectedRequest(restoring: command.request, to: node, &contexts)
      else { return }
      let number = command.number == fresh ? command.number : try sequence.next()
      try start(&request, &command, number: number, now: now)
      try save(command, request)
    }
  }

  /// Whether keys are being agreed on, so that other commands to the node wait.
  private mutating func isAgreeing(with node: Member) throws(StoreError) -> Bool {
    for command in try commands(for: node) {
      if let request = try? ProtectedRequest(restoring: command.request, to: node, &contexts), request.isAgreeing {
        return true
      }
    }
    return false
  }

  /// Begins a command, or begins it again, in an envelope with `number`.
  private mutating func start(
    _ request: inout ProtectedRequest, _ command: inout EndToEndCommand, number: UInt64, anew: Bool = false,
    now: Instant
  ) throws(StoreError) {
    let message: CoAPRequest
    do { message = try request.start(anew: anew, &contexts, keep: Endpoint<Store>.keep(in: store)) } catch {
      throw StoreError(.failed, detail: error.reason.name)
    }
    try post(message, for: &command, to: request.peer, number: number, now: now)
  }

  /// Puts the next message into the outbox. What is not protected end to end does not leave.
  private mutating func post(
    _ message: CoAPRequest, for command: inout EndToEndCommand, to node: Member, number: UInt64, now: Instant
  ) throws(StoreError) {
    let encapsulated = EncapsulatedMessage(message)
    let seconds = UInt64(max(0, now.seconds))
    guard encapsulated.endToEnd != nil, let content = try? encapsulated.cbor() else { throw .abandoned }
    let draft = EnvelopeDraft(
      class: .authOnly, recipients: [.init(node)], sequence: number, issuedAt: seconds,
      lifetime: command.lastSecond - min(seconds, command.lastSecond), flags: .receiptWanted,
      content: .init(format: ContentFormats.coapMessage, bytes: content), addressForm: .short)
    var generator = SystemRandomNumberGenerator()
    guard let envelope = try? SignedEnvelope.make(draft, from: identity, using: &generator),
      case .held = try mailboxes.put(envelope.deposit(from: identity.address, accepted: now), in: outbox).outcome
    else { throw .abandoned }
    try store.setValue(Endpoint<Store>.stepKey(number), to: Array(String(command.number).utf8))
    try store.setValue(Endpoint<Store>.recipientsKey(number), to: node.address.bytes)
    command.sent = number
  }

  /// Takes what came in answer to the last envelope. `nil` if there is nothing to tell yet.
  mutating func advance(
    _ command: EndToEndCommand, to node: Member, by delivery: Endpoint<Store>.Delivery, now: Instant
  ) throws(StoreError) -> EndToEndAnswer? {
    var command = command
    guard var request = try? ProtectedRequest(restoring: command.request, to: node, &contexts) else {
      return try finish(command, node, .init(number: command.number, receipt: .rejected(.oscoreMalformed)), now: now)
    }
    let step: ProtectedRequest.Step
    if let receipt = delivery.receipt {
      // That an envelope arrived tells nothing of what the node says.
      guard receipt.outcome != .delivered else { return nil }
      // The node has lost the keys, as its gateway says; whether that is so EDHOC tells.
      guard receipt.reason == DropReason.oscoreContextUnknown.name else {
        return try finish(command, node, .init(number: command.number, receipt: receipt), now: now)
      }
      step = .failed(.oscoreContextUnknown)
    } else if let message = try? EncapsulatedMessage(parsing: delivery.content.bytes),
      let response = try? message.response()
    {
      step = request.receive(response, &contexts, keep: Endpoint<Store>.keep(in: store))
    } else {
      step = .failed(.oscoreMalformed)
    }
    let isLate = Self.isLate(command, now: now)
    switch step {
    case .response(let inner):
      let content = try? EncapsulatedMessage(inner).cbor()
      return try finish(command, node, .init(number: command.number, response: content ?? []), now: now)
    case .send, .failed:
      guard !isLate else {
        let receipt = Receipt(.expired, reason: DropReason.envelopeExpired.name)
        return try finish(command, node, .init(number: command.number, receipt: receipt), now: now)
      }
    }
    if case .send(let message) = step {
      try post(message, for: &command, to: node, number: try sequence.next(), now: now)
    } else if case .failed(let reason) = step {
      command.failures += 1
      guard command.failures <= Self.maximumFailures else {
        return try finish(command, node, .init(number: command.number, receipt: .rejected(reason)), now: now)
      }
      try start(&request, &command, number: try sequence.next(), anew: true, now: now)
    }
    try save(command, request)
    return nil
  }

  /// A command is over: the others to its node have their turn.
  private mutating func finish(
    _ command: EndToEndCommand, _ node: Member, _ answer: EndToEndAnswer, now: Instant
  ) throws(StoreError) -> EndToEndAnswer {
    try store.setValue(Endpoint<Store>.commandKey(endToEnd: command.number), to: nil)
    try forgetLate(node, now: now)
    try startWaiting(node, now: now)
    return answer
  }
}
