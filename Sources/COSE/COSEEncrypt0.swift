public import Crypto
public import Wire

/// A COSE_Encrypt0 (RFC 9052, 5.2), tagged: a ciphertext for one who knows which key opens it.
///
/// Sealed to a public key by HPKE-0 (draft-ietf-cose-hpke) or with a shared key by AES-CCM-16-64-128.
public struct COSEEncrypt0: Hashable, Sendable {
  public var headers: COSEHeaders
  /// The ciphertext with its tag.
  public var ciphertext: [UInt8]

  public init(headers: COSEHeaders, ciphertext: [UInt8]) {
    self.headers = headers
    self.ciphertext = ciphertext
  }

  /// The content format of the plaintext, from the protected header.
  public var contentFormat: UInt64? { headers.contentFormat }

  /// Seals `plaintext` to `recipient` by HPKE-0. `externalAAD` is authenticated and not carried. The ephemeral key is
  /// drawn by swift-crypto.
  public static func seal(
    _ plaintext: [UInt8], to recipient: P256.KeyAgreement.PublicKey, contentFormat: UInt64? = nil,
    externalAAD: RawSpan = RawSpan()
  ) throws(EmitError) -> COSEEncrypt0 {
    let protected = protectedHeader(.hpke0, contentFormat: contentFormat)
    let aad = encryptionStructure("Encrypt0", protected: try protected.encoded(), externalAAD: externalAAD)
    let sealed = try HPKEBase.seal(plaintext, to: recipient, info: [], aad: aad)
    return COSEEncrypt0(
      headers: try COSEHeaders(
        protected: protected,
        unprotected: [.integer(COSELabel.encapsulatedKey): .bytes(sealed.encapsulatedKey)]),
      ciphertext: sealed.ciphertext)
  }

  /// Opens what ``seal(_:to:contentFormat:externalAAD:)`` or another sender sealed by HPKE-0.
  ///
  /// Throws ``DropReason/coseAlgorithmUnsupported``, ``DropReason/coseHeaderMissing`` without an encapsulated key, and
  /// ``DropReason/coseDecryptionFailed``.
  public func open(
    with key: P256.KeyAgreement.PrivateKey, externalAAD: RawSpan = RawSpan()
  ) throws(ParseError) -> [UInt8] {
    guard try headers.algorithm() == .hpke0 else { throw ParseError(.coseAlgorithmUnsupported) }
    return try HPKEBase.open(
      ciphertext, encapsulatedKey: try headers.encapsulatedKey(), with: key, info: [],
      aad: encryptionStructure("Encrypt0", protected: headers.authenticated, externalAAD: externalAAD))
  }

  /// Seals `plaintext` by AES-CCM-16-64-128 with a key of 16 bytes and a nonce of 13, never used twice with one key.
  /// Throws ``EmitError/notRepresentable`` for other lengths and for a plaintext of 64 KiB or more.
  public static func seal(
    _ plaintext: [UInt8], using key: SymmetricKey, nonce: [UInt8], contentFormat: UInt64? = nil,
    externalAAD: RawSpan = RawSpan()
  ) throws(EmitError) -> COSEEncrypt0 {
    let protected = protectedHeader(.aes128CCM8, contentFormat: contentFormat)
    let aad = encryptionStructure("Encrypt0", protected: try protected.encoded(), externalAAD: externalAAD)
    guard let ciphertext = AESCCM.seal(plaintext, key: key, nonce: nonce, aad: aad) else {
      throw .notRepresentable
    }
    return COSEEncrypt0(
      headers: try COSEHeaders(protected: protected, unprotected: [.integer(COSELabel.iv): .bytes(nonce)]),
      ciphertext: ciphertext)
  }

  /// Opens what was sealed by AES-CCM-16-64-128.
  ///
  /// Throws ``DropReason/coseAlgorithmUnsupported``, ``DropReason/coseHeaderMissing`` without a nonce, and
  /// ``DropReason/coseDecryptionFailed``.
  public func open(using key: SymmetricKey, externalAAD: RawSpan = RawSpan()) throws(ParseError) -> [UInt8] {
    guard try headers.algorithm() == .aes128CCM8 else { throw ParseError(.coseAlgorithmUnsupported) }
    guard let nonce = headers[COSELabel.iv]?.bytesValue else { throw ParseError(.coseHeaderMissing) }
    let aad = encryptionStructure("Encrypt0", protected: headers.authenticated, externalAAD: externalAAD)
    guard let plaintext = AESCCM.open(ciphertext, key: key, nonce: nonce, aad: aad) else {
      throw ParseError(.coseDecryptionFailed)
    }
    return plaintext
  }
}

extension COSEEncrypt0: WireValue {
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    do throws(ParseError) {
      var items = CBORReader(reader)
      try items.expectTag(COSETag.encrypt0)
      try items.array(count: 3)
      headers = try COSEHeaders(reading: &items)
      ciphertext = try items.bytes().array()
      try reader.skip(items.offset - reader.offset)
    } catch { throw error.inCOSE }
  }

  public var encodedLength: Int { 2 + headers.encodedLength + CBORWriter.stringLength(ciphertext.count) }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    var items = CBORWriter(capacity: encodedLength)
    items.tag(COSETag.encrypt0)
    items.array(3)
    try headers.write(to: &items)
    items.bytes(ciphertext)
    try writer.bytes(items.bytes)
  }
}
