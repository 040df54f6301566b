import Wire

/// The TAP header of link type 283: what the receiver knew of a frame, as a list of fields.
///
/// All numbers are little-endian. Fields that are not listed here are passed over; if one comes twice, the last counts.
@frozen
public struct TAPHeader: Hashable, Sendable, WireValue {
  /// What check the frame ends with.
  @frozen
  public enum FCS: UInt8, Hashable, Sendable {
    case none = 0
    case crc16 = 1
    case crc32 = 2
  }

  /// A channel and its page (IEEE 802.15.4-2020, 10.1.3).
  @frozen
  public struct Channel: Hashable, Sendable {
    public var number: UInt16
    public var page: UInt8

    public init(number: UInt16, page: UInt8 = 0) {
      self.number = number
      self.page = page
    }
  }

  /// Band, modulation and data rate of a smart utility network.
  @frozen
  public struct SUNPHY: Hashable, Sendable {
    public var band: UInt8
    public var type: UInt8
    public var mode: UInt8

    public init(band: UInt8, type: UInt8, mode: UInt8) {
      self.band = band
      self.type = type
      self.mode = mode
    }
  }

  /// None if the header does not say.
  public var fcs: FCS
  /// Received signal strength, dBm. A value that is no number is taken as absent.
  public var signalStrength: Float?
  public var channel: Channel?
  public var sunPHY: SUNPHY?
  /// Nanoseconds on the receiver's clock.
  public var startOfFrame: UInt64?
  /// Nanoseconds on the receiver's clock.
  public var endOfFrame: UInt64?
  /// The absolute slot number of TSCH.
  public var slotNumber: UInt64?
  /// 0 to 255.
  public var lqi: UInt8?

  public init(
    fcs: FCS = .none, signalStrength: Float? = nil, channel: Channel? = nil, sunPHY: SUNPHY? = nil,
    startOfFrame: UInt64? = nil, endOfFrame: UInt64? = nil, slotNumber: UInt64? = nil, lqi: UInt8? = nil
  ) {
    self.fcs = fcs
    self.signalStrength = signalStrength
    self.channel = channel
    self.sunPHY = sunPHY
    self.startOfFrame = startOfFrame
    self.endOfFrame = endOfFrame
    self.slotNumber = slotNumber
    self.lqi = lqi
  }

  /// Reads the header. Another version is ``DropReason/unsupported``; a field or list that runs past its end, that is
  /// shorter than its type, or an unknown check is ``DropReason/tapMalformed``.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let start = reader.offset
    do throws(ParseError) {
      self.init()
      let version = try reader.u8()
      guard version == 0 else { throw ParseError(.unsupported, at: start) }
      try reader.skip(1)
      let length = Int(try reader.u16LE())
      guard length >= 4 else { throw ParseError(.tapMalformed, at: start + 2) }
      var fields = try reader.reader(length - 4)
      while !fields.isAtEnd {
        let kind = try fields.u16LE()
        let size = Int(try fields.u16LE())
        var value = try fields.reader(size)
        try fields.skip(-size & 3)
        try set(kind, &value)
      }
    } catch {
      throw error.reason == .truncated ? ParseError(.tapMalformed, at: Int(error.offset)) : error
    }
  }

  @_lifetime(value: copy value)
  private mutating func set(_ kind: UInt16, _ value: inout ByteReader) throws(ParseError) {
    switch kind {
    case Self.kindFCS:
      let malformed = value.error(.tapMalformed)
      guard let known = FCS(rawValue: try value.u8()) else { throw malformed }
      fcs = known
    case Self.kindSignalStrength:
      let number = Float(bitPattern: try value.u32LE())
      signalStrength = number.isFinite ? number : nil
    case Self.kindChannel: channel = Channel(number: try value.u16LE(), page: try value.u8())
    case Self.kindSUNPHY: sunPHY = SUNPHY(band: try value.u8(), type: try value.u8(), mode: try value.u8())
    case Self.kindStartOfFrame: startOfFrame = try value.u64LE()
    case Self.kindEndOfFrame: endOfFrame = try value.u64LE()
    case Self.kindSlotNumber: slotNumber = try value.u64LE()
    case Self.kindLQI: lqi = try value.u8()
    default: break
    }
  }

  public var encodedLength: Int {
    12 + (signalStrength == nil ? 0 : 8) + (channel == nil ? 0 : 8) + (sunPHY == nil ? 0 : 8)
      + (startOfFrame == nil ? 0 : 12) + (endOfFrame == nil ? 0 : 12) + (slotNumber == nil ? 0 : 12)
      + (lqi == nil ? 0 : 8)
  }

  /// Writes the header with the fields that are there, the check always. A signal strength that is no number is
  /// ``EmitError/notRepresentable``.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard signalStrength?.isFinite ?? true else { throw .notRepresentable }
    try writer.u16(0)
    try writer.u16LE(UInt16(encodedLength))
    try Self.head(Self.kindFCS, 1, &writer)
    try writer.u32LE(UInt32(fcs.rawValue))
    if let signalStrength {
      try Self.head(Self.kindSignalStrength, 4, &writer)
      try writer.u32LE(signalStrength.bitPattern)
    }
    if let channel {
      try Self.head(Self.kindChannel, 3, &writer)
      try writer.u16LE(channel.number)
      try writer.u16LE(UInt16(channel.page))
    }
    if let sunPHY {
      try Self.head(Self.kindSUNPHY, 3, &writer)
      try writer.u32LE(UInt32(sunPHY.band) | UInt32(sunPHY.type) << 8 | UInt32(sunPHY.mode) << 16)
    }
    for (kind, number) in [
      (Self.kindStartOfFrame, startOfFrame), (Self.kindEndOfFrame, endOfFrame),
      (Self.kindSlotNumber, slotNumber),
    ] {
      guard let number else { continue }
      try Self.head(kind, 8, &writer)
      try writer.u64LE(number)
    }
    if let lqi {
      try Self.head(Self.kindLQI, 1, &writer)
      try writer.u32LE(UInt32(lqi))
    }
  }

  @_lifetime(writer: copy writer)
  private static func head(_ kind: UInt16, _ length: UInt16, _ writer: inout ByteWriter) throws(EmitError) {
    try writer.u16LE(kind)
    try writer.u16LE(length)
  }

  private static var kindFCS: UInt16 { 0 }
  private static var kindSignalStrength: UInt16 { 1 }
  private static var kindChannel: UInt16 { 3 }
  private static var kindSUNPHY: UInt16 { 4 }
  private static var kindStartOfFrame: UInt16 { 5 }
  private static var kindEndOfFrame: UInt16 { 6 }
  private static var kindSlotNumber: UInt16 { 7 }
  private static var kindLQI: UInt16 { 10 }
}
