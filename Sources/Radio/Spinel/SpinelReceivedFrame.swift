import Wire

/// A frame as a co-processor hands it up: the value of STREAM_RAW, and the acknowledgment in the result of a transmission.
///
/// Integers are little-endian. The PHY, vendor and MAC data are structures with a length in front; what a newer firmware appends to
/// one of them is passed over.
public struct SpinelReceivedFrame: Hashable, Sendable, WireValue {
  /// What the radio did with the frame.
  public struct Flags: OptionSet, Hashable, Sendable {
    public var rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let transmitted = Flags(rawValue: 0x0001)
    public static let badFCS = Flags(rawValue: 0x0004)
    /// It was acknowledged with frame pending.
    public static let acknowledgedWithFramePending = Flags(rawValue: 0x0010)
    /// It was acknowledged with a secured acknowledgment.
    public static let acknowledgedSecured = Flags(rawValue: 0x0020)
  }

  /// The key and the counter of a secured acknowledgment; meaningless without ``Flags/acknowledgedSecured``.
  public struct AcknowledgmentSecurity: Hashable, Sendable {
    public var keyIndex: UInt8
    public var frameCounter: UInt32

    public init(keyIndex: UInt8 = 0, frameCounter: UInt32 = 0) {
      self.keyIndex = keyIndex
      self.frameCounter = frameCounter
    }
  }

  /// The PSDU. Its last two octets stand where the FCS was; many radios put something else there, having verified it.
  public var psdu: [UInt8]
  /// dBm; 127 if unknown.
  public var rssi: Int8
  /// dBm; -128 if unknown.
  public var noiseFloor: Int8
  public var flags: Flags
  public var channel: UInt8
  /// 0 if unknown.
  public var lqi: UInt8
  /// Microseconds of the co-processor's clock.
  public var timestamp: UInt64
  /// 0, or OpenThread's number of a reception error; there is no PSDU then.
  public var error: UInt32
  /// `nil` if the firmware does not say.
  public var acknowledgmentSecurity: AcknowledgmentSecurity?

  public init(
    psdu: [UInt8], rssi: Int8 = 0, noiseFloor: Int8 = -128, flags: Flags = [], channel: UInt8 = 0, lqi: UInt8 = 0,
    timestamp: UInt64 = 0, error: UInt32 = 0, acknowledgmentSecurity: AcknowledgmentSecurity? = .init()
  ) {
    self.psdu = psdu
    self.rssi = rssi
    self.noiseFloor = noiseFloor
    self.flags = flags
    self.channel = channel
    self.lqi = lqi
    self.timestamp = timestamp
    self.error = error
    self.acknowledgmentSecurity = acknowledgmentSecurity
  }

  private static let phyLength = 10
  private static let macLength = 5

  /// Reads a frame. The MAC data are taken to be there if there is room for them.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    psdu = try reader.bytes(Int(try reader.u16LE())).array()
    rssi = Int8(bitPattern: try reader.u8())
    noiseFloor = Int8(bitPattern: try reader.u8())
    flags = Flags(rawValue: try reader.u16LE())
    var phy = try reader.reader(Int(try reader.u16LE()))
    channel = try phy.u8()
    lqi = try phy.u8()
    timestamp = try phy.u64LE()
    var vendor = try reader.reader(Int(try reader.u16LE()))
    error = try vendor.spinelPacked()
    if reader.remaining >= 2 + Self.macLength {
      var mac = try reader.reader(Int(try reader.u16LE()))
      acknowledgmentSecurity = AcknowledgmentSecurity(keyIndex: try mac.u8(), frameCounter: try mac.u32LE())
    }
  }

  public var encodedLength: Int {
    2 + psdu.count + 4 + 2 + Self.phyLength + 2 + spinelPackedLength(error)
      + (acknowledgmentSecurity == nil ? 0 : 2 + Self.macLength)
  }

  /// ``EmitError/notRepresentable`` for a PSDU beyond 65,535 octets.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard let length = UInt16(exactly: psdu.count) else { throw .notRepresentable }
    try writer.u16LE(length)
    try writer.bytes(psdu)
    try writer.u8(UInt8(bitPattern: rssi))
    try writer.u8(UInt8(bitPattern: noiseFloor))
    try writer.u16LE(flags.rawValue)
    try writer.u16LE(UInt16(Self.phyLength))
    try writer.u8(channel)
    try writer.u8(lqi)
    try writer.u64LE(timestamp)
    try writer.u16LE(UInt16(spinelPackedLength(error)))
    try writer.spinelPacked(error)
    if let acknowledgmentSecurity {
      try writer.u16LE(UInt16(Self.macLength))
      try writer.u8(acknowledgmentSecurity.keyIndex)
      try writer.u32LE(acknowledgmentSecurity.frameCounter)
    }
  }
}
