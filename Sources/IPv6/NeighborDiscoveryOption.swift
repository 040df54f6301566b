import Wire

/// The type of a neighbour discovery option (IANA "IPv6 Neighbor Discovery Option Formats").
@frozen
public struct NeighborDiscoveryOptionType: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt8
  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  @inlinable public static var sourceLinkLayerAddress: Self { Self(rawValue: 1) }
  @inlinable public static var targetLinkLayerAddress: Self { Self(rawValue: 2) }
  @inlinable public static var prefixInformation: Self { Self(rawValue: 3) }
  @inlinable public static var redirectedHeader: Self { Self(rawValue: 4) }
  @inlinable public static var mtu: Self { Self(rawValue: 5) }
  /// RFC 3971.
  @inlinable public static var nonce: Self { Self(rawValue: 14) }
  /// RFC 4191.
  @inlinable public static var routeInformation: Self { Self(rawValue: 24) }
  /// RFC 8106.
  @inlinable public static var recursiveDNSServer: Self { Self(rawValue: 25) }
  /// RFC 6775, RFC 8505.
  @inlinable public static var addressRegistration: Self { Self(rawValue: 33) }
  /// RFC 6775.
  @inlinable public static var context: Self { Self(rawValue: 34) }
  /// RFC 6775.
  @inlinable public static var authoritativeBorderRouter: Self { Self(rawValue: 35) }
  /// RFC 7400.
  @inlinable public static var capabilities: Self { Self(rawValue: 36) }
}

/// A neighbour discovery option (RFC 4861, 4.6). Those that this module does not interpret are kept as they came.
public enum NeighborDiscoveryOption: Hashable, Sendable, WireValue {
  case sourceLinkLayerAddress(LinkLayerAddress)
  case targetLinkLayerAddress(LinkLayerAddress)
  case prefixInformation(PrefixInformation)
  /// As much of the packet as was sent, a multiple of 8 bytes.
  case redirectedHeader([UInt8])
  /// The link's MTU, bytes.
  case mtu(UInt32)
  /// 6 bytes and 8 for every further unit.
  case nonce([UInt8])
  case addressRegistration(AddressRegistration)
  case context(ContextInformation)
  case authoritativeBorderRouter(AuthoritativeBorderRouter)
  case capabilities(LowpanCapabilities)
  /// Any other: what follows type and length, 6 bytes and 8 for every further unit.
  case other(NeighborDiscoveryOptionType, [UInt8])

  public var type: NeighborDiscoveryOptionType {
    switch self {
    case .sourceLinkLayerAddress: .sourceLinkLayerAddress
    case .targetLinkLayerAddress: .targetLinkLayerAddress
    case .prefixInformation: .prefixInformation
    case .redirectedHeader: .redirectedHeader
    case .mtu: .mtu
    case .nonce: .nonce
    case .addressRegistration: .addressRegistration
    case .context: .context
    case .authoritativeBorderRouter: .authoritativeBorderRouter
    case .capabilities: .capabilities
    case .other(let type, _): type
    }
  }

