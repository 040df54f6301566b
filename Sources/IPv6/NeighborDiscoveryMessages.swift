import Wire

// The fixed parts of the messages of RFC 4861, 4. Options follow. The checksum is verified by `ICMPv6Message` and
// filled in by its `encoded`; here it is passed over and written as zero.

extension ICMPv6Header {
  /// Reads a header that has to be of `type` with code zero.
  @inlinable
  @_lifetime(reader: copy reader)
  static func expect(_ type: ICMPv6Type, in reader: inout ByteReader) throws(ParseError) {
    let start = reader.offset
    let header = try ICMPv6Header(parsing: &reader)
    guard header.type == type else { throw ParseError(.icmpv6TypeUnknown, at: start) }
    guard header.code == 0 else { throw ParseError(.ndMessageMalformed, at: start &+ 1) }
  }
}

/// Router solicitation (RFC 4861, 4.1): no fields.
@frozen
public struct RouterSolicitation: Hashable, Sendable, WireValue {
  @inlinable public init() {}

  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    try ICMPv6Header.expect(.routerSolicitation, in: &reader)
    try reader.skip(4)
  }

  @inlinable public var encodedLength: Int { 8 }

  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    try ICMPv6Header(type: .routerSolicitation).emit(into: &writer)
    try writer.u32(0)
  }
}

/// Router advertisement (RFC 4861, 4.2; preference RFC 4191).
@frozen
public struct RouterAdvertisement: Hashable, Sendable, WireValue {
  /// The preference of a default router (RFC 4191, 2.1).
  @frozen
  public enum Preference: UInt8, Hashable, Sendable {
    case medium = 0
    case high = 1
    case low = 3
  }

  /// 0: the router does not say.
  public var hopLimit: UInt8
  /// The M flag: addresses by DHCPv6.
  public var isManaged: Bool
  /// The O flag: other configuration by DHCPv6.
  public var hasOtherConfiguration: Bool
  public var preference: Preference
  /// Seconds; 0: not a default router.
  public var routerLifetime: UInt16
  /// Milliseconds; 0: the router does not say.
  public var reachableTime: UInt32
  /// Milliseconds; 0: the router does not say.
  public var retransmissionTimer: UInt32

  @inlinable
  public init(
    hopLimit: UInt8 = 64, isManaged: Bool = false, hasOtherConfiguration: Bool = false,
    preference: Preference = .medium, routerLifetime: UInt16, reachableTime: UInt32 = 0,
    retransmissionTimer: UInt32 = 0
  ) {
    self.hopLimit = hopLimit
    self.isManaged = isManaged
    self.hasOtherConfiguration = hasOtherConfiguration
    self.preference = preference
    self.routerLifetime = routerLifetime
    self.reachableTime = reachableTime
    self.retransmissionTimer = retransmissionTimer
  }

  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    try ICMPv6Header.expect(.routerAdvertisement, in: &reader)
    hopLimit = try reader.u8()
    let flags = try reader.u8()
    isManaged = flags & 0x80 != 0
    hasOtherConfiguration = flags & 0x40 != 0
    // The reserved preference counts as medium (RFC 4191, 2.2).
    preference = Preference(rawValue: flags >> 3 & 3) ?? .medium
    routerLifetime = try reader.u16()
    reachableTime = try reader.u32()
    retransmissionTimer = try reader.u32()
  }

  @inlinable public var encodedLength: Int { 16 }

  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    try ICMPv6Header(type: .routerAdvertisement).emit(into: &writer)
    try writer.u8(hopLimit)
    try writer.u8((isManaged ? 0x80 : 0) | (hasOtherConfiguration ? 0x40 : 0) | preference.rawValue << 3)
    try writer.u16(routerLifetime)
    try writer.u32(reachableTime)
    try writer.u32(retransmissionTimer)
  }
}

/// Neighbour solicitation (RFC 4861, 4.3).
@frozen
public struct NeighborSolicitation: Hashable, Sendable, WireValue {
  /// Never multicast.
  public var target: IPv6Address

  @inlinable public init(target: IPv6Address) { self.target = target }

  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    try ICMPv6Header.expect(.neighborSolicitation, in: &reader)
    try reader.skip(4)
    let multicast = reader.error(.ndMessageMalformed)
    target = try IPv6Address(parsing: &reader)
    guard !target.isMulticast else { throw multicast }
  }

  @inlinable public var encodedLength: Int { 24 }

  /// A multicast target is ``EmitError/notRepresentable``.
  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard !target.isMulticast else { throw .notRepresentable }
    try ICMPv6Header(type: .neighborSolicitation).emit(into: &writer)
    try writer.u32(0)
    try target.emit(into: &writer)
  }
}

/// Neighbour advertisement (RFC 4861, 4.4).
@frozen
public struct NeighborAdvertisement: Hashable, Sendable, WireValue {
  /// The R flag.
  public var isRouter: Bool
  /// The S flag.
  public var isSolicited: Bool
  /// The O flag.
  public var isOverride: Bool
  /// Never multicast.
  public var target: IPv6Address

  @inlinable
  public init(isRouter: Bool, isSolicited: Bool, isOverride: Bool, target: IPv6Address) {
    self.isRouter = isRouter
    self.isSolicited = isSolicited
    self.isOverride = isOverride
    self.target = target
  }

  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    try ICMPv6Header.expect(.neighborAdvertisement, in: &reader)
    let flags = try reader.u32()
    isRouter = flags & 0x8000_0000 != 0
    isSolicited = flags & 0x4000_0000 != 0
    isOverride = flags & 0x2000_0000 != 0
    let multicast = reader.error(.ndMessageMalformed)
    target = try IPv6Address(parsing: &reader)
    guard !target.isMulticast else { throw multicast }
  }

  @inlinable public var encodedLength: Int { 24 }

  /// A multicast target is ``EmitError/notRepresentable``.
  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard !target.isMulticast else { throw .notRepresentable }
    try ICMPv6Header(type: .neighborAdvertisement).emit(into: &writer)
    let flags: UInt32 =
      (isRouter ? 0x8000_0000 : 0) | (isSolicited ? 0x4000_0000 : 0) | (isOverride ? 0x2000_0000 : 0)
    try writer.u32(flags)
    try target.emit(into: &writer)
  }
}

/// Redirect (RFC 4861, 4.5).
@frozen
public struct Redirect: Hashable, Sendable, WireValue {
  /// The better first hop, or the destination itself if it is a neighbour.
  public var target: IPv6Address
  /// What is redirected; never multicast.
  public var destination: IPv6Address

  @inlinable
  public init(target: IPv6Address, destination: IPv6Address) {
    self.target = target
    self.destination = destination
  }

  @inlinable var isAllowed: Bool {
    !destination.isMulticast && (target == destination || target.isLinkLocal)
  }

  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    try ICMPv6Header.expect(.redirect, in: &reader)
    try reader.skip(4)
    let malformed = reader.error(.ndMessageMalformed)
    target = try IPv6Address(parsing: &reader)
    destination = try IPv6Address(parsing: &reader)
    guard isAllowed else { throw malformed }
  }

  @inlinable public var encodedLength: Int { 40 }

  /// A multicast destination, or a target that is neither link-local nor the destination, is
  /// ``EmitError/notRepresentable``.
  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard isAllowed else { throw .notRepresentable }
    try ICMPv6Header(type: .redirect).emit(into: &writer)
    try writer.u32(0)
    try target.emit(into: &writer)
    try destination.emit(into: &writer)
  }
}
