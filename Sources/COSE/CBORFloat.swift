/// Floating-point numbers in the shortest form that keeps the value (RFC 8949, 4.2.1).
///
/// There is one not-a-number, `f97e00`: payloads carry no meaning here (RFC 8949, 4.2.2).
enum CBORFloat {
  static let half: UInt8 = 0xf9
  static let single: UInt8 = 0xfa
  static let double: UInt8 = 0xfb

  /// The initial byte and the bits of the shortest form.
  static func shortest(_ value: Double) -> (initialByte: UInt8, bits: UInt64) {
    if value.isNaN { return (half, 0x7e00) }
    if let bits = halfBits(value) { return (half, UInt64(bits)) }
    let narrow = Float(value)
    if Double(narrow) == value { return (single, UInt64(narrow.bitPattern)) }
    return (double, value.bitPattern)
  }

  /// Half precision to double: exact.
  static func value(half bits: UInt16) -> Double {
    let exponent = Int(bits >> 10 & 31)
    let significand = Double(bits & 0x3ff)
    let magnitude: Double
    switch exponent {
    case 0: magnitude = significand * 0x1p-24
    case 31: magnitude = significand == 0 ? .infinity : .nan
    default: magnitude = Double(sign: .plus, exponent: exponent - 25, significand: significand + 1024)
    }
    return bits >> 15 == 0 ? magnitude : -magnitude
  }

  /// The half-precision bits of a number that fits without loss, else `nil`.
  private static func halfBits(_ value: Double) -> UInt16? {
    let sign: UInt16 = value.sign == .minus ? 0x8000 : 0
    let magnitude = value.magnitude
    if magnitude == 0 { return sign }
    if magnitude == .infinity { return sign | 0x7c00 }
    guard magnitude <= 65504, magnitude >= 0x1p-24 else { return nil }
    // The unit in the last place: fixed for subnormal halves, else ten bits below the leading one.
    let unit = max(Int(magnitude.exponent) - 10, -24)
    let scaled = Double(sign: .plus, exponent: -unit, significand: magnitude)
    guard scaled == scaled.rounded(.towardZero) else { return nil }
    let significand = UInt16(scaled)
    guard significand >= 1024 else { return sign | significand }
    return sign | UInt16(unit + 25) << 10 | (significand - 1024)
  }
}
