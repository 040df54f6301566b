public import Crypto
import FoundationEssentials
import Wire

/// AES-CCM-16-64-128 and AES-CCM-16-128-128 (RFC 9053, 4.2; RFC 3610 with L = 2 and M = 8 or 16), by libcrypto.
public enum AESCCM {
  public static let keyLength = 16
  public static let nonceLength = 13
  /// Bytes of the tag of AES-CCM-16-64-128.
  public static let tagLength = 8
  /// Bytes of the tag of AES-CCM-16-128-128.
  public static let longTagLength = 16
  /// The length field has two bytes.
  public static let maximumLength = 65_535

  /// The ciphertext with its tag; `nil` for a key, nonce, plaintext or tag of a wrong length. A nonce must never be used
  /// twice with one key.
  public static func seal(
    _ plaintext: [UInt8], key: SymmetricKey, nonce: [UInt8], aad: [UInt8], tagLength: Int = tagLength
  ) -> [UInt8]? {
    let key = key.bytes
    guard key.count == keyLength, nonce.count == nonceLength, plaintext.count <= maximumLength,
      isTagLength(tagLength)
    else { return nil }
    return ccmSeal(plaintext, key: key, nonce: nonce, aad: aad, tagLength: tagLength)
  }

  /// The plaintext; `nil` if a length or the tag is wrong.
  public static func open(
    _ ciphertext: [UInt8], key: SymmetricKey, nonce: [UInt8], aad: [UInt8], tagLength: Int = tagLength
  ) -> [UInt8]? {
    let key = key.bytes
    guard isTagLength(tagLength), key.count == keyLength, nonce.count == nonceLength,
      ciphertext.count >= tagLength, ciphertext.count - tagLength <= maximumLength
    else { return nil }
    return ccmOpen(
      [UInt8](ciphertext.dropLast(tagLength)), tag: [UInt8](ciphertext.suffix(tagLength)), key: key,
      nonce: nonce,
      aad: aad)
  }

  private static func isTagLength(_ count: Int) -> Bool { count == tagLength || count == longTagLength }
}
