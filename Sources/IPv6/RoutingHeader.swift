import Wire

/// The variant of a routing header.
@frozen
public struct RoutingType: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt8

  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Source route, deprecated (RFC 5095): never followed.
  @inlinable public static var sourceRoute: RoutingType { RoutingType(rawValue: 0) }
  /// RFC 6275.
  @inlinable public static var mobileIPv6: RoutingType { RoutingType(rawValue: 2) }
  /// RFC 6554.
  @inlinable public static var rplSourceRoute: RoutingType { RoutingType(rawValue: 3) }
  /// RFC 8754.
  @inlinable public static var segmentRouting: RoutingType { RoutingType(rawValue: 4) }
}

/// Any routing header (RFC 8200, 4.4) as a view.
@frozen
public struct RoutingHeader: ~Escapable {
  public let nextHeader: NextHeader
  public let type: RoutingType
  public let segmentsLeft: UInt8
  @usableFromInline let _data: RawSpan

  /// Type-specific data: everything behind the first four bytes.
  @inlinable public var data: RawSpan {
    @_lifetime(copy self) get { _data }
  }

  /// Reads a routing header and leaves `reader` behind it.
  ///
  /// Throws ``DropReason/ipv6ExtensionHeaderMalformed`` for one that runs past the packet.
  @inlinable
  @_lifetime(copy reader)
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let malformed = reader.error(.ipv6ExtensionHeaderMalformed)
    let word = try reader.u32()
    let rest = Int(word >> 16 & 0xff) &* 8 &+ 4
    guard rest <= reader.remaining else { throw malformed }
    nextHeader = NextHeader(rawValue: UInt8(truncatingIfNeeded: word >> 24))
    type = RoutingType(rawValue: UInt8(truncatingIfNeeded: word >> 8))
    segmentsLeft = UInt8(truncatingIfNeeded: word)
    _data = try reader.bytes(rest)
  }

  /// What a node that does not know ``type`` does (RFC 8200, 4.4): with no segments left the header is passed over,
  /// else the packet is dropped and a Parameter Problem, code 0, points to the routing type.
  @inlinable public var isPassedOverIfUnrecognized: Bool { segmentsLeft == 0 }
}

/// The RPL source routing header (RFC 6554, 3).
public struct RPLSourceRoute: Hashable, Sendable, WireValue {
  public var nextHeader: NextHeader
  /// Segments still to visit, at most the number of ``segments``.
  public var segmentsLeft: UInt8
  /// Leading octets that every segment but the last shares with the packet's destination, 0 to 15.
  public var elidedOctets: UInt8
  /// The same for the last segment.
  public var elidedOctetsOfLast: UInt8
  /// `Addresses[1..n]`; the elided octets are zero. At least one.
  public var segments: [IPv6Address]

  public init(
    nextHeader: NextHeader, segmentsLeft: UInt8, elidedOctets: UInt8 = 0, elidedOctetsOfLast: UInt8 = 0,
    segments: [IPv6Address]
  ) {
    self.nextHeader = nextHeader
    self.segmentsLeft = segmentsLeft
    self.elidedOctets = elidedOctets
    self.elidedOctetsOfLast = elidedOctetsOfLast
    self.segments = segments
  }

  /// Reads the header.
  ///
  /// Throws ``DropReason/unsupported`` for another routing type and ``DropReason/ipv6ExtensionHeaderMalformed`` if
  /// the addresses do not fill it or fewer segments are listed than are left.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let start = reader.offset
    let header = try RoutingHeader(parsing: &reader)
    guard header.type == .rplSourceRoute else { throw ParseError(.unsupported, at: start + 2) }
    var data = ByteReader(header.data, offset: start + 4)
    let compression = try data.u8()
    let padding = Int(try data.u8() >> 4)
    try data.skip(2)
    let malformed = ParseError(.ipv6ExtensionHeaderMalformed, at: start)
    nextHeader = header.nextHeader
    segmentsLeft = header.segmentsLeft
    elidedOctets = compression >> 4
    elidedOctetsOfLast = compression & 15
    let inner = 16 - Int(elidedOctets)
    let last = 16 - Int(elidedOctetsOfLast)
    let innerBytes = data.remaining - padding - last
    guard innerBytes >= 0, innerBytes % inner == 0 else { throw malformed }
    var segments: [IPv6Address] = []
    for _ in 0..<innerBytes / inner {
      segments.append(try Self.segment(eliding: elidedOctets, from: &data))
    }
    segments.append(try Self.segment(eliding: elidedOctetsOfLast, from: &data))
    guard Int(segmentsLeft) <= segments.count else { throw malformed }
    self.segments = segments
  }

  public var encodedLength: Int { (8 + addressesLength + 7) / 8 * 8 }

  /// Writes the header.
  ///
  /// ``EmitError/notRepresentable`` without segments, with more left than listed, with an elided octet that is not
  /// zero, and for over 255 units of 8 bytes.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    let units = encodedLength / 8 - 1
    guard !segments.isEmpty, Int(segmentsLeft) <= segments.count, elidedOctets <= 15,
      elidedOctetsOfLast <= 15,
      units <= 255
    else { throw .notRepresentable }
    let padding = encodedLength - 8 - addressesLength
    try writer.u8(nextHeader.rawValue)
    try writer.u8(UInt8(units))
    try writer.u8(RoutingType.rplSourceRoute.rawValue)
    try writer.u8(segmentsLeft)
    try writer.u8(elidedOctets << 4 | elidedOctetsOfLast)
    try writer.u8(UInt8(padding) << 4)
    try writer.u16(0)
    for (index, segment) in segments.enumerated() {
      let elided = index == segments.count - 1 ? elidedOctetsOfLast : elidedOctets
      guard IPv6Prefix(segment, length: elided * 8).address.isUnspecified else { throw .notRepresentable }
      try writer.bytes(Array(segment.bytes.dropFirst(Int(elided))))
    }
    try writer.zeros(padding)
  }

  /// The whole address of `segments[index]` for a packet to `destination`; `nil` if there is no such segment.
  public func address(ofSegment index: Int, destination: IPv6Address) -> IPv6Address? {
    guard segments.indices.contains(index) else { return nil }
    let elided = index == segments.count - 1 ? elidedOctetsOfLast : elidedOctets
    let prefix = IPv6Prefix(destination, length: elided * 8).address
    return IPv6Address(high: prefix.high | segments[index].high, low: prefix.low | segments[index].low)
  }

  private var addressesLength: Int {
    (segments.count - 1) * (16 - Int(elidedOctets)) + 16 - Int(elidedOctetsOfLast)
  }

  @_lifetime(reader: copy reader)
  private static func segment(
    eliding elided: UInt8, from reader: inout ByteReader
  ) throws(ParseError) -> IPv6Address {
    var address = IPv6Address.unspecified
    for _ in 0..<16 - Int(elided) {
      address.high = address.high << 8 | address.low >> 56
      address.low = address.low << 8 | UInt64(try reader.u8())
    }
    return address
  }
}
