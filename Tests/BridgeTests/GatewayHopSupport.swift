import Bridge
import CoAP
import Crypto
import Envelope
import MemberSecurity
import OSCORE
import Queue
import TestSupport
import Testing
import Wire

/// The demo home with nodes that agree on keys with the gateway: whom the gateway vouches for, and what they send.
final class HopHome {
  let home: Home
  private(set) var record: PeerRecord
  let store = MemoryStore()
  var gateway: Gateway<MemoryStore>
  private var contexts: [String: MemberContexts] = [:]
  private var memory: [String: [Address: OSCOREDurableState]] = [:]
  private var messageID: UInt8 = 0
  var now = Home.start

  /// `change` is made to every node: by default all are vouched for, as they are.
  init(_ change: @escaping (inout Member) -> Void = { $0.traits.insert(.vouched) }) throws {
    home = try Home()
    record = try home.record(2) { record in
      for index in record.members.indices where record.members[index].roles.contains(.node) {
        change(&record.members[index])
      }
    }
    gateway = try home.gateway(store, record: record)
  }

  /// The gateway is killed and started again.
  func restartGateway() throws { gateway = try home.gateway(store, record: record) }

  /// The node loses its power, and keeps what is in its flash, or loses that too.
  func resetNode(_ node: String, keeping: Bool = true) throws {
    if !keeping { memory[node] = [:] }
    contexts[node] = MemberContexts(
      identity: try home[node], restoring: memory[node, default: [:]].map { ($0.key, $0.value) },
      random: SeededGenerator(seed: 77))
  }

  func keep(_ node: String) -> MemberContexts.Keep {
    { member, state in
      self.memory[node, default: [:]][member] = state
      return true
    }
  }

  /// A request as it comes from the radio of `radio`, in a new CoAP message.
  func received(_ request: CoAPRequest, by radio: String) throws -> NodeRequest {
    messageID += 1
    return NodeRequest(request: request, eui64: try home.radio(radio), fingerprint: [messageID])
  }

  func plain(_ request: CoAPRequest, from radio: String) throws -> NodeAnswer {
    gateway.receive(try received(request, by: radio), now: now)
  }

  /// What `node` is answered under OSCORE, with EDHOC before where it has no keys; all that the gateway did.
  func ask(
    _ content: CoAPRequest, as node: String, anew: Bool = false, radio: String? = nil
  ) throws -> (response: CoAPResponse?, events: [GatewayEvent], sent: [NodeRequest], failure: DropReason?) {
    if contexts[node] == nil { try resetNode(node) }
    let gatewayMember = try #require(record.members.first { $0.roles.contains(.gateway) })
    var request = ProtectedRequest(content, to: gatewayMember)
    var next = try request.start(anew: anew, &contexts[node]!, keep: keep(node))
    var events: [GatewayEvent] = []
    var sent: [NodeRequest] = []
    while true {
      let message = try received(next, by: radio ?? node)
      sent.append(message)
      let answer = gateway.receive(message, now: now)
      events += answer.events
      switch request.receive(answer.response, &contexts[node]!, keep: keep(node)) {
      case .send(let more): next = more
      case .response(let response): return (response, events, sent, nil)
      case .failed(let reason): return (nil, events, sent, reason)
      }
    }
  }

  /// What `node` makes of a request of the gateway, and what it answers.
  func serve(
    _ request: CoAPRequest, as node: String, answer: CoAPResponse = CoAPResponse(.changed)
  ) throws -> (asked: CoAPRequest?, response: CoAPResponse) {
    let roster = MemberRoster(record.members.filter { $0.roles.contains(.gateway) })
    switch contexts[node]!.receive(request, from: roster, now: now, keep: keep(node)) {
    case .unprotected: return (nil, CoAPResponse(.unauthorized))
    case .answered(let response, _): return (nil, response)
    case .request(let inner, let member, let exchange):
      return (inner, try contexts[node]!.protect(answer, to: member, in: exchange, keep: keep(node)))
    }
  }

  /// A new peer record comes, changed by `change`.
  func publish(_ change: (inout PeerRecord) -> Void) throws {
    record.version.epoch += 1
    change(&record)
    #expect(gateway.deliver(try home.sealed(record), now: now).custody == .taken)
  }

  func outbox() throws -> [SignedEnvelope] {
    try gateway.outbound(limit: .max).map { try SignedEnvelope(parsing: $0.bytes) }
  }

  func reading(_ text: String, tag: [UInt8]? = nil) -> CoAPRequest {
    var request = CoAPRequest(.post, path: ["e"], contentFormat: .textPlain, payload: Array(text.utf8))
    request.requestTag = tag
    return request
  }
}
