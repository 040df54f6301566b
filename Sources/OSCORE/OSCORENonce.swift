import COSE

/// An AEAD nonce or the Common IV (RFC 8613, 5.2): 13 bytes, held without allocation.
struct OSCORENonce: Hashable, Sendable {
  /// The first 8 bytes: of a nonce before the XOR, the length of ID_PIV and ID_PIV padded to 7 bytes.
  private let high: UInt64
  /// The last 5 bytes: of a nonce before the XOR, the padded Partial IV.
  private let low: UInt64

  /// `nil` unless there are 13 bytes.
  init?(_ bytes: [UInt8]) {
    guard bytes.count == AESCCM.nonceLength else { return nil }
    high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    low = bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// The nonce of the message that the owner of `identifier` numbered `partialIV`.
  init(commonIV: OSCORENonce, identifier: OSCOREIdentifier, partialIV: UInt64) {
    high = commonIV.high ^ identifier.padded
    low = commonIV.low ^ partialIV
  }

  var bytes: [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: high >> UInt64(56 - 8 * $0)) }
      + (0..<5).map { UInt8(truncatingIfNeeded: low >> UInt64(32 - 8 * $0)) }
  }
}
