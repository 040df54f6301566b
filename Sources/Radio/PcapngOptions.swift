import Wire

/// One option of a pcapng block: a code, whose meaning depends on the block, and a value.
public struct PcapngOption: Hashable, Sendable {
  public var code: UInt16
  /// At most 65535 bytes.
  public var value: [UInt8]

  public init(_ code: UInt16, _ value: [UInt8]) {
    self.code = code
    self.value = value
  }
}

/// The options at the end of a pcapng block (draft-ietf-opsawg-pcapng, 3.5), in the order of the file.
///
/// Each is code, length and value, padded to four bytes; a last one with code 0 ends the list. An empty list has no end
/// either.
public struct PcapngOptions: Hashable, Sendable, WireValue, ExpressibleByArrayLiteral {
  public var entries: [PcapngOption]

  public init(_ entries: [PcapngOption]) { self.entries = entries }

  public init(arrayLiteral elements: PcapngOption...) { entries = elements }

  /// The value of the first option with this code. Setting replaces all with this code; `nil` takes them out.
  public subscript(code: UInt16) -> [UInt8]? {
    get { entries.first { $0.code == code }?.value }
    set {
      let place = entries.firstIndex { $0.code == code } ?? entries.endIndex
      entries.removeAll { $0.code == code }
      if let newValue { entries.insert(PcapngOption(code, newValue), at: place) }
    }
  }

  /// A value that is text.
  public func text(_ code: UInt16) -> String? { self[code].map { String(decoding: $0, as: UTF8.self) } }

  /// A comment, in every kind of block.
  public static var comment: UInt16 { 1 }

  /// Reads to the end of the list, or of the block if the list has no end.
  ///
  /// Throws ``DropReason/truncated`` for an option that runs past the block, and ``DropReason/lengthMismatch`` for a last
  /// one that is not empty.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    entries = []
    while !reader.isAtEnd {
      let code = try reader.u16LE()
      let wrongLength = reader.error(.lengthMismatch)
      let length = Int(try reader.u16LE())
      guard code != Self.end else {
        guard length == 0 else { throw wrongLength }
        return
      }
      let value = try reader.bytes(length).array()
      try reader.skip(-length & 3)
      entries.append(PcapngOption(code, value))
    }
  }

  public var encodedLength: Int {
    entries.isEmpty ? 0 : entries.reduce(4) { $0 + 4 + ($1.value.count + 3) & ~3 }
  }

  /// Writes the list with its end. An option with code 0 or a value that is too long is ``EmitError/notRepresentable``.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard !entries.isEmpty else { return }
    for option in entries {
      guard option.code != Self.end, let length = UInt16(exactly: option.value.count) else { throw .notRepresentable }
      try writer.u16LE(option.code)
      try writer.u16LE(length)
      try writer.bytes(option.value)
      try writer.zeros(-option.value.count & 3)
    }
    try writer.u32LE(0)
  }

  private static var end: UInt16 { 0 }
}
