import IEEE802154
import IPv6
import SixLoWPAN
import TestSupport
import Testing
import Wire

@Suite struct FragmenterTests {
  static func payloads(
    _ packet: [UInt8], room: Int, link: LowpanLink = Reception.link(1), tag: UInt16 = 7
  ) throws(EmitError) -> [[UInt8]] {
    try Fragmenter(room: room, link: link).payloads(
      of: packet.rawSpan, contexts: ContextTable(), now: Headers.now, tag: tag)
  }

  @Test("Fragments in any order give the packet again (RFC 4944, 5.3)", arguments: 40...110)
  func anyOrder(_ room: Int) throws {
    var random = SeededGenerator(seed: UInt64(room))
    let reception = Reception()
    for tag in UInt16(0)..<40 {
      let packet = try Reception.packet(Int.random(in: 48...1_280, using: &random), fill: UInt8(tag))
      let payloads = try Self.payloads(packet, room: room, tag: tag).shuffled(using: &random)
      for (index, payload) in payloads.enumerated() {
        #expect(payload.count <= room)
        let outcome = reception.take(payload)
        #expect(outcome == (index == payloads.count - 1 ? .packet(packet) : .incomplete))
      }
    }
    #expect(reception.count == 0)
  }

  @Test("Fragments of many packets mixed with each other give all packets")
  func interleaved() throws {
    var random = SeededGenerator(seed: 1)
    let reception = Reception()
    var payloads: [(UInt64, [UInt8])] = []
    var packets: [[UInt8]] = []
    for node in UInt64(1)...50 {
      let packet = try Reception.packet(400 + Int(node), fill: UInt8(node))
      packets.append(packet)
      payloads += try Self.payloads(packet, room: 80, link: Reception.link(node)).map { (node, $0) }
    }
    var completed: [[UInt8]] = []
    for (node, payload) in payloads.shuffled(using: &random) {
      switch reception.take(payload, from: Reception.link(node)) {
      case .packet(let packet): completed.append(packet)
      case let other: #expect(other == .incomplete)
      }
    }
    #expect(completed.count == packets.count)
    #expect(Set(completed) == Set(packets))
  }

  @Test("What fits in one frame is not cut")
  func single() throws {
    let packet = try Reception.packet(120)
    let payloads = try Self.payloads(packet, room: 110)
    #expect(payloads.count == 1)
    #expect(payloads[0][0] & 0xe0 == 0x60)
  }

  @Test("Without room for 8 bytes, and over 2,047 bytes, there are no fragments")
  func refused() throws {
    #expect(throws: EmitError.noRoom) { try Self.payloads(Reception.packet(200), room: 12) }
    #expect(throws: EmitError.noRoom) { try Self.payloads(Reception.packet(200), room: 0) }
    #expect(throws: EmitError.noRoom) { try Self.payloads(Reception.packet(200), room: -1) }
    #expect(throws: EmitError.notRepresentable) { try Self.payloads(Reception.packet(2_048), room: 100) }
    let largest = try Reception.packet(2_047)
    let reception = Reception()
    #expect(try Self.payloads(largest, room: 100).map { reception.take($0) }.last == .packet(largest))
  }
}
