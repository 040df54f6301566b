import Wire

/// What carries messages over a reliable transport, and so how they are told apart (RFC 8323).
@frozen
public enum CoAPStreamFraming: Sendable, Hashable {
  /// A byte stream, TCP or TLS: every message says how long it is (3.2).
  case tcp
  /// One binary WebSocket message for each message; Len is 0 (4.2).
  case webSocket
}

/// The first bytes of a message over a reliable transport (RFC 8323, 3.2): Len, TKL and Extended Length.
public enum CoAPStreamFrame {
  /// Bytes of the first TCP frame in `prefix`, from its first byte to the end of its payload.
  ///
  /// `nil` if more bytes are needed to tell: 5 are always enough. Throws ``DropReason/coapTokenLengthReserved`` for a token
  /// length of 9 and more, and ``DropReason/coapMessageTooLarge`` for a frame of more than `maximum` bytes. Neither can be
  /// passed over: the connection must be aborted.
  @inlinable
  public static func length(of prefix: RawSpan, maximum: Int) throws(ParseError) -> Int? {
    guard !prefix.isEmpty else { return nil }
    var reader = ByteReader(prefix)
    let lead = try reader.u8()
    guard lead & 15 <= 8 else { throw ParseError(.coapTokenLengthReserved, at: 0) }
    guard reader.remaining >= extendedLengthBytes(lead >> 4) else { return nil }
    let content = try contentLength(&reader, nibble: lead >> 4)
    let length = reader.offset &+ 1 &+ Int(lead & 15) &+ content
    guard length <= maximum else { throw ParseError(.coapMessageTooLarge, at: 0) }
    return length
  }

  /// Bytes of the Extended Length behind a Len of `nibble`.
  @inlinable
  @inline(__always)
  static func extendedLengthBytes(_ nibble: UInt8) -> Int {
    switch nibble {
    case ..<13: 0
    case 13: 1
    case 14: 2
    default: 4
    }
  }

  /// Reads the Extended Length, in network byte order: bytes of options, payload marker and payload.
  @inlinable
  @inline(__always)
  @_lifetime(reader: copy reader)
  static func contentLength(_ reader: inout ByteReader, nibble: UInt8) throws(ParseError) -> Int {
    switch nibble {
    case ..<13: Int(nibble)
    case 13: Int(try reader.u8()) &+ 13
    case 14: Int(try reader.u16()) &+ 269
    default: Int(try reader.u32()) &+ 65_805
    }
  }

  /// The Len for `length` bytes of content.
  static func nibble(forLength length: Int) -> UInt8 {
    switch length {
    case ..<13: UInt8(truncatingIfNeeded: length)
    case ..<269: 13
    case ..<65_805: 14
    default: 15
    }
  }

  /// Bytes before the token, for `length` bytes of content: Len and TKL, Extended Length and Code.
  static func headerLength(forLength length: Int, _ framing: CoAPStreamFraming) -> Int {
    switch framing {
    case .tcp: 2 + extendedLengthBytes(nibble(forLength: length))
    case .webSocket: 2
    }
  }

  /// Writes Len and TKL, Extended Length and Code. Content of more than 2^32 + 65,804 bytes is
  /// ``EmitError/notRepresentable`` in a stream.
  @_lifetime(writer: copy writer)
  static func emitHeader(
    _ code: CoAPCode, tokenLength: UInt8, contentLength length: Int, framing: CoAPStreamFraming,
    into writer: inout ByteWriter
  ) throws(EmitError) {
    switch framing {
    case .webSocket: try writer.u8(tokenLength)
    case .tcp:
      let nibble = nibble(forLength: length)
      try writer.u8(nibble << 4 | tokenLength)
      switch nibble {
      case ..<13: break
      case 13: try writer.u8(UInt8(truncatingIfNeeded: length - 13))
      case 14: try writer.u16(UInt16(truncatingIfNeeded: length - 269))
      default:
        guard let extended = UInt32(exactly: length - 65_805) else { throw .notRepresentable }
        try writer.u32(extended)
      }
    }
    try writer.u8(code.rawValue)
  }
}
