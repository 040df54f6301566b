import IEEE802154
import IPv6
import SixLoWPAN
import TestSupport
import Testing
import Wire

@Suite struct HeaderNHCTests {
  private let elided = IPv6Address.linkLocal(0x0012_4b00_0000_0003)
  private let nearby = IPv6Address.linkLocal(0x00ff_fe00_0b02)

  private func udpPacket(_ source: UInt16, _ destination: UInt16, _ payload: [UInt8]) throws -> [UInt8] {
    try packet(
      .udp,
      UDPHeader.datagram(
        source: elided, sourcePort: source, destination: nearby, destinationPort: destination,
        payload: payload))
  }

  private func packet(_ next: NextHeader, _ payload: [UInt8]) throws -> [UInt8] {
    try IPv6Header(nextHeader: next, hopLimit: 64, source: elided, destination: nearby).packet(payload)
  }

  private func bytes(_ hex: String) throws -> [UInt8] { try #require([UInt8](hex: hex)) }

  @Test(
    "RFC 6282 section 4.3.3: port forms",
    arguments: [
      (0x1633, 0x1634, "f0 1633 1634"), (0x1633, 0xf012, "f1 1633 12"), (0xf034, 0x1634, "f2 34 1634"),
      (0xf0b3, 0xf0b4, "f3 34"), (0xf0b3, 0xf0c4, "f1 f0b3 c4"), (0xf1b3, 0xf1b4, "f0 f1b3 f1b4"),
      (0xf0c0, 0xf0b0, "f1 f0c0 b0"),
    ] as [(UInt16, UInt16, String)])
  func ports(_ source: UInt16, _ destination: UInt16, _ form: String) throws {
    let packet = try udpPacket(source, destination, [1, 2, 3, 4])
    let frame = try bytes("7e33" + form) + packet[46...]
    #expect(try Headers.decompress(frame).packet == packet)
    #expect(try Headers.compress(packet) == frame)
    Headers.expectTruncationThrows(frame, headers: frame.count - 4)
  }

  @Test("RFC 6282 section 4.3: the length comes from FRAG1") func lengthOfFirstFragment() throws {
    let first = try Headers.decompress(hex: "7e33 f3 34 beef 0102", datagramSize: 1_000)
    #expect(first[4..<6] == [0x03, 0xc0] && first[44..<46] == [0x03, 0xc0])
    #expect(Headers.reason("7e33 f3 34 beef 0102", datagramSize: 49) == .fragmentSizeMismatch)
    #expect(Headers.reason("7e33 f7 34 0102", datagramSize: 49) == .fragmentSizeMismatch)
    #expect(Headers.reason("7e33 e1 06 000000000000 f3 34 beef", datagramSize: 55) == .fragmentSizeMismatch)
    #expect(Headers.reason("7e33 e1 06 000000000000 f3 34 beef", datagramSize: 56) == nil)
  }

  @Test("RFC 6282 section 4.3.2: an elided checksum is restored") func elidedChecksum() throws {
    var generator = SeededGenerator(seed: 432)
    for payload in [[], [9], generator.bytes(60)] {
      for (source, destination): (UInt16, UInt16) in [(5683, 5683), (61616, 61631), (1, 0xf001), (0xf001, 1)] {
        let packet = try udpPacket(source, destination, payload)
        let options = CompressionOptions(elideUDPChecksum: true)
        let frame = try Headers.compress(packet, options: options)
        #expect(frame[2] & 0xfc == 0xf4)
        #expect(try frame.count == Headers.compress(packet).count - 2)
        #expect(try Headers.decompress(frame) == Headers.Result(packet: packet, elided: nil))
        // In a first fragment it waits for the rest.
        let split = frame.count - payload.count
        let first = try Headers.decompress(Array(frame.prefix(split)), datagramSize: packet.count)
        let elided = try #require(first.elided)
        #expect(elided == ElidedChecksum(offset: 46, headerOffset: 0))
        var whole = first.packet + payload
        #expect(whole[46..<48] == [0, 0])
        elided.restore(in: &whole, count: whole.count)
        #expect(whole == packet)
        Headers.expectTruncationThrows(frame, headers: split)
      }
    }
  }

  @Test("RFC 6282 section 4.3.2: a wrong checksum is not hidden") func wrongChecksum() throws {
    var packet = try udpPacket(1, 2, [3])
    packet[46] ^= 1
    #expect(throws: EmitError.notRepresentable) {
      try Headers.compress(packet, options: CompressionOptions(elideUDPChecksum: true))
    }
    #expect(try Headers.decompress(Headers.compress(packet)).packet == packet)
  }

  @Test("A place for a checksum outside the packet is left alone") func checksumOutside() {
    for elided in [
      ElidedChecksum(offset: 46, headerOffset: -1), ElidedChecksum(offset: 45, headerOffset: 0),
      ElidedChecksum(offset: 59, headerOffset: 0), ElidedChecksum(offset: .max, headerOffset: 0),
    ] {
      var packet = [UInt8](repeating: 0, count: 60)
      elided.restore(in: &packet, count: 60)
      elided.restore(in: &packet, count: 61)
      elided.restore(in: &packet, count: 0)
      #expect(packet == [UInt8](repeating: 0, count: 60))
    }
  }

