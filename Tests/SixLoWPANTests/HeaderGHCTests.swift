import IPv6
import TestSupport
import Testing
import Wire

@testable import SixLoWPAN

/// An example of RFC 7400, appendix A.
struct GHCExample: Sendable, CustomTestStringConvertible {
  var figure: Int
  var name: String
  var header: String
  var payload: String
  var compressed: String
  var testDescription: String { "figure \(figure): \(name)" }

  static let all: [GHCExample] = [
    GHCExample(
      figure: 8, name: "A Simple RPL Example",
      header: "6000000000083afffe80000000000000021cdafffe002024ff02000000000000000000000000001a",
      payload: "9b006bde00000000",
      compressed: "049b006bde82"),
    GHCExample(
      figure: 9, name: "A Longer RPL Example",
      header: "60000000005c3afffe80000000000000021cdafffe003023ff02000000000000000000000000001a",
      payload: """
        9b017a5f00f001008800000020020db800000000000000fffe00face040e001409ff00000100000000000000081e8020
        ffffffffffffffff0000000020020db800000000000000fffe00face030e4000ffffffff20020db800000000
        """,
      compressed: """
        069b017a5f00f0c70188810420020db885a7c908face040e001409ffa4da8306081e8020ffffc0d082b4f003030e40c7
        a3c9a2f0
        """),
    GHCExample(
      figure: 10, name: "A RPL DAO Message",
      header: "6000000000323aff20020db800000000000000fffe00334420020db800000000000000fffe001122",
      payload: """
        9b02587d018000f10512008020020db800000000000000fffe00334406140080f100fe80000000000000000000fffe00
        1122
        """,
      compressed: "0c9b02587d018000f105120080b5f40806140080f100fe8087a7dd"),
    GHCExample(
      figure: 11, name: "An ND Neighbor Solicitation",
      header: "6000000000303aff20020db800000000000000fffe003bd3fe80000000000000021cdafffe003023",
      payload: """
        8700a76800000000fe80000000000000021cdafffe00302301013bd3000000001f02000000000006001cdafffe002024
        """,
      compressed: "048700a76882b3f00401013bd382021f0283020600a2db022024"),
    GHCExample(
      figure: 12, name: "An ND Neighbor Advertisement",
      header: "6000000000303afefe80000000000000021cdafffe00302320020db800000000000000fffe003bd3",
      payload: """
        8800266cc0000000fe80000000000000021cdafffe0030230201face000000001f02000000000006001cdafffe002024
        """,
      compressed: "058800266cc081b5f0040201face82021f0283020600a2db022024"),
    GHCExample(
      figure: 13, name: "An ND Router Solicitation",
      header: "6000000000183afffe80000000000000aede480000000001ff020000000000000000000000000002",
      payload: "85009065000000000102acde480000000001000000000000",
      compressed: "0485009065de0202aca5eb84"),
    GHCExample(
      figure: 14, name: "An ND Router Advertisement",
      header: "6000000000603afffe80000000000000103400fffe001122fe80000000000000aede480000000001",
      payload: """
        860055c940000fa01c5a3817000007d0010111220000000003044040ffffffffffffffff0000000020020db800000000
        000000000000000020024010000003e820020db800000000210300010000000020020db800000000000000fffe001122
        """,
      compressed: """
        0c860055c940000fa01c5a3817800607d001011122820603044040ffffc0d0820420020db88a0420024010a4cb01e8a2
        f0022103a9e6b3cdafdb
        """),
    GHCExample(
      figure: 15, name: "A DTLS Application Data Packet",
      header: "00000000000000000000000000000000000000000000000000000000000000000000000000000000",
      payload: """
        17fefd0001000000000001001d000100000000000109b20e82c16eb696c51f368d1761e2b5d422d4ed2b
        """,
      compressed: "b0d1011df21509b20e82c16eb696c51f368d1761e2b5d422d4ed2b"),
    GHCExample(
      figure: 16, name: "Another DTLS Application Data Packet",
      header: "00000000000000000000000000000000000000000000000000000000000000000000000000000000",
      payload: "17fefd000100000000000500160001000000000005aea0155667924dff8a24e4cb35b9",
      compressed: "b0c303050016f20eaea0155667924dff8a24e4cb35b9"),
    GHCExample(
      figure: 17, name: "A DTLS Handshake Packet (Client Hello)",
      header: "00000000000000000000000000000000000000000000000000000000000000000000000000000000",
      payload: """
        16fefd000000000000000000360100002a000000000000002afefd5152ed79a420c962561147c939ee6cc0a4fec6892f
        32269a164e317e9f20929200000002c0a80100
        """,
      compressed: """
        a1cd870136a1cd012a85232afefd5152ed79a420c962561147c939ee6cc0a4fec6892f32269a164e317e9f2092928105
        02c0a80100
        """),
  ]
}

@Suite struct HeaderGHCTests {
  private let options = CompressionOptions(genericHeaderCompression: true)

