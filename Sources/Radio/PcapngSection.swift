import Wire

/// The body of a section header block of pcapng (draft-ietf-opsawg-pcapng, 4.1), version 1.0, little-endian.
public struct PcapngSection: Hashable, Sendable, WireValue {
  /// Bytes of the section behind this block, if they are known.
  public var length: Int64?
  public var options: PcapngOptions

  public init(length: Int64? = nil, options: PcapngOptions = []) {
    self.length = length
    self.options = options
  }

  /// The program that wrote the section.
  public static var application: UInt16 { 4 }

  /// Reads the body up to its end.
  ///
  /// Throws ``DropReason/unsupported`` for a section in the other byte order or of another version, and
  /// ``DropReason/reservedValue`` for what is no section.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let start = reader.offset
    let magic = try reader.u32LE()
    guard magic == Self.byteOrder else {
      throw ParseError(magic == Self.byteOrder.byteSwapped ? .unsupported : .reservedValue, at: start)
    }
    let version = reader.error(.unsupported)
    guard try reader.u16LE() == 1, try reader.u16LE() == 0 else { throw version }
    let length = Int64(bitPattern: try reader.u64LE())
    self.length = length < 0 ? nil : length
    options = try PcapngOptions(parsing: &reader)
  }

  public var encodedLength: Int { 16 + options.encodedLength }

  /// Writes the body. A negative length is ``EmitError/notRepresentable``.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard length ?? 0 >= 0 else { throw .notRepresentable }
    try writer.u32LE(Self.byteOrder)
    try writer.u16LE(1)
    try writer.u16LE(0)
    try writer.u64LE(UInt64(bitPattern: length ?? -1))
    try options.emit(into: &writer)
  }

  /// Tells the byte order of the section.
  static var byteOrder: UInt32 { 0x1a2b_3c4d }
}
