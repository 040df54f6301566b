import IPv6
import Wire

/// The general way: any chain of LOWPAN_NHC encodings behind an IPHC (RFC 6282, 4), then the rest of `reader`.
@usableFromInline
@inline(never)
@_lifetime(reader: copy reader)
@_lifetime(packet: copy packet)
func decompressChain(
  behind header: IPHCHeader, from reader: inout ByteReader, into packet: inout ByteWriter,
  contexts: borrowing ContextTable, now: Instant, datagramSize: Int?
) throws(ParseError) -> ElidedChecksum? {
  var chain = NHCChain(start: packet.count, datagramSize: datagramSize)
  try chain.write(header, into: &packet, at: reader.offset)
  while chain.isCompressed {
    let encoding = try reader.u8()
    guard let kind = NHCKind(encoding) else {
      throw ParseError(.lowpanNHCUnknown, at: reader.offset &- 1)
    }
    guard chain.passed < NHCKind.maximumChain else { throw reader.error(.lowpanNHCChainTooLong) }
    chain.passed &+= 1
    switch kind {
    case .extensionHeader(let header, let generic, let isCompressed):
      try chain.extensionHeader(
        header, generic: generic, nextHeaderIsCompressed: isCompressed, from: &reader, into: &packet)
    case .ipv6:
      guard try reader.peek() & 0xe0 == 0x60 else { throw reader.error(.lowpanDispatchUnknown) }
      let link = LowpanLink(encapsulatedBy: chain.source, chain.destination)
      let header = try IPHCHeader(parsing: &reader, link: link, contexts: contexts, now: now)
      try chain.setNextHeader(.ipv6, in: &packet, at: reader.offset)
      try chain.write(header, into: &packet, at: reader.offset)
    case .udp(let generic, let checksumElided):
      return try chain.udp(
        encoding, generic: generic, checksumElided: checksumElided, from: &reader, into: &packet)
    case .icmpv6:
      try chain.setNextHeader(.icmpv6, in: &packet, at: reader.offset)
      let message = try chain.genericPayload(from: &reader, room: packet.room)
      try chain.finish(message.rawSpan, into: &packet, at: reader.offset)
      return nil
    }
  }
  let offset = reader.offset
  try chain.finish(reader.takeRest(), into: &packet, at: offset)
  return nil
}

/// What is known while a chain is read. Positions count in the writer.
private struct NHCChain {
  /// Where the packet begins.
  let start: Int
  let datagramSize: Int?
  /// Whether another NHC encoding follows.
  private(set) var isCompressed = false
  /// NHC encodings so far.
  var passed = 0
  /// The addresses of the innermost IPv6 header.
  private(set) var source = IPv6Address.unspecified
  private(set) var destination = IPv6Address.unspecified
  /// The IPv6 headers, whose payload lengths are known at the end: one, and one for each NHC encoding.
  private var headers = InlineArray<9, Int>(repeating: 0)
  private var headerCount = 0
  /// The Next Header field that the next encoding fills in.
  private var nextHeaderField = 0
  /// A routing header has yet to change the destination.
  private var isRouted = false

  init(start: Int, datagramSize: Int?) {
    self.start = start
    self.datagramSize = datagramSize
  }

  @_lifetime(packet: copy packet)
  mutating func write(_ header: IPHCHeader, into packet: inout ByteWriter, at offset: Int) throws(ParseError) {
    guard headerCount < headers.count else { throw ParseError(.lowpanNHCChainTooLong, at: offset) }
    headers[headerCount] = packet.count
    headerCount += 1
    nextHeaderField = packet.count + 6
    isCompressed = header.nextHeaderIsCompressed
    isRouted = false
    source = header.source
    destination = header.destination
    do throws(EmitError) { try header.emit(payloadLength: 0, into: &packet) } catch {
      throw ParseError(.lowpanDatagramTooLong, at: offset)
    }
  }

  @_lifetime(packet: copy packet)
  func setNextHeader(
    _ nextHeader: NextHeader, in packet: inout ByteWriter, at offset: Int
  ) throws(ParseError) {
    do throws(EmitError) { try packet.patchU8(nextHeader.rawValue, at: nextHeaderField) } catch {
      throw ParseError(.lowpanDatagramTooLong, at: offset)
    }
  }

  /// An extension header: in-line with its length in bytes (RFC 6282, 4.2), or by GHC without its length and ended by
  /// a stop code (RFC 7400, 3.2). What GHC compresses begins with the Next Header field unless that is elided.
  @_lifetime(reader: copy reader)
  @_lifetime(packet: copy packet)
  mutating func extensionHeader(
    _ header: NextHeader, generic: Bool, nextHeaderIsCompressed: Bool, from reader: inout ByteReader,
    into packet: inout ByteWriter
  ) throws(ParseError) {
    let offset = reader.offset
    try setNextHeader(header, in: &packet, at: offset)
    nextHeaderField = packet.count
    isCompressed = nextHeaderIsCompressed
    if generic {
      let (bytes, stopped) = try GHC.decompress(
        from: &reader, source: source, destination: destination, limit: min(packet.room, 2_048))
      guard stopped else { throw reader.error(.lowpanGHCMalformed) }
      var inner = ByteReader(bytes.rawSpan, offset: offset)
      let next = nextHeaderIsCompressed ? 0 : try inner.u8()
      try write(header, next: next, reserved: 0, inner.takeRest(), into: &packet, at: offset)
    } else {
      let next = nextHeaderIsCompressed ? 0 : try reader.u8()
      let length = try reader.u8()
      // A fragment header has a reserved byte in place of a length. Some nodes write 6 there as for any other
      // header, some leave it as it is.
      let isFragment = header == .fragment
      let reserved = isFragment && length != 6 ? length : 0
      let data = try reader.bytes(isFragment ? 6 : Int(length))
      try write(header, next: next, reserved: reserved, data, into: &packet, at: offset)
    }
  }

