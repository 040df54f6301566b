import IPv6
import Wire

/// What became of a MAC payload.
@frozen
public enum LowpanReception: Hashable, Sendable {
  /// An IPv6 packet of so many bytes is complete: see ``LowpanReceiver/datagram``.
  case datagram(count: Int)
  /// A fragment was stored.
  case incomplete
}

/// Makes IPv6 packets of the MAC payloads of data frames: mesh and broadcast headers, fragments, pages, and the
/// compressed headers inside (RFC 4944, RFC 6282, RFC 8025).
///
/// Holds the buffers; a frame costs no allocation.
public struct LowpanReceiver: ~Copyable, Sendable {
  /// Datagrams under way.
  public var reassembler: Reassembler
  /// The mesh header of the last payload, if it had one.
  public private(set) var mesh: MeshHeader?
  /// The broadcast header of the last payload, if it had one.
  public private(set) var broadcast: BroadcastHeader?
  /// The packet of an unfragmented datagram, or what a first fragment expands to.
  @usableFromInline var unfragmented: [UInt8]
  /// Where the last datagram is: a slot of the reassembler, or -1 for ``unfragmented``.
  @usableFromInline var slot = -1
  @usableFromInline var count = 0
  // A stored flag is cheaper to clear than two optionals.
  @usableFromInline var hasMeshOrBroadcast = false

  /// Bytes that an unfragmented datagram can expand to: the largest PSDU of any PHY and as much again.
  @inlinable static var capacity: Int { 4_096 }

  public init(limits: ReassemblyLimits = ReassemblyLimits()) {
    reassembler = Reassembler(limits: limits)
    unfragmented = [UInt8](repeating: 0, count: Self.capacity)
  }

  /// The last complete datagram, an IPv6 packet; empty before the first, and behind a payload that completed none.
  @inlinable public var datagram: RawSpan {
    @_lifetime(borrow self)
    get {
      slot < 0 ? unfragmented.rawSpan.extracting(first: count) : reassembler.datagram(in: slot, count: count)
    }
  }

  /// Takes the MAC payload of a data frame with the addresses `link`.
  ///
  /// With a mesh header, its addresses take the place of `link`. `offset` is where the payload stands in the frame, for
  /// error positions.
  ///
  /// Throws ``DropReason/lowpanNotALowpanFrame``; ``DropReason/lowpanDispatchUnknown``, and for what is
  /// assigned but not understood ``DropReason/lowpanDispatchUnsupported`` or ``DropReason/lowpanPageUnsupported``;
  /// ``DropReason/lowpanMeshHopsExhausted``; the `fragment…` reasons; and what
  /// ``decompressDatagram(from:into:link:contexts:now:datagramSize:)`` throws.
  @inlinable
  public mutating func receive(
    _ payload: RawSpan, link: LowpanLink, contexts: borrowing ContextTable, now: Instant, offset: Int = 0
  ) throws(ParseError) -> LowpanReception {
    slot = -1
    count = 0
    if hasMeshOrBroadcast { forgetHeaders() }
    var reader = ByteReader(payload, offset: offset)
    // Most frames are one whole datagram, compressed.
    guard try reader.peek() & 0xe0 != 0x60 else {
      _ = try decompress(&reader, link: link, contexts: contexts, now: now, datagramSize: nil)
      return .datagram(count: count)
    }
    return try receiveOther(&reader, link: link, contexts: contexts, now: now)
  }

  @usableFromInline
  mutating func forgetHeaders() {
    mesh = nil
    broadcast = nil
    hasMeshOrBroadcast = false
  }

  /// Writes the datagram that `reader` stands on to ``unfragmented`` and sets ``count``.
  @inlinable
  @inline(__always)
  @_lifetime(reader: copy reader)
  mutating func decompress(
    _ reader: inout ByteReader, link: LowpanLink, contexts: borrowing ContextTable, now: Instant,
    datagramSize: Int?
  ) throws(ParseError) -> ElidedChecksum? {
    var writer = ByteWriter(unfragmented.mutableRawSpan)
    let elided = try decompressDatagram(
      from: &reader, into: &writer, link: link, contexts: contexts, now: now, datagramSize: datagramSize)
    count = writer.count
    return elided
  }

