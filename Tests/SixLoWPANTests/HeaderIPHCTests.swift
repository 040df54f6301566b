import IEEE802154
import IPv6
import SixLoWPAN
import Testing
import Wire

/// An IPHC with hop limit 64 and next header 59, and what it stands for.
struct AddressVector: Sendable, CustomTestStringConvertible {
  var rule: String
  var frame: String
  var source: String
  var destination: String
  /// Whether it is the shortest form, which a compressor makes too.
  var isShortest = true
  var testDescription: String { rule }
}

private let elided = "fe80::12:4b00:0:3"
private let nearby = "fe80::ff:fe00:b02"

private let vectors: [AddressVector] = [
  AddressVector(rule: "SAM 3, DAM 3", frame: "7a33 3b", source: elided, destination: nearby),
  AddressVector(
    rule: "SAM 0", frame: "7a03 3b 20010db8aaaa00000000000000000001", source: "2001:db8:aaaa::1",
    destination: nearby),
  AddressVector(
    rule: "SAM 1", frame: "7a13 3b 1122334455667788", source: "fe80::1122:3344:5566:7788",
    destination: nearby),
  AddressVector(rule: "SAM 2", frame: "7a23 3b 0a0b", source: "fe80::ff:fe00:a0b", destination: nearby),
  AddressVector(rule: "SAC 1, SAM 0: ::", frame: "7a43 3b", source: "::", destination: nearby),
  AddressVector(
    rule: "SAC 1, SAM 1", frame: "7a53 3b 1122334455667788", source: "2001:db8::1122:3344:5566:7788",
    destination: nearby),
  AddressVector(
    rule: "SAC 1, SAM 2", frame: "7a63 3b 0a0b", source: "2001:db8::ff:fe00:a0b", destination: nearby),
  AddressVector(rule: "SAC 1, SAM 3", frame: "7a73 3b", source: "2001:db8::12:4b00:0:3", destination: nearby),
  AddressVector(
    rule: "CID: SCI 3", frame: "7af3 30 3b", source: "fd00:1:2:3:12:4b00:0:3", destination: nearby),
  AddressVector(
    rule: "CID: SCI 3, DCI 0", frame: "7af7 30 3b", source: "fd00:1:2:3:12:4b00:0:3",
    destination: "2001:db8::ff:fe00:b02"),
  AddressVector(
    rule: "context of 96 bits, SAM 1", frame: "7ad3 50 3b ffffffffffff1234",
    source: "fd00:5::aaaa:bbbb:ffff:1234",
    destination: nearby, isShortest: false),
  AddressVector(
    rule: "context of 96 bits, SAM 2", frame: "7ae3 50 3b 1234", source: "fd00:5::aaaa:bbbb:fe00:1234",
    destination: nearby),
  AddressVector(
    rule: "context of 96 bits, SAM 3", frame: "7af3 50 3b", source: "fd00:5::aaaa:bbbb:0:3",
    destination: nearby),
  AddressVector(
    rule: "context of 128 bits, SAM 3", frame: "7af3 60 3b", source: "fd00:6::1234:5678:9abc:def0",
    destination: nearby),
  AddressVector(
    rule: "context of 32 bits: bits between are zero", frame: "7af3 70 3b", source: "fd07:77::12:4b00:0:3",
    destination: nearby),
  AddressVector(
    rule: "DAM 0", frame: "7a30 3b 20010db8aaaa00000000000000000001", source: elided,
    destination: "2001:db8:aaaa::1"),
  AddressVector(
    rule: "DAM 1", frame: "7a31 3b 1122334455667788", source: elided,
    destination: "fe80::1122:3344:5566:7788"),
  AddressVector(rule: "DAM 2", frame: "7a32 3b 0a0b", source: elided, destination: "fe80::ff:fe00:a0b"),
  AddressVector(
    rule: "DAC 1, DAM 1", frame: "7a35 3b 1122334455667788", source: elided,
    destination: "2001:db8::1122:3344:5566:7788"),
  AddressVector(
    rule: "DAC 1, DAM 2", frame: "7a36 3b 0a0b", source: elided, destination: "2001:db8::ff:fe00:a0b"),
  AddressVector(rule: "DAC 1, DAM 3", frame: "7a37 3b", source: elided, destination: "2001:db8::ff:fe00:b02"),
  AddressVector(
    rule: "CID: DCI 3", frame: "7ab7 03 3b", source: elided, destination: "fd00:1:2:3:0:ff:fe00:b02"),
  AddressVector(
    rule: "M 1, DAM 0", frame: "7a38 3b ff1e00010000000000000000000000aa", source: elided,
    destination: "ff1e:1::aa"),
  AddressVector(
    rule: "M 1, DAM 1", frame: "7a39 3b 020102030405", source: elided, destination: "ff02::1:203:405",
    isShortest: true),
  AddressVector(
    rule: "M 1, DAM 1: solicited node", frame: "7a39 3b 0201ff000003", source: elided,
    destination: "ff02::1:ff00:3"),
  AddressVector(
    rule: "M 1, DAM 2", frame: "7a3a 3b 05010203", source: elided, destination: "ff05::1:203"),
  AddressVector(rule: "M 1, DAM 3", frame: "7a3b 3b 1a", source: elided, destination: "ff02::1a"),
  AddressVector(
    rule: "M 1, DAC 1, DAM 0", frame: "7abc 03 3b 3ea512345678", source: elided,
    destination: "ff3e:a540:fd00:1:2:3:1234:5678"),
  AddressVector(
    rule: "M 1, DAC 1, DAM 0 with a prefix of 32 bits", frame: "7abc 07 3b 3e0012345678", source: elided,
    destination: "ff3e:20:fd07:77::1234:5678"),
  AddressVector(
    rule: "both in-line in a longer form than needed",
    frame: "7a00 3b fe8000000000000000124b0000000003 fe80000000000000000000fffe000b02", source: elided,
    destination: nearby, isShortest: false),
]

