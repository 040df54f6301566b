import IEEE802154
import IPv6
import SixLoWPAN
import TestSupport
import Testing
import Wire

/// What the header tests share.
enum Headers {
  static let now = Instant(seconds: 1_000)
  /// Interface identifiers 0012:4b00:0000:0003 and 0000:00ff:fe00:0b02.
  static let link = LowpanLink(
    source: .extended(ExtendedAddress(0x0212_4b00_0000_0003)), destination: .short(ShortAddress(0x0b02)))
  /// 0: 2001:db8::/64; 3: fd00:1:2:3::/64; 5: a /96 and 6: a /128, which cover identifier bits; 7: a /32.
  static let contexts: ContextTable = {
    var table = ContextTable()
    for (identifier, prefix) in [
      (0, "2001:db8::/64"), (3, "fd00:1:2:3::/64"), (5, "fd00:5::aaaa:bbbb:0:0/96"),
      (6, "fd00:6::1234:5678:9abc:def0/128"), (7, "fd07:77::/32"),
    ] as [(UInt8, String)] {
      guard let prefix = IPv6Prefix(prefix) else { continue }
      table.set(identifier, prefix: prefix, compress: true, expires: nil)
    }
    return table
  }()
  static let allContexts = CompressionOptions(contexts: 0xffff)

  struct Result: Equatable {
    var packet: [UInt8]
    var elided: ElidedChecksum?
  }

  static func decompress(
    _ frame: [UInt8], link: LowpanLink = link, contexts: ContextTable = contexts, now: Instant = now,
    datagramSize: Int? = nil, room: Int = 2_048
  ) throws(ParseError) -> Result {
    var packet = [UInt8](repeating: 0xee, count: room)
    var reader = ByteReader(frame.rawSpan)
    var writer = ByteWriter(packet.mutableRawSpan)
    let elided = try decompressDatagram(
      from: &reader, into: &writer, link: link, contexts: contexts, now: now, datagramSize: datagramSize)
    let left = reader.remaining
    #expect(left == 0)
    let count = writer.count
    return Result(packet: Array(packet.prefix(count)), elided: elided)
  }

  static func decompress(hex: String, link: LowpanLink = link, datagramSize: Int? = nil) throws -> [UInt8] {
    try decompress(try #require([UInt8](hex: hex)), link: link, datagramSize: datagramSize).packet
  }

  /// The compressed headers and the rest of the packet.
  static func compress(
    _ packet: [UInt8], link: LowpanLink = link, contexts: ContextTable = contexts, now: Instant = now,
    options: CompressionOptions = CompressionOptions(), room: Int = 2_048
  ) throws(EmitError) -> [UInt8] {
    var covered = 0
    let headers = try withWriter(capacity: room) { (writer) throws(EmitError) in
      covered = try compressHeaders(
        of: packet.rawSpan, into: &writer, link: link, contexts: contexts, now: now, options: options)
    }
    return headers + packet.dropFirst(covered)
  }

  static func reason(_ hex: String, link: LowpanLink = link, datagramSize: Int? = nil) -> DropReason? {
    do {
      _ = try decompress(hex: hex, link: link, datagramSize: datagramSize)
      return nil
    } catch { return (error as? ParseError)?.reason }
  }

  /// Every shorter beginning that ends inside the first `headers` bytes throws.
  static func expectTruncationThrows(
    _ frame: [UInt8], headers: Int? = nil, link: LowpanLink = link,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for length in 0..<(headers ?? frame.count) {
      #expect(throws: ParseError.self, "\(length) bytes", sourceLocation: sourceLocation) {
        try decompress(Array(frame.prefix(length)), link: link)
      }
    }
  }
}
