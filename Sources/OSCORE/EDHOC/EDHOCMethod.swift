/// How the two parties authenticate (RFC 9528, 3.2): each with a signature key or with a static Diffie-Hellman key.
public struct EDHOCMethod: RawRepresentable, Hashable, Sendable {
  public var rawValue: Int64

  public init(rawValue: Int64) { self.rawValue = rawValue }

  /// Both sign.
  public static let signature = EDHOCMethod(rawValue: 0)
  /// The Initiator signs, the Responder has a static Diffie-Hellman key.
  public static let signatureAndStaticDH = EDHOCMethod(rawValue: 1)
  /// The Initiator has a static Diffie-Hellman key, the Responder signs.
  public static let staticDHAndSignature = EDHOCMethod(rawValue: 2)
  /// Both have static Diffie-Hellman keys.
  public static let staticDH = EDHOCMethod(rawValue: 3)

  /// Whether this is one of the four methods that are implemented.
  public var isSupported: Bool { (0...3).contains(rawValue) }

  /// Whether the Initiator authenticates with a signature.
  public var initiatorSigns: Bool { rawValue == 0 || rawValue == 1 }

  /// Whether the Responder authenticates with a signature.
  public var responderSigns: Bool { rawValue == 0 || rawValue == 2 }
}
