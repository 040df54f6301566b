public import CoAP
public import Wire

/// The payload of an EDHOC + OSCORE request (RFC 9668, 3): message_3, and the ciphertext of the first request that is
/// protected with the keys of the session. C_R is the `kid` of the OSCORE option.
public struct EDHOCCombinedPayload: Hashable, Sendable {
  public var message3: EDHOCMessage3
  /// The payload of the OSCORE request. Not empty: it has a tag at least.
  public var oscorePayload: [UInt8]

  public init(message3: EDHOCMessage3, oscorePayload: [UInt8]) {
    self.message3 = message3
    self.oscorePayload = oscorePayload
  }
}

extension EDHOCCombinedPayload: WireValue {
  /// Reads all of `reader`. Throws ``DropReason/edhocMalformed`` if one of the parts is not there, and the reasons of
  /// ``CBORReader``.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    message3 = try EDHOCMessage3(parsing: &reader)
    guard !reader.isAtEnd else { throw reader.error(.edhocMalformed) }
    oscorePayload = reader.takeRest().array()
  }

  public var encodedLength: Int { message3.encodedLength + oscorePayload.count }

  /// Throws ``EmitError/notRepresentable`` for an empty OSCORE payload.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard !oscorePayload.isEmpty else { throw .notRepresentable }
    try message3.emit(into: &writer)
    try writer.bytes(oscorePayload)
  }
}

extension CoAPRequest {
  /// Whether the request says that message_3 comes before its ciphertext.
  public var isEDHOCCombined: Bool { !options[values: .edhoc].isEmpty }

  /// Puts `message3`, encoded, before the ciphertext of this request, which OSCORE protected already with the keys of the
  /// session (RFC 9668, 3.2). The sender sees to it that the result is not too large for one message, and combines no
  /// block but the first.
  ///
  /// Throws ``EmitError/notRepresentable`` for a request that is not protected, or combined already.
  public mutating func combine(edhocMessage3 message3: [UInt8]) throws(EmitError) {
    guard options[value: .oscore] != nil, !isEDHOCCombined, let message = try? EDHOCMessage3(parsing: message3) else {
      throw .notRepresentable
    }
    payload = try EDHOCCombinedPayload(message3: message, oscorePayload: payload).encoded()
    options.append(CoAPOption(.edhoc))
  }

  /// Takes message_3, encoded, out of this request and leaves the request as OSCORE made it (RFC 9668, 3.3). The session
  /// is the one whose C_R is the `kid` of the OSCORE option, and it must not be one that requires message_4. A value of
  /// the EDHOC option means nothing.
  ///
  /// Throws ``DropReason/coapOptionUnknownCritical`` unless the EDHOC option is there once, ``DropReason/edhocMalformed``
  /// without an OSCORE option (4.00 is the answer), and the reasons of ``EDHOCCombinedPayload``.
  public mutating func takeEDHOCMessage3() throws(ParseError) -> [UInt8] {
    guard options[values: .edhoc].count == 1 else { throw ParseError(.coapOptionUnknownCritical) }
    guard options[values: .oscore].count == 1 else { throw ParseError(.edhocMalformed) }
    let combined = try EDHOCCombinedPayload(parsing: payload)
    guard let message = try? combined.message3.encoded() else { throw ParseError(.edhocMalformed) }
    payload = combined.oscorePayload
    options.remove(.edhoc)
    return message
  }
}