  /// Reads one option.
  ///
  /// Throws ``DropReason/ndOptionMalformed`` for a length that is zero, runs past the message, or is not one that
  /// the type has, and for values that its RFC forbids; the reader then stands inside the option.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let start = reader.offset
    let type = NeighborDiscoveryOptionType(rawValue: try reader.u8())
    let length = Int(try reader.u8()) * 8
    guard length > 0, length - 2 <= reader.remaining else { throw ParseError(.ndOptionMalformed, at: start) }
    switch type {
    case .sourceLinkLayerAddress:
      self = .sourceLinkLayerAddress(try LinkLayerAddress(option: &reader, optionLength: length))
    case .targetLinkLayerAddress:
      self = .targetLinkLayerAddress(try LinkLayerAddress(option: &reader, optionLength: length))
    case .prefixInformation:
      self = .prefixInformation(try PrefixInformation(option: &reader, optionLength: length))
    case .redirectedHeader:
      try reader.skip(6)
      self = .redirectedHeader(try reader.bytes(length - 8).array())
    case .mtu:
      guard length == 8 else { throw ParseError(.ndOptionMalformed, at: start) }
      try reader.skip(2)
      self = .mtu(try reader.u32())
    case .nonce:
      self = .nonce(try reader.bytes(length - 2).array())
    case .addressRegistration:
      self = .addressRegistration(try AddressRegistration(option: &reader, optionLength: length))
    case .context:
      self = .context(try ContextInformation(option: &reader, optionLength: length))
    case .authoritativeBorderRouter:
      self = .authoritativeBorderRouter(try AuthoritativeBorderRouter(option: &reader, optionLength: length))
    case .capabilities:
      let flags = UInt64(try reader.u16()) << 32
      self = .capabilities(LowpanCapabilities(rawValue: flags | UInt64(try reader.u32())))
      // Longer forms are accepted; their further bits are unassigned (RFC 7400, 3.4).
      try reader.skip(length - 8)
    default:
      self = .other(type, try reader.bytes(length - 2).array())
    }
  }

  public var encodedLength: Int {
    switch self {
    case .sourceLinkLayerAddress(let address), .targetLinkLayerAddress(let address): address.optionLength
    case .prefixInformation(let value): value.optionLength
    case .redirectedHeader(let packet): 8 + packet.count
    case .mtu, .capabilities: 8
    case .nonce(let bytes), .other(_, let bytes): 2 + bytes.count
    case .addressRegistration(let value): value.optionLength
    case .context(let value): value.optionLength
    case .authoritativeBorderRouter(let value): value.optionLength
    }
  }

  /// Writes the option.
  ///
  /// ``EmitError/notRepresentable`` for byte strings that do not fill whole units of 8 bytes or over 2,040 bytes,
  /// for fields over their width, and for an `.other` with a type that has a case of its own.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    let length = encodedLength
    guard length % 8 == 0, length > 0, length <= 255 * 8 else { throw .notRepresentable }
    try writer.u8(type.rawValue)
    try writer.u8(UInt8(length / 8))
    switch self {
    case .sourceLinkLayerAddress(let address), .targetLinkLayerAddress(let address):
      try address.emitPadded(into: &writer)
    case .prefixInformation(let value): try value.emitBody(into: &writer)
    case .redirectedHeader(let packet):
      try writer.zeros(6)
      try writer.bytes(packet)
    case .mtu(let mtu):
      try writer.u16(0)
      try writer.u32(mtu)
    case .nonce(let bytes): try writer.bytes(bytes)
    case .addressRegistration(let value): try value.emitBody(into: &writer)
    case .context(let value): try value.emitBody(into: &writer)
    case .authoritativeBorderRouter(let value): try value.emitBody(into: &writer)
    case .capabilities(let flags):
      guard flags.rawValue >> 48 == 0 else { throw .notRepresentable }
      try writer.u16(UInt16(truncatingIfNeeded: flags.rawValue >> 32))
      try writer.u32(UInt32(truncatingIfNeeded: flags.rawValue))
    case .other(let type, let bytes):
      switch type.rawValue {
      case 1...5, 14, 33...36: throw .notRepresentable
      default: try writer.bytes(bytes)
      }
    }
  }
}

/// One option as a view, not interpreted.
@frozen
public struct NeighborDiscoveryOptionView: ~Escapable {
  public let type: NeighborDiscoveryOptionType
  /// Bytes from the start of the options.
  public let offset: Int
  @usableFromInline let _bytes: RawSpan

  /// The whole option, type and length included.
  @inlinable public var bytes: RawSpan {
    @_lifetime(copy self) get { _bytes }
  }

  @inlinable
  @_lifetime(copy bytes)
  init(type: NeighborDiscoveryOptionType, offset: Int, bytes: RawSpan) {
    self.type = type
    self.offset = offset
    self._bytes = bytes
  }

  /// Interprets the option. A malformed one throws ``DropReason/ndOptionMalformed``; the caller may pass over it.
  public func value() throws(ParseError) -> NeighborDiscoveryOption {
    do {
      return try NeighborDiscoveryOption(parsing: bytes)
    } catch {
      throw ParseError(error.reason, at: offset + Int(error.offset))
    }
  }
}

/// Goes through the options of a neighbour discovery message without allocation.
@frozen
public struct NeighborDiscoveryOptions: ~Escapable {
  @usableFromInline var reader: ByteReader

  /// `options` is what follows the fixed part of the message.
  @inlinable
  @_lifetime(copy options)
  public init(_ options: RawSpan) { reader = ByteReader(options) }

  /// The next option; `nil` at the end.
  ///
  /// Throws ``DropReason/ndOptionMalformed`` for a length of zero or past the message: then the whole message is to
  /// be dropped (RFC 4861, 4.6).
  @inlinable
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func next() throws(ParseError) -> NeighborDiscoveryOptionView? {
    guard !reader.isAtEnd else { return nil }
    let malformed = reader.error(.ndOptionMalformed)
    var header = ByteReader(reader.rest)
    guard header.remaining >= 2 else { throw malformed }
    let type = NeighborDiscoveryOptionType(rawValue: try header.u8())
    let length = Int(try header.u8()) &* 8
    guard length > 0, length <= reader.remaining else { throw malformed }
    let offset = reader.offset
    return NeighborDiscoveryOptionView(type: type, offset: offset, bytes: try reader.bytes(length))
  }
}
