import IEEE802154
import Wire

// The values of the properties that a host of a radio co-processor reads and writes, beside frames.

/// PROTOCOL_VERSION.
public struct SpinelProtocolVersion: Hashable, Sendable, WireValue, CustomStringConvertible {
  public var major: UInt32
  public var minor: UInt32

  public init(major: UInt32, minor: UInt32) {
    self.major = major
    self.minor = minor
  }

  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    major = try reader.spinelPacked()
    minor = try reader.spinelPacked()
  }

  public var encodedLength: Int { spinelPackedLength(major) + spinelPackedLength(minor) }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    try writer.spinelPacked(major)
    try writer.spinelPacked(minor)
  }

  public var description: String { "\(major).\(minor)" }
}

/// A packed integer: INTERFACE_TYPE, the API versions, RADIO_CAPS.
public struct SpinelNumber: Hashable, Sendable, WireValue {
  public var value: UInt32

  public init(_ value: UInt32) { self.value = value }

  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) { value = try reader.spinelPacked() }

  public var encodedLength: Int { spinelPackedLength(value) }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) { try writer.spinelPacked(value) }
}

/// CAPS: what a firmware is and can do.
public struct SpinelCapabilities: Hashable, Sendable, WireValue {
  /// A radio co-processor.
  public static let radio: UInt32 = 34
  /// A co-processor that runs the whole network stack.
  public static let networkProcessor: ClosedRange<UInt32> = 32...33
  /// Tells its RCP API version.
  public static let rcpAPIVersion: UInt32 = 64
  /// Tells the least API version of a host.
  public static let rcpMinimumHostAPIVersion: UInt32 = 65
  /// Frames go through STREAM_RAW.
  public static let macRaw: UInt32 = 513

  public var values: [UInt32]

  public init(_ values: [UInt32]) { self.values = values }

  /// Reads to the end of `reader`.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    values = []
    while !reader.isAtEnd { values.append(try reader.spinelPacked()) }
  }

  public var encodedLength: Int { values.reduce(0) { $0 + spinelPackedLength($1) } }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    for value in values { try writer.spinelPacked(value) }
  }
}

/// RADIO_CAPS: what the radio does by itself.
public struct SpinelRadioCapabilities: OptionSet, Hashable, Sendable {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let acknowledgmentTimeout = SpinelRadioCapabilities(rawValue: 1)
  public static let retransmissions = SpinelRadioCapabilities(rawValue: 1 << 2)
  public static let csma = SpinelRadioCapabilities(rawValue: 1 << 3)
  public static let security = SpinelRadioCapabilities(rawValue: 1 << 5)
}

/// NCP_VERSION: text that ends with a zero octet.
public struct SpinelText: Hashable, Sendable, WireValue {
  /// UTF-8 without zero octets.
  public var bytes: [UInt8]

  public init(bytes: [UInt8]) { self.bytes = bytes }

  /// Reads to the first zero octet, or to the end.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    bytes = []
    while !reader.isAtEnd {
      let byte = try reader.u8()
      if byte == 0 { return }
      bytes.append(byte)
    }
  }

  public var encodedLength: Int { bytes.count + 1 }

  /// ``EmitError/notRepresentable`` for text with a zero octet.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard !bytes.contains(0) else { throw .notRepresentable }
    try writer.bytes(bytes)
    try writer.u8(0)
  }

  /// The text, fit for one line of a terminal: what is not printable ASCII is left out.
  public var printable: String { String(decoding: bytes.filter { $0 >= 0x20 && $0 < 0x7f }, as: UTF8.self) }
}

/// The source match list of short addresses, each little-endian; also SADDR, with one.
public struct SpinelShortAddresses: Hashable, Sendable, WireValue {
  public var addresses: [ShortAddress]

  public init(_ addresses: [ShortAddress]) { self.addresses = addresses }

  /// Reads to the end of `reader`.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    addresses = []
    while !reader.isAtEnd { addresses.append(ShortAddress(try reader.u16LE())) }
  }

  public var encodedLength: Int { 2 * addresses.count }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    for address in addresses { try writer.u16LE(address.value) }
  }
}

/// The source match list of extended addresses, each as people write it (big-endian); also LADDR and HWADDR, with one.
///
/// SET and INSERT take this order. REMOVE takes each address reversed in firmware up to at least API version 11.
public struct SpinelExtendedAddresses: Hashable, Sendable, WireValue {
  public var addresses: [ExtendedAddress]

  public init(_ addresses: [ExtendedAddress]) { self.addresses = addresses }

  /// Reads to the end of `reader`.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    addresses = []
    while !reader.isAtEnd { addresses.append(ExtendedAddress(try reader.u64())) }
  }

  public var encodedLength: Int { 8 * addresses.count }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    for address in addresses { try writer.u64(address.value) }
  }
}
