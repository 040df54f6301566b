import Wire

/// The header of a beacon, data, acknowledgment or command frame up to the information elements
/// (IEEE 802.15.4-2020, 7.2; the forms of 2003 and 2006 too).
@frozen
public struct MACHeader: Hashable, Sendable, WireValue {
  public var control: FrameControl
  /// `nil` exactly if ``FrameControl/isSequenceNumberSuppressed``, or ``emit(into:)`` throws.
  @usableFromInline var number: UInt8?
  /// As the frame carries it; `nil` if it is left out.
  public var destinationPAN: PANIdentifier?
  public var destination: MACAddress
  /// As the frame carries it; `nil` if it is left out, which often means: as the destination's.
  public var sourcePAN: PANIdentifier?
  public var source: MACAddress
  public var security: AuxiliarySecurityHeader?

  /// A header whose control field follows from its parts. What the version does not have makes ``emit(into:)`` throw: PAN
  /// identifiers that must not be there with these addresses, no sequence number before 2015, security in 2003.
  @inlinable
  public init(
    type: FrameType, version: FrameVersion = .v2006, sequenceNumber: UInt8?,
    destinationPAN: PANIdentifier? = nil,
    destination: MACAddress = .absent, sourcePAN: PANIdentifier? = nil, source: MACAddress = .absent,
    security: AuxiliarySecurityHeader? = nil, acknowledgmentRequested: Bool = false,
    framePending: Bool = false,
    panIdentifierCompressed: Bool = false, hasInformationElements: Bool = false
  ) {
    control = FrameControl(
      type: type, version: version, destination: destination.mode, source: source.mode)
    control.isSecured = security != nil
    control.isAcknowledgmentRequested = acknowledgmentRequested
    control.isFramePending = framePending
    control.isPANIdentifierCompressed = panIdentifierCompressed
    if sequenceNumber == nil { control.isSequenceNumberSuppressed = true }
    if hasInformationElements { control.hasInformationElements = true }
    number = sequenceNumber
    self.destinationPAN = destinationPAN
    self.destination = destination
    self.sourcePAN = sourcePAN
    self.source = source
    self.security = security
  }

  /// `nil` if suppressed, which only 2015 allows.
  @inlinable public var sequenceNumber: UInt8? {
    get { number }
    set {
      control.isSequenceNumberSuppressed = newValue == nil
      number = newValue
    }
  }

  /// The PAN that the source is in: its own identifier, or the destination's where that stands for both.
  @inlinable public var effectiveSourcePAN: PANIdentifier? { sourcePAN ?? destinationPAN }

  /// Reads a header.
  ///
  /// Throws ``DropReason/macFrameTypeReserved`` for the reserved type, ``DropReason/unsupported`` for types with another
  /// header (see ``MultipurposeHeader``), ``DropReason/macFrameVersionReserved``,
  /// ``DropReason/macAddressingModeReserved``, ``DropReason/macAddressingInvalid``,
  /// ``DropReason/macSecurityUnsupported`` for the security of 2003, which had no such header, and for a header of
  /// 2006 with bits that only 2015 defines, and ``DropReason/truncated``.
  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let start = reader.offset
    let control = FrameControl(rawValue: try reader.u16LE())
    self.control = control
    // Type over 3, version 3 or a reserved addressing mode: rare, so looked at together first.
    let raw = control.rawValue
    let modes = raw >> 10 & 0x33
    guard raw & 4 == 0, raw & 0x3000 != 0x3000, modes & 3 != 1, modes & 0x30 != 0x10 else {
      throw ParseError(control.refusal, at: start)
    }
    number = control.isSequenceNumberSuppressed ? nil : try reader.u8()
    guard let presence = PANIdentifierPresence(control) else {
      throw ParseError(.macAddressingInvalid, at: start)
    }
    destinationPAN = presence.destination ? PANIdentifier(try reader.u16LE()) : nil
    destination = try MACAddress(control.destinationMode, parsing: &reader)
    sourcePAN = presence.source ? PANIdentifier(try reader.u16LE()) : nil
    source = try MACAddress(control.sourceMode, parsing: &reader)
    guard control.isSecured else {
      security = nil
      return
    }
    guard raw & 0x3000 != 0 else { throw ParseError(.macSecurityUnsupported, at: start) }
    let security = try AuxiliarySecurityHeader(parsing: &reader)
    guard security.suits(control) else { throw ParseError(.macSecurityUnsupported, at: start) }
    self.security = security
  }

  @inlinable public var encodedLength: Int {
    2 + (number == nil ? 0 : 1) + (destinationPAN == nil ? 0 : 2)
      + destination.encodedLength
      + (sourcePAN == nil ? 0 : 2) + source.encodedLength + (security?.encodedLength ?? 0)
  }

  /// Writes the header. ``EmitError/notRepresentable`` if the control field announces other parts than there are.
  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard control.isSequenceNumberSuppressed == (number == nil), control.destinationMode == destination.mode,
      control.sourceMode == source.mode,
      control.isSecured == (security != nil), let presence = PANIdentifierPresence(control),
      presence.destination == (destinationPAN != nil), presence.source == (sourcePAN != nil),
      security.map({ $0.suits(control) }) ?? true
    else { throw .notRepresentable }
    try writer.u16LE(control.rawValue)
    if let number { try writer.u8(number) }
    if let destinationPAN { try writer.u16LE(destinationPAN.value) }
    try destination.emit(into: &writer)
    if let sourcePAN { try writer.u16LE(sourcePAN.value) }
    try source.emit(into: &writer)
    if let security { try security.emit(into: &writer) }
  }
}

extension FrameControl {
  /// Why no header can be read behind this field.
  @usableFromInline var refusal: DropReason {
    switch type {
    case .reserved: return .macFrameTypeReserved
    case .multipurpose, .fragment, .extended: return .unsupported
    default: return version == nil ? .macFrameVersionReserved : .macAddressingModeReserved
    }
  }
}

extension AuxiliarySecurityHeader {
  /// Whether frames of the version that `control` names have such a header: none in 2003; in 2006 always with a frame counter,
  /// for the nonce too (802.15.4-2006, 7.6.2).
  @inlinable
  func suits(_ control: FrameControl) -> Bool {
    control.isVersion2015 || control.rawValue & 0x3000 != 0 && frameCounter != nil && !hasASNInNonce
  }
}

extension MACAddress {
  @inlinable public var mode: AddressingMode {
    switch self {
    case .absent: .absent
    case .short: .short
    case .extended: .extended
    }
  }

  @inlinable var encodedLength: Int {
    switch self {
    case .absent: 0
    case .short: 2
    case .extended: 8
    }
  }

  @inlinable
  @_lifetime(reader: copy reader)
  init(_ mode: AddressingMode, parsing reader: inout ByteReader) throws(ParseError) {
    switch mode {
    case .short: self = .short(ShortAddress(try reader.u16LE()))
    case .extended: self = .extended(ExtendedAddress(try reader.u64LE()))
    case .absent, .reserved: self = .absent
    }
  }

  @inlinable
  @_lifetime(writer: copy writer)
  func emit(into writer: inout ByteWriter) throws(EmitError) {
    switch self {
    case .absent: break
    case .short(let address): try writer.u16LE(address.value)
    case .extended(let address): try writer.u64LE(address.value)
    }
  }
}
