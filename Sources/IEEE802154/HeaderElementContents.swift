import Wire

/// The content of a coordinated sampled listening element, header element 0x1a (IEEE 802.15.4-2020, 7.4.2.3): when the
/// sender listens next. Thread's sleepy devices say so in their data requests and acknowledgments.
@frozen
public struct CSLElement: Hashable, Sendable, WireValue {
  /// Element ID.
  @inlinable public static var identifier: UInt8 { 0x1a }

  /// Time to the next sample, in units of 10 symbols (160 µs at 2.4 GHz).
  public var phase: UInt16
  /// Time between samples, in units of 10 symbols.
  public var period: UInt16
  /// Time to the rendezvous, in units of 10 symbols; only in wake-up frames.
  public var rendezvousTime: UInt16?

  @inlinable
  public init(phase: UInt16, period: UInt16, rendezvousTime: UInt16? = nil) {
    self.phase = phase
    self.period = period
    self.rendezvousTime = rendezvousTime
  }

  /// Reads all that is left: 4 or 6 octets.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    phase = try reader.u16LE()
    period = try reader.u16LE()
    rendezvousTime = reader.isAtEnd ? nil : try reader.u16LE()
  }

  @inlinable public var encodedLength: Int { rendezvousTime == nil ? 4 : 6 }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    try writer.u16LE(phase)
    try writer.u16LE(period)
    if let rendezvousTime { try writer.u16LE(rendezvousTime) }
  }
}

/// The content of a time correction element, header element 0x1e (7.4.2.7): how early or late a TSCH frame came.
@frozen
public struct TimeCorrectionElement: Hashable, Sendable, WireValue {
  /// Element ID.
  @inlinable public static var identifier: UInt8 { 0x1e }

  /// -2,048 to 2,047 µs; negative if the frame came early.
  public var microseconds: Int16
  /// The frame was received, but not taken.
  public var isNegativeAcknowledgment: Bool

  @inlinable
  public init(microseconds: Int16, isNegativeAcknowledgment: Bool = false) {
    self.microseconds = microseconds
    self.isNegativeAcknowledgment = isNegativeAcknowledgment
  }

  /// Reads the 2 octets; bits 12 to 14 are reserved and passed over.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let word = try reader.u16LE()
    // Twelve bits with a sign.
    microseconds = Int16(bitPattern: word &<< 4) >> 4
    isNegativeAcknowledgment = word & 0x8000 != 0
  }

  @inlinable public var encodedLength: Int { 2 }

  /// Writes the 2 octets. ``EmitError/notRepresentable`` for a time beyond twelve bits.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard (-2048...2047).contains(microseconds) else { throw .notRepresentable }
    try writer.u16LE(UInt16(bitPattern: microseconds) & 0xfff | (isNegativeAcknowledgment ? 0x8000 : 0))
  }
}

/// The content of a vendor specific element, header element 0x00 (7.4.2.2).
public struct VendorElement: Hashable, Sendable, WireValue {
  /// Element ID.
  @inlinable public static var identifier: UInt8 { 0x00 }

  /// 24 bits as people write them: `0xeab89b` is Thread's.
  public var vendor: UInt32
  public var content: [UInt8]

  public init(vendor: UInt32, content: [UInt8]) {
    self.vendor = vendor
    self.content = content
  }

  /// Reads all that is left; the vendor's octets come last first.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let low = UInt32(try reader.u16LE())
    vendor = low | UInt32(try reader.u8()) << 16
    content = reader.takeRest().array()
  }

  public var encodedLength: Int { 3 + content.count }

  /// Writes the content. ``EmitError/notRepresentable`` for a vendor beyond 24 bits.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard vendor <= 0xff_ffff else { throw .notRepresentable }
    try writer.u16LE(UInt16(truncatingIfNeeded: vendor))
    try writer.u8(UInt8(truncatingIfNeeded: vendor >> 16))
    try writer.bytes(content)
  }
}