  @Test("RFC 8200 section 8.1: behind a routing header the checksum covers another address")
  func checksumBehindRouting() throws {
    // One segment left, and none.
    #expect(Headers.reason("7e33 e3 06 030100000000 f4 0001 0002 0304") == .unsupported)
    let none = try Headers.decompress(hex: "7e33 e3 06 030000000000 f4 0001 0002 0304")
    let datagram = Array(none[48...])
    let header = try UDPDatagram(datagram.rawSpan, source: elided, destination: nearby).header
    #expect(header.length == 10)
    let routed = try packet(.routing, [17, 0, 3, 1, 0, 0, 0, 0] + datagram)
    let frame = try Headers.compress(routed, options: CompressionOptions(elideUDPChecksum: true))
    #expect(frame.starts(with: try bytes("7e33 e3 06 030100000000 f0")))
    #expect(try Headers.decompress(frame).packet == routed)
  }

  @Test(
    "RFC 6282 section 4.2: extension headers, the next header in-line and elided",
    arguments: [
      // RPL option; hop-by-hop header without padding.
      (.hopByHop, "e0 3a 06 63040001 0200", "3a00 63040001 0200"),
      (.hopByHop, "e1 06 63040001 0200 f3 34 beef", "1100 63040001 0200 f0b3f0b4 0008 beef"),
      (.routing, "e2 3a 0e 030110000000 0102030405060708", "3a01 030110000000 0102030405060708"),
      (.fragment, "e4 3a 06 0001 0eedad94", "3a00 0001 0eedad94"),
      (.destinationOptions, "e6 3b 06 1e0401020304", "3b00 1e0401020304"),
      (.destinationOptions, "e7 06 1e0401020304 f0 0001 0002 beef", "1100 1e0401020304 0001 0002 0008 beef"),
      (.mobility, "e8 3b 06 010203040506", "3b00 010203040506"),
      (.mobility, "e9 06 010203040506 f3 00 beef", "1100 010203040506 f0b0f0b0 0008 beef"),
    ] as [(NextHeader, String, String)])
  func extensionHeaders(_ kind: NextHeader, _ form: String, _ plain: String) throws {
    let frame = try bytes("7e33" + form)
    let expected = try packet(kind, bytes(plain))
    #expect(try Headers.decompress(frame).packet == expected)
    #expect(try Headers.compress(expected) == frame)
    Headers.expectTruncationThrows(frame)
  }

  @Test("RFC 6282 section 4.2: trailing padding is elided and restored") func padding() throws {
    // Pad1, PadN of 2 to 7 bytes behind an option, and a header of nothing but padding.
    for (option, pad) in [
      ("1e03010203", "00"), ("1e020102", "0100"), ("1e0101", "010100"), ("1e00", "01020000"),
      ("1e07 01020304050607", "010300 0000"), ("1e06 010203040506", "010400000000"),
      ("1e05 0102030405", "01050000000000"), ("", "010400000000"),
    ] {
      let (option, pad) = (try bytes(option), try bytes(pad))
      let header: [UInt8] = [59, UInt8((2 + option.count + pad.count) / 8 - 1)] + option + pad
      let packet = try packet(.hopByHop, header)
      let frame = try Headers.compress(packet)
      #expect(frame == [0x7e, 0x33, 0xe0, 59, UInt8(option.count)] + option)
      #expect(try Headers.decompress(frame).packet == packet)
    }
  }

  @Test(
    "RFC 6282 section 4.2: padding that would come back otherwise stays",
    arguments: ["1e00 01020001", "1e00 00000000", "0101 00 0000 00", "1e0101 01 0200", "1e20 00000000"])
  func otherPadding(_ options: String) throws {
    let packet = try packet(.destinationOptions, [59, 0] + bytes(options))
    let frame = try Headers.compress(packet)
    #expect(frame.count == 5 + 6)
    #expect(try Headers.decompress(frame).packet == packet)
  }

  @Test("Lengths that no extension header has") func malformedLengths() {
    // Routing and mobility headers come in units of 8 bytes, and have no padding to restore.
    for form in ["e2 3b 05 0102030405", "e8 3b 00", "e2 3b 07 01020304050607"] {
      #expect(Headers.reason("7e33" + form) == .ipv6ExtensionHeaderMalformed)
    }
    #expect(Headers.reason("7e33 e2 3b 07 010203040506") == .truncated)
  }

