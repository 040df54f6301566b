import IPv6

/// The kinds of LOWPAN_NHC encoding (RFC 6282, 4; RFC 7400, 3), by their first byte.
enum NHCKind {
  /// `1110EEEN`, or `10110EEN` compressed by GHC.
  case extensionHeader(NextHeader, generic: Bool, nextHeaderIsCompressed: Bool)
  /// `11101110`.
  case ipv6
  /// `11110CPP`, or `11010CPP` with a payload compressed by GHC.
  case udp(generic: Bool, checksumElided: Bool)
  /// `11011111`.
  case icmpv6

  /// Encodings in one datagram, beside the IPHC; longer chains are refused as an attack.
  static var maximumChain: Int { 8 }

  /// `nil` for encodings that are not assigned.
  init?(_ encoding: UInt8) {
    switch encoding {
    case 0xe0...0xe9, 0xb0...0xb7:
      let kinds: [5 of NextHeader] = [.hopByHop, .routing, .fragment, .destinationOptions, .mobility]
      self = .extensionHeader(
        kinds[Int(encoding >> 1 & 7)], generic: encoding < 0xe0, nextHeaderIsCompressed: encoding & 1 == 1)
    case 0xee: self = .ipv6
    case 0xf0...0xf7: self = .udp(generic: false, checksumElided: encoding & 4 != 0)
    case 0xd0...0xd7: self = .udp(generic: true, checksumElided: encoding & 4 != 0)
    case 0xdf: self = .icmpv6
    default: return nil
    }
  }
}

extension NextHeader {
  /// The extension header identifier (RFC 6282, 4.2); `nil` for what NHC does not encode as an extension header.
  var extensionHeaderIdentifier: UInt8? {
    switch self {
    case .hopByHop: 0
    case .routing: 1
    case .fragment: 2
    case .destinationOptions: 3
    case .mobility: 4
    default: nil
    }
  }

  /// Whether the header consists of options, whose trailing padding may be elided (RFC 6282, 4.2).
  var hasOptions: Bool { self == .hopByHop || self == .destinationOptions }
}
