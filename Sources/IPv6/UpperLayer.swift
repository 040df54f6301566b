import Wire

/// Where the upper layer of a packet begins, behind all extension headers.
@frozen
public struct UpperLayer: Hashable, Sendable {
  /// Extension headers in one packet; longer chains are refused as an attack.
  @inlinable public static var maximumExtensionHeaders: Int { 8 }

  /// The first protocol that is not an extension header.
  public var `protocol`: NextHeader
  /// Bytes from the start of the IPv6 payload.
  public var offset: Int
  /// The fragment header passed over, if any. Behind one with a non-zero offset the bytes at ``offset`` are the middle of a
  /// datagram, not an upper-layer header: the walk ends there.
  public var fragment: FragmentHeader?

  @inlinable
  public init(protocol: NextHeader, offset: Int, fragment: FragmentHeader? = nil) {
    self.`protocol` = `protocol`
    self.offset = offset
    self.fragment = fragment
  }

  /// Walks the extension headers of `payload`, the first of which is of kind `first` (RFC 8200, 4.1).
  ///
  /// Throws ``DropReason/ipv6ExtensionHeaderMalformed`` for a hop-by-hop header that is not the first, for one
  /// that runs past the payload, and for a chain longer than ``maximumExtensionHeaders``. The options inside are
  /// not looked at. Offsets count from the start of `payload`.
  @inlinable
  public init(in payload: RawSpan, startingWith first: NextHeader) throws(ParseError) {
    var reader = ByteReader(payload)
    var next = first
    var fragment: FragmentHeader?
    var passed = 0
    while next.isExtensionHeader {
      let malformed = reader.error(.ipv6ExtensionHeaderMalformed)
      guard passed < Self.maximumExtensionHeaders, next != .hopByHop || passed == 0, reader.remaining >= 8
      else {
        throw malformed
      }
      passed &+= 1
      if next == .fragment {
        let header = try FragmentHeader(parsing: &reader)
        fragment = header
        next = header.nextHeader
        if header.offset != 0 { break }
        continue
      }
      let kind = next
      next = NextHeader(rawValue: try reader.u8())
      let units = Int(try reader.u8())
      // Lengths are in units of 8 bytes without the first 8, but of 4 bytes without the first 8 for AH (RFC 4302).
      let rest = kind == .authentication ? units &* 4 &+ 6 : units &* 8 &+ 6
      guard rest <= reader.remaining else { throw malformed }
      try reader.skip(rest)
    }
    self.init(protocol: next, offset: reader.offset, fragment: fragment)
  }
}

/// The fragment header (RFC 8200, 4.5): 8 bytes.
@frozen
public struct FragmentHeader: Hashable, Sendable, WireValue {
  /// Bytes of the header on the wire.
  @inlinable public static var length: Int { 8 }

  public var nextHeader: NextHeader
  /// Where this fragment's data stands in the datagram, in units of 8 bytes; 13 bits.
  public var offset: UInt16
  public var moreFragments: Bool
  public var identification: UInt32

  @inlinable
  public init(nextHeader: NextHeader, offset: UInt16, moreFragments: Bool, identification: UInt32) {
    self.nextHeader = nextHeader
    self.offset = offset
    self.moreFragments = moreFragments
    self.identification = identification
  }

  /// Reads the 8 bytes; reserved bits are ignored as the RFC says.
  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let word = try reader.u64()
    nextHeader = NextHeader(rawValue: UInt8(truncatingIfNeeded: word >> 56))
    offset = UInt16(truncatingIfNeeded: word >> 35) & 0x1fff
    moreFragments = word >> 32 & 1 == 1
    identification = UInt32(truncatingIfNeeded: word)
  }

  @inlinable public var encodedLength: Int { Self.length }

  /// Writes the 8 bytes. An offset over 13 bits is ``EmitError/notRepresentable``.
  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard offset <= 0x1fff else { throw .notRepresentable }
    let place = UInt64(offset) << 35 | (moreFragments ? 1 << 32 : 0)
    try writer.u64(UInt64(nextHeader.rawValue) << 56 | place | UInt64(identification))
  }
}
