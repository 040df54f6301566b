import IPv6
import TestSupport
import Testing
import Wire

/// Round trip through bytes, at the announced length.
func expectTwins<T: WireValue & Equatable>(_ value: T, sourceLocation: SourceLocation = #_sourceLocation) throws {
  let bytes = try value.encoded()
  #expect(bytes.count == value.encodedLength, sourceLocation: sourceLocation)
  #expect(try T(parsing: bytes) == value, sourceLocation: sourceLocation)
  for length in 0..<bytes.count {
    #expect(throws: ParseError.self, sourceLocation: sourceLocation) {
      try T(parsing: Array(bytes.prefix(length)))
    }
  }
  #expect(throws: EmitError.noRoom, sourceLocation: sourceLocation) {
    try withWriter(capacity: bytes.count - 1) { (writer) throws(EmitError) in try value.emit(into: &writer) }
  }
}

func reason(_ body: () throws -> Void) -> DropReason? {
  do {
    try body()
    return nil
  } catch { return (error as? ParseError)?.reason }
}

extension SeededGenerator {
  mutating func address() -> IPv6Address { IPv6Address(high: next(), low: next()) }
  mutating func unicast() -> IPv6Address { IPv6Address(high: 0xfd << 56 | next() >> 8, low: next()) }
  mutating func byte() -> UInt8 { UInt8.random(in: 0...255, using: &self) }
  mutating func word() -> UInt16 { UInt16.random(in: 0...0xffff, using: &self) }
  mutating func flag() -> Bool { Bool.random(using: &self) }
}

@Suite struct HeaderTests {
  @Test("RFC 8200 section 3") func ipv6Header() throws {
    let bytes = try #require(
      [UInt8](
        hex: "6a5f37cc0058 3a ff fe80000000000000 1ac0ffee1ac0ffaa fe80000000000000 1ac0ffee1ac0ffbb"))
    let header = try IPv6Header(parsing: bytes)
    #expect(header.trafficClass == 0xa5 && header.dscp == 0x29 && header.ecn == 1)
    #expect(header.flowLabel == 0xf37cc && header.payloadLength == 88)
    #expect(header.nextHeader == .icmpv6 && header.hopLimit == 255)
    #expect(header.source == IPv6Address("fe80::1ac0:ffee:1ac0:ffaa"))
    #expect(header.destination == IPv6Address("fe80::1ac0:ffee:1ac0:ffbb"))
    #expect(try header.encoded() == bytes)
    var changed = header
    changed.dscp = 0x3f
    changed.ecn = 2
    #expect(changed.trafficClass == 0xfe)
    changed.flowLabel = 0x10_0000
    #expect(throws: EmitError.notRepresentable) { try changed.encoded() }
    #expect(reason { _ = try IPv6Header(parsing: [0x45] + bytes.dropFirst()) } == .ipv6VersionNot6)
    #expect(reason { _ = try IPv6Header(parsing: Array(bytes.dropLast())) } == .truncated)
  }

  @Test func headersAreTwins() throws {
    var generator = SeededGenerator(seed: 8200)
    for _ in 0..<100 {
      try expectTwins(generator.address())
      try expectTwins(
        IPv6Header(
          trafficClass: generator.byte(), flowLabel: UInt32.random(in: 0...0xf_ffff, using: &generator),
          payloadLength: generator.word(), nextHeader: NextHeader(rawValue: generator.byte()),
          hopLimit: generator.byte(), source: generator.address(), destination: generator.address()))
      try expectTwins(
        UDPHeader(
          sourcePort: generator.word(), destinationPort: generator.word(),
          length: UInt16.random(in: 8...0xffff, using: &generator), checksum: generator.word()))
      try expectTwins(
        FragmentHeader(
          nextHeader: .udp, offset: generator.word() & 0x1fff, moreFragments: generator.flag(),
          identification: UInt32.random(in: 0...(.max), using: &generator)))
    }
  }

  @Test func packetIsCutToItsLength() throws {
    let header = IPv6Header(nextHeader: .udp, hopLimit: 64, source: .loopback, destination: .loopback)
    let packet = try header.packet([1, 2, 3])
    let padded = packet + [0, 0]
    let view = try IPv6Packet(padded.rawSpan)
    #expect(view.payload.array() == [1, 2, 3])
    #expect(view.header.payloadLength == 3)
    let short = Array(packet.dropLast())
    #expect(reason { _ = try IPv6Packet(short.rawSpan).header } == .ipv6LengthMismatch)
    #expect(throws: EmitError.notRepresentable) { try header.packet([UInt8](repeating: 0, count: 65_536)) }
  }

  @Test("RFC 8200 section 8.1: UDP checksums") func udpChecksums() throws {
    // From a capture of RIOT; tshark finds its checksum right.
    let bytes = try #require(
      [UInt8](
        hex: """
          6000000000181140fe8000000000000000124b0000000003fe8000000000000000124b0000000004
          f0b0f0b0001835035201107be59ab3636c690573746174730200
          """))
    #expect(bytes.count == 66)
    let packet = try IPv6Packet(bytes.rawSpan)
    let datagram = packet.payload.array()
    let source = packet.header.source
    let destination = packet.header.destination
    #expect(datagram.count == 24)
    let parsed = try UDPDatagram(datagram.rawSpan, source: source, destination: destination)
    #expect(parsed.header == UDPHeader(sourcePort: 61616, destinationPort: 61616, length: 24, checksum: 0x3503))
    let payload = parsed.payload.array()
    #expect(udpChecksum(source: source, destination: destination, datagram: datagram.rawSpan) == 0x3503)
    #expect(
      try UDPHeader.datagram(
        source: source, sourcePort: 61616, destination: destination, destinationPort: 61616, payload: payload)
        == datagram)

    func refusal(_ changes: [Int: UInt8]) -> DropReason? {
      let changed = datagram.enumerated().map { changes[$0.offset] ?? $0.element }
      return reason { _ = try UDPDatagram(changed.rawSpan, source: source, destination: destination).header }
    }
    #expect(refusal([:]) == nil)
    #expect(refusal([20: datagram[20] ^ 1]) == .udpChecksumMismatch)
    #expect(refusal([6: 0, 7: 0]) == .udpChecksumZero)
    #expect(refusal([5: 25]) == .udpLengthMismatch)
    #expect(refusal([5: 23]) == .udpLengthMismatch)
    #expect(reason { _ = try UDPHeader(parsing: [0, 1, 0, 2, 0, 7, 0, 0]) } == .udpLengthMismatch)
    #expect(throws: EmitError.notRepresentable) {
      try UDPHeader(sourcePort: 1, destinationPort: 1, length: 7).encoded()
    }
  }

  @Test("RFC 8200 section 8.1: a sum of zero is sent as ffff") func zeroSum() throws {
    // The payload is chosen to make the rest sum to ffff.
    let without = try UDPHeader.datagram(
      source: .loopback, sourcePort: 1, destination: .loopback, destinationPort: 1, payload: [0, 0])
    let checksum = UInt16(without[6]) << 8 | UInt16(without[7])
    let payload = [UInt8(checksum >> 8), UInt8(checksum & 0xff)]
    let datagram = try UDPHeader.datagram(
      source: .loopback, sourcePort: 1, destination: .loopback, destinationPort: 1, payload: payload)
    #expect(datagram[6] == 0xff && datagram[7] == 0xff)
    let parsed = try UDPDatagram(datagram.rawSpan, source: .loopback, destination: .loopback)
    #expect(parsed.payload.array() == payload)
    #expect(
      udpChecksum(source: .loopback, destination: .loopback, datagram: datagram.rawSpan) == 0xffff)
  }
}
