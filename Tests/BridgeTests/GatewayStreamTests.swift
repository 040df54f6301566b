import Bridge
import CoAP
import Envelope
import Queue
import TestSupport
import Testing
import Wire

/// Chunks of a node's stream: checked, passed on at once, never stored (DESIGN.md, "Streams").
@Suite struct GatewayStreamTests {
  let home: Home
  let key = StreamKey(stream: 7, key: [UInt8](repeating: 1, count: 16), nonce: [UInt8](repeating: 2, count: 12))

  init() throws { home = try Home() }

  private func chunk(
    _ number: UInt64 = 0, from sender: String = "occupancy", to recipients: [String] = ["owner", "phone2"],
    signedBy signer: String? = nil
  ) throws -> SignedEnvelope {
    let envelope = try key.chunk(
      number, [1, 2, 3], to: recipients.map(home.address), from: home[sender], sequence: 1,
      issuedAt: UInt64(Home.start.seconds))
    guard let signer else { return envelope }
    return try SignedEnvelope(parsing: home.sign(envelope.header, Array(envelope.payload), with: home[signer]))
  }

  @Test("A node's chunk goes to the relay as it is, and leaves nothing behind")
  func forwarded() throws {
    let store = MemoryStore()
    var gateway = try home.gateway(store)
    let held = try store.totalUsage()
    for number in 0...2 as ClosedRange<UInt64> {
      let envelope = try chunk(number)
      let answer = gateway.receive(home.post(envelope.bytes), now: Home.start)
      #expect(answer.response.code == .changed && answer.chunk == envelope.bytes && answer.events.isEmpty)
    }
    #expect(try store.totalUsage() == held)
    #expect(try gateway.outbound(limit: 10).isEmpty)
  }

  @Test("A chunk that is forged, late, for others, or in another's name is refused by name")
  func refused() throws {
    var gateway = try home.gateway(MemoryStore())
    func reason(_ envelope: SignedEnvelope, now: Instant = Home.start) -> DropReason? {
      let answer = gateway.receive(home.post(envelope.bytes), now: now)
      #expect(answer.chunk == nil && !answer.response.code.isSuccess)
      guard case .refused(let refusal) = answer.events.first else { return nil }
      return refusal.reason
    }
    #expect(reason(try chunk(signedBy: "rain")) == .coseSignatureInvalid)
    #expect(reason(try chunk(to: ["owner", "lock"])) == .envelopeNotAllowed)
    #expect(reason(try chunk(from: "owner", to: ["phone2"])) == .envelopeNotAllowed)
    #expect(reason(try chunk(from: "stranger")) == .envelopeSenderUnknown)
    #expect(reason(try chunk(), now: Home.later(3_600)) == .envelopeExpired)
    #expect(gateway.counters[.envelopeNotAllowed] == 2)
  }
}
