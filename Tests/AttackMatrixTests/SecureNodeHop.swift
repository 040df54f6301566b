import AttackMatrix
import BorderRouter
import CoAP
import Envelope
import IEEE802154
import IPv6
import MemberSecurity
import Node
import OSCORE
import SixLoWPAN
import TestSupport
import Testing
import Wire

/// A CoAP server with its whole stack, which shares keys with its gateway, and what comes to it by radio.
final class SecureNodeHop {
  private static let pan = PANIdentifier(0xabcd)
  private static let radio = ExtendedAddress(0x0212_4b00_0000_0003)

  private let group: MatrixGroup
  private let name: String
  private var device: Device<CoAPServerNode>
  private var stack: PANStack
  private var now = MatrixGroup.now
  /// The gateway's contexts: a value, so that a copy is a gateway that has forgotten what came after.
  var contexts: MemberContexts
  private var events: [DeviceEvent] = []
  private var responses: [CoAPResponse] = []

  /// It agrees on keys, unless it `knows` nobody.
  init(_ group: MatrixGroup, _ name: String, hasKeys: Bool = true) throws {
    self.group = group
    self.name = name
    let prefix = IPv6Prefix(IPv6Address(high: 0xfd00_0001_0000_0000, low: 0), length: 64)
    let border = PANConfiguration(
      panID: Self.pan, extendedAddress: ExtendedAddress(0x0270_616e_6700_0001), shortAddress: ShortAddress(0),
      prefix: prefix)
    stack = PANStack(configuration: border, random: SeededGenerator(seed: 1))
    contexts = MemberContexts(identity: try group["gateway"], random: SeededGenerator(seed: 21))
    let security = NodeSecurityConfiguration(identity: try group[name], gateway: try group.member("gateway"))
    device = Device(
      stack: NodeStack(
        configuration: NodeConfiguration(extendedAddress: Self.radio, panID: Self.pan, channel: 15),
        security: NodeSecurity(security, random: SeededGenerator(seed: 22)), random: SeededGenerator(seed: 23)),
      behavior: CoAPServerNode(endpointName: hasKeys ? name : nil))
    device.start(now: now)
    run(.seconds(5))
    #expect(contexts.hasContext(with: try group.address(name)) == hasKeys)
  }

  static func keep(_ member: Address, _ state: OSCOREDurableState?) -> Bool { true }

  /// A command as the gateway sends it.
  func command(_ text: String) throws -> CoAPRequest {
    let request = CoAPRequest(.put, path: ["v"], payload: Array(text.utf8))
    return try contexts.protect(request, to: try group.address(name), keep: Self.keep).request
  }

  /// What the node makes of a request.
  func judge(_ request: CoAPRequest) -> AttackMatrix.Verdict {
    let before = device.stack.counters
    events.removeAll()
    _ = stack.request(request, to: Self.radio, now: now)
    run(.seconds(2))
    for case .served in events { return .accepts }
    let dropped = DropReason.allCases.first { device.stack.counters[$0] > before[$0] }
    return dropped.map { .refuses($0) } ?? .unreached
  }

  /// What the node makes of one who wants to agree on keys in the gateway's name.
  func judge(handshakeOf identity: Identity) throws -> AttackMatrix.Verdict {
    var strange = MemberContexts(identity: identity, random: SeededGenerator(seed: 24))
    var request = ProtectedRequest(CoAPRequest(.put, path: ["v"], payload: [0x31]), to: try group.member(name))
    var next = try request.start(anew: true, &strange, keep: Self.keep)
    while true {
      responses.removeAll()
      let verdict = judge(next)
      guard verdict == .unreached, let response = responses.first,
        case .send(let more) = request.receive(response, &strange, keep: Self.keep)
      else { return verdict }
      next = more
    }
  }

  private func answer(_ request: CoAPRequest) throws -> CoAPResponse {
    let roster = MemberRoster([try group.member(name)])
    switch contexts.receive(request, from: roster, now: now, keep: Self.keep) {
    case .unprotected: return CoAPResponse(.unauthorized)
    case .answered(let response, _): return response
    case .request(_, let member, let exchange):
      return try contexts.protect(CoAPResponse(.created), to: member, in: exchange, keep: Self.keep)
    }
  }

  private func run(_ span: Duration) {
    let end = now.advanced(by: span)
    settle()
    while let due = [stack.nextTimeout, device.nextTimeout].compactMap({ $0 }).min(), due <= end {
      now = max(now, due)
      stack.timeout(at: now)
      device.timeout(at: now)
      settle()
    }
    now = end
  }

  private func settle() {
    let metadata = FrameMetadata(timestamp: now, fcsPresent: false)
    while true {
      let (frames, others, happened) = (device.takeTransmissions(), stack.takeTransmissions(), stack.takeEvents())
      if frames.isEmpty, others.isEmpty, happened.isEmpty { break }
      for frame in frames {
        stack.receive(frame.rawSpan, metadata: metadata)
        device.transmitted(.acknowledged(framePending: false), now: now)
      }
      for frame in others { device.receive(frame.rawSpan, metadata: metadata) }
      for event in happened {
        switch event {
        case .request(let exchange, let request):
          if let response = try? answer(request.request) { stack.respond(to: exchange, with: response, now: now) }
        case .response(_, let response): responses.append(response)
        default: break
        }
      }
    }
    events += device.takeEvents()
  }
}

extension Execution {
  /// What a node makes of what comes in its gateway's name over OSCORE.
  func commandAtNode() throws -> AttackMatrix.Verdict {
    let side = try SecureNodeHop(group, node, hasKeys: attack != .wrongRecipient)
    func accept(_ request: CoAPRequest) throws {
      guard side.judge(request) == .accepts else { throw MatrixError.notExecutable(channel, attack, hop) }
    }
    switch attack {
    case .none, .expired, .revokedGateway, .gatewayCompromised: return side.judge(try side.command("1"))
    case .forge:
      var request = try side.command("1")
      request.payload[request.payload.count - 1] ^= 1
      return side.judge(request)
    case .replay:
      let request = try side.command("1")
      try accept(request)
      return side.judge(request)
    case .reorder:
      let (first, second) = (try side.command("1"), try side.command("2"))
      try accept(second)
      return side.judge(first)
    case .stripEncryption, .downgradeClass: return side.judge(CoAPRequest(.put, path: ["v"], payload: [0x31]))
    case .resignCiphertext:
      let other = try SecureNodeHop(group, node == "lamp" ? "valve" : "lamp")
      var request = try side.command("1")
      request.payload = try other.command("1").payload
      return side.judge(request)
    case .wrongRecipient: return side.judge(try SecureNodeHop(group, node).command("1"))
    case .shortAddressCollision: return try side.judge(handshakeOf: group.twin(of: "gateway"))
    case .nonceReuse:
      let forgetful = side.contexts
      try accept(try side.command("1"))
      side.contexts = forgetful
      return side.judge(try side.command("2"))
    case .revokedSender, .staleEpoch, .malleatedSignature, .relayCompromised:
      throw MatrixError.notExecutable(channel, attack, hop)
    }
  }
}
