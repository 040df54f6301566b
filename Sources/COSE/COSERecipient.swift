public import Crypto
import FoundationEssentials
import Wire

/// A COSE_recipient (RFC 9052, 5.1): the content encryption key, encrypted for one recipient.
///
/// By HPKE-0-KE (draft-ietf-cose-hpke) or by ECDH-ES+A128KW (RFC 9053, 6.4). Recipients of recipients are refused.
public struct COSERecipient: Hashable, Sendable {
  public var headers: COSEHeaders
  /// The encrypted content encryption key.
  public var ciphertext: [UInt8]

  public init(headers: COSEHeaders, ciphertext: [UInt8]) {
    self.headers = headers
    self.ciphertext = ciphertext
  }

  /// The key identifier, in either header.
  public var keyID: [UInt8]? { headers.keyID }

  /// Encrypts `contentKey`, which is for `contentAlgorithm`.
  init(
    sealing contentKey: SymmetricKey, for contentAlgorithm: COSEAlgorithm, to recipient: COSERecipientKey
  ) throws(EmitError) {
    let algorithm = CBORPair(.integer(COSELabel.algorithm), .integer(recipient.algorithm.rawValue))
    let keyID = recipient.keyID.map { [CBORPair(.integer(COSELabel.keyID), .bytes($0))] } ?? []
    switch recipient.algorithm {
    case .hpke0KE:
      let protected = CBORValue.map([algorithm] + keyID)
      let sealed = try HPKEBase.seal(
        contentKey.bytes, to: recipient.publicKey,
        info: Self.hpkeInfo(contentAlgorithm, protected: try protected.encoded()), aad: [])
      ciphertext = sealed.ciphertext
      headers = try COSEHeaders(
        protected: protected,
        unprotected: [.integer(COSELabel.encapsulatedKey): .bytes(sealed.encapsulatedKey)])
    case .ecdhESA128KW:
      let protected = CBORValue.map([algorithm])
      let ephemeral = P256.KeyAgreement.PrivateKey(compactRepresentable: false)
      let encodedHeader = try protected.encoded()
      do {
        let secret = try ephemeral.sharedSecretFromKeyAgreement(with: recipient.publicKey)
        ciphertext = [UInt8](
          try AES.KeyWrap.wrap(contentKey, using: Self.wrappingKey(secret, protected: encodedHeader)))
      } catch { throw .notRepresentable }
      let key = CBORPair(.integer(COSELabel.ephemeralKey), ephemeral.publicKey.coseKey)
      headers = try COSEHeaders(protected: protected, unprotected: .map(keyID + [key]))
    default: throw .notRepresentable
    }
  }

  /// Decrypts the content encryption key, which is for `contentAlgorithm`.
  ///
  /// Throws ``DropReason/coseAlgorithmUnsupported``, ``DropReason/coseHeaderMissing``, ``DropReason/coseKeyInvalid``
  /// and ``DropReason/coseDecryptionFailed``.
  func contentKey(
    for contentAlgorithm: COSEAlgorithm, with key: P256.KeyAgreement.PrivateKey
  ) throws(ParseError) -> SymmetricKey {
    switch try headers.algorithm() {
    case .hpke0KE:
      return SymmetricKey(
        data: try HPKEBase.open(
          ciphertext, encapsulatedKey: try headers.encapsulatedKey(), with: key,
          info: Self.hpkeInfo(contentAlgorithm, protected: headers.authenticated), aad: []))
    case .ecdhESA128KW:
      guard let coseKey = headers[COSELabel.ephemeralKey] else { throw ParseError(.coseHeaderMissing) }
      let ephemeral = try P256.KeyAgreement.PublicKey(coseKey: coseKey)
      do {
        let secret = try key.sharedSecretFromKeyAgreement(with: ephemeral)
        return try AES.KeyWrap.unwrap(
          ciphertext, using: Self.wrappingKey(secret, protected: headers.authenticated))
      } catch { throw ParseError(.coseDecryptionFailed) }
    default: throw ParseError(.coseAlgorithmUnsupported)
    }
  }

  /// The Recipient_structure of draft-ietf-cose-hpke, the `info` of HPKE, without extra information.
  static func hpkeInfo(_ contentAlgorithm: COSEAlgorithm, protected: [UInt8]) -> [UInt8] {
    var writer = CBORWriter(capacity: 32 + protected.count)
    writer.array(4)
    writer.text("HPKE Recipient")
    writer.integer(contentAlgorithm.rawValue)
    writer.bytes(protected)
    writer.bytes([])
    return writer.bytes
  }

  /// The AES-128 key wrapping key: HKDF-SHA256 without salt over the COSE_KDF_Context (RFC 9053, 5.1 and 5.2), in
  /// which the parties have no names.
  private static func wrappingKey(_ secret: SharedSecret, protected: [UInt8]) -> SymmetricKey {
    var writer = CBORWriter(capacity: 32 + protected.count)
    writer.array(4)
    writer.integer(COSEAlgorithm.a128KW.rawValue)
    for _ in 0..<2 {
      writer.array(3)
      for _ in 0..<3 { writer.null() }
    }
    writer.array(2)
    writer.unsigned(128)
    writer.bytes(protected)
    return secret.hkdfDerivedSymmetricKey(
      using: SHA256.self, salt: [UInt8](), sharedInfo: writer.bytes, outputByteCount: 16)
  }
}

extension COSERecipient {
  /// Reads one element of the recipients of a message.
  @_lifetime(reader: copy reader)
  init(reading reader: inout CBORReader) throws(ParseError) {
    try reader.array(count: 3)
    headers = try COSEHeaders(reading: &reader)
    ciphertext = try reader.bytes().array()
  }

  var encodedLength: Int { 1 + headers.encodedLength + CBORWriter.stringLength(ciphertext.count) }

  func write(to writer: inout CBORWriter) throws(EmitError) {
    writer.array(3)
    try headers.write(to: &writer)
    writer.bytes(ciphertext)
  }
}

/// For whom a message is sealed, and how.
public struct COSERecipientKey: Sendable {
  public var publicKey: P256.KeyAgreement.PublicKey
  /// What the recipient finds its part by; a recipient can also go by the position.
  public var keyID: [UInt8]?
  /// ``COSEAlgorithm/hpke0KE`` or ``COSEAlgorithm/ecdhESA128KW``.
  public var algorithm: COSEAlgorithm

  public init(
    _ publicKey: P256.KeyAgreement.PublicKey, keyID: [UInt8]? = nil, algorithm: COSEAlgorithm = .hpke0KE
  ) {
    self.publicKey = publicKey
    self.keyID = keyID
    self.algorithm = algorithm
  }
}
