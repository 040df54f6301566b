import AttackMatrix
import Bridge
import CoAP
import Envelope
import MemberSecurity
import OSCORE
import Queue
import TestSupport
import Testing
import Wire

/// A node that shares keys with its gateway, and the gateway.
struct SecureGateway: Judge {
  let group: MatrixGroup
  let name: String
  private(set) var hop: GatewayHop
  /// The node's contexts: a value, so that a copy is a node that has forgotten what came after.
  var contexts: MemberContexts

  /// Agrees on keys unless `isStranger`.
  init(
    _ group: MatrixGroup, _ name: String, direction: AttackMatrix.Direction = .up, isStranger: Bool = false
  ) throws {
    self.group = group
    self.name = name
    hop = try GatewayHop(group, direction, node: name)
    contexts = MemberContexts(identity: try group[name], random: SeededGenerator(seed: 11))
    if !isStranger { #expect(try agree() == nil) }
  }

  /// Asks for nothing but keys, by EDHOC; why there are none, if so.
  mutating func agree() throws -> DropReason? {
    var request = ProtectedRequest(
      CoAPRequest(.get, path: [".well-known", "core"]), to: try group.member("gateway"))
    var next = try request.start(anew: true, &contexts, keep: Self.keep)
    while true {
      let answer = hop.receive(next)
      for case .refused(let refusal) in answer.events { return refusal.reason }
      switch request.receive(answer.response, &contexts, keep: Self.keep) {
      case .send(let more): next = more
      case .response: return nil
      case .failed(let reason): return reason
      }
    }
  }

  static func keep(_ member: Address, _ state: OSCOREDurableState?) -> Bool { true }

  /// A reading as it goes over the air.
  mutating func reading(_ text: String) throws -> CoAPRequest {
    var request = CoAPRequest(.post, path: ["e"], contentFormat: .senMLCBOR, payload: Array(text.utf8))
    request.requestTag = Array(text.utf8)
    return try contexts.protect(request, to: try group.address("gateway"), keep: Self.keep).request
  }

  mutating func judge(_ request: CoAPRequest) -> AttackMatrix.Verdict { GatewayHop.verdict(hop.receive(request)) }

  mutating func judge(_ message: Message) throws -> AttackMatrix.Verdict { try hop.judge(message) }
}

extension MatrixGroup {
  /// Somebody with the address of a member, as far as short addresses tell, and other keys.
  func twin(of name: String) throws -> Identity {
    try #require(
      Identity(self[name].public, signingKey: self[name].signingKey, agreementKey: self["stranger"].agreementKey))
  }
}

extension Execution {
  /// What a gateway makes of what comes in a node's name over OSCORE.
  func readingAtGateway() throws -> AttackMatrix.Verdict {
    var side = try SecureGateway(group, node, isStranger: attack == .wrongRecipient)
    func accept(_ request: CoAPRequest) throws {
      guard side.judge(request) == .accepts else { throw MatrixError.notExecutable(channel, attack, hop) }
    }
    switch attack {
    // Whoever holds it back gives it as it is.
    case .none, .expired: return side.judge(try side.reading("1"))
    case .forge:
      var request = try side.reading("1")
      request.payload[request.payload.count - 1] ^= 1
      return side.judge(request)
    case .replay:
      let request = try side.reading("1")
      try accept(request)
      return side.judge(request)
    case .reorder:
      let (first, second) = (try side.reading("1"), try side.reading("2"))
      try accept(second)
      return side.judge(first)
    case .stripEncryption, .downgradeClass:
      return side.judge(CoAPRequest(.post, path: ["e"], contentFormat: .senMLCBOR, payload: [0x31]))
    case .resignCiphertext:
      var other = try SecureGateway(group, "thermo2")
      var request = try side.reading("1")
      request.payload = try other.reading("1").payload
      return side.judge(request)
    case .wrongRecipient:
      // A message for another gateway, with which this node has its keys.
      var other = try SecureGateway(group, node)
      return side.judge(try other.reading("1"))
    case .revokedSender:
      guard try side.judge(.record(group.removing(node), sequence: 2)) == .accepts else { return .unreached }
      return side.judge(try side.reading("1"))
    case .shortAddressCollision:
      side.contexts = MemberContexts(identity: try group.twin(of: node), random: SeededGenerator(seed: 12))
      return try side.agree().map { .refuses($0) } ?? .accepts
    case .nonceReuse:
      let forgetful = side.contexts
      try accept(try side.reading("1"))
      side.contexts = forgetful
      return side.judge(try side.reading("2"))
    case .staleEpoch, .malleatedSignature, .revokedGateway, .gatewayCompromised, .relayCompromised:
      throw MatrixError.notExecutable(channel, attack, hop)
    }
  }
}
