import IPv6
import Wire

/// Compresses the headers of `packet` to the shortest legal form.
///
/// Writes the dispatch and the headers only, no payload, and returns how many bytes of the packet they stand for; the
/// caller sends the rest as it is. With GHC (RFC 7400) that may be all of the packet: see ``CompressionOptions``.
///
/// Throws ``EmitError/notRepresentable`` for what is no IPv6 packet of the length that its header announces, and for a
/// packet with a wrong UDP checksum that ``CompressionOptions/elideUDPChecksum`` would hide (RFC 6282, 4.3.2);
/// ``EmitError/noRoom`` if the writer ends before the headers do.
@_lifetime(writer: copy writer)
public func compressHeaders(
  of packet: RawSpan, into writer: inout ByteWriter, link: LowpanLink, contexts: borrowing ContextTable,
  now: Instant, options: CompressionOptions
) throws(EmitError) -> Int {
  var compressor = HeaderCompressor(link: link, now: now, options: options)
  guard options.genericHeaderCompression else {
    return try compressor.compress(packet, into: &writer, contexts: contexts)
  }
  // What GHC makes has to fit, so it is tried aside.
  var scratch = [UInt8](repeating: 0, count: writer.room)
  var trial = ByteWriter(scratch.mutableRawSpan)
  var plain = compressor
  plain.options.genericHeaderCompression = false
  do throws(EmitError) {
    let covered = try compressor.compress(packet, into: &trial, contexts: contexts)
    let count = trial.count
    try writer.bytes(scratch.rawSpan.extracting(first: count))
    return covered
  } catch {
    guard error == .noRoom else { throw error }
    return try plain.compress(packet, into: &writer, contexts: contexts)
  }
}

/// The state of one compression.
private struct HeaderCompressor {
  /// The link, or the encapsulating IPv6 header.
  var link: LowpanLink
  let now: Instant
  var options: CompressionOptions
  /// The addresses of the innermost IPv6 header.
  private var source = IPv6Address.unspecified
  private var destination = IPv6Address.unspecified
  private var passed = 0
  private var isRouted = false
  private var isFragment = false

  /// A header that has an NHC encoding here.
  private enum Next {
    /// `length` in bytes, `padding` bytes at its end being elided.
    case extensionHeader(NextHeader, length: Int, padding: Int)
    case ipv6(IPv6Header)
    case udp(UDPHeader)
    /// The message compressed by GHC.
    case icmpv6([UInt8])
  }

  init(link: LowpanLink, now: Instant, options: CompressionOptions) {
    self.link = link
    self.now = now
    self.options = options
  }

  @_lifetime(writer: copy writer)
  mutating func compress(
    _ packet: RawSpan, into writer: inout ByteWriter, contexts: borrowing ContextTable
  ) throws(EmitError) -> Int {
    guard let header = Self.ipv6Header(packet) else { throw .notRepresentable }
    var position = IPv6Header.length
    var next = try emit(header, before: position, packet, into: &writer, contexts: contexts)
    while let current = next {
      passed += 1
      switch current {
      case .extensionHeader(let kind, let length, let padding):
        next = try extensionHeader(kind, at: position, length, padding, packet, into: &writer)
        position += length
      case .ipv6(let header):
        try writer.u8(0xee)
        link = LowpanLink(encapsulatedBy: source, destination)
        position += IPv6Header.length
        next = try emit(header, before: position, packet, into: &writer, contexts: contexts)
      case .udp(let header):
        position += UDPHeader.length
        return try udp(header, packet.extracting(droppingFirst: position), into: &writer)
          ? packet.byteCount : position
      case .icmpv6(let compressed):
        try writer.u8(0xdf)
        try writer.bytes(compressed)
        return packet.byteCount
      }
    }
    return position
  }

  /// The header that `bytes` begin with, if it announces just as many bytes as there are.
  private static func ipv6Header(_ bytes: RawSpan) -> IPv6Header? {
    var reader = ByteReader(bytes)
    guard let header = try? IPv6Header(parsing: &reader), Int(header.payloadLength) == reader.remaining
    else { return nil }
    return header
  }

  /// What NHC makes of the header of kind `header` at `position`; `nil` if it goes as it is.
  private func next(_ header: NextHeader, at position: Int, in packet: RawSpan) -> Next? {
    guard passed < NHCKind.maximumChain else { return nil }
    let rest = packet.extracting(droppingFirst: position)
    var reader = ByteReader(rest)
    switch header {
    case .ipv6: return Self.ipv6Header(rest).map { .ipv6($0) }
    case .udp:
      // The length is elided, so it has to be what the receiver will find.
      guard let header = try? UDPHeader(parsing: &reader), Int(header.length) == rest.byteCount else {
        return nil
      }
      return .udp(header)
    case .icmpv6: return generic(rest, shorterThan: rest.byteCount).map { .icmpv6($0) }
    default:
      guard header.extensionHeaderIdentifier != nil, rest.byteCount >= 8 else { return nil }
      // The second byte is the length in units of 8 bytes, without the first; in a fragment header it is reserved.
      let length = header == .fragment ? 8 : Int(rest[byteAt: 1]) * 8 + 8
      guard length <= rest.byteCount, header != .fragment || rest[byteAt: 1] == 0 else { return nil }
      let padding = header.hasOptions ? Self.elidablePadding(rest.extracting(first: length)) : 0
      guard length - 2 - padding <= 255 else { return nil }
      return .extensionHeader(header, length: length, padding: padding)
    }
  }

