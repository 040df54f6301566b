import Wire

/// A message over a reliable transport as a view: checked once, read without allocation (RFC 8323, 3.2 and 4.2).
@frozen
public struct CoAPStreamMessageView: ~Escapable {
  public let code: CoAPCode
  public let token: CoAPToken
  @usableFromInline let _content: CoAPContentView

  /// Options and payload together.
  @inlinable public var content: CoAPContentView {
    @_lifetime(copy self) get { _content }
  }

  /// Goes through the options from the first.
  @inlinable public var options: CoAPOptionsView {
    @_lifetime(copy self) get { _content.options }
  }

  /// The payload; empty if there is none.
  @inlinable public var payload: RawSpan {
    @_lifetime(copy self) get { _content.payload }
  }

  /// Checks all of `frame`: exactly one TCP frame, or the data of one WebSocket message.
  ///
  /// Throws ``DropReason/coapTokenLengthReserved`` for a token length of 9 and more, ``DropReason/lengthMismatch`` for a Len
  /// other than 0 in a WebSocket message, ``DropReason/truncated`` and ``DropReason/trailingBytes`` for a TCP frame that is
  /// not as long as it says, ``DropReason/coapCodeClassReserved`` for the classes 1 and 6, and what ``CoAPContentView``
  /// throws. An empty message (code 0.00) may have anything behind its code: it is to be ignored (3.4).
  @inlinable
  @_lifetime(copy frame)
  public init(_ frame: RawSpan, framing: CoAPStreamFraming) throws(ParseError) {
    var reader = ByteReader(frame)
    let lead = try reader.u8()
    guard lead & 15 <= 8 else { throw ParseError(.coapTokenLengthReserved, at: 0) }
    var contentLength: Int?
    switch framing {
    case .tcp: contentLength = try CoAPStreamFrame.contentLength(&reader, nibble: lead >> 4)
    case .webSocket: guard lead >> 4 == 0 else { throw ParseError(.lengthMismatch, at: 0) }
    }
    code = CoAPCode(rawValue: try reader.u8())
    guard code.class != 1, code.class != 6 else {
      throw ParseError(.coapCodeClassReserved, at: reader.offset &- 1)
    }
    token = try CoAPToken(parsing: &reader, count: Int(lead & 15))
    let start = reader.offset
    let length = contentLength ?? reader.remaining
    let content = try reader.bytes(length)
    try reader.expectEnd()
    _content = try CoAPContentView(content, offset: start)
  }
}
