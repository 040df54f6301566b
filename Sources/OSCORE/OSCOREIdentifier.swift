import Wire

/// A Sender ID or Recipient ID (RFC 8613, 3.1): 0 to 7 bytes, as AES-CCM-16-64-128 leaves room for.
public struct OSCOREIdentifier: Hashable, Sendable, CustomStringConvertible {
  /// Bytes that an identifier may have: those of the nonce less 6 (RFC 8613, 3.3).
  public static let maximumLength = 7

  /// The length in the first byte and then the identifier, padded with zeros on the left to 7 bytes: just as the
  /// nonce holds it (RFC 8613, 5.2).
  let padded: UInt64

  /// Throws ``DropReason/oscoreParametersInvalid`` for more than ``maximumLength`` bytes.
  public init(_ bytes: [UInt8]) throws(OSCOREError) {
    guard bytes.count <= Self.maximumLength else { throw OSCOREError(.oscoreParametersInvalid) }
    padded = bytes.reduce(0) { $0 << 8 | UInt64($1) } | UInt64(bytes.count) << 56
  }

  /// Bytes of the identifier.
  public var count: Int { Int(padded >> 56) }

  /// The identifier.
  public var bytes: [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: padded >> UInt64(8 * (count - 1 - $0))) }
  }

  /// The bytes in hexadecimal.
  public var description: String { bytes.hex }
}
