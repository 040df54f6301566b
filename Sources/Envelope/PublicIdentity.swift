import Crypto
import Foundation
import SwiftASN1
import Wire
import X509

/// What others know of an identity: its certificate, and what stands in it.
///
/// The certificate carries the signing key and gives the address. It is not a link of a chain: whom to believe is
/// what the oracle's peer record says, so neither its issuer nor its own signature is checked here.
public struct PublicIdentity: Sendable, Hashable, CustomStringConvertible {
  /// The certificate in DER.
  public let certificate: [UInt8]
  /// The SHA-256 of ``certificate``.
  public let address: Address
  /// The key that verifies the identity's envelopes.
  public let signingKey: P256.Signing.PublicKey
  /// The subject's common name (RFC 5280, 4.1.2.6); empty if it has none. A label, never an authority.
  public let name: String
  /// The whole subject, as RFC 4514 writes it.
  public let subject: String
  /// The first and the last second in which the certificate is valid.
  public let validity: ClosedRange<Instant>

  /// Reads a certificate (RFC 5280). Throws ``DropReason/certificateInvalid``, or
  /// ``DropReason/certificateKeyUnsupported`` if its key is not on P-256.
  public init(certificate der: [UInt8]) throws(ParseError) {
    guard let parsed = try? Certificate(derEncoded: der) else { throw ParseError(.certificateInvalid) }
    try self.init(parsed, der: der)
  }

  init(_ parsed: Certificate, der: [UInt8]) throws(ParseError) {
    guard let key = P256.Signing.PublicKey(parsed.publicKey) else {
      throw ParseError(.certificateKeyUnsupported)
    }
    guard let from = Instant(parsed.notValidBefore), let until = Instant(parsed.notValidAfter), from <= until
    else {
      throw ParseError(.certificateInvalid)
    }
    certificate = der
    address = Address(ofCertificate: der)
    signingKey = key
    subject = parsed.subject.description
    name = parsed.subject.commonName ?? ""
    validity = from...until
  }

  /// The signing key as an uncompressed point, 65 bytes.
  public var signingPoint: [UInt8] { [UInt8](signingKey.x963Representation) }

  public static func == (left: PublicIdentity, right: PublicIdentity) -> Bool {
    left.certificate == right.certificate
  }
  public func hash(into hasher: inout Hasher) { hasher.combine(address) }

  public var description: String { "\(name) \(address)" }
}

extension Instant {
  /// `nil` outside the years 1 to 9999, which no certificate can say (RFC 5280, 4.1.2.5).
  init?(_ date: Date) {
    let seconds = date.timeIntervalSince1970
    guard seconds >= -62_135_596_800, seconds < 253_402_300_800 else { return nil }
    self.init(seconds: Int64(seconds))
  }
}

extension DistinguishedName {
  /// The last common name, which is the most specific one.
  fileprivate var commonName: String? {
    var name: String?
    for relative in self {
      for attribute in relative where attribute.type == .RDNAttributeType.commonName {
        name = String(attribute.value)
      }
    }
    return name
  }
}
