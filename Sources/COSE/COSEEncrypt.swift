public import Crypto
import FoundationEssentials
public import Wire

/// A COSE_Encrypt (RFC 9052, 5.1), tagged: one ciphertext by A128GCM for several recipients.
public struct COSEEncrypt: Hashable, Sendable {
  public var headers: COSEHeaders
  /// The ciphertext with its tag.
  public var ciphertext: [UInt8]
  /// At least one.
  public var recipients: [COSERecipient]

  public init(headers: COSEHeaders, ciphertext: [UInt8], recipients: [COSERecipient]) {
    self.headers = headers
    self.ciphertext = ciphertext
    self.recipients = recipients
  }

  /// The content format of the plaintext, from the protected header.
  public var contentFormat: UInt64? { headers.contentFormat }

  /// Seals `plaintext` to `recipients`, in their order. `externalAAD` is authenticated and not carried.
  ///
  /// The content encryption key and the nonce come from `generator`, ephemeral keys from swift-crypto. Throws
  /// ``EmitError/notRepresentable`` without recipients or for an algorithm that is none for recipients.
  public static func seal(
    _ plaintext: [UInt8], to recipients: [COSERecipientKey], contentFormat: UInt64? = nil,
    externalAAD: RawSpan = RawSpan(), using generator: inout some RandomNumberGenerator
  ) throws(EmitError) -> COSEEncrypt {
    guard !recipients.isEmpty else { throw .notRepresentable }
    let key = SymmetricKey(data: (0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) })
    let nonce = (0..<12).map { _ in UInt8.random(in: 0...255, using: &generator) }
    let protected = protectedHeader(.a128GCM, contentFormat: contentFormat)
    let aad = encryptionStructure("Encrypt", protected: try protected.encoded(), externalAAD: externalAAD)
    var parts: [COSERecipient] = []
    for recipient in recipients {
      parts.append(try COSERecipient(sealing: key, for: .a128GCM, to: recipient))
    }
    guard let nonceValue = try? AES.GCM.Nonce(data: nonce),
      let box = try? AES.GCM.seal(plaintext, using: key, nonce: nonceValue, authenticating: aad)
    else { throw .notRepresentable }
    return COSEEncrypt(
      headers: try COSEHeaders(protected: protected, unprotected: [.integer(COSELabel.iv): .bytes(nonce)]),
      ciphertext: [UInt8](box.ciphertext) + [UInt8](box.tag), recipients: parts)
  }

  /// Opens the message through the recipient at `index`.
  ///
  /// Throws ``DropReason/coseNoRecipient``, ``DropReason/coseAlgorithmUnsupported``, ``DropReason/coseHeaderMissing``,
  /// ``DropReason/coseKeyInvalid`` and ``DropReason/coseDecryptionFailed``.
  public func open(
    at index: Int, with key: P256.KeyAgreement.PrivateKey, externalAAD: RawSpan = RawSpan()
  ) throws(ParseError) -> [UInt8] {
    guard recipients.indices.contains(index) else { throw ParseError(.coseNoRecipient) }
    return try open(through: recipients[index], with: key, externalAAD: externalAAD)
  }

  /// Opens the message through the recipients that carry `keyID`; without one, through all in turn.
  ///
  /// Throws ``DropReason/coseNoRecipient`` if there is none to try, else as ``open(at:with:externalAAD:)`` for the
  /// last that was tried.
  public func open(
    with key: P256.KeyAgreement.PrivateKey, keyID: [UInt8]? = nil, externalAAD: RawSpan = RawSpan()
  ) throws(ParseError) -> [UInt8] {
    var failure = ParseError(.coseNoRecipient)
    for recipient in recipients where keyID == nil || recipient.keyID == keyID {
      do throws(ParseError) { return try open(through: recipient, with: key, externalAAD: externalAAD) } catch {
        failure = error
      }
    }
    throw failure
  }

  private func open(
    through recipient: COSERecipient, with key: P256.KeyAgreement.PrivateKey, externalAAD: RawSpan
  ) throws(ParseError) -> [UInt8] {
    guard try headers.algorithm() == .a128GCM else { throw ParseError(.coseAlgorithmUnsupported) }
    guard let nonce = headers[COSELabel.iv]?.bytesValue else { throw ParseError(.coseHeaderMissing) }
    let contentKey = try recipient.contentKey(for: .a128GCM, with: key)
    let aad = encryptionStructure("Encrypt", protected: headers.authenticated, externalAAD: externalAAD)
    // Another length of key would be another algorithm than the header names.
    guard contentKey.bitCount == 128, nonce.count == 12, ciphertext.count >= 16 else {
      throw ParseError(.coseDecryptionFailed)
    }
    do {
      let box = try AES.GCM.SealedBox(
        nonce: AES.GCM.Nonce(data: nonce), ciphertext: ciphertext.dropLast(16), tag: ciphertext.suffix(16))
      return [UInt8](try AES.GCM.open(box, using: contentKey, authenticating: aad))
    } catch { throw ParseError(.coseDecryptionFailed) }
  }
}

extension COSEEncrypt: WireValue {
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    do throws(ParseError) {
      var items = CBORReader(reader)
      try items.expectTag(COSETag.encrypt)
      try items.array(count: 4)
      headers = try COSEHeaders(reading: &items)
      ciphertext = try items.bytes().array()
      let none = items.error(.coseStructure)
      let count = try items.array()
      guard count > 0 else { throw none }
      recipients = []
      for _ in 0..<count { recipients.append(try COSERecipient(reading: &items)) }
      try reader.skip(items.offset - reader.offset)
    } catch { throw error.inCOSE }
  }

  public var encodedLength: Int {
    // The tag takes two bytes.
    recipients.reduce(
      3 + headers.encodedLength + CBORWriter.stringLength(ciphertext.count)
        + CBORWriter.headLength(UInt64(recipients.count))
    ) { $0 + $1.encodedLength }
  }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard !recipients.isEmpty else { throw .notRepresentable }
    var items = CBORWriter(capacity: encodedLength)
    items.tag(COSETag.encrypt)
    items.array(4)
    try headers.write(to: &items)
    items.bytes(ciphertext)
    items.array(recipients.count)
    for recipient in recipients { try recipient.write(to: &items) }
    try writer.bytes(items.bytes)
  }
}
