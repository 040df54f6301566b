import COSE
import Crypto
import FoundationEssentials
public import Wire

/// An authentication credential, CRED_I or CRED_R (RFC 9528, 3.5.2), with its public key on P-256.
///
/// Both parties must have it byte for byte. Whether it is trusted is decided by whoever hands it to EDHOC.
public struct EDHOCCredential: Hashable, Sendable {
  /// CRED_x: one encoded CBOR item.
  public let encoded: [UInt8]
  /// The uncompressed point of the public key: 0x04, x, y.
  public let point: [UInt8]
  /// The `kid` inside a claims set's COSE_Key, if it has one.
  public let keyID: [UInt8]?

  /// Any credential, for example a CWT or a claims set that is not deterministically encoded: the item `encoded` and the
  /// key that the caller found in it, `point`: 65 bytes, uncompressed.
  ///
  /// Throws ``DropReason/edhocCredentialInvalid`` for what is no point of the curve.
  public init(encoded: [UInt8], point: [UInt8], keyID: [UInt8]? = nil) throws(ParseError) {
    guard (try? P256.KeyAgreement.PublicKey(point: point.rawSpan)) != nil else {
      throw ParseError(.edhocCredentialInvalid)
    }
    self.encoded = encoded
    self.point = point
    self.keyID = keyID
  }

  /// A CWT Claims Set whose `cnf` claim holds a COSE_Key of type EC2 on P-256.
  ///
  /// Throws ``DropReason/edhocCredentialInvalid`` if it does not, and the reasons of ``CBORReader``.
  public init(claimsSet: [UInt8]) throws(ParseError) {
    let claims = try CBORValue(parsing: claimsSet)
    guard let coseKey = claims[8]?[1], let key = try? P256.KeyAgreement.PublicKey(coseKey: coseKey) else {
      throw ParseError(.edhocCredentialInvalid)
    }
    encoded = claimsSet
    point = key.point
    keyID = coseKey[2]?.bytesValue
  }

  /// A CWT Claims Set for `point`, 65 bytes, as RFC 9529, 3 has it: the subject if there is one, and the key.
  ///
  /// Throws ``DropReason/edhocCredentialInvalid`` for what is no point of the curve.
  public init(point: [UInt8], keyID: [UInt8]? = nil, subject: String? = nil) throws(ParseError) {
    guard let key = try? P256.KeyAgreement.PublicKey(point: point.rawSpan), case .map(var pairs) = key.coseKey else {
      throw ParseError(.edhocCredentialInvalid)
    }
    if let keyID { pairs.append(CBORPair(2, .bytes(keyID))) }
    var claims = [CBORPair(8, [1: .map(pairs)])]
    if let subject { claims.append(CBORPair(2, .text(subject))) }
    guard let encoded = try? CBORValue.map(claims).encoded() else { throw ParseError(.edhocCredentialInvalid) }
    self.encoded = encoded
    self.point = point
    self.keyID = keyID
  }

  /// An X.509 certificate in DER with the key that the caller found in it, `point`: 65 bytes, uncompressed.
  ///
  /// Throws ``DropReason/edhocCredentialInvalid`` for what is no point of the curve.
  public init(certificate: [UInt8], point: [UInt8]) throws(ParseError) {
    try self.init(encoded: certificate.asItem, point: point)
  }

  /// The certificate in DER; `nil` for a claims set.
  public var certificate: [UInt8]? {
    guard let value = try? CBORValue(parsing: encoded) else { return nil }
    return value.bytesValue
  }

  /// An identifier that carries the whole credential.
  public var byValue: EDHOCCredentialIdentifier {
    if let certificate { .certificateChain([certificate]) } else { .claimsSet(encoded) }
  }

  /// An identifier that refers to the credential: the `kid` of a claims set, or the SHA-256 of a certificate, of which
  /// 8 bytes are sent if `truncated`. `nil` for a claims set without a `kid`.
  public func byReference(truncated: Bool = false) -> EDHOCCredentialIdentifier? {
    guard let certificate else { return keyID.map(EDHOCCredentialIdentifier.keyID) }
    let hash = [UInt8](SHA256.hash(data: certificate))
    // SHA-256/64 and SHA-256 (RFC 9054).
    return truncated
      ? .certificateHash(algorithm: COSEAlgorithm(rawValue: -15), [UInt8](hash.prefix(8)))
      : .certificateHash(algorithm: COSEAlgorithm(rawValue: -16), hash)
  }

  /// The public key for a static Diffie-Hellman method.
  var agreementKey: P256.KeyAgreement.PublicKey? { try? P256.KeyAgreement.PublicKey(point: point.rawSpan) }

  /// The public key for a signature method.
  var signingKey: P256.Signing.PublicKey? { try? P256.Signing.PublicKey(point: point.rawSpan) }
}
