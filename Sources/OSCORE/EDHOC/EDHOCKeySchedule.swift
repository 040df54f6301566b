import COSE
import Crypto
import FoundationEssentials
import Wire

/// The key schedule (RFC 9528, 4.1) with SHA-256: pseudorandom keys, what is derived from them, transcript hashes.
enum EDHOCKeySchedule {
  static let hashLength = 32
  /// What HKDF can give at most from one key and one info (RFC 5869, 2.3).
  static let maximumOutputLength = 255 * hashLength

  /// The info_label of each derivation (RFC 9528, figure 6).
  enum Label: UInt64 {
    case keystream2 = 0
    case salt3e2m = 1
    case mac2 = 2
    case key3 = 3
    case iv3 = 4
    case salt4e3m = 5
    case mac3 = 6
    case prkOut = 7
    case key4 = 8
    case iv4 = 9
    case prkExporter = 10
    case keyUpdate = 11
  }

  /// EDHOC_Extract.
  static func extract(salt: [UInt8], _ secret: SharedSecret) -> SymmetricKey {
    SymmetricKey(
      data: HKDF<SHA256>.extract(inputKeyMaterial: SymmetricKey(data: secret), salt: salt))
  }

  /// EDHOC_KDF. `length` is at most ``maximumOutputLength``, which callers check when it comes from outside.
  static func kdf(_ key: SymmetricKey, _ label: UInt64, context: [UInt8], length: Int) -> [UInt8] {
    var info = CBORWriter(capacity: context.count + 16)
    info.unsigned(label)
    info.bytes(context)
    info.unsigned(UInt64(max(0, length)))
    return expand(key, info: info.bytes, length: length)
  }

  /// EDHOC_KDF with a label of the protocol.
  static func kdf(_ key: SymmetricKey, _ label: Label, context: [UInt8], length: Int) -> [UInt8] {
    kdf(key, label.rawValue, context: context, length: length)
  }

  /// EDHOC_KDF with a key as its output.
  static func key(_ key: SymmetricKey, _ label: Label, context: [UInt8], length: Int = hashLength) -> SymmetricKey {
    SymmetricKey(data: kdf(key, label, context: context, length: length))
  }

  /// HKDF-Expand (RFC 5869, 2.3), whose output here is more often bytes than a key.
  private static func expand(_ key: SymmetricKey, info: [UInt8], length: Int) -> [UInt8] {
    var output: [UInt8] = []
    var block: [UInt8] = []
    var counter: UInt8 = 0
    while output.count < length, counter < .max {
      counter += 1
      block = [UInt8](HMAC<SHA256>.authenticationCode(for: block + info + [counter], using: key))
      output += block
    }
    return [UInt8](output.prefix(max(0, length)))
  }

  /// The hash of a CBOR sequence of encoded parts.
  static func hash(_ parts: [UInt8]...) -> [UInt8] { [UInt8](SHA256.hash(data: parts.flatMap(\.self))) }

  /// TH_2 = H( G_Y, H(message_1) ).
  static func transcript2(ephemeralKey: [UInt8], message1: [UInt8]) -> [UInt8] {
    hash(ephemeralKey.asItem, hash(message1).asItem)
  }

  /// TH_3 = H( TH_2, PLAINTEXT_2, CRED_R ), and TH_4 with the other names.
  static func transcript(after transcript: [UInt8], plaintext: [UInt8], credential: [UInt8]) -> [UInt8] {
    hash(transcript.asItem, plaintext, credential)
  }

  /// PRK_3e2m from PRK_2e, or PRK_4e3m from PRK_3e2m: mixes in the secret of a static key, if its owner has one.
  static func mix(
    _ key: SymmetricKey, salt label: Label, transcript: [UInt8], _ secret: SharedSecret?
  ) -> SymmetricKey {
    guard let secret else { return key }
    return extract(salt: kdf(key, label, context: transcript, length: hashLength), secret)
  }

  /// Encrypts or decrypts message_2: XOR with KEYSTREAM_2. `nil` for a text that HKDF cannot cover.
  static func applyKeystream2(_ text: [UInt8], key: SymmetricKey, transcript: [UInt8]) -> [UInt8]? {
    guard text.count <= maximumOutputLength else { return nil }
    let stream = kdf(key, .keystream2, context: transcript, length: text.count)
    return zip(text, stream).map { $0 ^ $1 }
  }
}

/// The AEAD of message_3 or message_4 with its key, nonce and additional data.
struct EDHOCSealing: Sendable {
  private let key: SymmetricKey
  private let nonce: [UInt8]
  private let aad: [UInt8]
  private let tagLength: Int

  /// K_3 and IV_3 from PRK_3e2m and TH_3.
  static func message3(_ prk3e2m: SymmetricKey, transcript: [UInt8], suite: EDHOCCipherSuite) -> EDHOCSealing {
    EDHOCSealing(prk3e2m, .key3, .iv3, transcript: transcript, suite: suite)
  }

  /// K_4 and IV_4 from PRK_4e3m and TH_4.
  static func message4(_ prk4e3m: SymmetricKey, transcript: [UInt8], suite: EDHOCCipherSuite) -> EDHOCSealing {
    EDHOCSealing(prk4e3m, .key4, .iv4, transcript: transcript, suite: suite)
  }

  private init(
    _ prk: SymmetricKey, _ keyLabel: EDHOCKeySchedule.Label, _ nonceLabel: EDHOCKeySchedule.Label,
    transcript: [UInt8], suite: EDHOCCipherSuite
  ) {
    key = EDHOCKeySchedule.key(prk, keyLabel, context: transcript, length: AESCCM.keyLength)
    nonce = EDHOCKeySchedule.kdf(prk, nonceLabel, context: transcript, length: AESCCM.nonceLength)
    tagLength = suite.macLength
    // The Enc_structure of a COSE_Encrypt0 whose protected header is empty (RFC 9052, 5.3).
    var structure = CBORWriter(capacity: 48)
    structure.array(3)
    structure.text("Encrypt0")
    structure.bytes([])
    structure.bytes(transcript)
    aad = structure.bytes
  }

  /// The ciphertext with its tag; `nil` for a plaintext of 64 KiB or more.
  func seal(_ plaintext: [UInt8]) -> [UInt8]? {
    AESCCM.seal(plaintext, key: key, nonce: nonce, aad: aad, tagLength: tagLength)
  }

  /// The plaintext; `nil` if the tag is wrong.
  func open(_ ciphertext: [UInt8]) -> [UInt8]? {
    AESCCM.open(ciphertext, key: key, nonce: nonce, aad: aad, tagLength: tagLength)
  }
}
