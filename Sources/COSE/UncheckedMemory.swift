// The only file of this module that holds `unsafe`: what libcrypto and swift-crypto take and give as pointers.

import CCrypto
import Crypto

extension SymmetricKey {
  /// The key as bytes.
  var bytes: [UInt8] { unsafe withUnsafeBytes { unsafe [UInt8]($0) } }
}

/// Seals by AES-128-CCM: the ciphertext and the tag. The caller has checked the lengths of key and nonce.
func ccmSeal(_ plaintext: [UInt8], key: [UInt8], nonce: [UInt8], aad: [UInt8], tagLength: Int) -> [UInt8]? {
  guard let context = unsafe EVP_CIPHER_CTX_new() else { return nil }
  defer { unsafe EVP_CIPHER_CTX_free(context) }
  var done: CInt = 0
  // libcrypto wants a buffer even for nothing.
  var output = [UInt8](repeating: 0, count: max(1, plaintext.count))
  var tag = [UInt8](repeating: 0, count: tagLength)
  guard unsafe EVP_EncryptInit_ex(context, EVP_aes_128_ccm(), nil, nil, nil) == 1,
    unsafe pangate_ccm_set_lengths(context, CInt(nonce.count), CInt(tagLength), nil) == 1,
    unsafe EVP_EncryptInit_ex(context, nil, nil, key, nonce) == 1,
    unsafe EVP_EncryptUpdate(context, nil, &done, nil, CInt(plaintext.count)) == 1,
    unsafe aad.isEmpty || EVP_EncryptUpdate(context, nil, &done, aad, CInt(aad.count)) == 1,
    unsafe EVP_EncryptUpdate(context, &output, &done, plaintext, CInt(plaintext.count)) == 1,
    Int(done) == plaintext.count,
    unsafe pangate_ccm_get_tag(context, CInt(tagLength), &tag) == 1
  else { return nil }
  return output.prefix(plaintext.count) + tag
}

/// Opens AES-128-CCM: the plaintext, or `nil` if the tag is wrong. The caller has checked the lengths of key and nonce.
func ccmOpen(_ ciphertext: [UInt8], tag: [UInt8], key: [UInt8], nonce: [UInt8], aad: [UInt8]) -> [UInt8]? {
  guard let context = unsafe EVP_CIPHER_CTX_new() else { return nil }
  defer { unsafe EVP_CIPHER_CTX_free(context) }
  var done: CInt = 0
  var output = [UInt8](repeating: 0, count: max(1, ciphertext.count))
  var tag = tag
  guard unsafe EVP_DecryptInit_ex(context, EVP_aes_128_ccm(), nil, nil, nil) == 1,
    unsafe pangate_ccm_set_lengths(context, CInt(nonce.count), CInt(tag.count), &tag) == 1,
    unsafe EVP_DecryptInit_ex(context, nil, nil, key, nonce) == 1,
    unsafe EVP_DecryptUpdate(context, nil, &done, nil, CInt(ciphertext.count)) == 1,
    unsafe aad.isEmpty || EVP_DecryptUpdate(context, nil, &done, aad, CInt(aad.count)) == 1,
    unsafe EVP_DecryptUpdate(context, &output, &done, ciphertext, CInt(ciphertext.count)) == 1,
    Int(done) == ciphertext.count
  else { return nil }
  return [UInt8](output.prefix(ciphertext.count))
}
