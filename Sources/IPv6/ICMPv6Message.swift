import Wire

/// The header of every ICMPv6 message (RFC 4443, 2.1): 4 bytes.
@frozen
public struct ICMPv6Header: Hashable, Sendable, WireValue {
  /// Bytes of the header on the wire.
  @inlinable public static var length: Int { 4 }

  public var type: ICMPv6Type
  public var code: UInt8
  /// As on the wire.
  public var checksum: UInt16

  @inlinable
  public init(type: ICMPv6Type, code: UInt8 = 0, checksum: UInt16 = 0) {
    self.type = type
    self.code = code
    self.checksum = checksum
  }

  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let word = try reader.u32()
    type = ICMPv6Type(rawValue: UInt8(truncatingIfNeeded: word >> 24))
    code = UInt8(truncatingIfNeeded: word >> 16)
    checksum = UInt16(truncatingIfNeeded: word)
  }

  @inlinable public var encodedLength: Int { Self.length }

  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    try writer.u32(UInt32(type.rawValue) << 24 | UInt32(code) << 16 | UInt32(checksum))
  }
}

/// An ICMPv6 message as a view, its checksum verified.
@frozen
public struct ICMPv6Message: ~Escapable {
  public let header: ICMPv6Header
  @usableFromInline let _bytes: RawSpan

  /// The whole message, header included: what the message types of this module parse.
  @inlinable public var bytes: RawSpan {
    @_lifetime(copy self) get { _bytes }
  }

  /// Everything behind the 4 bytes of the header.
  @inlinable public var body: RawSpan {
    @_lifetime(copy self) get { _bytes.extracting(droppingFirst: ICMPv6Header.length) }
  }

  /// Parses a message that fills `bytes`.
  ///
  /// Throws ``DropReason/icmpv6ChecksumMismatch`` or ``DropReason/truncated``.
  @inlinable
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan, source: IPv6Address, destination: IPv6Address) throws(ParseError) {
    var reader = ByteReader(bytes)
    header = try ICMPv6Header(parsing: &reader)
    guard InternetChecksum.isValid(bytes, source: source, destination: destination, nextHeader: .icmpv6)
    else {
      throw ParseError(.icmpv6ChecksumMismatch, at: 2)
    }
    _bytes = bytes
  }

  /// Writes a message of at most `capacity` bytes with `body` and fills in its checksum.
  ///
  /// `body` writes the header with a zero checksum, as the message types of this module do.
  public static func encoded(
    source: IPv6Address, destination: IPv6Address, capacity: Int,
    _ body: (inout ByteWriter) throws(EmitError) -> Void
  ) throws(EmitError) -> [UInt8] {
    var message = try withWriter(capacity: capacity, body)
    guard message.count >= ICMPv6Header.length else { throw .notRepresentable }
    let checksum = icmpv6Checksum(source: source, destination: destination, message: message.rawSpan)
    message[2] = UInt8(checksum >> 8)
    message[3] = UInt8(checksum & 0xff)
    return message
  }
}

/// Echo request and reply (RFC 4443, 4.1 and 4.2): the 8 bytes in front of the data.
///
/// The checksum is verified by ``ICMPv6Message`` and filled in by its `encoded`; here it is passed over and written
/// as zero, as in all message types of this module.
@frozen
public struct ICMPv6Echo: Hashable, Sendable, WireValue {
  public var isReply: Bool
  public var identifier: UInt16
  public var sequenceNumber: UInt16

  @inlinable
  public init(isReply: Bool, identifier: UInt16, sequenceNumber: UInt16) {
    self.isReply = isReply
    self.identifier = identifier
    self.sequenceNumber = sequenceNumber
  }

  /// Reads the 8 bytes; the data follows. Another type is ``DropReason/icmpv6TypeUnknown``.
  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let otherType = reader.error(.icmpv6TypeUnknown)
    let header = try ICMPv6Header(parsing: &reader)
    guard header.type == .echoRequest || header.type == .echoReply else { throw otherType }
    isReply = header.type == .echoReply
    identifier = try reader.u16()
    sequenceNumber = try reader.u16()
  }

  @inlinable public var encodedLength: Int { 8 }

  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    try ICMPv6Header(type: isReply ? .echoReply : .echoRequest).emit(into: &writer)
    try writer.u16(identifier)
    try writer.u16(sequenceNumber)
  }

  /// The whole reply to an echo request, data copied; `nil` if `message` is not one.
  ///
  /// `source` is the address that replies and `destination` the one that asked.
  public static func reply(
    to message: RawSpan, source: IPv6Address, destination: IPv6Address
  ) -> [UInt8]? {
    var reader = ByteReader(message)
    guard var echo = try? ICMPv6Echo(parsing: &reader), !echo.isReply else { return nil }
    echo.isReply = true
    let data = reader.takeRest().array()
    return try? ICMPv6Message.encoded(source: source, destination: destination, capacity: 8 + data.count) {
      (writer) throws(EmitError) in
      try echo.emit(into: &writer)
      try writer.bytes(data)
    }
  }
}
