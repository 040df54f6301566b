import Wire

/// A hop-by-hop or destination options header (RFC 8200, 4.3 and 4.6), padding aside.
///
/// ``IPv6OptionIterator`` reads the same options without allocation.
public struct OptionsHeader: Hashable, Sendable, WireValue {
  /// One option.
  public struct Option: Hashable, Sendable {
    public var type: IPv6OptionType
    /// Up to 255 bytes.
    public var data: [UInt8]

    public init(type: IPv6OptionType, data: [UInt8]) {
      self.type = type
      self.data = data
    }
  }

  public var nextHeader: NextHeader
  /// In the order of the header, without Pad1 and PadN.
  public var options: [Option]

  public init(nextHeader: NextHeader, options: [Option]) {
    self.nextHeader = nextHeader
    self.options = options
  }

  /// Reads the header; one whose options do not fill it exactly is ``DropReason/ipv6ExtensionHeaderMalformed``.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let start = reader.offset
    nextHeader = NextHeader(rawValue: try reader.u8())
    let units = Int(try reader.u8())
    guard units * 8 + 6 <= reader.remaining else {
      throw ParseError(.ipv6ExtensionHeaderMalformed, at: start)
    }
    var iterator = IPv6OptionIterator(try reader.bytes(units * 8 + 6))
    var options: [Option] = []
    do {
      while let option = try iterator.next() {
        options.append(Option(type: option.type, data: option.data.array()))
      }
    } catch {
      throw ParseError(error.reason, at: start + 2 + Int(error.offset))
    }
    self.options = options
  }

  public var encodedLength: Int { (laidOutLength + 7) / 8 * 8 }

  /// Writes the header: each option at the alignment that its definition asks for, and padding up to a multiple
  /// of 8 bytes.
  ///
  /// ``EmitError/notRepresentable`` for a padding option in ``options``, data over 255 bytes, and headers over
  /// 2,048 bytes.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    let length = encodedLength
    guard length <= 256 * 8 else { throw .notRepresentable }
    let start = writer.count
    try writer.u8(nextHeader.rawValue)
    try writer.u8(UInt8(length / 8 - 1))
    for option in options {
      guard option.type != .pad1, option.type != .padN, option.data.count <= 255 else {
        throw .notRepresentable
      }
      try Self.pad(Self.padding(before: option.type, at: writer.count - start), into: &writer)
      try writer.u8(option.type.rawValue)
      try writer.u8(UInt8(option.data.count))
      try writer.bytes(option.data)
    }
    try Self.pad(length - (writer.count - start), into: &writer)
  }

  private var laidOutLength: Int {
    options.reduce(2) { $0 + Self.padding(before: $1.type, at: $0) + 2 + $1.data.count }
  }

  private static func padding(before type: IPv6OptionType, at position: Int) -> Int {
    let (multiple, offset) = type.alignment
    let past = (position + multiple - offset) % multiple
    return past == 0 ? 0 : multiple - past
  }

  @_lifetime(writer: copy writer)
  private static func pad(_ count: Int, into writer: inout ByteWriter) throws(EmitError) {
    if count == 1 {
      try writer.u8(IPv6OptionType.pad1.rawValue)
    } else if count >= 2 {
      try writer.u8(IPv6OptionType.padN.rawValue)
      try writer.u8(UInt8(count - 2))
      try writer.zeros(count - 2)
    }
  }
}
