import Wire

/// The outcome of an address registration (RFC 6775, table 1; RFC 8505, table 1).
@frozen
public struct RegistrationStatus: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt8
  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Also the value of every request.
  @inlinable public static var success: RegistrationStatus { RegistrationStatus(rawValue: 0) }
  @inlinable public static var duplicateAddress: RegistrationStatus { RegistrationStatus(rawValue: 1) }
  @inlinable public static var neighborCacheFull: RegistrationStatus { RegistrationStatus(rawValue: 2) }
  /// A newer registration with the same ROVR exists.
  @inlinable public static var moved: RegistrationStatus { RegistrationStatus(rawValue: 3) }
  @inlinable public static var removed: RegistrationStatus { RegistrationStatus(rawValue: 4) }
  @inlinable public static var validationRequested: RegistrationStatus { RegistrationStatus(rawValue: 5) }
  @inlinable public static var duplicateSourceAddress: RegistrationStatus { RegistrationStatus(rawValue: 6) }
  @inlinable public static var invalidSourceAddress: RegistrationStatus { RegistrationStatus(rawValue: 7) }
  @inlinable public static var topologicallyIncorrect: RegistrationStatus { RegistrationStatus(rawValue: 8) }
  @inlinable public static var registrySaturated: RegistrationStatus { RegistrationStatus(rawValue: 9) }
  @inlinable public static var validationFailed: RegistrationStatus { RegistrationStatus(rawValue: 10) }

  /// Whether RFC 6775 or RFC 8505 assigns the value.
  @inlinable public var isAssigned: Bool { rawValue <= 10 }
}

/// A registration ownership verifier (RFC 8505, 5.3): 64, 128, 192 or 256 bits. Of 64 bits it may be an EUI-64, as
/// in RFC 6775.
@frozen
public struct RegistrationOwnershipVerifier: Hashable, Sendable {
  @usableFromInline var words: (UInt64, UInt64, UInt64, UInt64)
  /// Length in units of 8 bytes: 1 to 4.
  public let units: Int

  /// 64 bits: an EUI-64 with its first octet most significant, or a token of that size.
  @inlinable
  public init(_ eui64: UInt64) {
    words = (eui64, 0, 0, 0)
    units = 1
  }

  /// `nil` unless `bytes` are 8, 16, 24 or 32.
  public init?(_ bytes: [UInt8]) {
    guard [8, 16, 24, 32].contains(bytes.count) else { return nil }
    var reader = ByteReader(bytes.rawSpan)
    guard let value = try? Self(parsing: &reader, units: bytes.count / 8) else { return nil }
    self = value
  }

  /// The 64 bits of a short verifier; `nil` for the longer ones.
  @inlinable public var eui64: UInt64? { units == 1 ? words.0 : nil }

  /// The bytes in the order of the wire.
  public var bytes: [UInt8] {
    [words.0, words.1, words.2, words.3].prefix(units).flatMap { word in
      (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) }
    }
  }

  /// `units` has to be 1 to 4, else ``DropReason/lengthMismatch``.
  @inlinable
  @_lifetime(reader: copy reader)
  init(parsing reader: inout ByteReader, units: Int) throws(ParseError) {
    guard (1...4).contains(units) else { throw reader.error(.lengthMismatch) }
    self.units = units
    words = (try reader.u64(), 0, 0, 0)
    if units > 1 { words.1 = try reader.u64() }
    if units > 2 { words.2 = try reader.u64() }
    if units > 3 { words.3 = try reader.u64() }
  }

  @inlinable
  @_lifetime(writer: copy writer)
  func emit(into writer: inout ByteWriter) throws(EmitError) {
    try writer.u64(words.0)
    if units > 1 { try writer.u64(words.1) }
    if units > 2 { try writer.u64(words.2) }
    if units > 3 { try writer.u64(words.3) }
  }

  @inlinable
  public static func == (left: Self, right: Self) -> Bool {
    left.units == right.units && left.words == right.words
  }

  @inlinable
  public func hash(into hasher: inout Hasher) {
    hasher.combine(words.0)
    hasher.combine(words.1)
    hasher.combine(words.2)
    hasher.combine(words.3)
    hasher.combine(units)
  }
}

/// The address registration option, type 33: ARO (RFC 6775, 4.1) or, with a transaction ID, EARO (RFC 8505, 4.1).
@frozen
public struct AddressRegistration: Hashable, Sendable {
  public var status: RegistrationStatus
  /// Opaque to neighbour discovery; zero in an ARO.
  public var opaque: UInt8
  /// The I field, 2 bits: 0 says that ``opaque`` is a routing topology; the other values are reserved.
  public var opaqueKind: UInt8
  /// The R flag: the node asks for reachability services for its address.
  public var wantsRouting: Bool
  /// The TID, present if the T flag is set; `nil` makes the option an ARO.
  public var transactionID: UInt8?
  /// Minutes; 0 ends the registration.
  public var lifetime: UInt16
  /// The EUI-64 of an ARO, the ROVR of an EARO.
  public var verifier: RegistrationOwnershipVerifier

