import Wire

/// Prefix information, option type 3 (RFC 4861, 4.6.2).
@frozen
public struct PrefixInformation: Hashable, Sendable {
  public var prefix: IPv6Prefix
  /// The L flag.
  public var isOnLink: Bool
  /// The A flag: the prefix is for autoconfiguration (RFC 4862).
  public var isAutonomous: Bool
  /// Seconds; `.max` for ever.
  public var validLifetime: UInt32
  /// Seconds; `.max` for ever.
  public var preferredLifetime: UInt32

  @inlinable
  public init(
    prefix: IPv6Prefix, isOnLink: Bool, isAutonomous: Bool, validLifetime: UInt32, preferredLifetime: UInt32
  ) {
    self.prefix = prefix
    self.isOnLink = isOnLink
    self.isAutonomous = isAutonomous
    self.validLifetime = validLifetime
    self.preferredLifetime = preferredLifetime
  }

  @inlinable var optionLength: Int { 32 }

  @inlinable
  @_lifetime(reader: copy reader)
  init(option reader: inout ByteReader, optionLength: Int) throws(ParseError) {
    let malformed = reader.error(.ndOptionMalformed)
    guard optionLength == 32 else { throw malformed }
    let length = try reader.u8()
    guard length <= 128 else { throw malformed }
    let flags = try reader.u8()
    isOnLink = flags & 0x80 != 0
    isAutonomous = flags & 0x40 != 0
    validLifetime = try reader.u32()
    preferredLifetime = try reader.u32()
    try reader.skip(4)
    prefix = IPv6Prefix(try IPv6Address(parsing: &reader), length: length)
  }

  @inlinable
  @_lifetime(writer: copy writer)
  func emitBody(into writer: inout ByteWriter) throws(EmitError) {
    try writer.u8(prefix.length)
    try writer.u8((isOnLink ? 0x80 : 0) | (isAutonomous ? 0x40 : 0))
    try writer.u32(validLifetime)
    try writer.u32(preferredLifetime)
    try writer.u32(0)
    try prefix.address.emit(into: &writer)
  }
}

/// The 6LoWPAN context option, 6CO, type 34 (RFC 6775, 4.2).
@frozen
public struct ContextInformation: Hashable, Sendable {
  /// The context: a prefix of any length.
  public var prefix: IPv6Prefix
  /// The C flag: the context may be used to compress; without it only to decompress.
  public var isForCompression: Bool
  /// The CID, 0 to 15.
  public var identifier: UInt8
  /// Minutes; 0 removes the context at once.
  public var validLifetime: UInt16

  @inlinable
  public init(prefix: IPv6Prefix, isForCompression: Bool, identifier: UInt8, validLifetime: UInt16) {
    self.prefix = prefix
    self.isForCompression = isForCompression
    self.identifier = identifier
    self.validLifetime = validLifetime
  }

  @inlinable var optionLength: Int { prefix.length > 64 ? 24 : 16 }

  @inlinable
  @_lifetime(reader: copy reader)
  init(option reader: inout ByteReader, optionLength: Int) throws(ParseError) {
    let malformed = reader.error(.ndOptionMalformed)
    guard optionLength == 16 || optionLength == 24 else { throw malformed }
    let length = try reader.u8()
    guard length <= 64 || (length <= 128 && optionLength == 24) else { throw malformed }
    let flags = try reader.u8()
    isForCompression = flags & 0x10 != 0
    identifier = flags & 0xf
    try reader.skip(2)
    validLifetime = try reader.u16()
    var address = IPv6Address(high: try reader.u64(), low: 0)
    if optionLength == 24 { address.low = try reader.u64() }
    prefix = IPv6Prefix(address, length: length)
  }

  @inlinable
  @_lifetime(writer: copy writer)
  func emitBody(into writer: inout ByteWriter) throws(EmitError) {
    guard identifier <= 15 else { throw .notRepresentable }
    try writer.u8(prefix.length)
    try writer.u8((isForCompression ? 0x10 : 0) | identifier)
    try writer.u16(0)
    try writer.u16(validLifetime)
    try writer.u64(prefix.address.high)
    if prefix.length > 64 { try writer.u64(prefix.address.low) }
  }
}

/// The authoritative border router option, ABRO, type 35 (RFC 6775, 4.3).
@frozen
public struct AuthoritativeBorderRouter: Hashable, Sendable {
  /// Rises with every change of the prefixes and contexts.
  public var version: UInt32
  /// Minutes; 0 stands for 10,000.
  public var validLifetime: UInt16
  public var address: IPv6Address

  @inlinable
  public init(version: UInt32, validLifetime: UInt16, address: IPv6Address) {
    self.version = version
    self.validLifetime = validLifetime
    self.address = address
  }

  /// ``validLifetime`` with its default filled in, minutes.
  @inlinable public var effectiveLifetime: UInt16 { validLifetime == 0 ? 10_000 : validLifetime }

  @inlinable var optionLength: Int { 24 }

  @inlinable
  @_lifetime(reader: copy reader)
  init(option reader: inout ByteReader, optionLength: Int) throws(ParseError) {
    guard optionLength == 24 else { throw reader.error(.ndOptionMalformed) }
    let low = try reader.u16()
    let high = try reader.u16()
    version = UInt32(high) << 16 | UInt32(low)
    validLifetime = try reader.u16()
    address = try IPv6Address(parsing: &reader)
  }

  @inlinable
  @_lifetime(writer: copy writer)
  func emitBody(into writer: inout ByteWriter) throws(EmitError) {
    try writer.u16(UInt16(truncatingIfNeeded: version))
    try writer.u16(UInt16(truncatingIfNeeded: version >> 16))
    try writer.u16(validLifetime)
    try address.emit(into: &writer)
  }
}

/// The flags of the 6LoWPAN capability indication option, 6CIO, type 36 (RFC 7400, 3.3 and 3.4; RFC 8505, 4.3).
///
/// The raw value holds the 48 bits of the option; flag 0 is bit 47.
@frozen
public struct LowpanCapabilities: OptionSet, Hashable, Sendable {
  public var rawValue: UInt64

  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// The flag with the IANA number `flag`, 0 to 47.
  @inlinable
  init(flag: UInt64) { rawValue = 1 << (47 - flag) }

  /// D: the 6LBR supports EDAR and EDAC.
  @inlinable public static var extendedDuplicateAddress: LowpanCapabilities { LowpanCapabilities(flag: 10) }
  /// L: the node is a 6LR.
  @inlinable public static var router: LowpanCapabilities { LowpanCapabilities(flag: 11) }
  /// B: the node is a 6LBR.
  @inlinable public static var borderRouter: LowpanCapabilities { LowpanCapabilities(flag: 12) }
  /// P: the node is a routing registrar.
  @inlinable public static var routingRegistrar: LowpanCapabilities { LowpanCapabilities(flag: 13) }
  /// E: the node takes registrations with an EARO.
  @inlinable public static var extendedRegistration: LowpanCapabilities { LowpanCapabilities(flag: 14) }
  /// G: the node understands generic header compression.
  @inlinable public static var genericHeaderCompression: LowpanCapabilities { LowpanCapabilities(flag: 15) }
}
