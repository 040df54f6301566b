/// The number of an option, whose bits say how those who do not know it must treat it (RFC 7252, 5.4.6).
@frozen
public struct CoAPOptionNumber: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
  public var rawValue: UInt16

  @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

  @inlinable public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

  /// Who does not know the option must refuse the message.
  @inlinable public var isCritical: Bool { rawValue & 1 == 1 }
  /// A proxy that does not know the option must not forward the message.
  @inlinable public var isUnsafe: Bool { rawValue & 2 == 2 }
  /// The option does not count in the key of a cache.
  @inlinable public var isNoCacheKey: Bool { rawValue & 0x1e == 0x1c }

  // RFC 7252.
  @inlinable public static var ifMatch: Self { Self(rawValue: 1) }
  @inlinable public static var uriHost: Self { Self(rawValue: 3) }
  @inlinable public static var eTag: Self { Self(rawValue: 4) }
  @inlinable public static var ifNoneMatch: Self { Self(rawValue: 5) }
  /// RFC 7641.
  @inlinable public static var observe: Self { Self(rawValue: 6) }
  @inlinable public static var uriPort: Self { Self(rawValue: 7) }
  @inlinable public static var locationPath: Self { Self(rawValue: 8) }
  /// RFC 8613.
  @inlinable public static var oscore: Self { Self(rawValue: 9) }
  @inlinable public static var uriPath: Self { Self(rawValue: 11) }
  @inlinable public static var contentFormat: Self { Self(rawValue: 12) }
  @inlinable public static var maxAge: Self { Self(rawValue: 14) }
  @inlinable public static var uriQuery: Self { Self(rawValue: 15) }
  /// RFC 8768.
  @inlinable public static var hopLimit: Self { Self(rawValue: 16) }
  @inlinable public static var accept: Self { Self(rawValue: 17) }
  @inlinable public static var locationQuery: Self { Self(rawValue: 20) }
  /// RFC 9668.
  @inlinable public static var edhoc: Self { Self(rawValue: 21) }
  /// RFC 7959.
  @inlinable public static var block2: Self { Self(rawValue: 23) }
  /// RFC 7959.
  @inlinable public static var block1: Self { Self(rawValue: 27) }
  /// RFC 7959.
  @inlinable public static var size2: Self { Self(rawValue: 28) }
  @inlinable public static var proxyUri: Self { Self(rawValue: 35) }
  @inlinable public static var proxyScheme: Self { Self(rawValue: 39) }
  /// RFC 7252 and RFC 7959.
  @inlinable public static var size1: Self { Self(rawValue: 60) }
  /// RFC 9175.
  @inlinable public static var echo: Self { Self(rawValue: 252) }
  /// RFC 7967.
  @inlinable public static var noResponse: Self { Self(rawValue: 258) }
  /// RFC 9175.
  @inlinable public static var requestTag: Self { Self(rawValue: 292) }

  /// The registered name, or `Option 65000`.
  public var description: String { definition?.name ?? "Option \(rawValue)" }
}

/// What an option's value is made of (RFC 7252, 3.2).
@frozen
public enum CoAPOptionFormat: Sendable, Hashable {
  case empty
  case opaque
  /// A number in network byte order without leading zeros; zero is no byte at all.
  case uint
  /// UTF-8.
  case string
}

/// What is registered of an option besides what its number says.
public struct CoAPOptionDefinition: Sendable, Hashable {
  public var name: String
  public var format: CoAPOptionFormat
  /// Bytes that a value may have.
  public var lengths: ClosedRange<Int>
  /// Whether a message may hold it more than once.
  public var isRepeatable: Bool

  init(_ name: String, _ format: CoAPOptionFormat, _ lengths: ClosedRange<Int>, repeatable: Bool = false) {
    self.name = name
    self.format = format
    self.lengths = lengths
    self.isRepeatable = repeatable
  }
}

extension CoAPOptionNumber {
  /// The options that this module knows, in the order of their numbers.
  public static var known: [CoAPOptionNumber] {
    [
      .ifMatch, .uriHost, .eTag, .ifNoneMatch, .observe, .uriPort, .locationPath, .oscore, .uriPath,
      .contentFormat, .maxAge, .uriQuery, .hopLimit, .accept, .locationQuery, .edhoc, .block2, .block1,
      .size2, .proxyUri, .proxyScheme, .size1, .echo, .noResponse, .requestTag,
    ]
  }

  /// The option's definition (RFC 7252, table 4, and the RFCs named above); `nil` for a number not known here.
  public var definition: CoAPOptionDefinition? {
    switch self {
    case .ifMatch: CoAPOptionDefinition("If-Match", .opaque, 0...8, repeatable: true)
    case .uriHost: CoAPOptionDefinition("Uri-Host", .string, 1...255)
    case .eTag: CoAPOptionDefinition("ETag", .opaque, 1...8, repeatable: true)
    case .ifNoneMatch: CoAPOptionDefinition("If-None-Match", .empty, 0...0)
    case .observe: CoAPOptionDefinition("Observe", .uint, 0...3)
    case .uriPort: CoAPOptionDefinition("Uri-Port", .uint, 0...2)
    case .locationPath: CoAPOptionDefinition("Location-Path", .string, 0...255, repeatable: true)
    case .oscore: CoAPOptionDefinition("OSCORE", .opaque, 0...255)
    case .uriPath: CoAPOptionDefinition("Uri-Path", .string, 0...255, repeatable: true)
    case .contentFormat: CoAPOptionDefinition("Content-Format", .uint, 0...2)
    case .maxAge: CoAPOptionDefinition("Max-Age", .uint, 0...4)
    case .uriQuery: CoAPOptionDefinition("Uri-Query", .string, 0...255, repeatable: true)
    case .hopLimit: CoAPOptionDefinition("Hop-Limit", .uint, 1...1)
    case .accept: CoAPOptionDefinition("Accept", .uint, 0...2)
    case .locationQuery: CoAPOptionDefinition("Location-Query", .string, 0...255, repeatable: true)
    case .edhoc: CoAPOptionDefinition("EDHOC", .empty, 0...0)
    case .block2: CoAPOptionDefinition("Block2", .uint, 0...3)
    case .block1: CoAPOptionDefinition("Block1", .uint, 0...3)
    case .size2: CoAPOptionDefinition("Size2", .uint, 0...4)
    case .proxyUri: CoAPOptionDefinition("Proxy-Uri", .string, 1...1034)
    case .proxyScheme: CoAPOptionDefinition("Proxy-Scheme", .string, 1...255)
    case .size1: CoAPOptionDefinition("Size1", .uint, 0...4)
    case .echo: CoAPOptionDefinition("Echo", .opaque, 1...40)
    case .noResponse: CoAPOptionDefinition("No-Response", .uint, 0...1)
    case .requestTag: CoAPOptionDefinition("Request-Tag", .opaque, 0...8, repeatable: true)
    default: nil
    }
  }
}