@Suite struct HeaderIPHCTests {
  @Test("RFC 6282 section 3.1.1: address modes", arguments: vectors)
  func addressModes(_ vector: AddressVector) throws {
    let frame = try #require([UInt8](hex: vector.frame))
    let expected = try IPv6Header(
      nextHeader: .noNextHeader, hopLimit: 64, source: #require(IPv6Address(vector.source)),
      destination: #require(IPv6Address(vector.destination))
    ).packet([1, 2, 3])
    #expect(try Headers.decompress(frame + [1, 2, 3]).packet == expected)
    let compressed = try Headers.compress(expected, options: Headers.allContexts)
    if vector.isShortest {
      #expect(compressed == frame + [1, 2, 3])
    } else {
      #expect(compressed.count <= frame.count + 3)
      #expect(try Headers.decompress(compressed).packet == expected)
    }
    Headers.expectTruncationThrows(frame)
  }

  @Test("RFC 6282 section 3.1.1: reserved modes") func reservedModes() {
    let inline = "00112233445566778899aabbccddeeff"
    for mode in ["7a34", "7a3d", "7a3e", "7a3f"] {
      #expect(Headers.reason(mode + "3b" + inline) == .lowpanReservedMode)
    }
    // RFC 3306 has no room for more than 64 bits of prefix.
    #expect(Headers.reason("7abc 05 3b 3e0012345678") == .lowpanReservedMode)
  }

  @Test("RFC 6282 section 3.2.2: nothing to derive an address from") func underivable() {
    let none = LowpanLink(source: .absent, destination: .absent)
    for frame in ["7a333b", "7a233b0001", "7a733b", "7a573b1122334455667788"] {
      #expect(Headers.reason(frame, link: none) == .lowpanAddressUnderivable)
    }
    #expect(Headers.reason("7a22 3b 0001 0002", link: none) == nil)
  }

