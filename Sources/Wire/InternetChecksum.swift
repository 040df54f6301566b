/// The Internet checksum (RFC 1071): one's complement sum of 16-bit words in network order.
@frozen
public struct InternetChecksum: Sendable {
  @usableFromInline var sum: UInt64 = 0

  @inlinable public init() {}

  /// Adds `bytes`; an odd last byte is padded with a zero, so only the last part may be odd.
  @inlinable
  public mutating func add(_ bytes: RawSpan) {
    var index = 0
    let count = bytes.byteCount
    var total: UInt64 = 0
    while index &+ 4 <= count {
      total &+= UInt64(UInt32(bigEndian: bytes.word32(at: index)))
      index &+= 4
    }
    if index &+ 2 <= count {
      total &+= UInt64(bytes.u16(at: index))
      index &+= 2
    }
    if index < count { total &+= UInt64(bytes[byteAt: index]) << 8 }
    sum &+= total
  }

  /// Adds one 16-bit word.
  @inlinable public mutating func add(_ word: UInt16) { sum &+= UInt64(word) }

  /// Adds eight bytes in network order.
  @inlinable public mutating func add(_ word: UInt64) {
    sum &+= (word >> 32) &+ (word & 0xffff_ffff)
  }

  /// The complement of the folded sum: the checksum field of a packet whose field was zero when summed, or zero
  /// for a packet summed with a correct field.
  @inlinable public var value: UInt16 {
    var folded = sum
    while folded >> 16 != 0 { folded = (folded & 0xffff) &+ (folded >> 16) }
    return ~UInt16(truncatingIfNeeded: folded)
  }
}