  @inlinable
  public init(
    status: RegistrationStatus = .success, opaque: UInt8 = 0, opaqueKind: UInt8 = 0,
    wantsRouting: Bool = false,
    transactionID: UInt8? = nil, lifetime: UInt16, verifier: RegistrationOwnershipVerifier
  ) {
    self.status = status
    self.opaque = opaque
    self.opaqueKind = opaqueKind
    self.wantsRouting = wantsRouting
    self.transactionID = transactionID
    self.lifetime = lifetime
    self.verifier = verifier
  }

  @inlinable var optionLength: Int { 8 + 8 * verifier.units }

  @inlinable
  @_lifetime(reader: copy reader)
  init(option reader: inout ByteReader, optionLength: Int) throws(ParseError) {
    guard optionLength >= 16, optionLength <= 40 else { throw reader.error(.ndOptionMalformed) }
    status = RegistrationStatus(rawValue: try reader.u8())
    opaque = try reader.u8()
    let flags = try reader.u8()
    opaqueKind = flags >> 2 & 3
    wantsRouting = flags & 2 != 0
    let transaction = try reader.u8()
    transactionID = flags & 1 != 0 ? transaction : nil
    lifetime = try reader.u16()
    verifier = try RegistrationOwnershipVerifier(parsing: &reader, units: optionLength / 8 - 1)
  }

  @inlinable
  @_lifetime(writer: copy writer)
  func emitBody(into writer: inout ByteWriter) throws(EmitError) {
    guard opaqueKind <= 3 else { throw .notRepresentable }
    try writer.u8(status.rawValue)
    try writer.u8(opaque)
    try writer.u8(opaqueKind << 2 | (wantsRouting ? 2 : 0) | (transactionID == nil ? 0 : 1))
    try writer.u8(transactionID ?? 0)
    try writer.u16(lifetime)
    try verifier.emit(into: &writer)
  }
}

/// Duplicate address request and confirmation: DAR and DAC (RFC 6775, 4.4), and, with a transaction ID, EDAR and
/// EDAC (RFC 8505, 4.2).
@frozen
public struct DuplicateAddressMessage: Hashable, Sendable, WireValue {
  /// DAC or EDAC.
  public var isConfirmation: Bool
  /// `success` in a request.
  public var status: RegistrationStatus
  /// The TID; `nil` makes it a DAR or DAC, whose verifier has 64 bits.
  public var transactionID: UInt8?
  /// Minutes.
  public var lifetime: UInt16
  public var verifier: RegistrationOwnershipVerifier
  public var registeredAddress: IPv6Address

  @inlinable
  public init(
    isConfirmation: Bool, status: RegistrationStatus = .success, transactionID: UInt8? = nil,
    lifetime: UInt16,
    verifier: RegistrationOwnershipVerifier, registeredAddress: IPv6Address
  ) {
    self.isConfirmation = isConfirmation
    self.status = status
    self.transactionID = transactionID
    self.lifetime = lifetime
    self.verifier = verifier
    self.registeredAddress = registeredAddress
  }

  /// Reads the message, checksum passed over; options may follow.
  ///
  /// Throws ``DropReason/icmpv6TypeUnknown`` for another type and ``DropReason/ndMessageMalformed`` for a code
  /// suffix over 4 or a multicast registered address.
  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let start = reader.offset
    let header = try ICMPv6Header(parsing: &reader)
    switch header.type {
    case .duplicateAddressRequest: isConfirmation = false
    case .duplicateAddressConfirmation: isConfirmation = true
    default: throw ParseError(.icmpv6TypeUnknown, at: start)
    }
    let suffix = Int(header.code & 0xf)
    guard suffix <= 4 else { throw ParseError(.ndMessageMalformed, at: start &+ 1) }
    status = RegistrationStatus(rawValue: try reader.u8())
    let transaction = try reader.u8()
    transactionID = suffix == 0 ? nil : transaction
    lifetime = try reader.u16()
    verifier = try RegistrationOwnershipVerifier(parsing: &reader, units: max(suffix, 1))
    let multicast = reader.error(.ndMessageMalformed)
    registeredAddress = try IPv6Address(parsing: &reader)
    guard !registeredAddress.isMulticast else { throw multicast }
  }

  @inlinable public var encodedLength: Int { 24 + 8 * verifier.units }

  /// Writes the message with a zero checksum. A long verifier without a transaction ID, or a multicast address, is
  /// ``EmitError/notRepresentable``.
  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard transactionID != nil || verifier.units == 1, !registeredAddress.isMulticast else {
      throw .notRepresentable
    }
    let type = isConfirmation ? ICMPv6Type.duplicateAddressConfirmation : .duplicateAddressRequest
    let code = transactionID == nil ? 0 : UInt8(truncatingIfNeeded: verifier.units)
    try ICMPv6Header(type: type, code: code).emit(into: &writer)
    try writer.u8(status.rawValue)
    try writer.u8(transactionID ?? 0)
    try writer.u16(lifetime)
    try verifier.emit(into: &writer)
    try registeredAddress.emit(into: &writer)
  }
}
