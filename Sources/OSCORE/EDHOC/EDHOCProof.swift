import COSE
import Crypto
import FoundationEssentials
import Wire

/// Signature_or_MAC_2 or Signature_or_MAC_3 (RFC 9528, 5.3.2 and 5.4.2): what it is computed over, made and checked.
struct EDHOCProof: Sendable {
  /// MAC_2 or MAC_3.
  var label: EDHOCKeySchedule.Label
  /// PRK_3e2m or PRK_4e3m.
  var prk: SymmetricKey
  var suite: EDHOCCipherSuite
  /// C_R as it stands on the wire for MAC_2; nothing for MAC_3.
  var connectionIdentifier: [UInt8]
  /// TH_2 or TH_3.
  var transcript: [UInt8]
  /// ID_CRED_x, the whole map.
  var headerMap: [UInt8]
  /// CRED_x.
  var credential: [UInt8]
  /// EAD_x, encoded.
  var ead: [UInt8]
  /// Whether the sender signs.
  var signs: Bool

  /// The MAC, over `context_2` or `context_3`.
  var mac: [UInt8] {
    EDHOCKeySchedule.kdf(
      prk, label, context: connectionIdentifier + headerMap + transcript.asItem + credential + ead,
      length: signs ? EDHOCKeySchedule.hashLength : suite.macLength)
  }

  /// The digest of the Sig_structure whose payload is the MAC.
  private var digest: SHA256Digest {
    let externalAAD = transcript.asItem + credential + ead
    return COSESign1.digest(
      protected: headerMap.rawSpan, payload: mac.rawSpan, externalAAD: externalAAD.rawSpan)
  }

  /// What the owner of `key` sends; `nil` if the key is not of the kind that the method wants.
  func make(with key: EDHOCAuthenticationKey) -> [UInt8]? {
    switch key {
    case .staticDH: signs ? nil : mac
    case .signature(let key):
      signs ? (try? key.signature(for: digest)).map { [UInt8]($0.rawRepresentation) } : nil
    }
  }

  /// Whether `proof` is right, made by the owner of `peer`. MACs are compared in constant time.
  func isValid(_ proof: [UInt8], from peer: EDHOCCredential) -> Bool {
    guard signs else { return SymmetricKey(data: proof) == SymmetricKey(data: mac) }
    guard proof.count == 64, let key = peer.signingKey,
      let signature = try? P256.Signing.ECDSASignature(rawRepresentation: proof)
    else { return false }
    return key.isValidSignature(signature, for: digest)
  }
}
