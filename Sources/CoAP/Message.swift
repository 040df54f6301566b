import Wire

/// A whole message over UDP (RFC 7252, 3).
public struct CoAPMessage: CoAPContent, Hashable, Sendable, WireValue, CustomStringConvertible {
  public var type: CoAPMessageType
  public var code: CoAPCode
  /// Tells duplicates, and matches an acknowledgement or a reset to what it answers.
  public var messageID: UInt16
  public var token: CoAPToken
  public var options: CoAPOptions
  /// Empty for none; a payload of no bytes has no form on the wire.
  public var payload: [UInt8]

  public init(
    type: CoAPMessageType, code: CoAPCode, messageID: UInt16, token: CoAPToken = CoAPToken(),
    options: CoAPOptions = [], payload: [UInt8] = []
  ) {
    self.type = type
    self.code = code
    self.messageID = messageID
    self.token = token
    self.options = options
    self.payload = payload
  }

  /// The empty message: an acknowledgement, a reset, or a ping.
  public static func empty(_ type: CoAPMessageType, messageID: UInt16) -> CoAPMessage {
    CoAPMessage(type: type, code: .empty, messageID: messageID)
  }

  /// Copies what a view holds.
  public init(_ view: borrowing CoAPMessageView) {
    self.init(
      type: view.type, code: view.code, messageID: view.messageID, token: view.token,
      options: CoAPOptions(view.content), payload: view.payload.array())
  }

  /// Reads all that is left: over UDP the datagram ends the message. Throws what ``CoAPMessageView`` throws.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let start = reader.offset
    self.init(try CoAPMessageView(reader.takeRest(), offset: start))
  }

  public var encodedLength: Int {
    CoAPHeader.length + Int(token.count) + options.encodedLength + (payload.isEmpty ? 0 : 1 + payload.count)
  }

  /// Writes the message.
  ///
  /// ``EmitError/notRepresentable`` for an empty code with anything behind it, a reserved code, and options that have no
  /// form on the wire.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    if code.isEmpty, token.count > 0 || !options.isEmpty || !payload.isEmpty { throw .notRepresentable }
    try CoAPHeader(type: type, tokenLength: token.count, code: code, messageID: messageID).emit(into: &writer)
    try token.emit(into: &writer)
    try emitContent(into: &writer)
  }

  public var description: String {
    let parts =
      ["\(type) \(code) [\(messageID)]"] + (token.count > 0 ? ["token \(token)"] : [])
      + options.map(\.description) + (payload.isEmpty ? [] : ["\(payload.count) bytes"])
    return parts.joined(separator: ", ")
  }
}

extension CoAPContent {
  /// Writes options, payload marker and payload: the end of a message over any transport.
  @_lifetime(writer: copy writer)
  public func emitContent(into writer: inout ByteWriter) throws(EmitError) {
    try options.emit(into: &writer)
    guard !payload.isEmpty else { return }
    try writer.u8(0xff)
    try writer.bytes(payload)
  }
}
