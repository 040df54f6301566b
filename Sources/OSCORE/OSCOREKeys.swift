import COSE
import Crypto
import Wire

/// The immutable part of a security context, and how it is derived (RFC 8613, 3.2.1).
struct OSCOREKeys: Equatable, Sendable {
  let senderID: OSCOREIdentifier
  let recipientID: OSCOREIdentifier
  let idContext: [UInt8]?
  let senderKey: SymmetricKey
  let recipientKey: SymmetricKey
  let commonIV: OSCORENonce
}

extension OSCOREKeys {
  /// Throws ``DropReason/oscoreParametersInvalid`` if both identifiers are the same: so would be both keys.
  init(
    masterSecret: SymmetricKey, masterSalt: [UInt8], senderID: OSCOREIdentifier, recipientID: OSCOREIdentifier,
    idContext: [UInt8]?
  ) throws(OSCOREError) {
    guard senderID != recipientID else { throw OSCOREError(.oscoreParametersInvalid) }
    func derive(_ id: [UInt8], _ type: String, _ length: Int) -> SymmetricKey {
      HKDF<SHA256>.deriveKey(
        inputKeyMaterial: masterSecret, salt: masterSalt,
        info: Self.info(id: id, idContext: idContext, type: type, length: length), outputByteCount: length)
    }
    guard let commonIV = OSCORENonce(derive([], "IV", AESCCM.nonceLength).bytes) else {
      throw OSCOREError(.oscoreParametersInvalid)
    }
    self.init(
      senderID: senderID, recipientID: recipientID, idContext: idContext,
      senderKey: derive(senderID.bytes, "Key", AESCCM.keyLength),
      recipientKey: derive(recipientID.bytes, "Key", AESCCM.keyLength), commonIV: commonIV)
  }

  /// The CBOR array `[id, id_context, alg_aead, type, L]`.
  static func info(id: [UInt8], idContext: [UInt8]?, type: String, length: Int) -> [UInt8] {
    var writer = CBORWriter(capacity: 24)
    writer.array(5)
    writer.bytes(id)
    if let idContext { writer.bytes(idContext) } else { writer.null() }
    writer.integer(COSEAlgorithm.aes128CCM8.rawValue)
    writer.text(type)
    writer.unsigned(UInt64(length))
    return writer.bytes
  }
}
