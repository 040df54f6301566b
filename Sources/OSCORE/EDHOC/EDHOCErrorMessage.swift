public import COSE
public import Wire

/// An EDHOC error message (RFC 9528, 6): always fatal to the session, and never authenticated.
public enum EDHOCErrorMessage: Hashable, Sendable {
  /// ERR_CODE 1, with a diagnostic text in English for developers.
  case unspecified(String)
  /// ERR_CODE 2: the Responder supports these suites. Not empty.
  case wrongSelectedCipherSuite([EDHOCCipherSuite])
  /// ERR_CODE 3: the receiver of a credential identifier does not have the credential.
  case unknownCredential
  /// A code that is not known here, neither 0 nor 1 to 3, with its information.
  case other(code: Int64, information: CBORValue)

  /// Whether `message` begins as an error message does: with an integer. message_2 to message_4 begin with a byte string.
  public static func isError(_ message: RawSpan) -> Bool {
    guard let kind = try? CBORReader(message).peekKind() else { return false }
    return kind == .unsigned || kind == .negative
  }
}

extension EDHOCErrorMessage: WireValue {
  /// Throws ``DropReason/edhocMalformed`` for code 0 and information of a wrong type, and the reasons of ``CBORReader``.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    do throws(ParseError) {
      var items = CBORReader(reader)
      let reserved = items.error(.edhocMalformed)
      switch try items.integer() {
      case 0: throw reserved
      case 1: self = .unspecified(try items.text())
      case 2: self = .wrongSelectedCipherSuite(try [EDHOCCipherSuite](readingSuites: &items))
      case 3:
        guard try items.bool() else { throw reserved }
        self = .unknownCredential
      case let code: self = .other(code: code, information: try CBORValue(reading: &items))
      }
      try reader.skip(items.offset - reader.offset)
    } catch { throw error.inEDHOC }
  }

  public var encodedLength: Int { (try? sequence().count) ?? 0 }

  /// Throws ``EmitError/notRepresentable`` for no suite at all and for ``other(code:information:)`` with a known code.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) { try writer.bytes(sequence()) }

  private func sequence() throws(EmitError) -> [UInt8] {
    var items = CBORWriter()
    switch self {
    case .unspecified(let text):
      items.integer(1)
      items.text(text)
    case .wrongSelectedCipherSuite(let suites):
      items.integer(2)
      try suites.write(to: &items)
    case .unknownCredential:
      items.integer(3)
      items.bool(true)
    case .other(let code, let information):
      guard !(0...3).contains(code) else { throw .notRepresentable }
      items.integer(code)
      try information.write(to: &items)
    }
    return items.bytes
  }
}
