import Wire

/// The frame check sequence (IEEE 802.15.4-2020, 7.2.11): the 16-bit ITU-T CRC, least significant bit first, starting at zero.
/// On the air its low octet comes first.
public enum FCS {
  /// Octets of the field.
  @inlinable public static var length: Int { 2 }

  /// The sequence over `bytes`.
  @inlinable
  public static func compute(_ bytes: RawSpan) -> UInt16 {
    var crc: UInt16 = 0
    for index in 0..<bytes.byteCount {
      // The polynomial x^16 + x^12 + x^5 + 1 by shifts: no table to fill or to miss in the cache.
      var octet = bytes[byteAt: index] ^ UInt8(truncatingIfNeeded: crc)
      octet ^= octet << 4
      let wide = UInt16(octet)
      crc = (wide << 8 | crc >> 8) ^ wide >> 4 ^ wide << 3
    }
    return crc
  }

  /// Whether the last two octets of `frame` are the sequence over the others.
  @inlinable
  public static func isValid(_ frame: RawSpan) -> Bool {
    // The CRC over a message and its own sequence is zero.
    frame.byteCount >= length && compute(frame) == 0
  }
}
