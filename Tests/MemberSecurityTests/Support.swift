import CoAP
import Crypto
import Envelope
import MemberSecurity
import OSCORE
import TestSupport
import Wire

/// Two members of a group who know each other from the peer record.
struct Pair {
  static let start = Instant(seconds: 1_767_225_600)
  let gateway: Identity
  let node: Identity
  let other: Identity

  init() throws {
    var generator = SeededGenerator(seed: 5)
    func identity(_ name: String) throws -> Identity {
      try Identity.new(name: name, validFrom: Self.start, using: &generator)
    }
    gateway = try identity("gateway")
    node = try identity("node")
    other = try identity("other")
  }

  static func member(_ identity: Identity, _ roles: Roles = .node) -> Member {
    Member(
      identity: identity.public, agreementKey: identity.agreementKey.publicKey, class: .authOnly, roles: roles,
      name: identity.name)
  }
}

/// One member's contexts and what it keeps on disk.
final class Party {
  let identity: Identity
  let limits: MemberSecurityLimits
  private(set) var kept: [Address: OSCOREDurableState] = [:]
  /// Whether the disk is full.
  var isBroken = false
  var contexts: MemberContexts
  var roster: MemberRoster
  var now = Pair.start

  init(_ identity: Identity, knows members: [Identity], seed: UInt64, limits: MemberSecurityLimits = .init()) {
    self.identity = identity
    self.limits = limits
    roster = MemberRoster(members.map { Pair.member($0) })
    contexts = MemberContexts(identity: identity, limits: limits, random: SeededGenerator(seed: seed))
  }

  func keep(_ member: Address, _ state: OSCOREDurableState?) -> Bool {
    guard !isBroken else { return false }
    kept[member] = state
    return true
  }

  /// The process ends and begins again with what was kept.
  func restart(seed: UInt64) {
    contexts = MemberContexts(
      identity: identity, limits: limits, restoring: kept.map { ($0.key, $0.value) },
      random: SeededGenerator(seed: seed))
  }

  /// Serves a request: what is answered, and what was asked if somebody proved to have asked it.
  func serve(_ request: CoAPRequest) throws -> (CoAPResponse, asked: CoAPRequest?, reason: DropReason?) {
    switch contexts.receive(request, from: roster, now: now, keep: keep) {
    case .unprotected: return (CoAPResponse(.unauthorized), nil, .oscoreUnprotected)
    case .answered(let response, let reason): return (response, nil, reason)
    case .request(let inner, let member, let exchange):
      let answer = CoAPResponse(.content, payload: inner.payload + [0xff])
      return (try contexts.protect(answer, to: member, in: exchange, keep: keep), inner, nil)
    }
  }

  func start(_ request: inout ProtectedRequest, anew: Bool = false) throws -> CoAPRequest {
    try request.start(anew: anew, &contexts, keep: keep)
  }

  /// Asks `server` and goes on until there is an answer; what went over the air.
  func ask(
    _ content: CoAPRequest, of server: Party, anew: Bool = false, method: EDHOCMethod = .staticDH
  ) throws -> (answer: CoAPResponse?, sent: [CoAPRequest], failure: DropReason?) {
    var request = ProtectedRequest(content, to: Pair.member(server.identity), method: method)
    var next = try start(&request, anew: anew)
    var sent: [CoAPRequest] = []
    while true {
      sent.append(next)
      switch request.receive(try server.serve(next).0, &contexts, keep: keep) {
      case .send(let more): next = more
      case .response(let answer): return (answer, sent, nil)
      case .failed(let reason): return (nil, sent, reason)
      }
    }
  }
}

extension CoAPRequest {
  static func reading(_ payload: [UInt8]) -> CoAPRequest { CoAPRequest(.post, path: ["e"], payload: payload) }
}