  private func decompress(
    _ code: [UInt8], _ source: IPv6Address = .unspecified, _ destination: IPv6Address = .unspecified,
    limit: Int = 2_048
  ) throws(ParseError) -> [UInt8] {
    var reader = ByteReader(code.rawSpan)
    return try GHC.decompress(from: &reader, source: source, destination: destination, limit: limit).bytes
  }

  @Test("RFC 7400 appendix A", arguments: GHCExample.all)
  func examples(_ example: GHCExample) throws {
    let header = try #require([UInt8](hex: example.header))
    let payload = try #require([UInt8](hex: example.payload))
    let compressed = try #require([UInt8](hex: example.compressed))
    var reader = ByteReader(header.rawSpan)
    try reader.skip(8)
    let source = try IPv6Address(parsing: &reader)
    let destination = try IPv6Address(parsing: &reader)
    #expect(try decompress(compressed, source, destination) == payload)
    let ours = GHC.compress(payload.rawSpan, source: source, destination: destination)
    #expect(ours.count <= compressed.count)
    #expect(try decompress(ours, source, destination) == payload)

    guard header[6] == NextHeader.icmpv6.rawValue else { return }
    // As a whole packet, its addresses in-line.
    let packet = header + payload
    let frame = [0x7c, 0x00, header[7]] + header[8...] + [0xdf] + compressed
    #expect(try Headers.decompress(frame).packet == packet)
    let made = try Headers.compress(packet, options: options)
    #expect(made.count <= frame.count)
    #expect(try Headers.decompress(made).packet == packet)
  }

  @Test("RFC 7400 section 2: bytecodes") func bytecodes() throws {
    #expect(try decompress([]) == [])
    #expect(try decompress([0, 2, 7, 8, 0]) == [7, 8])
    #expect(try decompress([0x80]) == [0, 0])
    #expect(try decompress([0x8f]) == [UInt8](repeating: 0, count: 17))
    // The end of the dictionary, then all of it.
    #expect(try decompress([0xc0]) == [0, 0])
    #expect(try decompress([0xc1]) == [1, 0])
    #expect(try decompress([0xa1, 0xc6]) == [0x16, 0xfe])
    let source = IPv6Address(high: 0x0102_0304_0506_0708, low: 0x090a_0b0c_0d0e_0f10)
    // n = 16, s = 48: sa = 32, na = 8.
    #expect(try decompress([0xb4, 0xf0], source) == source.bytes)
    // Extended arguments add up.
    #expect(try decompress([0xa2, 0xb2, 0xf0], source) == source.bytes)
    // A copy that begins in the dictionary and ends in the output.
    #expect(try decompress([3, 1, 2, 3, 0xc9]) == [1, 2, 3, 0, 1, 2])
  }

