/// The protocol of what follows an IPv6 header or extension header (IANA "Assigned Internet Protocol Numbers").
@frozen
public struct NextHeader: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  public var rawValue: UInt8

  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  @inlinable public static var hopByHop: NextHeader { NextHeader(rawValue: 0) }
  @inlinable public static var tcp: NextHeader { NextHeader(rawValue: 6) }
  @inlinable public static var udp: NextHeader { NextHeader(rawValue: 17) }
  @inlinable public static var ipv6: NextHeader { NextHeader(rawValue: 41) }
  @inlinable public static var routing: NextHeader { NextHeader(rawValue: 43) }
  @inlinable public static var fragment: NextHeader { NextHeader(rawValue: 44) }
  @inlinable public static var esp: NextHeader { NextHeader(rawValue: 50) }
  @inlinable public static var authentication: NextHeader { NextHeader(rawValue: 51) }
  @inlinable public static var icmpv6: NextHeader { NextHeader(rawValue: 58) }
  @inlinable public static var noNextHeader: NextHeader { NextHeader(rawValue: 59) }
  @inlinable public static var destinationOptions: NextHeader { NextHeader(rawValue: 60) }
  @inlinable public static var mobility: NextHeader { NextHeader(rawValue: 135) }

  /// Whether an extension header of the form of RFC 8200, 4 or RFC 6275 follows, which a walker can pass over.
  @inlinable public var isExtensionHeader: Bool {
    switch rawValue {
    case 0, 43, 44, 51, 60, 135: true
    default: false
    }
  }

  public var description: String {
    switch self {
    case .hopByHop: "hop-by-hop"
    case .tcp: "TCP"
    case .udp: "UDP"
    case .ipv6: "IPv6"
    case .routing: "routing"
    case .fragment: "fragment"
    case .esp: "ESP"
    case .authentication: "AH"
    case .icmpv6: "ICMPv6"
    case .noNextHeader: "none"
    case .destinationOptions: "destination-options"
    case .mobility: "mobility"
    default: "\(rawValue)"
    }
  }
}