  @Test("RFC 6282 section 4.2: the reserved byte of a fragment header") func fragmentHeader() throws {
    // 6, as if it were a length, and the reserved byte itself.
    let expected = try packet(.fragment, bytes("3a00 0008 01020304 ff"))
    #expect(try Headers.decompress(hex: "7e33 e4 3a 06 0008 01020304 ff") == expected)
    #expect(try Headers.decompress(hex: "7e33 e4 3a 00 0008 01020304 ff") == expected)
    let reserved = try packet(.fragment, bytes("3a05 0008 01020304 ff"))
    #expect(try Headers.decompress(hex: "7e33 e4 3a 05 0008 01020304 ff") == reserved)
    #expect(try Headers.compress(reserved) == bytes("7a33 2c 3a05 0008 01020304 ff"))
    // Nothing behind a later fragment's header is taken for a UDP header.
    let later = try packet(.fragment, bytes("1100 0008 01020304 0001 0002 0008 beef"))
    #expect(try Headers.compress(later) == bytes("7e33 e4 11 06 0008 01020304 0001 0002 0008 beef"))
    let atomic = try packet(.fragment, bytes("1100 0000 01020304 0001 0002 0008 beef"))
    #expect(try Headers.compress(atomic) == bytes("7e33 e5 06 0000 01020304 f0 0001 0002 beef"))
  }

  @Test("RFC 6282 section 3.2.2: addresses derived from an encapsulating IPv6 header")
  func encapsulated() throws {
    let inner = try IPv6Header(
      nextHeader: .udp, hopLimit: 255, source: .linkLocal(1),
      destination: #require(IPv6Address("2001:db8::2"))
    ).packet(bytes("f0b3 f0b4 000a beef 0102"))
    let outer = try IPv6Header(
      nextHeader: .ipv6, hopLimit: 64, source: #require(IPv6Address("2001:db8::1")),
      destination: #require(IPv6Address("2001:db8:0:0::2"))
    ).packet(inner)
    // Outer: SAC 1 SAM 1, DAC 1 DAM 1; inner: all elided, the destination with context 0.
    let frame = try bytes("7e55 0000000000000001 0000000000000002 ee 7f37 f3 34 beef 0102")
    #expect(try Headers.decompress(frame).packet == outer)
    #expect(try Headers.compress(outer, options: Headers.allContexts) == frame)
    Headers.expectTruncationThrows(frame, headers: frame.count - 2)
    // In a first fragment both lengths come from its size.
    let first = try Headers.decompress(frame, datagramSize: 500).packet
    #expect(
      first[4..<6] == [0x01, 0xcc] && first[44..<46] == [0x01, 0xa4] && first[84..<86] == [0x01, 0xa4])
    #expect(Headers.reason("7e33 ee 41") == .lowpanDispatchUnknown)
    #expect(Headers.reason("7e33 ee f0") == .lowpanDispatchUnknown)
    #expect(Headers.reason("7e33 ef 7a33 3b") == .lowpanNHCUnknown)
    // The checksum of an encapsulated datagram is over the inner addresses.
    let elided = try Headers.decompress(bytes("7e33 ee 7f33 f7 34 0102"), datagramSize: 200).elided
    #expect(elided == ElidedChecksum(offset: 86, headerOffset: 40))
  }

  @Test("RFC 6282 section 5: encodings that are not assigned", arguments: 0...255)
  func unknown(_ encoding: Int) {
    let known: [ClosedRange<Int>] = [
      0xb0...0xb7, 0xd0...0xd7, 0xdf...0xdf, 0xe0...0xe9, 0xee...0xee, 0xf0...0xf7,
    ]
    // Six bytes of header, then UDP, whatever it is taken for.
    let rest = "06000000000000f0000000000000"
    let reason = Headers.reason("7e33" + [UInt8(encoding)].hex + rest)
    #expect((reason == .lowpanNHCUnknown) == !known.contains { $0.contains(encoding) })
  }

  @Test("A chain of more than eight encodings is refused") func longChains() throws {
    let options = "e7 06 1e0401020304"
    func chain(_ count: Int) -> String { "7e33" + String(repeating: options, count: count) }
    #expect(try Headers.decompress(hex: chain(7) + "f3 00 beef").count == 40 + 7 * 8 + 8)
    #expect(Headers.reason(chain(8) + "f3 00 beef") == .lowpanNHCChainTooLong)
    let nested = String(repeating: "ee 7e33", count: 7)
    #expect(try Headers.decompress(hex: "7e33" + nested + "f3 00 beef").count == 8 * 40 + 8)
    #expect(Headers.reason("7e33" + nested + "ee 7e33 f3 00 beef") == .lowpanNHCChainTooLong)
    // A compressor stops in time.
    let plain = try packet(
      .destinationOptions,
      Array([[UInt8]](repeating: try bytes("3c00 1e0401020304"), count: 12).joined())
        + bytes("3b00 1e0401020304"))
    #expect(try Headers.decompress(Headers.compress(plain)).packet == plain)
  }

  @Test("What is no whole IPv6 packet is not compressed") func notPackets() throws {
    let packet = try udpPacket(1, 2, [3])
    for broken in [
      Array(packet.dropLast()), packet + [0], [], Array(packet.prefix(39)), [0x40] + packet.dropFirst(),
    ] {
      #expect(throws: EmitError.notRepresentable) { try Headers.compress(broken) }
    }
    for room in 0..<9 {
      #expect(throws: EmitError.noRoom) { try Headers.compress(packet, room: room) }
    }
    #expect(try Headers.compress(packet, room: 9).count == 10)
  }
}
