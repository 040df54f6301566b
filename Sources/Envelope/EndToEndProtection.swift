import COSE
import Wire

/// How a message of content format 65004 is protected between its two ends, whatever carries it.
public enum EndToEndProtection: Hashable, Sendable {
  /// OSCORE (RFC 8613): only the holders of the keys can read or make it.
  case oscore
  /// A message of EDHOC (RFC 9528), by which keys are agreed on: it tells nothing of what will be said.
  case edhoc
}

extension EncapsulatedMessage {
  // Numbers of options (RFC 7252, 12.2) and what RFC 8613, 4.1 leaves outside.
  private static let oscore: UInt16 = 9
  private static let uriPath: UInt16 = 11
  private static let contentFormat: UInt16 = 12
  private static let edhoc: UInt16 = 21
  /// Uri-Host, Observe, Uri-Port, OSCORE, Hop-Limit and EDHOC.
  private static let outer: Set<UInt16> = [3, 6, 7, 9, 16, 21]
  /// Code and authentication tag: the shortest ciphertext.
  private static let shortestCiphertext = 9

  /// How the message is protected; `nil` for one that every hop can read.
  ///
  /// OSCORE: one OSCORE option, no option that belongs inside, a code that OSCORE gives to every message, and a payload that
  /// can be a ciphertext. EDHOC: a POST to `/.well-known/edhoc`, or a response, with nothing but a message of EDHOC. What is
  /// in a ciphertext only its recipient can tell: a hop checks that nothing else is there.
  public var endToEnd: EndToEndProtection? {
    let values = options.filter { $0.number == Self.oscore }.map(\.value)
    if let value = values.first { return values.count == 1 && isOSCORE(value) ? .oscore : nil }
    return isEDHOC ? .edhoc : nil
  }

  /// Whether the message may answer one that was protected so: by OSCORE, or by the next message of EDHOC, or, since the
  /// first request under new keys brings message_3 with it, by an error message of EDHOC.
  public func answers(_ request: EndToEndProtection) -> Bool {
    switch endToEnd {
    case .oscore: request == .oscore
    case .edhoc: request == .edhoc || code != 0x44
    case nil: false
    }
  }

  private func isOSCORE(_ value: [UInt8]) -> Bool {
    // POST and FETCH; 2.04 and 2.05 (RFC 8613, 4.2).
    let isRequest = code == 0x02 || code == 0x05
    guard isRequest || code == 0x44 || code == 0x45, payload.count >= Self.shortestCiphertext,
      options.allSatisfy({ Self.outer.contains($0.number) })
    else { return false }
    // A request names its sender and has a number (RFC 8613, 6.1).
    let flags = value.first ?? 0
    guard flags & 0xe0 == 0, !isRequest || flags & 0x08 != 0 && flags & 0x07 != 0 else { return false }
    guard options.contains(where: { $0.number == Self.edhoc }) else { return true }
    // message_3 goes before the ciphertext (RFC 9668, 3.2).
    guard isRequest, let rest = try? Self.afterString(payload) else { return false }
    return rest >= Self.shortestCiphertext
  }

  private var isEDHOC: Bool {
    let path = options.filter { $0.number == Self.uriPath }.map(\.value)
    let format = options.filter { $0.number == Self.contentFormat }.map(\.value)
    guard options.count == path.count + format.count, format.count <= 1 else { return false }
    if code == 0x02 {
      return path == [Array(".well-known".utf8), Array("edhoc".utf8)] && format.first ?? [65] == [65]
        && (try? Self.checkRequest(payload)) != nil
    }
    guard path.isEmpty, format.first ?? [64] == [64] else { return false }
    switch code {
    // message_2 or message_4, a byte string. Some send no content format.
    case 0x44: return (try? Self.afterString(payload)) == 0
    // An error message says what it is.
    case 0x80, 0xa0: return format == [[64]] && (try? Self.checkError(payload)) != nil
    default: return false
    }
  }

  /// Bytes after the byte string with which `bytes` begin.
  private static func afterString(_ bytes: [UInt8]) throws(ParseError) -> Int {
    var reader = CBORReader(bytes.rawSpan)
    _ = try reader.bytes()
    return bytes.count - reader.offset
  }

  /// `true` and message_1, or a connection identifier and message_3 or an error message (RFC 9528, A.2).
  private static func checkRequest(_ bytes: [UInt8]) throws(ParseError) {
    var reader = CBORReader(bytes.rawSpan)
    if try reader.peekKind() == .bool {
      guard try reader.bool() else { throw reader.error(.edhocMalformed) }
      // METHOD, SUITES_I, G_X, C_I, EAD_1 (RFC 9528, 5.2.1).
      guard (0...3).contains(try reader.integer()) else { throw reader.error(.edhocMalformed) }
      try checkSuites(&reader)
      _ = try reader.bytes(count: 32)
      try checkIdentifier(&reader)
      guard reader.isAtEnd else { throw reader.error(.edhocMalformed) }
      return
    }
    try checkIdentifier(&reader)
    guard try reader.peekKind() == .bytes else { return try checkError(&reader) }
    _ = try reader.bytes()
    guard reader.isAtEnd else { throw reader.error(.edhocMalformed) }
  }

  private static func checkError(_ bytes: [UInt8]) throws(ParseError) {
    var reader = CBORReader(bytes.rawSpan)
    try checkError(&reader)
  }

  /// ERR_CODE and ERR_INFO (RFC 9528, 6): a short text for developers, suites, or `true`.
  private static func checkError(_ reader: inout CBORReader) throws(ParseError) {
    switch try reader.integer() {
    case 1: guard try reader.text().utf8.count <= 64 else { throw reader.error(.tooLong) }
    case 2: try checkSuites(&reader)
    case 3: guard try reader.bool() else { throw reader.error(.edhocMalformed) }
    default: throw reader.error(.edhocMalformed)
    }
    guard reader.isAtEnd else { throw reader.error(.edhocMalformed) }
  }

  /// One suite, or an array of two or more.
  private static func checkSuites(_ reader: inout CBORReader) throws(ParseError) {
    guard try reader.peekKind() == .array else {
      _ = try reader.integer()
      return
    }
    for _ in 0..<(try reader.array()) { _ = try reader.integer() }
  }

  /// A connection identifier: at most 7 bytes (RFC 8613, 3.3), or a small integer.
  private static func checkIdentifier(_ reader: inout CBORReader) throws(ParseError) {
    guard try reader.peekKind() == .bytes else {
      guard (-24...23).contains(try reader.integer()) else { throw reader.error(.edhocMalformed) }
      return
    }
    guard try reader.bytes().byteCount <= 7 else { throw reader.error(.edhocMalformed) }
  }
}

extension SignedEnvelope {
  /// How what is in the envelope is protected between its two ends, as far as every hop can see: only in an auth-only
  /// envelope of format 65004. `nil` if it is not.
  public var endToEnd: EndToEndProtection? {
    guard header.class == .authOnly, header.contentFormat == ContentFormats.coapMessage,
      let message = try? EncapsulatedMessage(parsing: Array(payload))
    else { return nil }
    return message.endToEnd
  }

  /// Whether the envelope protects its content as well as `demanded`: by its class, or because no hop can read an OSCORE or
  /// EDHOC message in it anyway. The one class rule of gateways, relays, endpoints and nodes.
  public func satisfies(_ demanded: EnvelopeClass) -> Bool {
    header.class.satisfies(demanded) || demanded == .confidential && endToEnd != nil
  }
}
