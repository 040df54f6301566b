import IEEE802154
import IPv6
import Wire

/// An IPv6 header as LOWPAN_IPHC encodes it (RFC 6282, 3): all fields but the payload length, which is always elided.
@usableFromInline
@frozen
struct IPHCHeader {
  /// The first eight bytes of the IPv6 header; the payload length in it is zero, and so is the next header if it is
  /// compressed.
  @usableFromInline var first: UInt64
  @usableFromInline var source: IPv6Address
  @usableFromInline var destination: IPv6Address
  /// The NH bit: a LOWPAN_NHC encoding follows.
  @usableFromInline var nextHeaderIsCompressed: Bool

  /// Reads the two or three bytes of the encoding and the fields carried in-line. The caller has seen the
  /// dispatch bits 011.
  @inlinable
  @inline(__always)
  @_lifetime(reader: copy reader)
  init(
    parsing reader: inout ByteReader, link: LowpanLink, contexts: borrowing ContextTable, now: Instant
  ) throws(ParseError) {
    let start = reader.offset
    let encoding = try reader.u16()
    let identifiers = encoding & 0x80 != 0 ? try reader.u8() : 0
    first = 6 << 60
    switch encoding >> 11 & 3 {
    case 0:
      let word = try reader.u32()
      // ECN and DSCP have changed places in the compressed form (3.2.1).
      let rotated = UInt8(truncatingIfNeeded: word >> 24)
      first |= UInt64(rotated << 2 | rotated >> 6) << 52 | UInt64(word & 0xf_ffff) << 32
    case 1:
      let top = try reader.u8()
      let flow = UInt64(top & 0xf) << 16 | UInt64(try reader.u16())
      first |= UInt64(top >> 6) << 52 | flow << 32
    case 2:
      let rotated = try reader.u8()
      first |= UInt64(rotated << 2 | rotated >> 6) << 52
    default: break
    }
    nextHeaderIsCompressed = encoding & 0x400 != 0
    if !nextHeaderIsCompressed { first |= UInt64(try reader.u8()) << 8 }
    switch encoding >> 8 & 3 {
    case 0: first |= UInt64(try reader.u8())
    case 1: first |= 1
    case 2: first |= 64
    default: first |= 255
    }

    // SAC and SAM.
    switch encoding >> 4 & 7 {
    case 0: source = try IPv6Address(parsing: &reader)
    case 1: source = .linkLocal(try reader.u64())
    case 2: source = .linkLocal(IPv6Address.interfaceIdentifier(shortAddress: try reader.u16()))
    case 3: source = .linkLocal(try Self.identifier(of: link.source, at: start))
    case 4: source = .unspecified
    case let mode:
      let identifier = try Self.identifier(mode: mode & 3, link.source, &reader, at: start)
      source = try contexts.address(
        identifiers >> 4, interfaceIdentifier: identifier, now: now, at: start)
    }

    // M, DAC and DAM.
    switch encoding & 15 {
    case 0, 8: destination = try IPv6Address(parsing: &reader)
    case 1: destination = .linkLocal(try reader.u64())
    case 2: destination = .linkLocal(IPv6Address.interfaceIdentifier(shortAddress: try reader.u16()))
    case 3: destination = .linkLocal(try Self.identifier(of: link.destination, at: start))
    case 5, 6, 7:
      let identifier = try Self.identifier(mode: encoding & 3, link.destination, &reader, at: start)
      destination = try contexts.address(
        identifiers & 15, interfaceIdentifier: identifier, now: now, at: start)
    case 9:
      let scope = try reader.u16()
      let group = UInt64(scope & 0xff) << 32 | UInt64(try reader.u32())
      destination = IPv6Address(high: 0xff << 56 | UInt64(scope >> 8) << 48, low: group)
    case 10:
      let word = UInt64(try reader.u32())
      destination = IPv6Address(high: 0xff << 56 | (word >> 24) << 48, low: word & 0xff_ffff)
    case 11: destination = IPv6Address(high: 0xff02 << 48, low: UInt64(try reader.u8()))
    case 12:
      let context = try contexts.lookup(identifiers & 15, now: now)
      // The form holds 64 bits of prefix (RFC 3306, 4).
      guard context.length <= 64 else { throw ParseError(.lowpanReservedMode, at: start) }
      let flagsScopeReserved = UInt64(try reader.u16())
      let prefix = context.address.high
      let high = 0xff << 56 | flagsScopeReserved << 40 | UInt64(context.length) << 32 | prefix >> 32
      destination = IPv6Address(high: high, low: prefix << 32 | UInt64(try reader.u32()))
    default: throw ParseError(.lowpanReservedMode, at: start)
    }
  }

  /// The interface identifier of the modes with a context: 64 bits, 16 bits, or elided.
  @inlinable
  @inline(__always)
  @_lifetime(reader: copy reader)
  static func identifier(
    mode: UInt16, _ address: MACAddress, _ reader: inout ByteReader, at start: Int
  ) throws(ParseError) -> UInt64 {
    switch mode {
    case 1: try reader.u64()
    case 2: IPv6Address.interfaceIdentifier(shortAddress: try reader.u16())
    default: try identifier(of: address, at: start)
    }
  }

  @inlinable
  @inline(__always)
  static func identifier(of address: MACAddress, at start: Int) throws(ParseError) -> UInt64 {
    switch address {
    case .short(let short): short.interfaceIdentifier
    case .extended(let extended): extended.interfaceIdentifier
    case .absent: throw ParseError(.lowpanAddressUnderivable, at: start)
    }
  }

  /// Writes the 40 bytes with this payload length.
  @inlinable
  @inline(__always)
  @_lifetime(writer: copy writer)
  func emit(payloadLength: UInt16, into writer: inout ByteWriter) throws(EmitError) {
    try writer.u64(first | UInt64(payloadLength) << 16)
    try writer.u64(source.high)
    try writer.u64(source.low)
    try writer.u64(destination.high)
    try writer.u64(destination.low)
  }
}
