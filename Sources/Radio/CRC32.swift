import Wire

/// The 32-bit FCS of IEEE 802.15.4-2020, 7.2.11: the CRC of Ethernet, over at least four bytes.
enum CRC32 {
  private static let table: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xedb8_8320 : value >> 1 }
  }

  /// The check over `bytes`; fewer than four are padded with zeros, as the standard says.
  static func value(_ bytes: RawSpan) -> UInt32 {
    var register = UInt32.max
    func add(_ byte: UInt8) {
      register = table[Int(UInt8(truncatingIfNeeded: register) ^ byte)] ^ register >> 8
    }
    for index in 0..<bytes.byteCount { add(bytes[byteAt: index]) }
    for _ in 0..<max(0, 4 - bytes.byteCount) { add(0) }
    return ~register
  }
}
