import AttackMatrix
import CoAP
import Envelope
import Wire

/// Executes a cell at one of its hops.
struct Execution {
  let group: MatrixGroup
  let channel: AttackMatrix.Channel
  let attack: AttackMatrix.Attack
  let hop: AttackMatrix.Hop

  func verdict() throws -> AttackMatrix.Verdict {
    switch (channel.path, channel.direction) {
    case (.nodeSigned, .up) where channel.protection == .stream: try stream()
    case (.nodeSigned, .up): try signedUp()
    case (.nodeSigned, .down): try signedDown()
    case (.plain, .up): try plainUp()
    case (.plain, .down): try plainDown()
    case (.vouched, .up): try vouchedUp()
    case (.vouched, .down): try vouchedDown()
    case (.endToEnd, .up): try answerEndToEnd()
    case (.endToEnd, .down): try commandEndToEnd()
    }
  }

  var unexecutable: MatrixError { .notExecutable(channel, attack, hop) }

  /// The verdict on the last message.
  func last(_ messages: [Message], at judge: some Judge) throws -> AttackMatrix.Verdict {
    var judge = judge
    var verdict = AttackMatrix.Verdict.unreached
    for (index, message) in messages.enumerated() {
      verdict = try judge.judge(message)
      // What comes before an attack is genuine, or the attack would show nothing.
      guard index == messages.count - 1 || verdict == .accepts else { throw unexecutable }
    }
    return verdict
  }

  private func removing(_ name: String) throws -> Message { .record(try group.removing(name), sequence: 2) }

  /// An old record after a newer one.
  func staleRecords() throws -> [Message] { [try removing("guest"), .record(group.oracle, sequence: 3)] }

  /// What is told before the message, for attacks by those who were removed.
  func removals(sender: String) throws -> [Message] {
    switch attack {
    case .revokedSender: [try removing(sender)]
    case .revokedGateway: [try removing("gateway")]
    default: []
    }
  }

  var node: String {
    switch (channel.path, channel.direction, channel.protection) {
    case (.plain, .up, .noConsequence), (.vouched, .up, .noConsequence): "rain"
    case (.vouched, .up, .authOnly): "thermo"
    case (.plain, .down, .noConsequence), (.vouched, .down, .noConsequence): "lamp"
    case (.plain, .down, _), (.vouched, .down, _): "valve"
    case (_, _, .noConsequence): "meter"
    case (_, _, .confidential): "presence"
    default: "lock"
    }
  }

  // MARK: Up

  func judgeUp(_ messages: [Message], reader: String = "owner") throws -> AttackMatrix.Verdict {
    switch hop {
    case .gateway: try last(messages, at: GatewayHop(group, .up, node: node))
    case .relay: try last(messages, at: RelayHop(group, client: "gateway"))
    case .reader: try last(messages, at: ReaderHop(group, reader))
    case .node: throw unexecutable
    }
  }

  private func signedUp() throws -> AttackMatrix.Verdict {
    let report = try Traffic.report(group, of: node)
    switch attack {
    case .staleEpoch: return try judgeUp(staleRecords())
    case .resignCiphertext: return try judgeUp([report.resigned(by: "presence2")])
    case .wrongRecipient:
      var misdirected = report
      misdirected.recipient = "guest"
      return try judgeUp([.envelope(try misdirected.genuine().bytes)], reader: "guest")
    case .gatewayCompromised: return try judgeUp([.envelope(try Traffic.vouched(group, for: node).genuine().bytes)])
    default:
      guard let messages = try report.messages(attack) else { throw unexecutable }
      return try judgeUp(removals(sender: node) + messages)
    }
  }

  private func plainUp() throws -> AttackMatrix.Verdict {
    if attack == .staleEpoch { return try judgeUp(staleRecords()) }
    guard hop != .gateway else { return try judgeUp(removals(sender: node) + plainMessages()) }
    return try vouchedEnvelopes()
  }

  private func vouchedUp() throws -> AttackMatrix.Verdict {
    if attack == .staleEpoch { return try judgeUp(staleRecords()) }
    return hop == .gateway ? try readingAtGateway() : try vouchedEnvelopes()
  }

  /// What the gateway signs for a node, at the relay or at a reader.
  private func vouchedEnvelopes() throws -> AttackMatrix.Verdict {
    var vouched = try Traffic.vouched(group, for: node)
    switch attack {
    case .wrongRecipient:
      vouched.recipient = "guest"
      return try judgeUp([.envelope(try vouched.genuine().bytes)], reader: "guest")
    case .gatewayCompromised: return try judgeUp([.envelope(try vouched.genuine(content: 1).bytes)])
    // What was forged on the radio is signed by the gateway as all it hears.
    case .forge where channel.path == .plain:
      return try judgeUp([.envelope(try vouched.genuine(content: 1).bytes)])
    default:
      guard let messages = try vouched.messages(attack) else { throw unexecutable }
      return try judgeUp(removals(sender: node) + messages)
    }
  }

  /// What comes by radio, or to a server; the attacker has the radio address that it wants.
  private func plainMessages() -> [Message] {
    let (first, second) = (Message.plain([0x31], id: 1), Message.plain([0x32], id: 2))
    let isRefused = channel.direction == .up && channel.protection != .noConsequence
    switch attack {
    case .forge: return [second]
    case .replay where !isRefused: return [first, first]
    case .reorder where !isRefused: return [second, first]
    case .nonceReuse: return [first, .restart, second]
    default: return [first]
    }
  }

  // MARK: Down

