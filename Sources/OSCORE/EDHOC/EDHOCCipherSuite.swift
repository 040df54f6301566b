public import COSE
import Wire

/// A cipher suite by its number in the IANA registry "EDHOC Cipher Suites" (RFC 9528, 3.6). Only the named ones are
/// implemented: P-256, SHA-256 and ES256, with AES-CCM-16-64-128 for the application.
public struct EDHOCCipherSuite: RawRepresentable, Hashable, Sendable {
  public var rawValue: Int64

  public init(rawValue: Int64) { self.rawValue = rawValue }

  /// AES-CCM-16-64-128 and MACs of 8 bytes.
  public static let suite2 = EDHOCCipherSuite(rawValue: 2)
  /// AES-CCM-16-128-128 and MACs of 16 bytes.
  public static let suite3 = EDHOCCipherSuite(rawValue: 3)

  /// Whether the suite is implemented.
  public var isSupported: Bool { self == .suite2 || self == .suite3 }

  /// The application AEAD algorithm: what OSCORE uses.
  public var applicationAEAD: COSEAlgorithm { .aes128CCM8 }

  /// The EDHOC MAC length, which is the length of the AEAD's tag too, in bytes.
  var macLength: Int { self == .suite3 ? AESCCM.longTagLength : AESCCM.tagLength }

  /// The suite to select for the next attempt after the Responder answered that it supports `offered` (RFC 9528, 6.3.2):
  /// the first of `preferred` that is implemented and offered; `nil` if there is none.
  ///
  /// An error message is not authenticated. A forged one cannot force a weaker suite on the parties, because message_1
  /// names every suite that the Initiator prefers to the selected one.
  public static func select(from preferred: [EDHOCCipherSuite], offered: [EDHOCCipherSuite]) -> EDHOCCipherSuite? {
    preferred.first { $0.isSupported && offered.contains($0) }
  }
}

extension [EDHOCCipherSuite] {
  /// Reads `suites`: one number, or an array of two or more.
  @_lifetime(reader: copy reader)
  init(readingSuites reader: inout CBORReader) throws(ParseError) {
    guard try reader.peekKind() == .array else {
      self = [EDHOCCipherSuite(rawValue: try reader.integer())]
      return
    }
    let short = reader.error(.edhocMalformed)
    let count = try reader.array()
    guard count >= 2 else { throw short }
    self = []
    for _ in 0..<count { append(EDHOCCipherSuite(rawValue: try reader.integer())) }
  }

  /// Writes `suites`. Throws ``EmitError/notRepresentable`` for no suite at all.
  func write(to writer: inout CBORWriter) throws(EmitError) {
    guard !isEmpty else { throw .notRepresentable }
    if count > 1 { writer.array(count) }
    for suite in self { writer.integer(suite.rawValue) }
  }
}
