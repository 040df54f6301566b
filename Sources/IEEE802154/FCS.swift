import Wire

/// The frame check sequence (IEEE 802.15.4-2020, 7.2.11): the 16-bit ITU-T CRC, x¹⁶ + x¹² + x⁵ + 1, first bit on the
/// air first, starting from zero. It is written little-endian behind the frame.
///
/// No table: squaring a polynomial over GF(2) squares its terms, so modulo the fourth power of the generator
/// x⁶⁴ = x⁴⁸ + x²⁰ + 1, and eight bytes are taken at a time with shifts alone. The second power does the same
/// for the last 32 bits.
public enum FCS {
  /// Bytes of the FCS on the air.
  @inlinable public static var length: Int { 2 }

  /// The FCS of `bytes`.
  @inlinable
  public static func compute(_ bytes: RawSpan) -> UInt16 {
    var reader = ByteReader(bytes)
    // Zeros in front change nothing, so the odd bytes go first, into the end of a word.
    var state: UInt64 = 0
    for _ in 0..<(bytes.byteCount & 7) {
      guard let byte = try? reader.u8() else { break }
      state = state >> 8 | UInt64(byte) << 56
    }
    while let word = try? reader.u64LE() { state = shiftedByWidth(state) ^ word }
    // The first bits are the high powers and the low bits of the word.
    let half = shiftedByWidth(UInt32(truncatingIfNeeded: state)) ^ UInt32(truncatingIfNeeded: state >> 32)
    let quarter = shiftedByWidth(UInt16(truncatingIfNeeded: half)) ^ UInt16(truncatingIfNeeded: half >> 16)
    return shiftedByWidth(quarter)
  }

  /// Whether the last two bytes of `frame` are the FCS of those before.
  @inlinable
  public static func isValid(_ frame: RawSpan) -> Bool {
    guard frame.byteCount >= length else { return false }
    var tail = ByteReader(frame.extracting(last: length))
    return (try? tail.u16LE()) == compute(frame.extracting(droppingLast: length))
  }

  /// `value` times xⁿ for a word of n bits, modulo the (n/16)th power of the generator, bits in reverse order.
  ///
  /// Each step folds what xⁿ = x^(3n/4) + x^(5n/16) + 1 pushes over the width; three steps leave nothing over.
  @inlinable
  @inline(__always)
  static func shiftedByWidth<Word: FixedWidthInteger & UnsignedInteger>(_ value: Word) -> Word {
    let near = Word.bitWidth / 4
    let far = 11 * Word.bitWidth / 16
    let first = value &<< Word(near) ^ value &<< Word(far)
    let second = first &<< Word(near) ^ first &<< Word(far)
    let third = second &<< Word(near)
    let sum = value ^ first ^ second ^ third
    return sum ^ sum &>> Word(Word.bitWidth - far) ^ sum &>> Word(Word.bitWidth - near)
  }
}