  /// Everything that does not begin with an IPHC. The order of headers is that of RFC 4944, 5: mesh, broadcast,
  /// fragment; pages come behind them (RFC 8025, 4).
  @usableFromInline
  @_lifetime(reader: copy reader)
  mutating func receiveOther(
    _ reader: inout ByteReader, link: LowpanLink, contexts: borrowing ContextTable, now: Instant
  ) throws(ParseError) -> LowpanReception {
    var link = link
    var dispatch = LowpanDispatch(try reader.peek())
    if dispatch == .notALowpanFrame { throw reader.error(.lowpanNotALowpanFrame) }
    if dispatch == .mesh {
      let start = reader.offset
      let header = try MeshHeader(parsing: &reader)
      // Whoever takes the last hop away must not forward the frame (RFC 4944, 5.2).
      guard header.hopsLeft > 0 else { throw ParseError(.lowpanMeshHopsExhausted, at: start) }
      mesh = header
      hasMeshOrBroadcast = true
      link = header.link
      dispatch = LowpanDispatch(try reader.peek())
    }
    if dispatch == .broadcast {
      broadcast = try BroadcastHeader(parsing: &reader)
      hasMeshOrBroadcast = true
      dispatch = LowpanDispatch(try reader.peek())
    }
    switch dispatch {
    case .firstFragment:
      return try receiveFirstFragment(&reader, link: link, contexts: contexts, now: now)
    case .nextFragment:
      return try receiveNextFragment(&reader, link: link, now: now)
    default:
      try passPages(&reader)
      _ = try decompress(&reader, link: link, contexts: contexts, now: now, datagramSize: nil)
      return .datagram(count: count)
    }
  }

  /// Passes over page switches and leaves `reader` on the dispatch of a datagram.
  @_lifetime(reader: copy reader)
  private func passPages(_ reader: inout ByteReader) throws(ParseError) {
    var page: UInt8 = 0
    var byte = try reader.peek()
    while case .page(let number) = LowpanDispatch(byte) {
      guard number <= 1 else { throw reader.error(.lowpanPageUnsupported) }
      page = number
      try reader.skip(1)
      byte = try reader.peek()
    }
    // Page 1 has the IPHC and the routing headers of RFC 8138, `10xxxxxx`, which are for RPL routers.
    switch (page, LowpanDispatch(byte)) {
    case (0, .datagram): break
    case (0, .unsupported): throw reader.error(.lowpanDispatchUnsupported)
    case (1, .datagram) where byte >= 0x60: break
    case (1, .mesh): throw reader.error(.lowpanDispatchUnsupported)
    default: throw reader.error(.lowpanDispatchUnknown)
    }
  }

  @_lifetime(reader: copy reader)
  private mutating func receiveFirstFragment(
    _ reader: inout ByteReader, link: LowpanLink, contexts: borrowing ContextTable, now: Instant
  ) throws(ParseError) -> LowpanReception {
    let start = reader.offset
    let header = try FirstFragmentHeader(parsing: &reader)
    guard !reader.isAtEnd else { throw ParseError(.fragmentZeroLength, at: start) }
    guard Int(header.datagramSize) <= reassembler.limits.maximumDatagramSize else {
      throw ParseError(.lowpanDatagramTooLong, at: start)
    }
    try passPages(&reader)
    let elided = try decompress(
      &reader, link: link, contexts: contexts, now: now, datagramSize: Int(header.datagramSize))
    let expanded = count
    count = 0
    let completed = try reassembler.add(
      unfragmented, count: expanded,
      key: DatagramKey(link: link, datagramSize: header.datagramSize, tag: header.tag), elided: elided,
      now: now,
      offset: start)
    return finish(completed, header.datagramSize)
  }

  @_lifetime(reader: copy reader)
  private mutating func receiveNextFragment(
    _ reader: inout ByteReader, link: LowpanLink, now: Instant
  ) throws(ParseError) -> LowpanReception {
    let start = reader.offset
    let header = try NextFragmentHeader(parsing: &reader)
    // The first 8 bytes can only come in a first fragment, which says how they are compressed.
    guard header.offset > 0 else { throw ParseError(.fragmentMalformed, at: start &+ 4) }
    let completed = try reassembler.add(
      reader.takeRest(), at: Int(header.offset) &* 8,
      key: DatagramKey(link: link, datagramSize: header.datagramSize, tag: header.tag), elided: nil, now: now,
      offset: start)
    return finish(completed, header.datagramSize)
  }

  private mutating func finish(_ completed: Int?, _ datagramSize: UInt16) -> LowpanReception {
    guard let completed else { return .incomplete }
    slot = completed
    count = Int(datagramSize)
    return .datagram(count: count)
  }
}