  /// Bytes of a single trailing Pad1 or PadN that the receiver restores just as they are (RFC 6282, 4.2).
  private static func elidablePadding(_ header: RawSpan) -> Int {
    var position = 2
    var last = position
    var lastIsPadding = false
    var previousIsPadding = false
    while position < header.byteCount {
      last = position
      previousIsPadding = lastIsPadding
      let type = IPv6OptionType(rawValue: header[byteAt: position])
      lastIsPadding = type == .pad1 || type == .padN
      if type == .pad1 {
        position += 1
      } else {
        guard position + 1 < header.byteCount else { return 0 }
        position += 2 + Int(header[byteAt: position + 1])
      }
    }
    let length = header.byteCount - last
    guard position == header.byteCount, lastIsPadding, !previousIsPadding, length <= 7 else { return 0 }
    for index in min(last + 2, position)..<position where header[byteAt: index] != 0 { return 0 }
    return length
  }

  /// The GHC form if it may be used and is shorter.
  private func generic(_ bytes: RawSpan, shorterThan length: Int) -> [UInt8]? {
    guard options.genericHeaderCompression else { return nil }
    let compressed = GHC.compress(bytes, source: source, destination: destination)
    return compressed.count < length ? compressed : nil
  }

  /// Writes an IPHC; what is behind it starts at `position`.
  @_lifetime(writer: copy writer)
  private mutating func emit(
    _ header: IPv6Header, before position: Int, _ packet: RawSpan, into writer: inout ByteWriter,
    contexts: borrowing ContextTable
  ) throws(EmitError) -> Next? {
    source = header.source
    destination = header.destination
    isRouted = false
    let next = next(header.nextHeader, at: position, in: packet)
    let forms = AddressForms(
      source: source, destination: destination, link: link, contexts: contexts, now: now,
      usable: options.contexts)
    try IPHCEncoding(header, forms, nextHeaderIsCompressed: next != nil).emit(into: &writer)
    return next
  }

  @_lifetime(writer: copy writer)
  private mutating func extensionHeader(
    _ kind: NextHeader, at position: Int, _ length: Int, _ padding: Int, _ packet: RawSpan,
    into writer: inout ByteWriter
  ) throws(EmitError) -> Next? {
    let header = packet.extracting(position..<position + length)
    if kind == .routing, header[byteAt: 3] > 0 { isRouted = true }
    var hidden = false
    if kind == .fragment {
      let fields = UInt16(header[byteAt: 2]) << 8 | UInt16(header[byteAt: 3])
      if fields & 0xfff9 != 0 { isFragment = true }
      // What follows a later fragment's header is no header.
      hidden = fields & 0xfff8 != 0
    }
    let nextHeader = header[byteAt: 0]
    let next =
      hidden ? nil : next(NextHeader(rawValue: nextHeader), at: position + length, in: packet)
    let data = header.extracting(2..<length - padding)
    let identifier = (kind.extensionHeaderIdentifier ?? 0) << 1 | (next == nil ? 0 : 1)

    let inline = next == nil ? [nextHeader] : []
    // The plain form has a length byte, the other one a stop code.
    if identifier < 8, options.genericHeaderCompression {
      let whole = inline + data.array()
      if let compressed = generic(whole.rawSpan, shorterThan: whole.count) {
        try writer.u8(0xb0 | identifier)
        try writer.bytes(compressed)
        try writer.u8(GHC.stopCode)
        return next
      }
    }
    try writer.u8(0xe0 | identifier)
    if next == nil { try writer.u8(nextHeader) }
    try writer.u8(UInt8(data.byteCount))
    try writer.bytes(data)
    return next
  }

  /// Writes a UDP header; returns whether the payload is written too.
  @_lifetime(writer: copy writer)
  private func udp(
    _ header: UDPHeader, _ payload: RawSpan, into writer: inout ByteWriter
  ) throws(EmitError) -> Bool {
    var encoding: UInt8 = 0xf0
    if options.elideUDPChecksum, !isRouted, !isFragment {
      let checksum = header.computedChecksum(source: source, destination: destination, payload: payload)
      guard checksum == header.checksum else { throw .notRepresentable }
      encoding |= 4
    }
    let compressed = generic(payload, shorterThan: payload.byteCount)
    if compressed != nil { encoding &= 0xdf }
    let (from, to) = (header.sourcePort, header.destinationPort)
    if from >> 4 == 0xf0b, to >> 4 == 0xf0b {
      try writer.u8(encoding | 3)
      try writer.u8(UInt8(from & 15) << 4 | UInt8(to & 15))
    } else if to >> 8 == 0xf0 {
      try writer.u8(encoding | 1)
      try writer.u16(from)
      try writer.u8(UInt8(to & 0xff))
    } else if from >> 8 == 0xf0 {
      try writer.u8(encoding | 2)
      try writer.u8(UInt8(from & 0xff))
      try writer.u16(to)
    } else {
      try writer.u8(encoding)
      try writer.u16(from)
      try writer.u16(to)
    }
    if encoding & 4 == 0 { try writer.u16(header.checksum) }
    guard let compressed else { return false }
    try writer.bytes(compressed)
    return true
  }
}
