import Wire

/// The fixed four bytes of a message over UDP (RFC 7252, 3).
@frozen
public struct CoAPHeader: Hashable, Sendable, WireValue {
  /// Bytes on the wire.
  @inlinable public static var length: Int { 4 }

  public var type: CoAPMessageType
  /// Bytes of the token, 0 to 8.
  public var tokenLength: UInt8
  public var code: CoAPCode
  public var messageID: UInt16

  @inlinable
  public init(type: CoAPMessageType, tokenLength: UInt8 = 0, code: CoAPCode, messageID: UInt16) {
    self.type = type
    self.tokenLength = tokenLength
    self.code = code
    self.messageID = messageID
  }

  /// Reads the four bytes.
  ///
  /// Throws ``DropReason/coapVersionUnknown`` for a version other than 1, ``DropReason/coapTokenLengthReserved`` for a
  /// token length of 9 and more, and ``DropReason/coapCodeClassReserved`` for the classes 1, 6 and 7.
  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let start = reader.offset
    let word = try reader.u32()
    let first = UInt8(truncatingIfNeeded: word >> 24)
    guard first >> 6 == 1 else { throw ParseError(.coapVersionUnknown, at: start) }
    switch first >> 4 & 3 {
    case 0: type = .confirmable
    case 1: type = .nonConfirmable
    case 2: type = .acknowledgement
    default: type = .reset
    }
    tokenLength = first & 15
    guard tokenLength <= 8 else { throw ParseError(.coapTokenLengthReserved, at: start) }
    code = CoAPCode(rawValue: UInt8(truncatingIfNeeded: word >> 16))
    guard !code.isReserved else { throw ParseError(.coapCodeClassReserved, at: start &+ 1) }
    messageID = UInt16(truncatingIfNeeded: word)
  }

  @inlinable public var encodedLength: Int { Self.length }

  /// Writes the four bytes. What would not parse again is ``EmitError/notRepresentable``.
  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard tokenLength <= 8, !code.isReserved else { throw .notRepresentable }
    try writer.u8(0x40 | type.rawValue << 4 | tokenLength)
    try writer.u8(code.rawValue)
    try writer.u16(messageID)
  }
}
