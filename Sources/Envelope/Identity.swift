import COSE
import Crypto
import Foundation
import SwiftASN1
import Wire
import X509

/// An identity with its secrets: a P-256 signing key and a P-256 key-agreement key with a certificate.
public struct Identity: Sendable {
  /// What others may know.
  public let `public`: PublicIdentity
  /// Signs envelopes; its public half is the certificate's key.
  public let signingKey: P256.Signing.PrivateKey
  /// Opens what was sealed for this identity.
  public let agreementKey: P256.KeyAgreement.PrivateKey

  /// The SHA-256 of the certificate.
  public var address: Address { self.public.address }
  /// The certificate's common name.
  public var name: String { self.public.name }
  /// The public half of ``agreementKey`` as an uncompressed point, 65 bytes.
  public var agreementPoint: [UInt8] { agreementKey.publicKey.point }

  /// Puts together what belongs together. `nil` if the signing key is not the certificate's.
  public init?(
    _ identity: PublicIdentity, signingKey: P256.Signing.PrivateKey,
    agreementKey: P256.KeyAgreement.PrivateKey
  ) {
    guard signingKey.publicKey.x963Representation == identity.signingKey.x963Representation else {
      return nil
    }
    self.public = identity
    self.signingKey = signingKey
    self.agreementKey = agreementKey
  }

  /// A new identity with a certificate that it signs itself.
  ///
  /// The certificate never expires (99991231235959Z, RFC 5280, 4.1.2.5): the oracle revokes, not the calendar, since
  /// a lock without a clock could not tell. It has no extensions, so that it stays small enough for a QR code.
  ///
  /// - Parameters:
  ///   - name: the common name, 1 to 64 characters (RFC 5280, A.1: ub-common-name).
  ///   - validFrom: now; cut off to whole seconds.
  ///   - generator: makes both keys and the serial number: hand in one that is fit for keys, as
  ///     `SystemRandomNumberGenerator` is.
  /// - Throws: ``IdentityError/nameUnfit(_:)`` and ``IdentityError/notMade(_:)``.
  public static func new(
    name: String, validFrom: Instant, using generator: inout some RandomNumberGenerator
  ) throws(IdentityError) -> Identity {
    guard (1...64).contains(name.count) else { throw .nameUnfit(name) }
    func draw(_ count: Int) -> [UInt8] {
      (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }
    // At most 20 bytes and positive (RFC 5280, 4.1.2.2).
    var serial = draw(20)
    serial[0] &= 0x7f
    // One draw in 2^32 is no scalar of P-256, being 0 or not below the order: draw again.
    func key<Key>(_ make: ([UInt8]) throws -> Key) throws(IdentityError) -> Key {
      for _ in 0..<8 {
        if let key = try? make(draw(32)) { return key }
      }
      throw .notMade("the random numbers are none")
    }
    let signingKey = try key { try P256.Signing.PrivateKey(rawRepresentation: $0) }
    let agreementKey = try key { try P256.KeyAgreement.PrivateKey(rawRepresentation: $0) }
    do {
      let subject = try DistinguishedName { CommonName(name) }
      let certificate = try Certificate(
        version: .v3, serialNumber: Certificate.SerialNumber(bytes: serial),
        publicKey: Certificate.PublicKey(signingKey.publicKey),
        notValidBefore: Date(timeIntervalSince1970: TimeInterval(validFrom.seconds)),
        notValidAfter: Date(timeIntervalSince1970: 253_402_300_799),
        issuer: subject, subject: subject, signatureAlgorithm: .ecdsaWithSHA256,
        extensions: Certificate.Extensions(), issuerPrivateKey: Certificate.PrivateKey(signingKey))
      var serializer = DER.Serializer()
      try serializer.serialize(certificate)
      let identity = try PublicIdentity(certificate: serializer.serializedBytes)
      guard let whole = Identity(identity, signingKey: signingKey, agreementKey: agreementKey) else {
        throw IdentityError.notMade("the certificate has another key")
      }
      return whole
    } catch let error as IdentityError {
      throw error
    } catch {
      throw .notMade("\(error)")
    }
  }
}

extension Identity: CustomStringConvertible {
  /// Name and address, so that no log ever holds a key.
  public var description: String { self.public.description }
}