  @Test(
    "RFC 6282 section 3.2.1: traffic class and flow label",
    arguments: [
      ("6233 a5 01 2345 3b", 0x96, 0x12345), ("6a33 c1 2345 3b", 0x03, 0x12345), ("7233 a5 3b", 0x96, 0),
      ("7a33 3b", 0, 0),
    ] as [(String, UInt8, UInt32)])
  func traffic(_ frame: String, _ trafficClass: UInt8, _ flowLabel: UInt32) throws {
    let bytes = try #require([UInt8](hex: frame))
    let packet = try Headers.decompress(bytes).packet
    let header = try IPv6Header(parsing: packet)
    #expect(header.trafficClass == trafficClass && header.flowLabel == flowLabel)
    #expect(try Headers.compress(packet) == bytes)
    Headers.expectTruncationThrows(bytes)
  }

  @Test("RFC 6282 section 3.2.1: reserved bits are ignored") func reservedBits() throws {
    #expect(
      try Headers.decompress(hex: "6233 a5 f1 2345 3b") == Headers.decompress(hex: "6233 a5 01 2345 3b"))
    #expect(try Headers.decompress(hex: "6a33 f1 2345 3b") == Headers.decompress(hex: "6a33 c1 2345 3b"))
  }

  @Test(
    "RFC 6282 section 3.1.1: hop limit",
    arguments: [("7833 3b 2a", 42), ("7933 3b", 1), ("7a33 3b", 64), ("7b33 3b", 255)] as [(String, UInt8)])
  func hopLimit(_ frame: String, _ hopLimit: UInt8) throws {
    let bytes = try #require([UInt8](hex: frame))
    let packet = try Headers.decompress(bytes).packet
    #expect(packet[7] == hopLimit)
    #expect(try Headers.compress(packet) == bytes)
    Headers.expectTruncationThrows(bytes)
  }

  @Test("Lengths come from FRAG1 or the frame") func lengths() throws {
    let first = try Headers.decompress(hex: "7a33 3a 0102", datagramSize: 1_280)
    #expect(first.count == 42 && first[4] == 0x04 && first[5] == 0xd8)
    #expect(try Headers.decompress(hex: "7a33 3a 0102")[4..<6] == [0, 2])
    #expect(Headers.reason("7a33 3a 0102", datagramSize: 41) == .fragmentSizeMismatch)
    #expect(Headers.reason("7a33 3a 0102", datagramSize: 42) == nil)
    #expect(Headers.reason("41", datagramSize: 42) == .truncated)
  }

  @Test("A packet longer than the writer is refused") func noRoom() throws {
    for frame in ["7a33 3b 010203", "7e77 f0 00010002 beef 010203", "7e33 f4 00010002 010203"] {
      let bytes = try #require([UInt8](hex: frame))
      let whole = try Headers.decompress(bytes).packet
      for room in 0..<whole.count {
        #expect(throws: ParseError.self) { try Headers.decompress(bytes, room: room) }
      }
      do {
        _ = try Headers.decompress(bytes, room: whole.count - 1)
        Issue.record("there is no room")
      } catch { #expect(error.reason == .lowpanDatagramTooLong) }
    }
  }

  @Test("RFC 4944 section 5.1: uncompressed IPv6") func uncompressed() throws {
    let packet = try IPv6Header(nextHeader: .udp, hopLimit: 9, source: .loopback, destination: .loopback)
      .packet([7, 8, 9])
    #expect(try Headers.decompress([0x41] + packet).packet == packet)
    #expect(try Headers.decompress([0x41] + packet, datagramSize: 43).packet == packet)
    #expect(throws: ParseError.self) { try Headers.decompress([0x41] + packet, datagramSize: 42) }
    #expect(throws: ParseError(.ipv6VersionNot6, at: 1)) {
      try Headers.decompress([0x41, 0x45] + packet.dropFirst())
    }
    Headers.expectTruncationThrows([0x41] + packet.prefix(40))
    do {
      _ = try Headers.decompress([0x41] + packet, room: 42)
      Issue.record("there is no room")
    } catch { #expect(error.reason == .lowpanDatagramTooLong) }
  }

  @Test("Other dispatch bytes are not headers") func otherDispatch() {
    for dispatch in ["00", "3f", "40", "43", "50", "5f", "80", "c0", "e0", "ff"] {
      #expect(Headers.reason(dispatch + "0000000000000000") == .lowpanDispatchUnknown)
    }
    #expect(Headers.reason("") == .truncated)
  }
}
