import Wire

/// A whole message over a reliable transport (RFC 8323, 3.2 and 4.2): a request, a response, a signal or an empty message.
public struct CoAPStreamMessage: CoAPContent, Hashable, Sendable, CustomStringConvertible {
  public var code: CoAPCode
  public var token: CoAPToken
  public var options: CoAPOptions
  /// Empty for none; a payload of no bytes has no form on the wire.
  public var payload: [UInt8]

  public init(
    code: CoAPCode, token: CoAPToken = CoAPToken(), options: CoAPOptions = [], payload: [UInt8] = []
  ) {
    self.code = code
    self.token = token
    self.options = options
    self.payload = payload
  }

  /// Copies what a view holds.
  public init(_ view: borrowing CoAPStreamMessageView) {
    self.init(
      code: view.code, token: view.token, options: CoAPOptions(view.content), payload: view.payload.array())
  }

  /// Reads exactly one frame. Throws what ``CoAPStreamMessageView`` throws.
  public init(parsing frame: RawSpan, framing: CoAPStreamFraming) throws(ParseError) {
    self.init(try CoAPStreamMessageView(frame, framing: framing))
  }

  /// Reads exactly one frame. Throws what ``CoAPStreamMessageView`` throws.
  public init(parsing frame: [UInt8], framing: CoAPStreamFraming) throws(ParseError) {
    try self.init(parsing: frame.rawSpan, framing: framing)
  }

  /// Bytes of options, payload marker and payload: what Len counts.
  private var contentLength: Int { options.encodedLength + (payload.isEmpty ? 0 : 1 + payload.count) }

  /// Bytes that ``emit(into:framing:)`` writes: what Max-Message-Size bounds (5.3.1).
  public func encodedLength(_ framing: CoAPStreamFraming) -> Int {
    let length = contentLength
    return CoAPStreamFrame.headerLength(forLength: length, framing) + Int(token.count) + length
  }

  /// Writes the message as one frame.
  ///
  /// ``EmitError/notRepresentable`` for the code classes 1 and 6, options that have no form on the wire, and more than
  /// 2^32 + 65,804 bytes of options and payload over TCP.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter, framing: CoAPStreamFraming) throws(EmitError) {
    guard code.class != 1, code.class != 6 else { throw .notRepresentable }
    try CoAPStreamFrame.emitHeader(
      code, tokenLength: token.count, contentLength: contentLength, framing: framing, into: &writer)
    try token.emit(into: &writer)
    try emitContent(into: &writer)
  }

  /// The frame as an array.
  public func encoded(_ framing: CoAPStreamFraming) throws(EmitError) -> [UInt8] {
    try withWriter(capacity: encodedLength(framing)) { (writer) throws(EmitError) in
      try emit(into: &writer, framing: framing)
    }
  }

  public var description: String {
    let parts =
      ["\(code)"] + (token.count > 0 ? ["token \(token)"] : []) + options.map(\.description)
      + (payload.isEmpty ? [] : ["\(payload.count) bytes"])
    return parts.joined(separator: ", ")
  }
}
