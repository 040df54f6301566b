import COSE
public import Crypto
public import Wire

/// A private authentication key: a signature key or a static Diffie-Hellman key. It is never printed.
public enum EDHOCAuthenticationKey: Sendable, CustomStringConvertible, CustomReflectable {
  case signature(P256.Signing.PrivateKey)
  case staticDH(P256.KeyAgreement.PrivateKey)

  /// The uncompressed point of the public key.
  var point: [UInt8] {
    switch self {
    case .signature(let key): key.publicKey.point
    case .staticDH(let key): key.publicKey.point
    }
  }

  /// Whether the key signs.
  var signs: Bool { if case .signature = self { true } else { false } }

  public var description: String { signs ? "EDHOC signature key" : "EDHOC static Diffie-Hellman key" }
  public var customMirror: Mirror { Mirror(self, children: []) }
}

/// What a party authenticates with: its credential, how it names the credential to the peer, and the private key.
public struct EDHOCIdentity: Sendable, CustomStringConvertible, CustomReflectable {
  public let credential: EDHOCCredential
  public let identifier: EDHOCCredentialIdentifier
  let key: EDHOCAuthenticationKey

  /// Throws ``DropReason/edhocCredentialInvalid`` if `key` is not the private key of `credential`.
  public init(
    _ credential: EDHOCCredential, identifiedBy identifier: EDHOCCredentialIdentifier, key: EDHOCAuthenticationKey
  ) throws(ParseError) {
    guard key.point == credential.point else { throw ParseError(.edhocCredentialInvalid) }
    self.credential = credential
    self.identifier = identifier
    self.key = key
  }

  public var description: String { "EDHOC identity \(identifier)" }
  public var customMirror: Mirror { Mirror(self, children: []) }
}
