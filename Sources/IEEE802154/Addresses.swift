import Wire

/// An extended address: an EUI-64, in the order people write it (first octet most significant).
///
/// On the air the octets travel last first (IEEE 802.15.4-2020, 4.4.3): `reader.u64LE()` reads one.
@frozen
public struct ExtendedAddress: Hashable, Sendable, Comparable, LosslessStringConvertible {
  /// The EUI-64 with its first octet in the most significant byte.
  public var value: UInt64

  @inlinable public init(_ value: UInt64) { self.value = value }

  /// Reads 16 hexadecimal digits, with or without `:` or `-` between octets.
  public init?(_ description: String) {
    let digits = description.filter { $0 != ":" && $0 != "-" }
    guard digits.utf8.count == 16, digits.allSatisfy(\.isHexDigit), let value = UInt64(digits, radix: 16)
    else { return nil }
    self.value = value
  }

  /// `02:12:4b:00:00:00:00:03`.
  public var description: String {
    bytes.map { [$0].hex }.joined(separator: ":")
  }

  /// The octets in the order people write them.
  public var bytes: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * $0)) } }

  /// The interface identifier made of it (RFC 4291, appendix A): the universal/local bit inverted.
  @inlinable public var interfaceIdentifier: UInt64 { value ^ 0x0200_0000_0000_0000 }

  public static func < (left: Self, right: Self) -> Bool { left.value < right.value }
}

/// A 16-bit short address, unique within its PAN.
@frozen
public struct ShortAddress: Hashable, Sendable, Comparable, LosslessStringConvertible {
  public var value: UInt16

  @inlinable public init(_ value: UInt16) { self.value = value }

  /// Reads `0x0b02` or `0b02`.
  public init?(_ description: String) {
    let digits = description.hasPrefix("0x") ? String(description.dropFirst(2)) : description
    // A sign is none of the digits, though the integer's initializer would take one.
    guard !digits.isEmpty, digits.allSatisfy(\.isHexDigit), let value = UInt16(digits, radix: 16) else {
      return nil
    }
    self.value = value
  }

  /// `0x0b02`.
  public var description: String { "0x" + [UInt8(value >> 8), UInt8(value & 0xff)].hex }

  /// All nodes that hear it.
  @inlinable public static var broadcast: ShortAddress { ShortAddress(0xffff) }
  /// Associated, but with no short address of its own.
  @inlinable public static var unassigned: ShortAddress { ShortAddress(0xfffe) }

  /// The interface identifier made of it (RFC 6282, 3.2.2): `0000:00ff:fe00:XXXX`.
  @inlinable public var interfaceIdentifier: UInt64 { 0x0000_00ff_fe00_0000 | UInt64(value) }

  public static func < (left: Self, right: Self) -> Bool { left.value < right.value }
}

/// The identifier of a PAN.
@frozen
public struct PANIdentifier: Hashable, Sendable, CustomStringConvertible {
  public var value: UInt16
  @inlinable public init(_ value: UInt16) { self.value = value }
  public var description: String { "0x" + [UInt8(value >> 8), UInt8(value & 0xff)].hex }
  @inlinable public static var broadcast: PANIdentifier { PANIdentifier(0xffff) }
}

/// A MAC address as a frame carries it.
@frozen
public enum MACAddress: Hashable, Sendable, CustomStringConvertible {
  /// The frame has no address in this place.
  case absent
  case short(ShortAddress)
  case extended(ExtendedAddress)

  public var description: String {
    switch self {
    case .absent: "-"
    case .short(let address): address.description
    case .extended(let address): address.description
    }
  }

  /// The interface identifier that an elided IPv6 address takes from it; `nil` if absent.
  @inlinable public var interfaceIdentifier: UInt64? {
    switch self {
    case .absent: nil
    case .short(let address): address.interfaceIdentifier
    case .extended(let address): address.interfaceIdentifier
    }
  }

  @inlinable public var isBroadcast: Bool { self == .short(.broadcast) }
}
