/// What kind an address is, and interface identifiers.
extension IPv6Address {
  /// `fc00::/7`, unique local (RFC 4193).
  @inlinable public var isUniqueLocal: Bool { high >> 57 == 0xfc >> 1 }
  /// `::1`.
  @inlinable public var isLoopback: Bool { high == 0 && low == 1 }
  /// `ff02::1:ff00:0/104` (RFC 4291, 2.7.1).
  @inlinable public var isSolicitedNode: Bool { high == 0xff02 << 48 && low >> 24 == 0x1ff }
  /// Unicast: neither multicast nor unspecified.
  @inlinable public var isUnicast: Bool { !isMulticast && !isUnspecified }

  /// The last 64 bits.
  @inlinable public var interfaceIdentifier: UInt64 { low }

  /// The interface identifier that an EUI-64 makes: the universal/local bit inverted (RFC 4291, appendix A).
  @inlinable
  public static func interfaceIdentifier(eui64: UInt64) -> UInt64 { eui64 ^ 0x0200_0000_0000_0000 }

  /// The interface identifier that a 16-bit short address makes (RFC 6282, 3.2.2): `0:ff:fe00:XXXX`.
  @inlinable
  public static func interfaceIdentifier(shortAddress: UInt16) -> UInt64 {
    0x0000_00ff_fe00_0000 | UInt64(shortAddress)
  }

  /// The EUI-64 that an interface identifier of the modified EUI-64 form came from.
  ///
  /// `nil` for the form that holds a short address (``shortAddress``). An identifier drawn at random looks the
  /// same as one made of an EUI-64: whoever needs to be sure looks the result up.
  @inlinable public var eui64: UInt64? {
    shortAddress == nil ? low ^ 0x0200_0000_0000_0000 : nil
  }

  /// The 16-bit short address inside `0:ff:fe00:XXXX`; `nil` for every other interface identifier.
  @inlinable public var shortAddress: UInt16? {
    low >> 16 == 0x00ff_fe00 ? UInt16(truncatingIfNeeded: low) : nil
  }
}
