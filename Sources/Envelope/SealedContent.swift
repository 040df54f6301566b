import COSE
import Wire

/// The payload of a confidential envelope: COSE_Encrypt0 for one recipient, COSE_Encrypt for one or several.
///
/// Only the forms of Docs/envelope.cddl are let in. Whoever reads an envelope sees these headers in the clear, so they
/// hold nothing but algorithms, keys and who it is for.
public enum SealedContent: Hashable, Sendable {
  /// HPKE-0 (draft-ietf-cose-hpke).
  case one(COSEEncrypt0)
  /// A128GCM, its key sealed for each recipient by HPKE-0-KE, or by ECDH-ES+A128KW (RFC 9053, 6.4) from others.
  case several(COSEEncrypt)

  /// Bytes of an uncompressed P-256 point.
  private static let pointLength = 65

  /// Reads all of `bytes`. Throws ``DropReason/envelopeNotConfidential`` if it is not encrypted at all, and
  /// ``DropReason/envelopeStructure``, ``DropReason/coseAlgorithmUnsupported`` or a reason of CBOR or COSE if it is
  /// not of the forms allowed.
  public init(parsing bytes: [UInt8]) throws(ParseError) {
    switch bytes.first {
    case 0xd0:
      let message = try COSEEncrypt0(parsing: bytes)
      try SealedContent.check(message.headers, algorithm: .hpke0, format: true)
      try SealedContent.check(
        message.headers.unprotected, is: [COSELabel.encapsulatedKey: SealedContent.pointLength])
      self = .one(message)
    case 0xd8 where bytes.count > 1 && bytes[1] == 0x60:
      let message = try COSEEncrypt(parsing: bytes)
      try SealedContent.check(message.headers, algorithm: .a128GCM, format: true)
      try SealedContent.check(message.headers.unprotected, is: [COSELabel.iv: 12])
      guard EnvelopeHeader.recipientCounts.contains(message.recipients.count) else {
        throw ParseError(.envelopeTooManyRecipients)
      }
      for recipient in message.recipients { try SealedContent.check(recipient) }
      self = .several(message)
    default: throw ParseError(.envelopeNotConfidential)
    }
  }

  private static func check(_ recipient: COSERecipient) throws(ParseError) {
    switch try recipient.headers.algorithm() {
    case .hpke0KE:
      try check(recipient.headers, algorithm: .hpke0KE, keyID: true)
      try check(recipient.headers.unprotected, is: [COSELabel.encapsulatedKey: pointLength])
      guard recipient.ciphertext.count == 32 else { throw ParseError(.lengthMismatch) }
    case .ecdhESA128KW:
      try check(recipient.headers, algorithm: .ecdhESA128KW)
      guard let key = recipient.headers.unprotected[COSELabel.ephemeralKey] else {
        throw ParseError(.coseHeaderMissing)
      }
      let unprotected = recipient.headers.unprotected.mapValue ?? []
      guard unprotected.count == (unprotected.contains { $0.key == .integer(COSELabel.keyID) } ? 2 : 1) else {
        throw ParseError(.coseHeaderUnknown)
      }
      guard key.mapValue?.count == 4, key[1] == 2, key[-1] == 1, key[-2]?.bytesValue?.count == 32,
        key[-3]?.bytesValue?.count == 32
      else { throw ParseError(.coseKeyInvalid) }
      guard recipient.ciphertext.count == 24 else { throw ParseError(.lengthMismatch) }
    default: throw ParseError(.coseAlgorithmUnsupported)
    }
    if let keyID = recipient.headers[COSELabel.keyID] {
      guard keyID.bytesValue?.count == Address.Short.length else { throw ParseError(.lengthMismatch) }
    }
  }

  /// The protected header holds `algorithm`, a content format or key identifier if they may be there, and nothing else.
  private static func check(
    _ headers: COSEHeaders, algorithm: COSEAlgorithm, format: Bool = false, keyID: Bool = false
  ) throws(ParseError) {
    guard try headers.algorithm() == algorithm else { throw ParseError(.coseAlgorithmUnsupported) }
    for pair in headers.protected.mapValue ?? [] {
      switch pair.key.integerValue {
      case COSELabel.algorithm: break
      case COSELabel.contentType where format:
        guard pair.value.unsignedValue != nil else { throw ParseError(.cborTypeMismatch) }
      case COSELabel.keyID where keyID: break
      default: throw ParseError(.coseHeaderUnknown)
      }
    }
  }

  /// A map of exactly one byte string of the given length.
  private static func check(_ map: CBORValue, is expected: [Int64: Int]) throws(ParseError) {
    guard map.mapValue?.count == expected.count else { throw ParseError(.coseHeaderUnknown) }
    for (label, length) in expected {
      guard let value = map[label] else { throw ParseError(.coseHeaderMissing) }
      guard value.bytesValue?.count == length else { throw ParseError(.lengthMismatch) }
    }
  }

  /// What the plaintext is, if that is said.
  public var contentFormat: UInt64? {
    switch self {
    case .one(let message): message.contentFormat
    case .several(let message): message.contentFormat
    }
  }

  /// Bytes of the ciphertext, its tag included.
  public var ciphertextLength: Int {
    switch self {
    case .one(let message): message.ciphertext.count
    case .several(let message): message.ciphertext.count
    }
  }

  /// How the content, or its key, is encrypted for each recipient.
  public var algorithms: [COSEAlgorithm] {
    switch self {
    case .one: [.hpke0]
    case .several(let message): message.recipients.compactMap { try? $0.headers.algorithm() }
    }
  }

  /// Whether it is sealed for `recipients`, in their order: the header may not name others than can read it.
  func isFor(_ recipients: [AddressReference]) -> Bool {
    switch self {
    case .one: return recipients.count == 1
    case .several(let message):
      guard message.recipients.count == recipients.count else { return false }
      return zip(message.recipients, recipients).allSatisfy { sealed, named in
        sealed.keyID.map { $0 == named.short.bytes } ?? true
      }
    }
  }
}
