/// An algorithm by its number in the IANA registry "COSE Algorithms". Only the named ones are implemented.
public struct COSEAlgorithm: RawRepresentable, Hashable, Sendable {
  public var rawValue: Int64

  public init(rawValue: Int64) { self.rawValue = rawValue }

  /// ECDSA with SHA-256 (RFC 9053, 2.1); emitted with P-256 only.
  public static let es256 = COSEAlgorithm(rawValue: -7)
  /// ECDSA with SHA-256 on P-256 (RFC 9864): the same signature under a fully specified name.
  public static let esp256 = COSEAlgorithm(rawValue: -9)
  /// HPKE in base mode, integrated: P-256, HKDF-SHA256, AES-128-GCM (draft-ietf-cose-hpke).
  public static let hpke0 = COSEAlgorithm(rawValue: 35)
  /// The same suite, encrypting a content encryption key (draft-ietf-cose-hpke).
  public static let hpke0KE = COSEAlgorithm(rawValue: 46)
  /// Ephemeral-static ECDH, HKDF-SHA256 and AES-128 key wrap (RFC 9053, 6.4).
  public static let ecdhESA128KW = COSEAlgorithm(rawValue: -29)
  /// AES-128 key wrap (RFC 9053, 6.2).
  public static let a128KW = COSEAlgorithm(rawValue: -3)
  /// AES-128-GCM with a tag of 16 bytes (RFC 9053, 4.1).
  public static let a128GCM = COSEAlgorithm(rawValue: 1)
  /// AES-128-CCM with a nonce of 13 bytes and a tag of 8 (RFC 9053, 4.2).
  public static let aes128CCM8 = COSEAlgorithm(rawValue: 10)

  /// Whether this is ECDSA with SHA-256 on P-256 under either of its names.
  public var isP256Signature: Bool { self == .es256 || self == .esp256 }
}

/// Labels of header parameters (RFC 9052, 3.1, and the IANA registry "COSE Header Parameters").
public enum COSELabel {
  public static let algorithm: Int64 = 1
  public static let critical: Int64 = 2
  public static let contentType: Int64 = 3
  public static let keyID: Int64 = 4
  public static let iv: Int64 = 5
  /// The ephemeral key of the sender, in ECDH recipients (RFC 9053, 6.3.1).
  public static let ephemeralKey: Int64 = -1
  /// The encapsulated key of HPKE (draft-ietf-cose-hpke).
  public static let encapsulatedKey: Int64 = -4
}

/// CBOR tags of the messages (RFC 9052, 2).
public enum COSETag {
  public static let encrypt0: UInt64 = 16
  public static let sign1: UInt64 = 18
  public static let encrypt: UInt64 = 96
}
