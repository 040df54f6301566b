import Wire

/// What a ZEP header tells of a received frame.
@frozen
public struct ZEPReception: Hashable, Sendable {
  /// What the last two bytes of the frame are.
  @frozen
  public enum Trailer: Hashable, Sendable {
    /// The FCS as received ("CRC mode").
    case fcs
    /// Signal strength and correlation as CC24xx chips put them ("LQI mode").
    case chipStatus
  }

  public var channel: UInt8
  /// The device that received it, as the sender numbers its devices.
  public var device: UInt16
  public var trailer: Trailer
  /// Link quality, 0 to 255.
  public var lqi: UInt8
  /// Bytes of the frame with its two last ones, 0 to 127.
  public var length: UInt8

  public init(channel: UInt8, device: UInt16, trailer: Trailer = .fcs, lqi: UInt8, length: UInt8) {
    self.channel = channel
    self.device = device
    self.trailer = trailer
    self.lqi = lqi
    self.length = length
  }
}

/// The header of the ZigBee Encapsulation Protocol, which carries IEEE 802.15.4 frames in UDP datagrams.
///
/// There is no specification beside Wireshark's packet-zep.c; all numbers are in network order.
@frozen
public enum ZEPHeader: Hashable, Sendable, WireValue {
  /// A frame, version 1: 16 bytes.
  case frameV1(ZEPReception)
  /// A frame, version 2: 32 bytes. `time` is in NTP format: seconds since 1900 and a 32-bit fraction.
  case frame(ZEPReception, time: UInt64, sequence: UInt32)
  /// An acknowledgment: 8 bytes.
  case acknowledgment(sequence: UInt32)
  /// What RIOT's nodes send before their first frame: 32 bytes, then `length` bytes, their EUI-64.
  case hello(length: UInt8)

  /// The UDP port.
  @inlinable public static var port: UInt16 { 17754 }

  /// What it tells of the frame that follows; `nil` if none does.
  public var reception: ZEPReception? {
    switch self {
    case .frameV1(let reception), .frame(let reception, _, _): reception
    case .acknowledgment, .hello: nil
    }
  }

  /// Reads the header. Anything short, of another version or type, or with a frame length over 127 is
  /// ``DropReason/zepMalformed``.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let start = reader.offset
    do throws(ParseError) { try self.init(fields: &reader) } catch {
      throw ParseError(.zepMalformed, at: error.reason == .truncated ? start : Int(error.offset))
    }
  }

  @_lifetime(reader: copy reader)
  private init(fields reader: inout ByteReader) throws(ParseError) {
    guard try reader.u16() == Self.magic else { throw reader.error(.zepMalformed) }
    let version = try reader.u8()
    if version == 1 {
      self = .frameV1(try Self.reception(&reader, reserved: 7))
      return
    }
    guard version == 2 else { throw reader.error(.zepMalformed) }
    switch try reader.u8() {
    case Self.typeFrame:
      // The time and the sequence number stand between the link quality and the reserved bytes.
      var middle = reader
      try middle.skip(5)
      let time = try middle.u64()
      let sequence = try middle.u32()
      self = .frame(try Self.reception(&reader, reserved: 22), time: time, sequence: sequence)
    case Self.typeAcknowledgment: self = .acknowledgment(sequence: try reader.u32())
    case Self.typeHello:
      try reader.skip(27)
      self = .hello(length: try reader.u8())
    default: throw reader.error(.zepMalformed)
    }
  }

  /// Channel to length, with `reserved` bytes passed over before the length.
  @_lifetime(reader: copy reader)
  private static func reception(_ reader: inout ByteReader, reserved: Int) throws(ParseError) -> ZEPReception {
    let channel = try reader.u8()
    let device = try reader.u16()
    let mode = try reader.u8()
    let lqi = try reader.u8()
    try reader.skip(reserved)
    let length = try reader.u8()
    guard length <= 127 else { throw reader.error(.zepMalformed) }
    return ZEPReception(
      channel: channel, device: device, trailer: mode == 0 ? .chipStatus : .fcs, lqi: lqi, length: length)
  }

  public var encodedLength: Int {
    switch self {
    case .frameV1: 16
    case .frame, .hello: 32
    case .acknowledgment: 8
    }
  }

  /// Writes the header; reserved bytes are zero. A frame length over 127 is ``EmitError/notRepresentable``.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    try writer.u16(Self.magic)
    switch self {
    case .frameV1(let reception):
      try writer.u8(1)
      try Self.emit(reception, into: &writer)
      try writer.zeros(7)
      try writer.u8(reception.length)
    case .frame(let reception, let time, let sequence):
      try writer.u8(2)
      try writer.u8(Self.typeFrame)
      try Self.emit(reception, into: &writer)
      try writer.u64(time)
      try writer.u32(sequence)
      try writer.zeros(10)
      try writer.u8(reception.length)
    case .acknowledgment(let sequence):
      try writer.u8(2)
      try writer.u8(Self.typeAcknowledgment)
      try writer.u32(sequence)
    case .hello(let length):
      try writer.u8(2)
      try writer.u8(Self.typeHello)
      try writer.zeros(17)
      try writer.bytes(Array("HELLO".utf8))
      try writer.zeros(5)
      try writer.u8(length)
    }
  }

  @_lifetime(writer: copy writer)
  private static func emit(_ reception: ZEPReception, into writer: inout ByteWriter) throws(EmitError) {
    guard reception.length <= 127 else { throw .notRepresentable }
    try writer.u8(reception.channel)
    try writer.u16(reception.device)
    try writer.u8(reception.trailer == .fcs ? 1 : 0)
    try writer.u8(reception.lqi)
  }

  /// "EX"
  private static var magic: UInt16 { 0x4558 }
  private static var typeFrame: UInt8 { 1 }
  private static var typeAcknowledgment: UInt8 { 2 }
  private static var typeHello: UInt8 { 255 }
}
