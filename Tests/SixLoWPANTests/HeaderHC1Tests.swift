import IEEE802154
import IPv6
import SixLoWPAN
import Testing
import Wire

@Suite struct HeaderHC1Tests {
  private let source = IPv6Address.linkLocal(0x0012_4b00_0000_0003)
  private let destination = IPv6Address.linkLocal(0x00ff_fe00_0b02)

  @Test("RFC 4944 section 10.1: everything elided") func shortest() throws {
    let packet = try IPv6Header(nextHeader: .icmpv6, hopLimit: 64, source: source, destination: destination)
      .packet([0x80, 0, 1, 2])
    // Both PC, IC; no traffic class; ICMP; no HC2.
    let frame: [UInt8] = [0x42, 0b1111_1100, 64, 0x80, 0, 1, 2]
    #expect(try Headers.decompress(frame).packet == packet)
    Headers.expectTruncationThrows(frame, headers: 3)
    #expect(try Headers.decompress([0x42, 0b1111_1110, 64]).packet[6] == NextHeader.tcp.rawValue)
    #expect(try Headers.decompress(frame, datagramSize: 200).packet[5] == 160)
    #expect(throws: ParseError.self) { try Headers.decompress(frame, datagramSize: 43) }
  }

  @Test("RFC 4944 section 10.3.1: in-line prefixes and identifiers") func inline() throws {
    let prefix: [UInt8] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 9]
    let identifier: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
    // Source PI, IC; destination PC, II; next header in-line.
    let mixed = try Headers.decompress([0x42, 0b0110_1000, 7] + prefix + identifier + [59]).packet
    var header = try IPv6Header(parsing: mixed)
    #expect(header.source == IPv6Address("2001:db8:0:9:12:4b00:0:3"))
    #expect(header.destination == IPv6Address("fe80::102:304:506:708"))
    #expect(header.nextHeader == .noNextHeader && header.hopLimit == 7 && header.payloadLength == 0)
    let frame = [0x42, 0b0000_1010, 7] + prefix + identifier + prefix + identifier
    header = try IPv6Header(
      parsing: try Headers.decompress(frame + [0, 1, 0, 2, 0, 8, 0, 0]).packet.prefix(40).map { $0 })
    #expect(header.source == header.destination && header.nextHeader == .udp && header.payloadLength == 8)
    Headers.expectTruncationThrows(frame)
    let none = LowpanLink(source: .absent, destination: .absent)
    #expect(Headers.reason("42 fc 40", link: none) == .lowpanAddressUnderivable)
  }

  @Test("RFC 4944 section 10: fields follow each other without alignment") func halfBytes() throws {
    // Traffic class a5, flow label 12345, next header in-line 3a: a5 12345 3a and four bits of padding.
    let packet = try Headers.decompress([0x42, 0b1111_0000, 64, 0xa5, 0x12, 0x34, 0x53, 0xa0]).packet
    let header = try IPv6Header(parsing: packet)
    #expect(header.trafficClass == 0xa5 && header.flowLabel == 0x12345 && header.nextHeader == .icmpv6)
    // The same with UDP: both ports short, length elided, checksum beef; then the payload.
    let frame: [UInt8] = [0x42, 0b1111_0011, 0xe0, 64, 0xa5, 0x12, 0x34, 0x51, 0x2b, 0xee, 0xf0, 1, 2]
    let udp = try Headers.decompress(frame).packet
    #expect(udp.dropFirst(40).elementsEqual([0xf0, 0xb1, 0xf0, 0xb2, 0, 10, 0xbe, 0xef, 1, 2]))
    Headers.expectTruncationThrows(frame, headers: 11)
  }

  @Test(
    "RFC 4944 section 10.2: HC_UDP",
    arguments: [
      ("00", "16331634000c1234", "16331634000c1234"), ("20", "163316341234", "16331634000c1234"),
      ("a0", "3163412340", "f0b31634000c1234"), ("60", "1633412340", "1633f0b4000c1234"),
      ("e0", "341234", "f0b3f0b4000c1234"), ("c0", "34000c1234", "f0b3f0b4000c1234"),
    ])
  func udp(_ encoding: String, _ fields: String, _ expected: String) throws {
    let frame = "42 fb" + encoding + "40" + fields
    let packet = try Headers.decompress(hex: frame + "01020304")
    #expect(packet.dropFirst(40).elementsEqual(try #require([UInt8](hex: expected + "01020304"))))
    #expect(packet[5] == 12 && packet[6] == 17)
    Headers.expectTruncationThrows(try #require([UInt8](hex: frame)))
  }

  @Test("RFC 4944 section 10: encodings that do not exist") func malformed() {
    // HC2 without UDP, and reserved bits of HC_UDP.
    for frame in ["42 f9 00 40 00000000", "42 fd 00 40 00000000", "42 ff 00 40 00000000"] {
      #expect(Headers.reason(frame) == .lowpanHC1Malformed)
    }
    for bit in ["01", "02", "04", "08", "10"] {
      #expect(Headers.reason("42 fb \(bit) 40 0000000000000000") == .lowpanHC1Malformed)
    }
  }
}
