import IPv6
import Wire

/// Makes MAC payloads of IPv6 packets: compresses the headers and, if one frame does not hold the rest, cuts it into
/// fragments (RFC 4944, 5.3).
@frozen
public struct Fragmenter: Hashable, Sendable {
  /// Bytes that a frame has for its MAC payload, behind MAC header and security and in front of MIC and FCS.
  public var room: Int
  public var link: LowpanLink
  public var options: CompressionOptions

  @inlinable
  public init(room: Int, link: LowpanLink, options: CompressionOptions = CompressionOptions()) {
    self.room = room
    self.link = link
    self.options = options
  }

  /// The payloads of `packet`, in the order in which to send them; each is at most ``room`` bytes.
  ///
  /// `tag` is used if there is more than one: then the caller takes the next tag for the next packet.
  ///
  /// Throws ``EmitError/notRepresentable`` for a packet over 2,047 bytes that does not fit in one frame, and for
  /// what ``compressHeaders(of:into:link:contexts:now:options:)`` refuses; ``EmitError/noRoom`` if the
  /// compressed headers do not fit in the first frame or a fragment would have no room for 8 bytes.
  public func payloads(
    of packet: RawSpan, contexts: borrowing ContextTable, now: Instant, tag: UInt16
  ) throws(EmitError) -> [[UInt8]] {
    if let whole = try unfragmented(packet, contexts: contexts, now: now) { return [whole] }
    guard packet.byteCount <= FirstFragmentHeader.maximumDatagramSize else { throw .notRepresentable }
    let size = UInt16(packet.byteCount)
    let (first, covered) = try firstFragment(
      packet, FirstFragmentHeader(datagramSize: size, tag: tag), contexts: contexts, now: now)
    var payloads = [first]
    var position = covered
    let step = (room - NextFragmentHeader.length) & ~7
    guard step > 0 else { throw .noRoom }
    while position < packet.byteCount {
      let end = min(position + step, packet.byteCount)
      let header = NextFragmentHeader(datagramSize: size, tag: tag, offset: UInt8(position / 8))
      let part = packet.extracting(position..<end)
      payloads.append(
        try withWriter(capacity: header.encodedLength + part.byteCount) { (writer) throws(EmitError) in
          try header.emit(into: &writer)
          try writer.bytes(part)
        })
      position = end
    }
    return payloads
  }

  /// The payload of a single frame; `nil` if it does not fit.
  private func unfragmented(
    _ packet: RawSpan, contexts: borrowing ContextTable, now: Instant
  ) throws(EmitError) -> [UInt8]? {
    var payload = [UInt8](repeating: 0, count: max(room, 0))
    var writer = ByteWriter(payload.mutableRawSpan)
    do throws(EmitError) {
      let covered = try compressHeaders(
        of: packet, into: &writer, link: link, contexts: contexts, now: now, options: options)
      try writer.bytes(packet.extracting(droppingFirst: covered))
    } catch {
      guard error == .noRoom else { throw error }
      return nil
    }
    let count = writer.count
    payload.removeLast(payload.count - count)
    return payload
  }

  /// The first fragment with as much as it can hold, and how many bytes of the packet that is, a multiple of 8.
  private func firstFragment(
    _ packet: RawSpan, _ header: FirstFragmentHeader, contexts: borrowing ContextTable, now: Instant
  ) throws(EmitError) -> (payload: [UInt8], covered: Int) {
    var options = options
    // GHC of a payload needs all of it in one frame.
    options.genericHeaderCompression = false
    var payload = [UInt8](repeating: 0, count: max(room, 0))
    var writer = ByteWriter(payload.mutableRawSpan)
    try header.emit(into: &writer)
    let headers = try compressHeaders(
      of: packet, into: &writer, link: link, contexts: contexts, now: now, options: options)
    // Offsets count bytes before compression.
    let covered = min(headers + writer.room, packet.byteCount) & ~7
    guard covered >= headers else { throw .noRoom }
    try writer.bytes(packet.extracting(headers..<covered))
    let count = writer.count
    payload.removeLast(payload.count - count)
    return (payload, covered)
  }
}
