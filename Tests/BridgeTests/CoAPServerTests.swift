import Bridge
import CoAP
import Crypto
import Envelope
import MemberSecurity
import Queue
import Testing
import Wire

/// RFC 9528, RFC 9668 and RFC 8613 with aiocoap and lakers: an unmodified server that is commanded end to end.
@Suite(.enabled(if: CoAPServerProcess.python != nil, "PANGATE_PYTHON names no interpreter"))
struct CoAPServerTests {
  @Test(
    "An aiocoap server behind the gateway is commanded end to end by an owner",
    arguments: [
      EnvelopeClass.confidential, .authOnly,
    ])
  func aiocoap(protection: EnvelopeClass) throws {
    let served = try ServedHome { member in
      member.class = protection
      member.traits = protection == .confidential ? [.coapServer] : [.coapServer, .vouched]
    }
    let home = served.home
    let directory = try PeerDirectory(served.record)
    let server = try CoAPServerProcess(
      try home["thermostat"], peers: [try #require(directory.member(named: "owner"))])
    let store = MemoryStore()
    var gateway = try served.gateway(store)
    let memory = MemoryStore()
    var (sent, received): (UInt64, UInt64) = (0, 0)
    var deliveries: [Endpoint<MemoryStore>.Delivery] = []
    var readable: [[UInt8]] = []
    func owner() throws -> Endpoint<MemoryStore> {
      Endpoint(
        identity: try home["owner"], directory: directory, relay: try home.address("relay"), store: memory)
    }
    for text in ["thermostat: PUT /light bright", "thermostat: GET /light"] {
      _ = try owner().say(text)
      for _ in 0..<4 {
        // The owner's process ends after each step.
        for held in try owner().outbound(after: sent, limit: .max) {
          sent = held.number
          readable.append(held.bytes)
          #expect(gateway.deliver(held.bytes, now: Home.start).custody == .taken)
        }
        let node = try #require(gateway.nodes.first { $0.name == "thermostat" })
        while let exchange = try gateway.nextExchange(with: node, now: Home.start).exchange {
          _ = try gateway.finish(exchange, with: try server.exchange(exchange.request), now: Home.start)
        }
        for held in try gateway.outbound(after: received, limit: .max) {
          received = held.number
          readable.append(held.bytes)
          var owner = try owner()
          if let delivery = owner.deliver(held.bytes, now: Home.start).delivery { deliveries.append(delivery) }
        }
      }
    }
    let responses = try deliveries.map { try EncapsulatedMessage(parsing: $0.content.bytes).response() }
    #expect(responses.map(\.code) == [.changed, .content])
    #expect(responses.last?.payload == Array("bright".utf8))
    #expect(deliveries.allSatisfy { $0.isEndToEnd && $0.from == "thermostat" })
    // message_1 and message_2, the command with message_3 and its answer, the question and its answer.
    #expect(readable.count == 6)
    let envelopes = try readable.map { try SignedEnvelope(parsing: $0) }
    #expect(envelopes.allSatisfy { $0.header.class == .authOnly && $0.endToEnd != nil })
  }
}

extension Endpoint {
  fileprivate consuming func say(_ text: String) throws -> UInt64? {
    var endpoint = self
    return try endpoint.command(
      try #require(CommandText(text)), label: text, lifetime: 600, endToEnd: true, now: Home.start)
  }
}
