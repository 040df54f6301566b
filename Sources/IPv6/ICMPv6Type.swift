/// The type of an ICMPv6 message (IANA "ICMPv6 type Numbers"). Under 128: an error message.
@frozen
public struct ICMPv6Type: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  public var rawValue: UInt8

  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  @inlinable public static var destinationUnreachable: ICMPv6Type { ICMPv6Type(rawValue: 1) }
  @inlinable public static var packetTooBig: ICMPv6Type { ICMPv6Type(rawValue: 2) }
  @inlinable public static var timeExceeded: ICMPv6Type { ICMPv6Type(rawValue: 3) }
  @inlinable public static var parameterProblem: ICMPv6Type { ICMPv6Type(rawValue: 4) }
  @inlinable public static var echoRequest: ICMPv6Type { ICMPv6Type(rawValue: 128) }
  @inlinable public static var echoReply: ICMPv6Type { ICMPv6Type(rawValue: 129) }
  @inlinable public static var routerSolicitation: ICMPv6Type { ICMPv6Type(rawValue: 133) }
  @inlinable public static var routerAdvertisement: ICMPv6Type { ICMPv6Type(rawValue: 134) }
  @inlinable public static var neighborSolicitation: ICMPv6Type { ICMPv6Type(rawValue: 135) }
  @inlinable public static var neighborAdvertisement: ICMPv6Type { ICMPv6Type(rawValue: 136) }
  @inlinable public static var redirect: ICMPv6Type { ICMPv6Type(rawValue: 137) }
  /// RPL control message (RFC 6550).
  @inlinable public static var rpl: ICMPv6Type { ICMPv6Type(rawValue: 155) }
  /// RFC 6775.
  @inlinable public static var duplicateAddressRequest: ICMPv6Type { ICMPv6Type(rawValue: 157) }
  /// RFC 6775.
  @inlinable public static var duplicateAddressConfirmation: ICMPv6Type { ICMPv6Type(rawValue: 158) }

  /// Whether this is an error message (RFC 4443, 2.1).
  @inlinable public var isError: Bool { rawValue < 128 }

  public var description: String {
    switch self {
    case .destinationUnreachable: "destination-unreachable"
    case .packetTooBig: "packet-too-big"
    case .timeExceeded: "time-exceeded"
    case .parameterProblem: "parameter-problem"
    case .echoRequest: "echo-request"
    case .echoReply: "echo-reply"
    case .routerSolicitation: "router-solicitation"
    case .routerAdvertisement: "router-advertisement"
    case .neighborSolicitation: "neighbor-solicitation"
    case .neighborAdvertisement: "neighbor-advertisement"
    case .redirect: "redirect"
    case .rpl: "rpl"
    case .duplicateAddressRequest: "duplicate-address-request"
    case .duplicateAddressConfirmation: "duplicate-address-confirmation"
    default: "\(rawValue)"
    }
  }
}
