import Wire

/// The IPv6 header (RFC 8200, 3): 40 bytes.
@frozen
public struct IPv6Header: Hashable, Sendable, WireValue {
  /// Bytes of the header on the wire.
  @inlinable public static var length: Int { 40 }

  /// DSCP in the upper six bits, ECN in the lower two (RFC 2474, RFC 3168).
  public var trafficClass: UInt8
  /// 20 bits.
  public var flowLabel: UInt32
  /// Bytes behind this header, extension headers included.
  public var payloadLength: UInt16
  public var nextHeader: NextHeader
  public var hopLimit: UInt8
  public var source: IPv6Address
  public var destination: IPv6Address

  @inlinable
  public init(
    trafficClass: UInt8 = 0, flowLabel: UInt32 = 0, payloadLength: UInt16 = 0, nextHeader: NextHeader,
    hopLimit: UInt8, source: IPv6Address, destination: IPv6Address
  ) {
    self.trafficClass = trafficClass
    self.flowLabel = flowLabel
    self.payloadLength = payloadLength
    self.nextHeader = nextHeader
    self.hopLimit = hopLimit
    self.source = source
    self.destination = destination
  }

  /// Reads the 40 bytes; what follows them is not looked at.
  ///
  /// Throws ``DropReason/ipv6VersionNot6`` or ``DropReason/truncated``.
  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let wrongVersion = reader.error(.ipv6VersionNot6)
    let first = try reader.u64()
    guard first >> 60 == 6 else { throw wrongVersion }
    trafficClass = UInt8(truncatingIfNeeded: first >> 52)
    flowLabel = UInt32(truncatingIfNeeded: first >> 32) & 0xf_ffff
    payloadLength = UInt16(truncatingIfNeeded: first >> 16)
    nextHeader = NextHeader(rawValue: UInt8(truncatingIfNeeded: first >> 8))
    hopLimit = UInt8(truncatingIfNeeded: first)
    source = try IPv6Address(parsing: &reader)
    destination = try IPv6Address(parsing: &reader)
  }

  @inlinable public var encodedLength: Int { Self.length }

  /// Writes the 40 bytes. A flow label over 20 bits is ``EmitError/notRepresentable``.
  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard flowLabel <= 0xf_ffff else { throw .notRepresentable }
    let versionClassFlow = 6 << 28 | UInt32(trafficClass) << 20 | flowLabel
    let lengthNextHop = UInt32(payloadLength) << 16 | UInt32(nextHeader.rawValue) << 8 | UInt32(hopLimit)
    try writer.u64(UInt64(versionClassFlow) << 32 | UInt64(lengthNextHop))
    try source.emit(into: &writer)
    try destination.emit(into: &writer)
  }

  /// The differentiated services code point, 6 bits.
  @inlinable public var dscp: UInt8 {
    get { trafficClass >> 2 }
    set { trafficClass = newValue << 2 | ecn }
  }

  /// Explicit congestion notification, 2 bits.
  @inlinable public var ecn: UInt8 {
    get { trafficClass & 3 }
    set { trafficClass = trafficClass & 0xfc | newValue & 3 }
  }
}

/// A whole IPv6 packet as a view: its header, checked, and the payload that the header announces.
@frozen
public struct IPv6Packet: ~Escapable {
  public let header: IPv6Header
  @usableFromInline let _payload: RawSpan

  /// Exactly `payloadLength` bytes behind the header.
  @inlinable public var payload: RawSpan {
    @_lifetime(copy self) get { _payload }
  }

  /// Parses `bytes`. Bytes behind the announced payload are link padding and are left out; fewer than announced
  /// is ``DropReason/ipv6LengthMismatch``.
  @inlinable
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) throws(ParseError) {
    var reader = ByteReader(bytes)
    let header = try IPv6Header(parsing: &reader)
    guard reader.remaining >= Int(header.payloadLength) else { throw ParseError(.ipv6LengthMismatch, at: 4) }
    self.header = header
    self._payload = try reader.bytes(Int(header.payloadLength))
  }

  /// Finds the upper layer behind any extension headers.
  @inlinable
  public func upperLayer() throws(ParseError) -> UpperLayer {
    try UpperLayer(in: payload, startingWith: header.nextHeader)
  }
}
