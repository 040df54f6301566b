import Crypto
import FoundationEssentials
import Wire

/// Single-shot HPKE in base mode (RFC 9180, 6.1) with P-256, HKDF-SHA256 and AES-128-GCM.
enum HPKEBase {
  static let suite = HPKE.Ciphersuite(kem: .P256_HKDF_SHA256, kdf: .HKDF_SHA256, aead: .AES_GCM_128)

  /// The encapsulated key, an uncompressed point, and the ciphertext with its tag.
  static func seal(
    _ plaintext: [UInt8], to recipient: P256.KeyAgreement.PublicKey, info: [UInt8], aad: [UInt8]
  ) throws(EmitError) -> (encapsulatedKey: [UInt8], ciphertext: [UInt8]) {
    do {
      var sender = try HPKE.Sender(recipientKey: recipient, ciphersuite: suite, info: Data(info))
      let ciphertext = try sender.seal(plaintext, authenticating: aad)
      return ([UInt8](sender.encapsulatedKey), [UInt8](ciphertext))
    } catch { throw .notRepresentable }
  }

  /// Throws ``DropReason/coseDecryptionFailed``, whatever went wrong.
  static func open(
    _ ciphertext: [UInt8], encapsulatedKey: [UInt8], with key: P256.KeyAgreement.PrivateKey, info: [UInt8],
    aad: [UInt8]
  ) throws(ParseError) -> [UInt8] {
    do {
      var recipient = try HPKE.Recipient(
        privateKey: key, ciphersuite: suite, info: Data(info), encapsulatedKey: Data(encapsulatedKey))
      return [UInt8](try recipient.open(ciphertext, authenticating: aad))
    } catch { throw ParseError(.coseDecryptionFailed) }
  }
}
