import AttackMatrix
import Bridge
import CoAP
import Envelope
import Node
import Queue
import TestSupport
import Testing
import Wire

/// An owner and a node who share keys, and what they say to each other.
final class EndToEndPair {
  private let group: MatrixGroup
  private let name: String
  var owner: Endpoint<MemoryStore>
  let node: NodeHop<EnvelopeNode>
  private var taken: UInt64 = 0
  private var answers = 0

  init(_ group: MatrixGroup, _ name: String) throws {
    self.group = group
    self.name = name
    owner = Endpoint(
      identity: try group["owner"], directory: try group.directory("owner"), oracle: try group["oracle"].public,
      relay: try group.address("relay"), store: MemoryStore(), random: SeededGenerator(seed: 32))
    node = try group.node(name, isEndToEnd: true)
    // The first command brings the keys with it.
    var next: SignedEnvelope? = try command("first")
    var isAnswered = false
    while let envelope = next {
      let answer = try self.answer(to: envelope)
      isAnswered = owner.deliver(answer.bytes, now: MatrixGroup.now).delivery?.isEndToEnd == true
      next = try outbound()
    }
    #expect(isAnswered)
  }

  private func outbound() throws -> SignedEnvelope? {
    guard let message = try owner.outbound(after: taken, limit: 1).first else { return nil }
    taken = message.number
    return try SignedEnvelope(parsing: message.bytes)
  }

  /// The envelope of a command.
  func command(_ text: String) throws -> SignedEnvelope { try give("PUT /v \(text)") }

  func give(_ text: String) throws -> SignedEnvelope {
    let command = try #require(CommandText("\(name): \(text)"))
    _ = try owner.command(command, label: text, lifetime: 60, endToEnd: true, now: MatrixGroup.now)
    return try #require(try outbound())
  }

  /// The node's answer.
  func answer(to command: SignedEnvelope) throws -> SignedEnvelope {
    _ = try node.judge(.envelope(command.bytes))
    defer { answers = node.posted.count }
    #expect(node.posted.count == answers + 1)
    return try SignedEnvelope(parsing: try #require(node.posted.last))
  }
}

extension Execution {
  /// What an attacker makes of envelopes, as far as that does not depend on what is in them; the last is judged. `nil` for
  /// the rest.
  private func attacked(
    _ first: SignedEnvelope, _ second: SignedEnvelope, from sender: String
  ) throws -> [Message]? {
    func message(_ envelope: SignedEnvelope) -> Message { .envelope(envelope.bytes) }
    func sign(_ header: EnvelopeHeader? = nil, _ payload: [UInt8]? = nil, by signer: String) throws -> Message {
      .envelope(try group.sign(header ?? first.header, payload ?? Array(first.payload), by: signer))
    }
    func changed(_ change: (inout EnvelopeHeader) throws -> Void) throws -> EnvelopeHeader {
      var header = first.header
      try change(&header)
      return header
    }
    switch attack {
    case .none, .revokedSender, .revokedGateway: return try removals(sender: sender) + [message(first)]
    case .forge: return [try sign(by: "guest")]
    // Both go by short addresses anyway.
    case .shortAddressCollision: return [try sign(by: "stranger")]
    case .relayCompromised: return [try sign(by: "relay")]
    case .replay: return [message(first), message(first)]
    case .reorder: return [message(second), message(first)]
    case .malleatedSignature: return [message(first), .envelope(malleated(first.bytes))]
    case .stripEncryption:
      let plain = try Traffic.command(group, to: "lock").contents[0].bytes
      return [try sign(nil, plain, by: sender)]
    case .downgradeClass: return [try sign(changed { $0.class = .noConsequence }, by: sender)]
    case .expired:
      let header = try changed { header in
        (header.issuedAt, header.lifetime) = (UInt64(MatrixGroup.now.seconds) - 100, 60)
      }
      return [try sign(header, by: sender)]
    case .staleEpoch: return try staleRecords()
    case .resignCiphertext, .wrongRecipient, .nonceReuse, .gatewayCompromised: return nil
    }
  }

  // MARK: Down

  func commandEndToEnd() throws -> AttackMatrix.Verdict {
    let pair = try EndToEndPair(group, node)
    let (first, second) = (try pair.command("one"), try pair.command("two"))
    var client = attack == .revokedGateway ? "gateway" : "owner"
    let messages: [Message]
    if let attacked = try attacked(first, second, from: "owner") {
      messages = attacked
    } else {
      var header = first.header
      switch attack {
      // Under a number of its own, but with the Partial IV of the first.
      case .nonceReuse: header.sequence += 1_000
      case .resignCiphertext: client = "phone"
      case .wrongRecipient: client = "guest"
      case .gatewayCompromised: client = "gateway"
      default: throw unexecutable
      }
      header.sender = .short(try group.address(client).short)
      let again = Message.envelope(try group.sign(header, Array(first.payload), by: client))
      messages = attack == .nonceReuse ? [.envelope(first.bytes), again] : [again]
    }
    switch hop {
    case .relay: return try last(messages, at: RelayHop(group, client: client))
    case .gateway: return try last(messages, at: GatewayHop(group, .down, node: node))
    case .node where attack == .revokedSender:
      return try last([.envelope(first.bytes)], at: group.node(node, group.removing("owner"), isEndToEnd: true))
    case .node: return try last(messages.filter { if case .record = $0 { false } else { true } }, at: pair.node)
    case .reader: throw unexecutable
    }
  }

  // MARK: Up

  func answerEndToEnd() throws -> AttackMatrix.Verdict {
    let pair = try EndToEndPair(group, node)
    let commands = [try pair.command("one"), try pair.command("two")]
    let answers = try commands.map { try pair.answer(to: $0) }
    let first = answers[0]
    var reader = ReaderHop(group, "owner", pair.owner)
    let messages: [Message]
    if let attacked = try attacked(first, answers[1], from: node) {
      messages = attacked
    } else {
      var (header, signer, payload) = (first.header, node, Array(first.payload))
      switch attack {
      // The same number with another answer.
      case .nonceReuse: payload = Array(answers[1].payload)
      case .resignCiphertext: signer = node == "presence" ? "presence2" : node == "lock" ? "meter" : "lock"
      case .wrongRecipient:
        header.recipients = [.short(try group.address("guest").short)]
        reader = try ReaderHop(group, "guest")
      case .gatewayCompromised:
        signer = "gateway"
        header.extensions.onBehalfOf = .full(try group.address(node))
        payload[payload.count - 1] ^= 1
      default: throw unexecutable
      }
      header.sender = .short(try group.address(signer).short)
      let other = Message.envelope(try group.sign(header, payload, by: signer))
      messages = attack == .nonceReuse ? [.envelope(first.bytes), other] : [other]
    }
    return hop == .reader ? try last(messages, at: reader) : try judgeUp(messages)
  }
}
