import Foundation
import IEEE802154
import IPv6
import SixLoWPAN
import Testing
import Wire

/// Frames of other stacks, from the captures in the repository.
private struct CaptureFrames {
  struct Frame {
    var link: LowpanLink
    var payload: [UInt8]
  }

  private(set) var frames: [Frame] = []

  /// Data frames in the clear of a microsecond pcap of link type 195 or 230.
  init(_ name: String) throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let file = [UInt8](try Data(contentsOf: root.appendingPathComponent("Captures/\(name).pcap")))
    var reader = ByteReader(file.rawSpan)
    try reader.skip(20)
    let hasFCS = try reader.u32LE() == 195
    while !reader.isAtEnd {
      try reader.skip(8)
      let length = Int(try reader.u32LE())
      try reader.skip(4)
      var frame = try reader.reader(length)
      if let parsed = try? Self.dataFrame(&frame, hasFCS: hasFCS) { frames.append(parsed) }
    }
  }

  private static func dataFrame(_ reader: inout ByteReader, hasFCS: Bool) throws(ParseError) -> Frame? {
    let control = try reader.u16LE()
    guard control & 15 == 1 else { return nil }
    try reader.skip(3)
    let destination = try address(control >> 10 & 3, &reader)
    if control & 0x40 == 0 { try reader.skip(2) }
    let source = try address(control >> 14, &reader)
    let payload = try reader.bytes(reader.remaining - (hasFCS ? 2 : 0)).array()
    return Frame(link: LowpanLink(source: source, destination: destination), payload: payload)
  }

  private static func address(_ mode: UInt16, _ reader: inout ByteReader) throws(ParseError) -> MACAddress {
    mode == 2
      ? .short(ShortAddress(try reader.u16LE())) : .extended(ExtendedAddress(try reader.u64LE()))
  }
}

@Suite struct HeaderCaptureTests {
  @Test(
    "Frames of other stacks: checksums are right, and compressed again they are no longer",
    arguments: [
      ("corpus/linux-6lowpan-10k", 8_001), ("riot-6lbr_ctx0", 30), ("riot-linklocal_udp_coap", 30),
      ("riot-multicast", 100), ("riot-shortaddr", 40), ("riot-udp_nhc_ipv6frag", 20),
    ])
  func otherStacks(_ name: String, _ atLeast: Int) throws {
    var contexts = ContextTable()
    // Context 1 in the corpus, 0 in the others.
    let prefix = try #require(IPv6Prefix("fd00:1::/64"))
    for identifier in UInt8(0)...1 {
      contexts.set(identifier, prefix: prefix, compress: true, expires: nil)
    }
    let options = CompressionOptions(contexts: 0xffff)
    var whole = 0
    for frame in try CaptureFrames(name).frames where frame.payload.first.map({ $0 >> 6 == 1 }) ?? false {
      let result = try Headers.decompress(frame.payload, link: frame.link, contexts: contexts)
      whole += 1
      let packet = try IPv6Packet(result.packet.rawSpan)
      let upper = try packet.upperLayer()
      let header = packet.header
      // RIOT damages the group of unicast-prefix-based addresses when it compresses them.
      let isDamaged = header.destination.high >> 48 == 0xff35
      if [.udp, .icmpv6].contains(upper.protocol), upper.fragment == nil, !isDamaged {
        let isValid = InternetChecksum.isValid(
          packet.payload.extracting(droppingFirst: upper.offset), source: header.source,
          destination: header.destination, nextHeader: upper.protocol)
        #expect(isValid, "frame \(frame.payload.hex)")
      }
      let again = try Headers.compress(result.packet, link: frame.link, contexts: contexts, options: options)
      #expect(again.count <= frame.payload.count)
      #expect(try Headers.decompress(again, link: frame.link, contexts: contexts) == result)
    }
    #expect(whole >= atLeast)
  }
}
