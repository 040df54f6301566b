import Wire

/// The header of a multipurpose frame (IEEE 802.15.4-2020, 7.3.5): one octet of control where two are not needed.
///
/// No network that Pangate serves uses it; it is told from garbage, and its addresses are shown.
@frozen
public struct MultipurposeHeader: Hashable, Sendable, WireValue {
  /// The control field; the high octet is zero in the short form.
  public var control: UInt16
  /// `nil` if suppressed.
  public var sequenceNumber: UInt8?
  public var destinationPAN: PANIdentifier?
  public var destination: MACAddress
  public var source: MACAddress
  public var security: AuxiliarySecurityHeader?

  @inlinable var isLong: Bool { control & 0x08 != 0 }
  @inlinable public var isFramePending: Bool { control & 0x0800 != 0 }
  @inlinable public var isAcknowledgmentRequested: Bool { control & 0x4000 != 0 }
  @inlinable public var hasInformationElements: Bool { control & 0x8000 != 0 }

  /// Throws ``DropReason/macFrameTypeReserved`` for another type, ``DropReason/macFrameVersionReserved``,
  /// ``DropReason/macAddressingModeReserved``, ``DropReason/macSecurityUnsupported`` and ``DropReason/truncated``.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let start = reader.offset
    let first = try reader.u8()
    guard first & 7 == FrameType.multipurpose.rawValue else {
      throw ParseError(.macFrameTypeReserved, at: start)
    }
    control = UInt16(first)
    if first & 0x08 != 0 { control |= UInt16(try reader.u8()) << 8 }
    guard control & 0x3000 == 0 else { throw ParseError(.macFrameVersionReserved, at: start) }
    guard let destinationMode = AddressingMode(rawValue: first >> 4 & 3),
      let sourceMode = AddressingMode(rawValue: first >> 6), destinationMode != .reserved,
      sourceMode != .reserved
    else { throw ParseError(.macAddressingModeReserved, at: start) }
    sequenceNumber = control & 0x0400 == 0 ? try reader.u8() : nil
    destinationPAN = control & 0x0100 == 0 ? nil : PANIdentifier(try reader.u16LE())
    destination = try MACAddress(destinationMode, parsing: &reader)
    source = try MACAddress(sourceMode, parsing: &reader)
    security = control & 0x0200 == 0 ? nil : try AuxiliarySecurityHeader(parsing: &reader)
  }

  public var encodedLength: Int {
    (isLong ? 2 : 1) + (sequenceNumber == nil ? 0 : 1) + (destinationPAN == nil ? 0 : 2)
      + destination.encodedLength
      + source.encodedLength + (security?.encodedLength ?? 0)
  }

  /// Writes the header. ``EmitError/notRepresentable`` if the control field announces other parts than there are.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard control & 7 == 5, isLong || control >> 8 == 0, control & 0x3000 == 0,
      UInt8(control >> 4 & 3) == destination.mode.rawValue, UInt8(control >> 6 & 3) == source.mode.rawValue,
      (control & 0x0400 == 0) == (sequenceNumber != nil), (control & 0x0100 != 0) == (destinationPAN != nil),
      (control & 0x0200 != 0) == (security != nil)
    else { throw .notRepresentable }
    try writer.u8(UInt8(truncatingIfNeeded: control))
    if isLong { try writer.u8(UInt8(control >> 8)) }
    if let sequenceNumber { try writer.u8(sequenceNumber) }
    if let destinationPAN { try writer.u16LE(destinationPAN.value) }
    try destination.emit(into: &writer)
    try source.emit(into: &writer)
    if let security { try security.emit(into: &writer) }
  }
}
