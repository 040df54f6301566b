import Wire

/// FRAG1, the header of a datagram's first fragment (RFC 4944, 5.3): 4 bytes.
@frozen
public struct FirstFragmentHeader: Hashable, Sendable, WireValue {
  /// Bytes of the header on the wire.
  @inlinable public static var length: Int { 4 }
  /// The largest datagram that the field can express, bytes.
  @inlinable public static var maximumDatagramSize: Int { 0x7ff }

  /// Bytes of the whole IPv6 packet before compression; 11 bits.
  public var datagramSize: UInt16
  /// Tells the datagrams of one sender apart.
  public var tag: UInt16

  @inlinable
  public init(datagramSize: UInt16, tag: UInt16) {
    self.datagramSize = datagramSize
    self.tag = tag
  }

  /// Reads the 4 bytes. Another dispatch is ``DropReason/fragmentMalformed``.
  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let other = reader.error(.fragmentMalformed)
    let word = try reader.u32()
    guard word >> 27 == 0b11000 else { throw other }
    datagramSize = UInt16(truncatingIfNeeded: word >> 16) & 0x7ff
    tag = UInt16(truncatingIfNeeded: word)
  }

  @inlinable public var encodedLength: Int { Self.length }

  /// Writes the 4 bytes. A size over 11 bits is ``EmitError/notRepresentable``.
  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard datagramSize <= 0x7ff else { throw .notRepresentable }
    try writer.u16(0xc000 | datagramSize)
    try writer.u16(tag)
  }
}

/// FRAGN, the header of every later fragment (RFC 4944, 5.3): 5 bytes.
@frozen
public struct NextFragmentHeader: Hashable, Sendable, WireValue {
  /// Bytes of the header on the wire.
  @inlinable public static var length: Int { 5 }

  /// Bytes of the whole IPv6 packet before compression; 11 bits.
  public var datagramSize: UInt16
  /// As in the first fragment.
  public var tag: UInt16
  /// Where the fragment stands in the uncompressed packet, in units of 8 bytes.
  public var offset: UInt8

  @inlinable
  public init(datagramSize: UInt16, tag: UInt16, offset: UInt8) {
    self.datagramSize = datagramSize
    self.tag = tag
    self.offset = offset
  }

  /// Reads the 5 bytes. Another dispatch is ``DropReason/fragmentMalformed``.
  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let other = reader.error(.fragmentMalformed)
    let word = try reader.u32()
    guard word >> 27 == 0b11100 else { throw other }
    datagramSize = UInt16(truncatingIfNeeded: word >> 16) & 0x7ff
    tag = UInt16(truncatingIfNeeded: word)
    offset = try reader.u8()
  }

  @inlinable public var encodedLength: Int { Self.length }

  /// Writes the 5 bytes. A size over 11 bits is ``EmitError/notRepresentable``.
  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard datagramSize <= 0x7ff else { throw .notRepresentable }
    try writer.u16(0xe000 | datagramSize)
    try writer.u16(tag)
    try writer.u8(offset)
  }
}