  /// Writes an extension header and, if it has options, the padding that was elided.
  @_lifetime(packet: copy packet)
  private mutating func write(
    _ header: NextHeader, next: UInt8, reserved: UInt8, _ data: RawSpan, into packet: inout ByteWriter,
    at offset: Int
  ) throws(ParseError) {
    let laidOut = 2 + data.byteCount
    let padding = header.hasOptions ? (8 - laidOut % 8) % 8 : 0
    let units = (laidOut + padding) / 8 - 1
    guard (laidOut + padding) % 8 == 0, header != .fragment || units == 0, units < 256 else {
      throw ParseError(.ipv6ExtensionHeaderMalformed, at: offset)
    }
    // Segments Left is the fourth byte of every routing header (RFC 8200, 4.4).
    if header == .routing, data.byteCount >= 2, data[byteAt: 1] > 0 { isRouted = true }
    do throws(EmitError) {
      try packet.u8(next)
      try packet.u8(header == .fragment ? reserved : UInt8(units))
      try packet.bytes(data)
      if padding == 1 {
        try packet.u8(IPv6OptionType.pad1.rawValue)
      } else if padding > 1 {
        try packet.u8(IPv6OptionType.padN.rawValue)
        try packet.u8(UInt8(padding - 2))
        try packet.zeros(padding - 2)
      }
    } catch { throw ParseError(.lowpanDatagramTooLong, at: offset) }
  }

  /// A UDP header and all the rest (RFC 6282, 4.3; RFC 7400, 3.1).
  @_lifetime(reader: copy reader)
  @_lifetime(packet: copy packet)
  mutating func udp(
    _ encoding: UInt8, generic: Bool, checksumElided: Bool, from reader: inout ByteReader,
    into packet: inout ByteWriter
  ) throws(ParseError) -> ElidedChecksum? {
    let offset = reader.offset
    // The checksum covers the final destination (RFC 8200, 8.1), which is inside the routing header.
    guard !checksumElided || !isRouted else { throw ParseError(.unsupported, at: offset) }
    try setNextHeader(.udp, in: &packet, at: offset)
    let ports = try udpPorts(encoding, from: &reader)
    let checksum = checksumElided ? 0 : try reader.u16()
    let position = packet.count - start
    let header = UDPHeader(
      sourcePort: UInt16(ports >> 16), destinationPort: UInt16(ports & 0xffff), length: 8, checksum: checksum)
    if generic {
      let payload = try genericPayload(from: &reader, room: packet.room)
      return try finish(
        header, checksumElided: checksumElided, position, payload.rawSpan, into: &packet, at: offset)
    }
    return try finish(
      header, checksumElided: checksumElided, position, reader.takeRest(), into: &packet, at: offset)
  }

  /// A payload that GHC compresses to the end of the frame.
  @_lifetime(reader: copy reader)
  func genericPayload(from reader: inout ByteReader, room: Int) throws(ParseError) -> [UInt8] {
    let (bytes, _) = try GHC.decompress(
      from: &reader, source: source, destination: destination, limit: room)
    guard reader.isAtEnd else { throw reader.error(.lowpanGHCMalformed) }
    return bytes
  }

  @_lifetime(packet: copy packet)
  private func finish(
    _ header: UDPHeader, checksumElided: Bool, _ position: Int, _ payload: RawSpan,
    into packet: inout ByteWriter, at offset: Int
  ) throws(ParseError) -> ElidedChecksum? {
    var header = header
    let present = UDPHeader.length + payload.byteCount
    let announced = datagramSize.map { $0 - position } ?? present
    guard announced >= present else { throw ParseError(.fragmentSizeMismatch, at: offset) }
    guard let length = UInt16(exactly: announced) else {
      throw ParseError(.lowpanDatagramTooLong, at: offset)
    }
    header.length = length
    if checksumElided, datagramSize == nil {
      header.checksum = header.computedChecksum(source: source, destination: destination, payload: payload)
    }
    do throws(EmitError) { try header.emit(into: &packet) } catch {
      throw ParseError(.lowpanDatagramTooLong, at: offset)
    }
    try finish(payload, into: &packet, at: offset)
    guard checksumElided, datagramSize != nil else { return nil }
    return ElidedChecksum(offset: position + 6, headerOffset: headers[headerCount - 1] - start)
  }

  /// Writes what is behind the headers, and the payload lengths.
  @_lifetime(packet: copy packet)
  func finish(_ payload: RawSpan, into packet: inout ByteWriter, at offset: Int) throws(ParseError) {
    do throws(EmitError) {
      try packet.bytes(payload)
      let total = datagramSize ?? packet.count - start
      guard packet.count - start <= total else { throw EmitError.notRepresentable }
      for index in 0..<headerCount {
        let behind = total - (headers[index] - start) - IPv6Header.length
        guard let length = UInt16(exactly: behind) else { throw EmitError.noRoom }
        try packet.patchU16(length, at: headers[index] + 4)
      }
    } catch {
      throw ParseError(
        error == .noRoom ? .lowpanDatagramTooLong : .fragmentSizeMismatch, at: offset)
    }
  }
}
