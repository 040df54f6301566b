import Wire

/// A 128-bit IPv6 address as two words in network order significance.
@frozen
public struct IPv6Address: Hashable, Sendable, Comparable, WireValue {
  /// The first 64 bits: the prefix of a /64.
  public var high: UInt64
  /// The last 64 bits: the interface identifier.
  public var low: UInt64

  @inlinable
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    high = try reader.u64()
    low = try reader.u64()
  }

  /// 16 bytes.
  @inlinable public var encodedLength: Int { 16 }

  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    try writer.u64(high)
    try writer.u64(low)
  }

  /// `::`
  @inlinable public static var unspecified: IPv6Address { IPv6Address(high: 0, low: 0) }
  /// `::1`
  @inlinable public static var loopback: IPv6Address { IPv6Address(high: 0, low: 1) }
  /// `ff02::1`
  @inlinable public static var allNodes: IPv6Address { IPv6Address(high: 0xff02 << 48, low: 1) }
  /// `ff02::2`
  @inlinable public static var allRouters: IPv6Address { IPv6Address(high: 0xff02 << 48, low: 2) }

  /// `fe80::` with this interface identifier.
  @inlinable public static func linkLocal(_ interfaceIdentifier: UInt64) -> IPv6Address {
    IPv6Address(high: 0xfe80 << 48, low: interfaceIdentifier)
  }

  /// `ff02::1:ffXX:XXXX`, where neighbours of this address listen for solicitations (RFC 4291, 2.7.1).
  @inlinable public var solicitedNode: IPv6Address {
    IPv6Address(high: 0xff02 << 48, low: 0x0000_0001_ff00_0000 | (low & 0xff_ffff))
  }

  @inlinable public var isUnspecified: Bool { high == 0 && low == 0 }
  @inlinable public var isMulticast: Bool { high >> 56 == 0xff }
  /// `fe80::/10`.
  @inlinable public var isLinkLocal: Bool { high >> 54 == 0xfe80 >> 6 }
  /// Scope of a multicast address (RFC 4291, 2.7): 2 is link-local.
  @inlinable public var multicastScope: UInt8 { UInt8(truncatingIfNeeded: high >> 48) & 0xf }

  /// The 16 bytes in network order.
  public var bytes: [UInt8] {
    [high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } }
  }

  public static func < (left: Self, right: Self) -> Bool { (left.high, left.low) < (right.high, right.low) }
}
