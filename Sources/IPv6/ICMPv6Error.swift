import Wire

/// Why a destination is unreachable (RFC 4443, 3.1; code 7 RFC 6550).
@frozen
public struct UnreachableCode: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt8
  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  @inlinable public static var noRoute: UnreachableCode { UnreachableCode(rawValue: 0) }
  @inlinable public static var administrativelyProhibited: UnreachableCode { UnreachableCode(rawValue: 1) }
  @inlinable public static var beyondScopeOfSource: UnreachableCode { UnreachableCode(rawValue: 2) }
  @inlinable public static var addressUnreachable: UnreachableCode { UnreachableCode(rawValue: 3) }
  @inlinable public static var portUnreachable: UnreachableCode { UnreachableCode(rawValue: 4) }
  @inlinable public static var sourceAddressFailedPolicy: UnreachableCode { UnreachableCode(rawValue: 5) }
  @inlinable public static var rejectRoute: UnreachableCode { UnreachableCode(rawValue: 6) }
  @inlinable public static var errorInSourceRoutingHeader: UnreachableCode { UnreachableCode(rawValue: 7) }
}

/// What time was exceeded (RFC 4443, 3.3).
@frozen
public struct TimeExceededCode: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt8
  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  @inlinable public static var hopLimit: TimeExceededCode { TimeExceededCode(rawValue: 0) }
  @inlinable public static var fragmentReassembly: TimeExceededCode { TimeExceededCode(rawValue: 1) }
}

/// What was wrong with a packet (RFC 4443, 3.4).
@frozen
public struct ParameterProblemCode: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt8
  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  @inlinable public static var erroneousHeaderField: ParameterProblemCode {
    ParameterProblemCode(rawValue: 0)
  }
  @inlinable public static var unrecognizedNextHeader: ParameterProblemCode {
    ParameterProblemCode(rawValue: 1)
  }
  @inlinable public static var unrecognizedOption: ParameterProblemCode { ParameterProblemCode(rawValue: 2) }
}

/// An ICMPv6 error message (RFC 4443, 3): the 8 bytes in front of the packet that caused it.
@frozen
public enum ICMPv6Error: Hashable, Sendable, WireValue {
  case destinationUnreachable(UnreachableCode)
  /// The next link's MTU in bytes.
  case packetTooBig(mtu: UInt32)
  case timeExceeded(TimeExceededCode)
  /// `pointer`: bytes from the start of the packet to what was wrong.
  case parameterProblem(ParameterProblemCode, pointer: UInt32)

  /// Reads the 8 bytes; the packet follows. Another type is ``DropReason/icmpv6TypeUnknown``.
  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let otherType = reader.error(.icmpv6TypeUnknown)
    let header = try ICMPv6Header(parsing: &reader)
    let word = try reader.u32()
    switch header.type {
    case .destinationUnreachable: self = .destinationUnreachable(UnreachableCode(rawValue: header.code))
    case .packetTooBig: self = .packetTooBig(mtu: word)
    case .timeExceeded: self = .timeExceeded(TimeExceededCode(rawValue: header.code))
    case .parameterProblem:
      self = .parameterProblem(ParameterProblemCode(rawValue: header.code), pointer: word)
    default: throw otherType
    }
  }

  @inlinable public var encodedLength: Int { 8 }

  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    try header.emit(into: &writer)
    switch self {
    case .packetTooBig(let mtu): try writer.u32(mtu)
    case .parameterProblem(_, let pointer): try writer.u32(pointer)
    case .destinationUnreachable, .timeExceeded: try writer.u32(0)
    }
  }

  /// Type and code, with a zero checksum.
  @inlinable public var header: ICMPv6Header {
    switch self {
    case .destinationUnreachable(let code): ICMPv6Header(type: .destinationUnreachable, code: code.rawValue)
    case .packetTooBig: ICMPv6Header(type: .packetTooBig)
    case .timeExceeded(let code): ICMPv6Header(type: .timeExceeded, code: code.rawValue)
    case .parameterProblem(let code, _): ICMPv6Header(type: .parameterProblem, code: code.rawValue)
    }
  }

  /// Whether this error may be sent because of `packet` (RFC 4443, 2.4 (e)): never for an error or a redirect, for
  /// a source that is not one node, or, with the two exceptions of the RFC, for a multicast destination.
  ///
  /// A packet whose extension headers are malformed gets an answer only if nothing else forbids it. How often is for the
  /// caller to limit (2.4 (f)).
  public func mayAnswer(_ packet: borrowing IPv6Packet) -> Bool {
    guard packet.header.source.isUnicast else { return false }
    if packet.header.destination.isMulticast {
      switch self {
      case .packetTooBig, .parameterProblem(.unrecognizedOption, _): break
      default: return false
      }
    }
    guard let upper = try? packet.upperLayer(), upper.protocol == .icmpv6 else { return true }
    // In the middle of a datagram there is no type to look at.
    if let fragment = upper.fragment, fragment.offset != 0 { return false }
    guard upper.offset < packet.payload.byteCount else { return true }
    let type = ICMPv6Type(rawValue: packet.payload[byteAt: upper.offset])
    return !type.isError && type != .redirect
  }

  /// The whole message with as much of the `invoking` packet as fits in 1,280 bytes of IPv6 (RFC 4443, 2.4 (c)).
  public func encoded(
    invoking packet: RawSpan, source: IPv6Address, destination: IPv6Address
  ) throws(EmitError) -> [UInt8] {
    let room = 1280 - IPv6Header.length - encodedLength
    let part = packet.extracting(first: min(packet.byteCount, room)).array()
    return try ICMPv6Message.encoded(
      source: source, destination: destination, capacity: encodedLength + part.count
    ) { (writer) throws(EmitError) in
      try emit(into: &writer)
      try writer.bytes(part)
    }
  }
}
