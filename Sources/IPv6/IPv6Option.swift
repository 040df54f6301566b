import Wire

/// The type of an option in a hop-by-hop or destination options header (RFC 8200, 4.2).
@frozen
public struct IPv6OptionType: RawRepresentable, Hashable, Sendable {
  /// All 8 bits; the upper three are part of the type.
  public var rawValue: UInt8

  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// One octet of padding, without length and data.
  @inlinable public static var pad1: IPv6OptionType { IPv6OptionType(rawValue: 0x00) }
  /// Two or more octets of padding.
  @inlinable public static var padN: IPv6OptionType { IPv6OptionType(rawValue: 0x01) }
  /// RFC 2711.
  @inlinable public static var routerAlert: IPv6OptionType { IPv6OptionType(rawValue: 0x05) }
  /// RPL option (RFC 9008).
  @inlinable public static var rpl: IPv6OptionType { IPv6OptionType(rawValue: 0x23) }
  /// RPL option with its first code point (RFC 6553).
  @inlinable public static var rplLegacy: IPv6OptionType { IPv6OptionType(rawValue: 0x63) }
  /// MPL option (RFC 7731).
  @inlinable public static var mpl: IPv6OptionType { IPv6OptionType(rawValue: 0x6d) }
  /// RFC 2675.
  @inlinable public static var jumboPayload: IPv6OptionType { IPv6OptionType(rawValue: 0xc2) }
  /// RFC 6275.
  @inlinable public static var homeAddress: IPv6OptionType { IPv6OptionType(rawValue: 0xc9) }

  /// What a node does that does not know the option.
  @inlinable public var actionIfUnrecognized: UnrecognizedOptionAction {
    switch rawValue >> 6 {
    case 0: .skip
    case 1: .discard
    case 2: .discardAndReport
    default: .discardAndReportUnlessMulticast
    }
  }

  /// Whether the data may change en route.
  @inlinable public var mayChangeEnRoute: Bool { rawValue & 0x20 != 0 }

  /// Where the option has to begin, as the `xn+y` of its definition, counted from the start of the header.
  @inlinable var alignment: (multiple: Int, offset: Int) {
    switch self {
    case .routerAlert, .rpl, .rplLegacy: (2, 0)
    case .jumboPayload: (4, 2)
    case .homeAddress: (8, 6)
    default: (1, 0)
    }
  }
}

/// The action that the two highest bits of an option type ask for (RFC 8200, 4.2).
@frozen
public enum UnrecognizedOptionAction: Hashable, Sendable {
  case skip
  case discard
  /// Discard and send Parameter Problem, code 2.
  case discardAndReport
  /// The same, but silent if the packet's destination is multicast.
  case discardAndReportUnlessMulticast

  /// Whether a Parameter Problem is due for a packet to `destination`.
  @inlinable
  public func isReported(for destination: IPv6Address) -> Bool {
    switch self {
    case .skip, .discard: false
    case .discardAndReport: true
    case .discardAndReportUnlessMulticast: !destination.isMulticast
    }
  }
}

/// One option as a view. Padding never shows up.
@frozen
public struct IPv6OptionView: ~Escapable {
  public let type: IPv6OptionType
  /// Bytes from the start of the options to the option type; add 2 for the position in the extension header.
  public let offset: Int
  @usableFromInline let _data: RawSpan

  @inlinable public var data: RawSpan {
    @_lifetime(copy self) get { _data }
  }

  @inlinable
  @_lifetime(copy data)
  init(type: IPv6OptionType, offset: Int, data: RawSpan) {
    self.type = type
    self.offset = offset
    self._data = data
  }
}

/// Goes through the options of a hop-by-hop or destination options header in their order, without allocation.
@frozen
public struct IPv6OptionIterator: ~Escapable {
  @usableFromInline var reader: ByteReader

  /// `options` is the header without its first two bytes (next header and length).
  @inlinable
  @_lifetime(copy options)
  public init(_ options: RawSpan) { reader = ByteReader(options) }

  /// The next option that is not padding; `nil` at the end.
  ///
  /// Throws ``DropReason/ipv6ExtensionHeaderMalformed`` for one that runs past the header.
  @inlinable
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func next() throws(ParseError) -> IPv6OptionView? {
    while !reader.isAtEnd {
      let offset = reader.offset
      let type = IPv6OptionType(rawValue: try reader.u8())
      if type == .pad1 { continue }
      guard reader.remaining >= 1 else { throw ParseError(.ipv6ExtensionHeaderMalformed, at: offset) }
      let length = Int(try reader.u8())
      guard length <= reader.remaining else { throw ParseError(.ipv6ExtensionHeaderMalformed, at: offset) }
      let data = try reader.bytes(length)
      if type == .padN { continue }
      return IPv6OptionView(type: type, offset: offset, data: data)
    }
    return nil
  }
}
