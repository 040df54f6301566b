import Wire

/// HDLC-lite, the framing of spinel on a serial line: a flag on both sides of a frame, octets that mean something to the line
/// escaped, and a 16-bit FCS at the end, little-endian, escaped too (RFC 1662, sections 3.1, 4.2 and C.2; there is no
/// address or control field).
public enum HDLCLite {
  /// Begins and ends a frame.
  public static let flag: UInt8 = 0x7e
  /// The next octet has ``escapeBit`` inverted.
  public static let escape: UInt8 = 0x7d
  static let escapeBit: UInt8 = 0x20
  /// Bytes of the FCS.
  static let fcsLength = 2

  /// What the sender escapes: flag, escape, XON, XOFF and F8, which some serial drivers swallow.
  static func needsEscape(_ byte: UInt8) -> Bool {
    switch byte {
    case flag, escape, 0x11, 0x13, 0xf8: true
    default: false
    }
  }

  /// The frame on the line: flags, `content` and its FCS escaped.
  public static func encode(_ content: [UInt8]) -> [UInt8] {
    var wire: [UInt8] = [flag]
    wire.reserveCapacity(content.count + 8)
    func append(_ byte: UInt8) {
      if needsEscape(byte) {
        wire.append(escape)
        wire.append(byte ^ escapeBit)
      } else {
        wire.append(byte)
      }
    }
    var fcs = HDLCFCS()
    for byte in content {
      fcs.add(byte)
      append(byte)
    }
    append(UInt8(truncatingIfNeeded: fcs.value))
    append(UInt8(truncatingIfNeeded: fcs.value >> 8))
    wire.append(flag)
    return wire
  }
}

/// The 16-bit FCS of HDLC (RFC 1662, C.2): the CRC x¹⁶ + x¹² + x⁵ + 1 with low bits first, begun with and complemented by
/// all ones. (The FCS of 802.15.4 has the same polynomial and begins with zero.)
struct HDLCFCS {
  private var state: UInt16 = 0xffff

  /// What the state is when a content and its own FCS went through.
  private static let good: UInt16 = 0xf0b8

  private static let table: [UInt16] = (0..<256).map { index in
    (0..<8).reduce(UInt16(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x8408 : value >> 1 }
  }

  mutating func add(_ byte: UInt8) {
    state = state >> 8 ^ Self.table[Int(UInt8(truncatingIfNeeded: state) ^ byte)]
  }

  /// The FCS of what was added.
  var value: UInt16 { ~state }

  /// Whether what was added ends in its own FCS.
  var isGood: Bool { state == Self.good }
}
