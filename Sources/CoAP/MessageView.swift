import Wire

/// A message over UDP as a view: checked once, read without allocation (RFC 7252, 3).
@frozen
public struct CoAPMessageView: ~Escapable {
  @usableFromInline let header: CoAPHeader
  public let token: CoAPToken
  @usableFromInline let _content: CoAPContentView

  @inlinable public var type: CoAPMessageType { header.type }
  @inlinable public var code: CoAPCode { header.code }
  @inlinable public var messageID: UInt16 { header.messageID }

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

  /// Checks all of `bytes`, one datagram's payload; `offset` is where they stand in a larger input.
  ///
  /// Throws what ``CoAPHeader`` and ``CoAPContentView`` throw, and ``DropReason/coapEmptyMessageNotEmpty`` for an empty
  /// message (code 0.00) with a token or with bytes behind the message ID (RFC 7252, 4.1).
  @inlinable
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan, offset: Int = 0) throws(ParseError) {
    var reader = ByteReader(bytes, offset: offset)
    header = try CoAPHeader(parsing: &reader)
    if header.code.isEmpty, header.tokenLength != 0 || !reader.isAtEnd {
      throw reader.error(.coapEmptyMessageNotEmpty)
    }
    token = try CoAPToken(parsing: &reader, count: Int(header.tokenLength))
    let start = reader.offset
    _content = try CoAPContentView(reader.takeRest(), offset: start)
  }

  /// The first option with `number`; `nil` if there is none.
  @inlinable
  @_lifetime(copy self)
  public func firstOption(_ number: CoAPOptionNumber) -> CoAPOptionView? {
    var options = self.options
    while let option = options.next() {
      if option.number == number { return option }
      if option.number > number { return nil }
    }
    return nil
  }
}
