import Wire

/// A header information element as a view (IEEE 802.15.4-2020, 7.4.2).
@frozen
public struct HeaderIEView: ~Escapable {
  /// Element ID, 8 bits.
  public let identifier: UInt8
  @usableFromInline let _content: RawSpan
  @inlinable public var content: RawSpan {
    @_lifetime(copy self) get { _content }
  }

  @inlinable
  @_lifetime(copy content)
  init(identifier: UInt8, content: RawSpan) {
    self.identifier = identifier
    self._content = content
  }
}

/// A header information element: at most 127 octets of content.
public struct HeaderIE: Hashable, Sendable, WireValue {
  public var identifier: UInt8
  public var content: [UInt8]

  /// Header Termination 1: payload information elements follow (7.4.2.18).
  public static let termination1 = HeaderIE(identifier: 0x7e)
  /// Header Termination 2: the payload follows (7.4.2.18).
  public static let termination2 = HeaderIE(identifier: 0x7f)

  public init(identifier: UInt8, content: [UInt8] = []) {
    self.identifier = identifier
    self.content = content
  }

  /// Reads one element; ``DropReason/macIEMalformed`` for a payload element.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let start = reader.error(.macIEMalformed)
    let descriptor = try reader.u16LE()
    guard descriptor & 0x8000 == 0 else { throw start }
    identifier = UInt8(truncatingIfNeeded: descriptor >> 7)
    content = try reader.bytes(Int(descriptor & 0x7f)).array()
  }

  public var encodedLength: Int { 2 + content.count }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard content.count <= 0x7f else { throw .notRepresentable }
    try writer.u16LE(UInt16(content.count) | UInt16(identifier) << 7)
    try writer.bytes(content)
  }
}

/// Walks header information elements.
@frozen
public struct HeaderIEs: ~Escapable {
  @usableFromInline var reader: ByteReader
  @usableFromInline var ended = false

  @inlinable
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) { reader = ByteReader(bytes) }

  /// Walks the elements that `reader` stands before, so that errors name their place in the frame.
  @inlinable
  @_lifetime(copy reader)
  init(_ reader: ByteReader) { self.reader = reader }

  /// The next element, a termination included; `nil` behind that or at the end of the frame.
  @inlinable
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func next() throws(ParseError) -> HeaderIEView? {
    guard !ended, !reader.isAtEnd else { return nil }
    let malformed = reader.error(.macIEMalformed)
    guard reader.remaining >= 2 else { throw malformed }
    let descriptor = try reader.u16LE()
    let length = Int(descriptor & 0x7f)
    guard descriptor & 0x8000 == 0, length <= reader.remaining else { throw malformed }
    let identifier = UInt8(truncatingIfNeeded: descriptor >> 7)
    if identifier == 0x7e || identifier == 0x7f {
      guard length == 0 else { throw malformed }
      ended = true
    }
    return HeaderIEView(identifier: identifier, content: try reader.bytes(length))
  }

  /// Walks to the end: octets of all elements, and whether payload elements follow.
  @inlinable
  @_lifetime(self: copy self)
  mutating func end() throws(ParseError) -> (length: Int, payloadIEsFollow: Bool) {
    let start = reader.offset
    var payloadIEsFollow = false
    while let element = try next() { payloadIEsFollow = element.identifier == 0x7e }
    return (reader.offset &- start, payloadIEsFollow)
  }
}

/// A payload information element: a group and at most 2,047 octets of content (7.4.3).
public struct PayloadIE: Hashable, Sendable, WireValue {
  /// 0 ESDU, 1 MLME (nested elements), 2 vendor specific, 15 termination.
  public var group: UInt8
  public var content: [UInt8]

  public static let termination = PayloadIE(group: 0xf)

  public init(group: UInt8, content: [UInt8] = []) {
    self.group = group
    self.content = content
  }

  /// Reads one element; ``DropReason/macIEMalformed`` for a header element.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let start = reader.error(.macIEMalformed)
    let descriptor = try reader.u16LE()
    guard descriptor & 0x8000 != 0 else { throw start }
    group = UInt8(truncatingIfNeeded: descriptor >> 11 & 0xf)
    content = try reader.bytes(Int(descriptor & 0x7ff)).array()
  }

  public var encodedLength: Int { 2 + content.count }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard content.count <= 0x7ff, group <= 0xf else { throw .notRepresentable }
    try writer.u16LE(UInt16(content.count) | UInt16(group) << 11 | 0x8000)
    try writer.bytes(content)
  }

  /// Octets of the payload elements at the start of an unsecured MAC payload: up to their termination, or all of it.
  ///
  /// Throws ``DropReason/macIEMalformed``.
  public static func length(in payload: RawSpan) throws(ParseError) -> Int {
    var reader = ByteReader(payload)
    while !reader.isAtEnd {
      let malformed = reader.error(.macIEMalformed)
      guard reader.remaining >= 2 else { throw malformed }
      let descriptor = try reader.u16LE()
      let length = Int(descriptor & 0x7ff)
      guard descriptor & 0x8000 != 0, length <= reader.remaining else { throw malformed }
      try reader.skip(length)
      if descriptor >> 11 & 0xf == 0xf { break }
    }
    return reader.offset
  }
}
