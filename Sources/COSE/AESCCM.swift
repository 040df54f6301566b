import Crypto
import FoundationEssentials
import Wire

/// AES-CCM-16-64-128 (RFC 9053, 4.2; RFC 3610 with L = 2 and M = 8), by libcrypto.
enum AESCCM {
  static let keyLength = 16
  static let nonceLength = 13
  static let tagLength = 8
  /// The length field has two bytes.
  static let maximumLength = 65_535

  /// The ciphertext with its tag; `nil` for a key, nonce or plaintext of a wrong length.
  static func seal(_ plaintext: [UInt8], key: SymmetricKey, nonce: [UInt8], aad: [UInt8]) -> [UInt8]? {
    let key = key.bytes
    guard key.count == keyLength, nonce.count == nonceLength, plaintext.count <= maximumLength else {
      return nil
    }
    return ccmSeal(plaintext, key: key, nonce: nonce, aad: aad, tagLength: tagLength)
  }

  /// The plaintext; `nil` if a length or the tag is wrong.
  static func open(_ ciphertext: [UInt8], key: SymmetricKey, nonce: [UInt8], aad: [UInt8]) -> [UInt8]? {
    let key = key.bytes
    guard key.count == keyLength, nonce.count == nonceLength, ciphertext.count >= tagLength,
      ciphertext.count - tagLength <= maximumLength
    else { return nil }
    return ccmOpen(
      [UInt8](ciphertext.dropLast(tagLength)), tag: [UInt8](ciphertext.suffix(tagLength)), key: key,
      nonce: nonce,
      aad: aad)
  }
}
