import IPv6
import Wire

/// Reads the header chain of an unfragmented datagram or a first fragment and writes the IPv6 packet.
///
/// `reader` stands on the dispatch byte: `0x41` uncompressed IPv6, `0x42` HC1 (RFC 4944, 5.1), or `011xxxxx` IPHC
/// (RFC 6282, 3). All headers and then all of the rest of `reader` go to `packet`, at its current position.
/// `datagramSize` comes from FRAG1, in bytes; without it lengths follow from what `reader` holds.
///
/// A UDP checksum that was elided is restored at once in an unfragmented datagram; for a first fragment
/// the result says where to do it. Whether the frame had the MIC that RFC 6282, 4.3.2 demands is for the caller to judge.
///
/// Throws, beside ``DropReason/truncated``, the `lowpan…` reasons; ``DropReason/fragmentSizeMismatch`` if the datagram
/// is longer than `datagramSize`; and ``DropReason/lowpanDatagramTooLong`` if `packet` has no room or a length
/// does not fit its field.
@inlinable
@_lifetime(reader: copy reader)
@_lifetime(packet: copy packet)
public func decompressDatagram(
  from reader: inout ByteReader, into packet: inout ByteWriter, link: LowpanLink,
  contexts: borrowing ContextTable, now: Instant, datagramSize: Int?
) throws(ParseError) -> ElidedChecksum? {
  let dispatch = try reader.peek()
  guard dispatch & 0xe0 == 0x60 else {
    try decompressWithoutIPHC(
      dispatch: dispatch, from: &reader, into: &packet, link: link, datagramSize: datagramSize)
    return nil
  }
  // A copy stays in registers.
  var fields = reader
  let header = try IPHCHeader(parsing: &fields, link: link, contexts: contexts, now: now)
  reader = fields
  guard header.nextHeaderIsCompressed else {
    let payloadLength = try payloadLength(behind: reader.remaining, datagramSize, at: reader.offset)
    do throws(EmitError) {
      try header.emit(payloadLength: payloadLength, into: &packet)
      try packet.bytes(reader.takeRest())
    } catch { throw reader.error(.lowpanDatagramTooLong) }
    return nil
  }
  let encoding = try reader.peek()
  // UDP with its checksum in-line, as nearly all frames have it. The rest goes the general way.
  guard encoding & 0xfc == 0xf0 else {
    return try decompressChain(
      behind: header, from: &reader, into: &packet, contexts: contexts, now: now, datagramSize: datagramSize)
  }
  try reader.skip(1)
  let ports = try udpPorts(encoding, from: &reader)
  let checksum = try reader.u16()
  let length = try payloadLength(behind: 8 &+ reader.remaining, datagramSize, at: reader.offset)
  do throws(EmitError) {
    var header = header
    header.first |= 17 << 8
    try header.emit(payloadLength: length, into: &packet)
    try packet.u64(UInt64(ports) << 32 | UInt64(length) << 16 | UInt64(checksum))
    try packet.bytes(reader.takeRest())
  } catch { throw reader.error(.lowpanDatagramTooLong) }
  return nil
}

/// The payload length of an IPv6 header with `present` bytes behind it in this frame.
@inlinable
@inline(__always)
func payloadLength(behind present: Int, _ datagramSize: Int?, at offset: Int) throws(ParseError) -> UInt16 {
  guard let datagramSize else {
    guard let length = UInt16(exactly: present) else { throw ParseError(.lowpanDatagramTooLong, at: offset) }
    return length
  }
  guard datagramSize >= IPv6Header.length &+ present, datagramSize <= 65_575 else {
    throw ParseError(.fragmentSizeMismatch, at: offset)
  }
  return UInt16(truncatingIfNeeded: datagramSize &- IPv6Header.length)
}

/// The ports of a UDP encoding `xxxxxCPP` (RFC 6282, 4.3.3): source in the upper half, destination in the lower.
@inlinable
@inline(__always)
@_lifetime(reader: copy reader)
func udpPorts(_ encoding: UInt8, from reader: inout ByteReader) throws(ParseError) -> UInt32 {
  switch encoding & 3 {
  case 0: return try reader.u32()
  case 1:
    let source = try reader.u16()
    return UInt32(source) << 16 | 0xf000 | UInt32(try reader.u8())
  case 2:
    let source = try reader.u8()
    return 0xf000_0000 | UInt32(source) << 16 | UInt32(try reader.u16())
  default:
    let both = try reader.u8()
    return 0xf0b0_f0b0 | UInt32(both >> 4) << 16 | UInt32(both & 15)
  }
}
