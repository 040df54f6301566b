/// An address prefix: the first `length` bits of `address`; the bits behind them are zero.
@frozen
public struct IPv6Prefix: Hashable, Sendable, LosslessStringConvertible {
  /// The prefix, padded with zeros.
  public let address: IPv6Address
  /// Bits, 0 to 128.
  public let length: UInt8

  /// The prefix of `length` bits that `address` begins with; lengths over 128 count as 128.
  @inlinable
  public init(_ address: IPv6Address, length: UInt8) {
    let bits = min(length, 128)
    let mask = Self.mask(bits)
    self.address = IPv6Address(high: address.high & mask.high, low: address.low & mask.low)
    self.length = bits
  }

  /// Reads `2001:db8::/32` (RFC 4291, 2.3). `nil` if a bit behind the length is set, or for anything else.
  public init?(_ description: String) {
    let parts = description.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let address = IPv6Address(String(parts[0])),
      (1...3).contains(parts[1].utf8.count),
      parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let length = UInt8(parts[1]), length <= 128
    else { return nil }
    self.init(address, length: length)
    guard self.address == address else { return nil }
  }

  /// `2001:db8::/32`.
  public var description: String { "\(address)/\(length)" }

  /// Whether `address` begins with this prefix.
  @inlinable
  public func contains(_ address: IPv6Address) -> Bool {
    let mask = Self.mask(length)
    return (address.high ^ self.address.high) & mask.high == 0
      && (address.low ^ self.address.low) & mask.low == 0
  }

  /// Whether every address of `other` is in this prefix.
  @inlinable
  public func contains(_ other: IPv6Prefix) -> Bool { other.length >= length && contains(other.address) }

  /// The address that this prefix and, in the bits behind it, `interfaceIdentifier` make.
  @inlinable
  public func address(interfaceIdentifier: UInt64) -> IPv6Address {
    let mask = Self.mask(length)
    return IPv6Address(high: address.high, low: address.low | (interfaceIdentifier & ~mask.low))
  }

  @inlinable
  static func mask(_ length: UInt8) -> (high: UInt64, low: UInt64) {
    // Swift's smart shifts give zero for counts of 64 and over.
    length <= 64 ? (~(UInt64.max >> UInt64(length)), 0) : (.max, ~(UInt64.max >> UInt64(length - 64)))
  }
}
