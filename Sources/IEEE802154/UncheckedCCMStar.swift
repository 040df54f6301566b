import CCrypto

// The only file of this module that holds `unsafe`: calls of libcrypto with buffers whose lengths were checked.

/// AES-128-CCM* (IEEE 802.15.4-2020, annex B): CCM that also knows integrity codes of no length. The nonce has 13 octets.
enum CCMStar {
  /// Decrypts and checks; `nil` if the code is wrong. libcrypto compares in constant time.
  static func open(
    _ ciphertext: [UInt8], mic: [UInt8], key: [UInt8], nonce: [UInt8], associated: [UInt8]
  ) -> [UInt8]? {
    guard key.count == 16, nonce.count == 13 else { return nil }
    guard !mic.isEmpty else { return keyStream(ciphertext, key: key, nonce: nonce) }
    guard let context = unsafe EVP_CIPHER_CTX_new() else { return nil }
    defer { unsafe EVP_CIPHER_CTX_free(context) }
    var mic = mic
    guard unsafe EVP_DecryptInit_ex(context, EVP_aes_128_ccm(), nil, nil, nil) == 1,
      unsafe pangate_ccm_set_lengths(context, 13, CInt(mic.count), &mic) == 1,
      unsafe EVP_DecryptInit_ex(context, nil, nil, key, nonce) == 1
    else { return nil }
    var written: CInt = 0
    // The lengths come first in CCM: that of the message, then the associated data.
    guard unsafe EVP_DecryptUpdate(context, nil, &written, nil, CInt(ciphertext.count)) == 1,
      unsafe associated.isEmpty
        || EVP_DecryptUpdate(context, nil, &written, associated, CInt(associated.count)) == 1
    else { return nil }
    // One octet more: an array without elements has no address to give.
    var plaintext = [UInt8](repeating: 0, count: ciphertext.count + 1)
    let input = ciphertext.isEmpty ? [0] : ciphertext
    guard unsafe EVP_DecryptUpdate(context, &plaintext, &written, input, CInt(ciphertext.count)) == 1,
      written == ciphertext.count
    else { return nil }
    plaintext.removeLast()
    return plaintext
  }

  /// Encrypts and makes the code; `nil` only if libcrypto fails.
  static func seal(
    _ message: [UInt8], micLength: Int, key: [UInt8], nonce: [UInt8], associated: [UInt8]
  ) -> (ciphertext: [UInt8], mic: [UInt8])? {
    guard key.count == 16, nonce.count == 13 else { return nil }
    guard micLength > 0 else { return keyStream(message, key: key, nonce: nonce).map { ($0, []) } }
    guard let context = unsafe EVP_CIPHER_CTX_new() else { return nil }
    defer { unsafe EVP_CIPHER_CTX_free(context) }
    guard unsafe EVP_EncryptInit_ex(context, EVP_aes_128_ccm(), nil, nil, nil) == 1,
      unsafe pangate_ccm_set_lengths(context, 13, CInt(micLength), nil) == 1,
      unsafe EVP_EncryptInit_ex(context, nil, nil, key, nonce) == 1
    else { return nil }
    var written: CInt = 0
    guard unsafe EVP_EncryptUpdate(context, nil, &written, nil, CInt(message.count)) == 1,
      unsafe associated.isEmpty
        || EVP_EncryptUpdate(context, nil, &written, associated, CInt(associated.count)) == 1
    else { return nil }
    var ciphertext = [UInt8](repeating: 0, count: message.count + 1)
    let input = message.isEmpty ? [0] : message
    guard unsafe EVP_EncryptUpdate(context, &ciphertext, &written, input, CInt(message.count)) == 1,
      written == message.count
    else { return nil }
    ciphertext.removeLast()
    var rest = [UInt8](repeating: 0, count: 16)
    var mic = [UInt8](repeating: 0, count: micLength)
    guard unsafe EVP_EncryptFinal_ex(context, &rest, &written) == 1,
      unsafe pangate_ccm_get_tag(context, CInt(micLength), &mic) == 1
    else { return nil }
    return (ciphertext, mic)
  }

  /// The encryption part alone (B.4.1.3): counter mode with blocks of flags 1, nonce, and a counter from 1.
  private static func keyStream(_ bytes: [UInt8], key: [UInt8], nonce: [UInt8]) -> [UInt8]? {
    guard !bytes.isEmpty else { return [] }
    guard let context = unsafe EVP_CIPHER_CTX_new() else { return nil }
    defer { unsafe EVP_CIPHER_CTX_free(context) }
    let first: [UInt8] = [1] + nonce + [0, 1]
    var output = [UInt8](repeating: 0, count: bytes.count)
    var written: CInt = 0
    guard unsafe EVP_EncryptInit_ex(context, EVP_aes_128_ctr(), nil, key, first) == 1,
      unsafe EVP_EncryptUpdate(context, &output, &written, bytes, CInt(bytes.count)) == 1,
      written == bytes.count
    else { return nil }
    return output
  }
}