  private func judgeDown(_ messages: [Message], client: String = "owner") throws -> AttackMatrix.Verdict {
    switch hop {
    case .relay: return try last(messages, at: RelayHop(group, client: client))
    case .gateway where channel.path == .vouched:
      return try last(messages, at: SecureGateway(group, node, direction: .down))
    case .gateway: return try last(messages, at: GatewayHop(group, .down, node: node))
    case .node:
      // A node is told whom it obeys; it sees no records.
      let told = messages.filter { if case .record = $0 { false } else { true } }
      if channel.path == .plain {
        guard channel.protection == .authOnly else { return try last(told, at: group.server()) }
        return try SecureNodeHop(group, node).judge(CoAPRequest(.put, path: ["v"], payload: [0x31]))
      }
      let oracle = attack == .revokedSender ? try group.removing("owner") : group.oracle
      return try last(told, at: group.node(node, oracle))
    case .reader: throw unexecutable
    }
  }

  private func signedDown() throws -> AttackMatrix.Verdict {
    if channel.protection == .stream { return try judgeDown([.envelope(chunk(0, from: "owner", to: "lock").bytes)]) }
    return try judgeDown(commands())
  }

  private func plainDown() throws -> AttackMatrix.Verdict {
    hop == .node ? try judgeDown(plainMessages()) : try judgeDown(commands())
  }

  private func vouchedDown() throws -> AttackMatrix.Verdict {
    hop == .node ? try commandAtNode() : try judgeDown(commands())
  }

  private func judgeDown(_ commands: (client: String, messages: [Message])) throws -> AttackMatrix.Verdict {
    try judgeDown(commands.messages, client: commands.client)
  }

  private func commands() throws -> (client: String, messages: [Message]) {
    let command = try Traffic.command(group, to: node)
    switch attack {
    case .staleEpoch: return ("owner", try staleRecords())
    case .resignCiphertext: return ("phone", [try command.resigned(by: "phone")])
    case .wrongRecipient:
      return ("guest", [.envelope(try Traffic.command(group, to: node, from: "guest").genuine().bytes)])
    case .gatewayCompromised:
      return ("gateway", [.envelope(try Traffic.command(group, to: node, from: "gateway").genuine().bytes)])
    default:
      guard let messages = try command.messages(attack) else { throw unexecutable }
      return (attack == .revokedGateway ? "gateway" : "owner", try removals(sender: "owner") + messages)
    }
  }

  // MARK: Streams

  private static let key = StreamKey(stream: 7, key: [UInt8](0..<16), nonce: [UInt8](0..<12))

  private func chunk(
    _ number: UInt64, from sender: String, to recipient: String, text: String = "picture", age: Int64 = 0
  ) throws -> SignedEnvelope {
    try Self.key.chunk(
      number, Array(text.utf8), to: [try group.address(recipient)], from: try group[sender], sequence: 1,
      issuedAt: UInt64(MatrixGroup.now.seconds - age))
  }

  private func stream() throws -> AttackMatrix.Verdict {
    guard hop != .gateway else { return try judgeUp([.envelope(chunk(0, from: "lock", to: "owner").bytes)]) }
    let open = try group.envelope(
      "camera", to: "phone", 1, class: .confidential,
      .init(format: ContentFormats.streamKey, bytes: try Self.key.cbor()))
    let first = try chunk(0, from: "camera", to: "phone")
    var messages: [Message] = [.envelope(open.bytes)]
    var (client, reader) = ("camera", "phone")
    func sign(_ payload: [UInt8]? = nil, by signer: String, _ header: EnvelopeHeader? = nil) throws -> Message {
      .envelope(try group.sign(header ?? first.header, payload ?? Array(first.payload), by: signer))
    }
    switch attack {
    case .none: messages.append(.envelope(first.bytes))
    case .forge: messages.append(try sign(by: "guest"))
    case .shortAddressCollision: messages.append(try sign(by: "stranger"))
    case .relayCompromised: messages.append(try sign(by: "relay"))
    case .replay: messages += [.envelope(first.bytes), .envelope(first.bytes)]
    case .malleatedSignature: messages += [.envelope(first.bytes), .envelope(malleated(first.bytes))]
    case .nonceReuse:
      messages += [.envelope(first.bytes), .envelope(try chunk(0, from: "camera", to: "phone", text: "other").bytes)]
    case .reorder:
      messages += [.envelope(try chunk(1, from: "camera", to: "phone").bytes), .envelope(first.bytes)]
    case .stripEncryption: messages.append(try sign(Array("a readable picture".utf8), by: "camera"))
    case .resignCiphertext:
      var header = first.header
      header.sender = .short(try group.address("owner").short)
      client = "owner"
      messages = [messages[0], try sign(by: "owner", header)]
    case .downgradeClass:
      let readable = try group.envelope(
        "camera", to: "phone", 2, class: .authOnly,
        .init(format: ContentFormats.streamKey, bytes: try Self.key.cbor()))
      messages = [.envelope(readable.bytes)]
    case .wrongRecipient:
      reader = "guest"
      messages = [.envelope(try chunk(0, from: "camera", to: "guest").bytes)]
    case .expired: messages.append(.envelope(try chunk(0, from: "camera", to: "phone", age: 100).bytes))
    case .revokedSender: messages += [try removing("camera"), .envelope(first.bytes)]
    case .staleEpoch: messages = try staleRecords()
    case .revokedGateway, .gatewayCompromised: throw unexecutable
    }
    if hop == .reader { return try last(messages, at: ReaderHop(group, reader)) }
    // The relay sees the key's envelope as any other, from its own session.
    return try last(
      client == "camera" ? messages : [messages[1]], at: RelayHop(group, client: client, passesChunks: true))
  }
}
