import Wire

// Spinel's packed unsigned integer ("i"): seven bits an octet, least significant first, the high bit set on all octets but the
// last (LEB128), at most three octets.

/// The largest packed integer.
let spinelPackedMaximum: UInt32 = 0x1f_ffff

extension ByteReader {
  /// A packed integer. More than three octets are ``DropReason/spinelMalformed``. Forms longer than need be are taken.
  @_lifetime(self: copy self)
  mutating func spinelPacked() throws(ParseError) -> UInt32 {
    let start = error(.spinelMalformed)
    var value: UInt32 = 0
    for shift in [UInt32(0), 7, 14] {
      let byte = try u8()
      value |= UInt32(byte & 0x7f) << shift
      if byte & 0x80 == 0 { return value }
    }
    throw start
  }
}

extension ByteWriter {
  /// A packed integer in its shortest form; ``EmitError/notRepresentable`` beyond 2,097,151.
  @_lifetime(self: copy self)
  mutating func spinelPacked(_ value: UInt32) throws(EmitError) {
    guard value <= spinelPackedMaximum else { throw .notRepresentable }
    var rest = value
    while rest > 0x7f {
      try u8(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    try u8(UInt8(truncatingIfNeeded: rest))
  }
}

/// Octets of a packed integer.
func spinelPackedLength(_ value: UInt32) -> Int { value < 1 << 7 ? 1 : value < 1 << 14 ? 2 : 3 }
