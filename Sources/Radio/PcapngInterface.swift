import Wire

/// The body of an interface description block of pcapng (draft-ietf-opsawg-pcapng, 4.2), little-endian.
public struct PcapngInterface: Hashable, Sendable, WireValue {
  /// As files number it: 0 to 65535.
  public var linkType: LinkType
  /// The most bytes that were kept of a packet; 0 is no limit.
  public var snapLength: UInt32
  public var options: PcapngOptions

  public init(linkType: LinkType, snapLength: UInt32 = 0, options: PcapngOptions = []) {
    self.linkType = linkType
    self.snapLength = snapLength
    self.options = options
  }

  /// The name of the interface.
  public static var name: UInt16 { 2 }
  /// The option behind ``timeResolution``.
  public static var timeResolutionOption: UInt16 { 9 }

  /// The unit of time stamps: the negative power of ten, 6 for microseconds, or with the top bit set of two.
  public var timeResolution: UInt8 {
    get { options[Self.timeResolutionOption]?.first ?? 6 }
    set { options[Self.timeResolutionOption] = [newValue] }
  }

  /// Reads the body up to its end.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    linkType = LinkType(rawValue: Int32(try reader.u16LE()))
    try reader.skip(2)
    snapLength = try reader.u32LE()
    options = try PcapngOptions(parsing: &reader)
  }

  public var encodedLength: Int { 8 + options.encodedLength }

  /// Writes the body. A link type that needs more than 16 bits is ``EmitError/notRepresentable``.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard let number = UInt16(exactly: linkType.rawValue) else { throw .notRepresentable }
    try writer.u16LE(number)
    try writer.u16LE(0)
    try writer.u32LE(snapLength)
    try options.emit(into: &writer)
  }
}
