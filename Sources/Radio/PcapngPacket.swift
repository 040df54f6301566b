import Wire

/// The body of an enhanced packet block of pcapng (draft-ietf-opsawg-pcapng, 4.3), little-endian.
public struct PcapngPacket: Hashable, Sendable, WireValue {
  /// Which way a packet went, seen from the interface.
  public enum Direction: UInt32, Hashable, Sendable {
    case inbound = 1
    case outbound = 2
  }

  /// The number of the interface description block in the section, counted from 0.
  public var interface: UInt32
  /// In units of the interface's ``PcapngInterface/timeResolution``, since 1970-01-01T00:00:00Z.
  public var timestamp: UInt64
  /// What was captured.
  public var bytes: [UInt8]
  /// Bytes that were on the link.
  public var originalLength: UInt32
  public var options: PcapngOptions

  public init(
    interface: UInt32 = 0, timestamp: UInt64, bytes: [UInt8], originalLength: UInt32? = nil,
    options: PcapngOptions = []
  ) {
    self.interface = interface
    self.timestamp = timestamp
    self.bytes = bytes
    self.originalLength = originalLength ?? UInt32(clamping: bytes.count)
    self.options = options
  }

  /// The option with the flags word, of which the two lowest bits are ``direction``.
  public static var flagsOption: UInt16 { 2 }

  /// `nil` if the file does not say.
  public var direction: Direction? {
    get { Direction(rawValue: flags & 3) }
    set {
      let word = flags & ~3 | (newValue?.rawValue ?? 0)
      options[Self.flagsOption] = word == 0 ? nil : (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
    }
  }

  private var flags: UInt32 {
    guard let value = options[Self.flagsOption], value.count == 4 else { return 0 }
    return value.reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// Reads the body up to its end.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    interface = try reader.u32LE()
    let high = UInt64(try reader.u32LE())
    timestamp = high << 32 | UInt64(try reader.u32LE())
    let captured = Int(try reader.u32LE())
    originalLength = try reader.u32LE()
    bytes = try reader.bytes(captured).array()
    try reader.skip(-captured & 3)
    options = try PcapngOptions(parsing: &reader)
  }

  public var encodedLength: Int { 20 + (bytes.count + 3) & ~3 + options.encodedLength }

  /// Writes the body. More than 4 GiB of bytes are ``EmitError/notRepresentable``.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard let captured = UInt32(exactly: bytes.count) else { throw .notRepresentable }
    try writer.u32LE(interface)
    try writer.u32LE(UInt32(timestamp >> 32))
    try writer.u32LE(UInt32(truncatingIfNeeded: timestamp))
    try writer.u32LE(captured)
    try writer.u32LE(originalLength)
    try writer.bytes(bytes)
    try writer.zeros(-bytes.count & 3)
    try options.emit(into: &writer)
  }
}
