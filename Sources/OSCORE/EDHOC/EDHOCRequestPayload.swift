public import CoAP
public import Wire

/// The payload of a CoAP request to `/.well-known/edhoc` (RFC 9528, appendix A.2): a message behind what tells the server
/// which session it belongs to. Responses hold the message alone, for the token says the rest.
public enum EDHOCRequestPayload: Hashable, Sendable {
  /// Nothing: the server is asked to be the Initiator and to answer with message_1.
  case trigger
  /// `true` and message_1.
  case message1([UInt8])
  /// The server's connection identifier and any other message: C_R before message_3, and in the reverse flow C_I before
  /// message_2 and message_4. An error message stands like the message in whose place it is sent.
  case identified(EDHOCConnectionIdentifier, [UInt8])

  private static let isMessage1: UInt8 = 0xf5

  /// application/cid-edhoc+cbor-seq; nothing for ``trigger``.
  public var contentFormat: CoAPContentFormat? {
    if case .trigger = self { nil } else { .edhocWithConnectionIdentifier }
  }
}

extension EDHOCRequestPayload: WireValue {
  /// Reads all of `reader`. Throws ``DropReason/edhocMalformed`` for a message without what belongs before it and for a
  /// prefix without a message. The message itself is not looked at.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    if reader.isAtEnd {
      self = .trigger
      return
    }
    if try reader.peek() == Self.isMessage1 {
      try reader.skip(1)
      guard !reader.isAtEnd else { throw reader.error(.edhocMalformed) }
      self = .message1(reader.takeRest().array())
    } else {
      let identifier = try EDHOCConnectionIdentifier(parsing: &reader)
      guard !reader.isAtEnd else { throw reader.error(.edhocMalformed) }
      self = .identified(identifier, reader.takeRest().array())
    }
  }

  public var encodedLength: Int {
    switch self {
    case .trigger: 0
    case .message1(let message): 1 + message.count
    case .identified(let identifier, let message): identifier.encodedLength + message.count
    }
  }

  /// Throws ``EmitError/notRepresentable`` for an empty message.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    switch self {
    case .trigger: break
    case .message1(let message):
      guard !message.isEmpty else { throw .notRepresentable }
      try writer.u8(Self.isMessage1)
      try writer.bytes(message)
    case .identified(let identifier, let message):
      guard !message.isEmpty else { throw .notRepresentable }
      try identifier.emit(into: &writer)
      try writer.bytes(message)
    }
  }
}

extension CoAPRequest {
  /// The path of the resource: `/.well-known/edhoc`.
  public static let edhocPath = [".well-known", "edhoc"]

  /// The request that carries `payload`.
  public init(edhoc payload: EDHOCRequestPayload) throws(EmitError) {
    self.init(
      .post, path: Self.edhocPath, contentFormat: payload.contentFormat, payload: try payload.encoded())
  }

  /// What a request to the resource carries. A request without a content format is taken too: there are clients that
  /// send none.
  ///
  /// Throws ``DropReason/unsupported`` for another method, path or content format, and the reasons of
  /// ``EDHOCRequestPayload``.
  public func edhocPayload() throws(ParseError) -> EDHOCRequestPayload {
    guard code == .post, uriPath == Self.edhocPath,
      contentFormat == .edhocWithConnectionIdentifier || options[values: .contentFormat].isEmpty
    else { throw ParseError(.unsupported) }
    return try EDHOCRequestPayload(parsing: payload)
  }
}

extension CoAPResponse {
  /// The response with the next message; empty if none is left to say.
  public init(edhocMessage message: [UInt8]) {
    self.init(.changed, contentFormat: message.isEmpty ? nil : .edhoc, payload: message)
  }

  /// The response with an error message: 4.00, or 5.00 if the fault is the server's.
  public init(edhocError error: EDHOCErrorMessage, isServerFault: Bool = false) throws(EmitError) {
    self.init(
      isServerFault ? .internalServerError : .badRequest, contentFormat: .edhoc, payload: try error.encoded())
  }

  /// The message that a response carries, also an error message; empty if it carries none. Responses without a content
  /// format are taken too.
  ///
  /// Throws ``DropReason/coapRequestRefused`` for an error response that carries no EDHOC error message and
  /// ``DropReason/unsupported`` for another content format.
  public func edhocMessage() throws(ParseError) -> [UInt8] {
    guard contentFormat == .edhoc || options[values: .contentFormat].isEmpty else { throw ParseError(.unsupported) }
    guard code.class == 2 else {
      // A server that knows nothing of EDHOC may answer with a text for developers.
      guard contentFormat == .edhoc, EDHOCErrorMessage.isError(payload.rawSpan) else {
        throw ParseError(.coapRequestRefused)
      }
      return payload
    }
    return payload
  }
}
