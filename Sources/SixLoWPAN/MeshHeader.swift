import IEEE802154
import Wire

/// The mesh addressing header (RFC 4944, 5.2): who made the frame and who shall have it, beyond this one hop.
@frozen
public struct MeshHeader: Hashable, Sendable, WireValue {
  /// Hops that the frame may still make. Over 14 it is written in the deep form, in a byte of its own.
  public var hopsLeft: UInt8
  /// The sender; short or extended.
  public var originator: MACAddress
  /// The recipient; short or extended.
  public var finalDestination: MACAddress

  @inlinable
  public init(hopsLeft: UInt8, originator: MACAddress, finalDestination: MACAddress) {
    self.hopsLeft = hopsLeft
    self.originator = originator
    self.finalDestination = finalDestination
  }

  /// The addresses that take the place of the MAC header's for reassembly and decompression (RFC 4944, 5.3 and 11).
  @inlinable public var link: LowpanLink { LowpanLink(source: originator, destination: finalDestination) }

  /// Reads the header. Another dispatch is ``DropReason/lowpanDispatchUnknown``.
  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let other = reader.error(.lowpanDispatchUnknown)
    let first = try reader.u8()
    guard first >> 6 == 0b10 else { throw other }
    hopsLeft = first & 15
    if hopsLeft == 15 { hopsLeft = try reader.u8() }
    originator = try Self.address(isShort: first & 0x20 != 0, &reader)
    finalDestination = try Self.address(isShort: first & 0x10 != 0, &reader)
  }

  /// Addresses come in network order here, unlike in the MAC header.
  @inlinable
  @_lifetime(reader: copy reader)
  static func address(isShort: Bool, _ reader: inout ByteReader) throws(ParseError) -> MACAddress {
    isShort ? .short(ShortAddress(try reader.u16())) : .extended(ExtendedAddress(try reader.u64()))
  }

  @inlinable public var encodedLength: Int {
    (hopsLeft < 15 ? 1 : 2) + Self.length(originator) + Self.length(finalDestination)
  }

  @inlinable
  static func length(_ address: MACAddress) -> Int {
    switch address {
    case .absent: 0
    case .short: 2
    case .extended: 8
    }
  }

  /// Writes the header. An absent address is ``EmitError/notRepresentable``.
  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard originator != .absent, finalDestination != .absent else { throw .notRepresentable }
    var first: UInt8 = 0x80 | min(hopsLeft, 15)
    if case .short = originator { first |= 0x20 }
    if case .short = finalDestination { first |= 0x10 }
    try writer.u8(first)
    if hopsLeft >= 15 { try writer.u8(hopsLeft) }
    try Self.emit(originator, into: &writer)
    try Self.emit(finalDestination, into: &writer)
  }

  @inlinable
  @_lifetime(writer: copy writer)
  static func emit(_ address: MACAddress, into writer: inout ByteWriter) throws(EmitError) {
    switch address {
    case .absent: break
    case .short(let short): try writer.u16(short.value)
    case .extended(let extended): try writer.u64(extended.value)
    }
  }
}

/// LOWPAN_BC0, the header of a broadcast in a mesh (RFC 4944, 11.1): 2 bytes.
@frozen
public struct BroadcastHeader: Hashable, Sendable, WireValue {
  @inlinable public static var dispatch: UInt8 { 0x50 }

  /// Rises with every broadcast of an originator, so that copies can be told from new ones.
  public var sequenceNumber: UInt8

  @inlinable public init(sequenceNumber: UInt8) { self.sequenceNumber = sequenceNumber }

  /// Reads the 2 bytes. Another dispatch is ``DropReason/lowpanDispatchUnknown``.
  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let other = reader.error(.lowpanDispatchUnknown)
    let word = try reader.u16()
    guard word >> 8 == UInt16(Self.dispatch) else { throw other }
    sequenceNumber = UInt8(truncatingIfNeeded: word)
  }

  @inlinable public var encodedLength: Int { 2 }

  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    try writer.u8(Self.dispatch)
    try writer.u8(sequenceNumber)
  }
}
