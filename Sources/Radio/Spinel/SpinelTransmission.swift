import Wire

/// What a host asks a co-processor to send: the value of STREAM_RAW in a SET.
public struct SpinelTransmitRequest: Hashable, Sendable, WireValue {
  /// How to send it. A co-processor has the same defaults, except for the channel to receive on.
  public struct Options: Hashable, Sendable {
    /// CSMA-CA attempts beyond the first (macMaxCsmaBackoffs).
    public var maximumBackoffs: UInt8 = 4
    /// Retransmissions when no acknowledgment comes (macMaxFrameRetries).
    public var maximumRetries: UInt8 = 3
    public var usesCSMA = true
    /// The frame counter and key index in the header are final.
    public var isHeaderUpdated = false
    public var isRetransmission = false
    /// The frame is encrypted and has its integrity code: the co-processor leaves it as it is.
    public var isSecurityProcessed = false
    /// Microseconds after ``delayBase``; both 0 for at once.
    public var delay: UInt32 = 0
    /// A time of the co-processor's clock.
    public var delayBase: UInt32 = 0
    /// The channel to receive on afterwards.
    public var receiveChannel: UInt8
    /// dBm; 127 for what is set.
    public var power: Int8 = 127

    public init(receiveChannel: UInt8) { self.receiveChannel = receiveChannel }
  }

  /// The PSDU with two octets in the place of the FCS, and zeros in the place of the integrity code if the co-processor secures it.
  public var psdu: [UInt8]
  public var channel: UInt8
  /// `nil` leaves them out.
  public var options: Options?

  public init(psdu: [UInt8], channel: UInt8, options: Options? = nil) {
    self.psdu = psdu
    self.channel = channel
    self.options = options
  }

  private static let optionsLength = 16

  /// Reads a request. Options that are missing at the end have their defaults.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    psdu = try reader.bytes(Int(try reader.u16LE())).array()
    channel = try reader.u8()
    guard !reader.isAtEnd else { return }
    var options = Options(receiveChannel: channel)
    options.maximumBackoffs = try reader.u8()
    if !reader.isAtEnd { options.maximumRetries = try reader.u8() }
    if !reader.isAtEnd { options.usesCSMA = try reader.u8() != 0 }
    if !reader.isAtEnd { options.isHeaderUpdated = try reader.u8() != 0 }
    if !reader.isAtEnd { options.isRetransmission = try reader.u8() != 0 }
    if !reader.isAtEnd { options.isSecurityProcessed = try reader.u8() != 0 }
    if !reader.isAtEnd { options.delay = try reader.u32LE() }
    if !reader.isAtEnd { options.delayBase = try reader.u32LE() }
    if !reader.isAtEnd { options.receiveChannel = try reader.u8() }
    if !reader.isAtEnd { options.power = Int8(bitPattern: try reader.u8()) }
    self.options = options
  }

  public var encodedLength: Int { 2 + psdu.count + 1 + (options == nil ? 0 : Self.optionsLength) }

  /// ``EmitError/notRepresentable`` for a PSDU beyond 65,535 octets.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard let length = UInt16(exactly: psdu.count) else { throw .notRepresentable }
    try writer.u16LE(length)
    try writer.bytes(psdu)
    try writer.u8(channel)
    guard let options else { return }
    try writer.u8(options.maximumBackoffs)
    try writer.u8(options.maximumRetries)
    try writer.u8(options.usesCSMA ? 1 : 0)
    try writer.u8(options.isHeaderUpdated ? 1 : 0)
    try writer.u8(options.isRetransmission ? 1 : 0)
    try writer.u8(options.isSecurityProcessed ? 1 : 0)
    try writer.u32LE(options.delay)
    try writer.u32LE(options.delayBase)
    try writer.u8(options.receiveChannel)
    try writer.u8(UInt8(bitPattern: options.power))
  }
}

/// What became of a transmission, or of any other request: the value of LAST_STATUS.
public struct SpinelLastStatus: Hashable, Sendable, WireValue {
  /// What follows the status of a transmission that was made.
  public struct Transmission: Hashable, Sendable {
    /// The acknowledgment said that there is more.
    public var isFramePending: Bool
    /// The co-processor wrote counter and key index.
    public var isHeaderUpdated: Bool
    /// With status ok, and only then: the acknowledgment. Its PSDU is empty if none was asked for, and its flags are those
    /// of some frame before.
    public var acknowledgment: SpinelReceivedFrame?
    /// The key and the counter that a secured frame went with.
    public var security: SpinelReceivedFrame.AcknowledgmentSecurity?

    public init(
      isFramePending: Bool, isHeaderUpdated: Bool, acknowledgment: SpinelReceivedFrame?,
      security: SpinelReceivedFrame.AcknowledgmentSecurity? = nil
    ) {
      self.isFramePending = isFramePending
      self.isHeaderUpdated = isHeaderUpdated
      self.acknowledgment = acknowledgment
      self.security = security
    }
  }

  public var status: SpinelStatus
  /// `nil` of everything that is no transmission, and of transmissions that were refused.
  public var transmission: Transmission?

  public init(_ status: SpinelStatus, transmission: Transmission? = nil) {
    self.status = status
    self.transmission = transmission
  }

  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    status = SpinelStatus(rawValue: try reader.spinelPacked())
    guard !reader.isAtEnd else { return }
    let isFramePending = try reader.u8() != 0
    let isHeaderUpdated = try reader.u8() != 0
    var transmission = Transmission(
      isFramePending: isFramePending, isHeaderUpdated: isHeaderUpdated, acknowledgment: nil)
    if status == .ok { transmission.acknowledgment = try SpinelReceivedFrame(parsing: &reader) }
    if !reader.isAtEnd {
      transmission.security = .init(keyIndex: try reader.u8(), frameCounter: try reader.u32LE())
    }
    self.transmission = transmission
  }

  public var encodedLength: Int {
    guard let transmission else { return spinelPackedLength(status.rawValue) }
    return spinelPackedLength(status.rawValue) + 2 + (transmission.acknowledgment?.encodedLength ?? 0)
      + (transmission.security == nil ? 0 : 5)
  }

  /// ``EmitError/notRepresentable`` for an acknowledgment without status ok or the other way round.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    try writer.spinelPacked(status.rawValue)
    guard let transmission else { return }
    guard (status == .ok) == (transmission.acknowledgment != nil) else { throw .notRepresentable }
    try writer.u8(transmission.isFramePending ? 1 : 0)
    try writer.u8(transmission.isHeaderUpdated ? 1 : 0)
    if let acknowledgment = transmission.acknowledgment { try acknowledgment.emit(into: &writer) }
    if let security = transmission.security {
      try writer.u8(security.keyIndex)
      try writer.u32LE(security.frameCounter)
    }
  }
}