  @Test(
    "RFC 7400 section 2: reserved codes, and arguments cut short",
    arguments: [
      "60", "7f", "91", "9f", "01", "05 01020304", "5f 00", "a9 f7", "a5 c7", "c0 60", "02 01",
    ])
  func malformed(_ code: String) throws {
    let code = try #require([UInt8](hex: code))
    do {
      _ = try decompress(code)
      Issue.record("\(code.hex) is malformed")
    } catch { #expect(error.reason == .lowpanGHCMalformed) }
    let frame = [0x7e, 0x33, 0xdf] + code
    #expect(Headers.reason(frame.hex) == .lowpanGHCMalformed)
  }

  @Test("RFC 7400 section 5: no reference reaches before the dictionary") func outOfBounds() throws {
    // s = 48 reaches its first byte; s = 49 does not.
    #expect(try decompress([0xa5, 0xc6]) == [0, 0])
    #expect(throws: ParseError(.lowpanGHCMalformed, at: 1)) { try decompress([0xa5, 0xc7]) }
    #expect(throws: ParseError.self) { try decompress([UInt8](repeating: 0xbf, count: 200) + [0xff]) }
  }

  @Test("Output is bounded") func bounded() throws {
    for code: [UInt8] in [[0x8f], [0x8e, 0x01, 7], [0xb0, 0xf0, 0x01, 7]] {
      #expect(try decompress(code, limit: 17).count == 17)
      do {
        _ = try decompress(code, limit: 16)
        Issue.record("17 bytes do not fit in 16")
      } catch { #expect(error.reason == .lowpanDatagramTooLong) }
    }
    let bomb: [UInt8] = [0x7e, 0x33, 0xdf] + [UInt8](repeating: 0x8f, count: 100)
    #expect(try Headers.decompress(bomb).packet.count == 40 + 100 * 17)
    do {
      _ = try Headers.decompress(bomb, room: 1_280)
      Issue.record("there is no room")
    } catch { #expect(error.reason == .lowpanDatagramTooLong) }
  }

  @Test("RFC 7400 section 3.1: UDP") func udp() throws {
    let (source, destination) = (
      IPv6Address.linkLocal(0x0012_4b00_0000_0003), IPv6Address.linkLocal(0xff_fe00_0b02)
    )
    let payload = source.bytes + [UInt8](repeating: 0, count: 20) + [1, 2, 3]
    let packet = try IPv6Header(nextHeader: .udp, hopLimit: 64, source: source, destination: destination)
      .packet(
        UDPHeader.datagram(
          source: source, sourcePort: 61616, destination: destination, destinationPort: 61617,
          payload: payload))
    let frame = try Headers.compress(packet, options: options)
    #expect(frame.starts(with: [0x7e, 0x33, 0xd3, 0x01] + packet[46..<48]))
    #expect(frame.count <= 6 + 2 + 2 + 4)
    #expect(try Headers.decompress(frame).packet == packet)
    let elided = CompressionOptions(genericHeaderCompression: true, elideUDPChecksum: true)
    let shorter = try Headers.compress(packet, options: elided)
    #expect(shorter[2] == 0xd7 && shorter.count == frame.count - 2)
    #expect(try Headers.decompress(shorter) == Headers.Result(packet: packet, elided: nil))
    // What does not fit goes without.
    let plain = try Headers.compress(packet)
    #expect(try Headers.compress(packet, options: options, room: frame.count - 1) == plain)
    // As a first fragment.
    let first = try Headers.decompress(frame, datagramSize: 600).packet
    #expect(first[44..<46] == [0x02, 0x30] && first.count == packet.count)
  }

  @Test("RFC 7400 section 3.2: extension headers end with a stop code") func extensionHeaders() throws {
    let source = IPv6Address.linkLocal(0x0012_4b00_0000_0003)
    let segments = source.bytes + source.bytes
    for (kind, header) in [
      (.routing, [58, 4, 0, 2, 0, 0, 0, 0] + segments),
      (.destinationOptions, [58, 4, 0x1e, 32] + segments + [1, 2, 0, 0]),
      (.hopByHop, [17, 4, 0x1e, 32] + segments + [1, 2, 0, 0]),
    ] as [(NextHeader, [UInt8])] {
      let rest: [UInt8] = header[0] == 17 ? [0, 1, 0, 2, 0, 9, 0xbe, 0xef, 1] : [128, 0, 7, 7]
      let packet = try IPv6Header(
        nextHeader: kind, hopLimit: 64, source: source, destination: .linkLocal(0xff_fe00_0b02)
      ).packet(header + rest)
      let frame = try Headers.compress(packet, options: options)
      #expect(frame[2] & 0xf8 == 0xb0)
      #expect(try frame.count < Headers.compress(packet).count)
      #expect(try Headers.decompress(frame).packet == packet)
      Headers.expectTruncationThrows(frame, headers: frame.count - rest.count)
    }
    // Without a stop code, and with something behind the stop code of a payload.
    #expect(Headers.reason("7e33 b0 0101 86") == .lowpanGHCMalformed)
    #expect(Headers.reason("7e33 df 0101 90 00") == .lowpanGHCMalformed)
    #expect(Headers.reason("7e33 df 0101 90") == nil)
    // Next header alone; nothing at all; a routing header of 7 bytes.
    #expect(Headers.reason("7e33 b0 013b 90") == nil)
    #expect(Headers.reason("7e33 b0 90") == .truncated)
    #expect(Headers.reason("7e33 b2 013b 83 90") == .ipv6ExtensionHeaderMalformed)
    // A header of more than 2,048 bytes.
    let zeros = String(repeating: "8f", count: 121)
    #expect(Headers.reason("7e33 b0 013b" + zeros + "90") == .lowpanDatagramTooLong)
  }

  @Test func compressionIsReversible() throws {
    var generator = SeededGenerator(seed: 7_400)
    for _ in 0..<150 {
      let source = IPv6Address(high: generator.next(), low: generator.next())
      let destination = IPv6Address(high: generator.next(), low: 0)
      var payload: [UInt8] = []
      while payload.count < Int.random(in: 1...160, using: &generator) {
        switch Int.random(in: 0..<5, using: &generator) {
        case 0: payload += generator.bytes(in: 0...100)
        case 1: payload += [UInt8](repeating: 0, count: Int.random(in: 1...40, using: &generator))
        case 2: payload += source.bytes.prefix(Int.random(in: 1...16, using: &generator))
        case 3: payload += destination.bytes
        default: payload += payload.suffix(Int.random(in: 0...60, using: &generator))
        }
      }
      let code = GHC.compress(payload.rawSpan, source: source, destination: destination)
      // At worst one byte for every 95.
      #expect(code.count <= payload.count + (payload.count + 94) / 95)
      #expect(try decompress(code, source, destination) == payload)
      for length in 0..<code.count {
        let part = try? decompress(Array(code.prefix(length)), source, destination)
        #expect(part == nil || payload.starts(with: part ?? []))
      }
    }
    let nothing: [UInt8] = []
    let none = GHC.compress(nothing.rawSpan, source: .unspecified, destination: .unspecified)
    #expect(none.count == 1)
  }
}
