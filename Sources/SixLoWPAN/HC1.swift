import IEEE802154
import IPv6
import Wire

/// Uncompressed IPv6 and HC1, by dispatch byte; `reader` stands on it.
@usableFromInline
@_lifetime(reader: copy reader)
@_lifetime(packet: copy packet)
func decompressWithoutIPHC(
  dispatch: UInt8, from reader: inout ByteReader, into packet: inout ByteWriter, link: LowpanLink,
  datagramSize: Int?
) throws(ParseError) {
  let unknown = reader.error(.lowpanDispatchUnknown)
  try reader.skip(1)
  switch dispatch {
  case 0x41:
    // Its header is looked at, so that nothing but IPv6 leaves here. The payload length stays as it came.
    var ahead = ByteReader(reader.rest, offset: reader.offset)
    _ = try IPv6Header(parsing: &ahead)
    _ = try payloadLength(behind: ahead.remaining, datagramSize, at: ahead.offset)
  case 0x42:
    let header = try HC1Header(parsing: &reader, link: link)
    try header.emit(behind: reader.remaining, into: &packet, datagramSize: datagramSize, at: reader.offset)
  default: throw unknown
  }
  do throws(EmitError) { try packet.bytes(reader.takeRest()) } catch {
    throw reader.error(.lowpanDatagramTooLong)
  }
}

/// An IPv6 header and perhaps a UDP header in the form of RFC 4944, 10: LOWPAN_HC1 and HC_UDP. Only read, never
/// written: RFC 6282 took its place.
///
/// RFC 4944 lets the PAN identifier take part in interface identifiers made of short addresses, or zeros where it
/// is not known; zeros are what RFC 6282 has, and what is used here.
struct HC1Header {
  var header: IPv6Header
  var udp: UDP?

  struct UDP {
    var sourcePort: UInt16
    var destinationPort: UInt16
    /// `nil` if elided.
    var length: UInt16?
    var checksum: UInt16
  }

  @_lifetime(reader: copy reader)
  init(parsing reader: inout ByteReader, link: LowpanLink) throws(ParseError) {
    let start = reader.offset
    let encoding = try reader.u8()
    let protocols: [4 of NextHeader] = [.noNextHeader, .udp, .icmpv6, .tcp]
    let compressed = encoding >> 1 & 3
    let hasUDP = encoding & 1 == 1
    // HC_UDP is the only HC2 encoding there is (10.2).
    guard !hasUDP || compressed == 1 else { throw ParseError(.lowpanHC1Malformed, at: start) }
    let udpEncoding = hasUDP ? try reader.u8() : 0
    guard udpEncoding & 0x1f == 0 else { throw ParseError(.lowpanHC1Malformed, at: start &+ 1) }

    let hopLimit = try reader.u8()
    let source = try Self.address(encoding >> 6, link.source, &reader)
    let destination = try Self.address(encoding >> 4 & 3, link.destination, &reader)
    var trafficClass: UInt8 = 0
    var flowLabel: UInt32 = 0
    // From here on fields follow each other without alignment, in units of four bits.
    var nibbles = NibbleReader()
    if encoding & 8 == 0 {
      trafficClass = UInt8(try nibbles.next(2, &reader))
      flowLabel = try nibbles.next(5, &reader)
    }
    let next =
      compressed == 0
      ? NextHeader(rawValue: UInt8(try nibbles.next(2, &reader))) : protocols[Int(compressed)]
    header = IPv6Header(
      trafficClass: trafficClass, flowLabel: flowLabel, nextHeader: next, hopLimit: hopLimit, source: source,
      destination: destination)
    guard hasUDP else { return }
    let shortSource = udpEncoding & 0x80 != 0
    let shortDestination = udpEncoding & 0x40 != 0
    let sourcePort = UInt16(try nibbles.next(shortSource ? 1 : 4, &reader))
    let destinationPort = UInt16(try nibbles.next(shortDestination ? 1 : 4, &reader))
    let length = udpEncoding & 0x20 == 0 ? UInt16(try nibbles.next(4, &reader)) : nil
    udp = UDP(
      sourcePort: shortSource ? 0xf0b0 | sourcePort : sourcePort,
      destinationPort: shortDestination ? 0xf0b0 | destinationPort : destinationPort, length: length,
      checksum: UInt16(try nibbles.next(4, &reader)))
  }

  /// One address: bit 1 of `mode` says the prefix is the link-local one, bit 0 that the identifier is elided.
  @_lifetime(reader: copy reader)
  private static func address(
    _ mode: UInt8, _ link: MACAddress, _ reader: inout ByteReader
  ) throws(ParseError) -> IPv6Address {
    let high = mode & 2 == 0 ? try reader.u64() : 0xfe80 << 48
    if mode & 1 == 0 { return IPv6Address(high: high, low: try reader.u64()) }
    guard let identifier = link.interfaceIdentifier else { throw reader.error(.lowpanAddressUnderivable) }
    return IPv6Address(high: high, low: identifier)
  }

  /// Writes the headers with `present` bytes of this frame to follow.
  @_lifetime(packet: copy packet)
  func emit(
    behind present: Int, into packet: inout ByteWriter, datagramSize: Int?, at offset: Int
  ) throws(ParseError) {
    var header = header
    let headers = udp == nil ? 0 : UDPHeader.length
    header.payloadLength = try payloadLength(behind: headers &+ present, datagramSize, at: offset)
    do throws(EmitError) {
      try header.emit(into: &packet)
      guard let udp else { return }
      try packet.u16(udp.sourcePort)
      try packet.u16(udp.destinationPort)
      try packet.u16(udp.length ?? header.payloadLength)
      try packet.u16(udp.checksum)
    } catch { throw ParseError(.lowpanDatagramTooLong, at: offset) }
  }
}

/// Reads fields of whole half-bytes; the half of a byte left over at the end is padding.
private struct NibbleReader {
  private var low: UInt8?

  @_lifetime(reader: copy reader)
  mutating func next(_ count: Int, _ reader: inout ByteReader) throws(ParseError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<count {
      if let nibble = low {
        value = value << 4 | UInt32(nibble)
        low = nil
      } else {
        let byte = try reader.u8()
        value = value << 4 | UInt32(byte >> 4)
        low = byte & 15
      }
    }
    return value
  }
}
