import Crypto
import Foundation
import SwiftASN1
import Wire

/// Why an identity cannot be made or read. The text says which file and block, and what to do.
public enum IdentityError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Not 1 to 64 characters.
  case nameUnfit(String)
  /// The certificate could not be made.
  case notMade(String)
  /// Not PEM, or other blocks than expected.
  case blocks(file: String, found: [String])
  /// A line of Base64 or a boundary is broken.
  case pem(file: String, detail: String)
  /// Block `number` (from 1) does not hold what its label says.
  case block(file: String, number: Int, label: String, detail: String)
  /// The signing key belongs to another certificate.
  case keyOfAnotherCertificate(file: String)

  public var description: String {
    switch self {
    case .nameUnfit(let name):
      "the name '\(name)' has \(name.count) characters: give one of 1 to 64"
    case .notMade(let detail):
      "no certificate could be made: \(detail)"
    case .blocks(let file, let found):
      "\(file): holds \(found.isEmpty ? "no PEM block" : found.joined(separator: ", ")): expected CERTIFICATE, "
        + "PRIVATE KEY, PRIVATE KEY (certificate, signing key, key-agreement key); "
        + "`pangate identity new` makes such a file"
    case .pem(let file, let detail):
      "\(file): not readable as PEM (\(detail)): copy the file again or restore it from a backup"
    case .block(let file, let number, let label, let detail):
      "\(file): block \(number) (\(label)): \(detail)"
    case .keyOfAnotherCertificate(let file):
      "\(file): block 2 (PRIVATE KEY) is not the key of the certificate in block 1: "
        + "put the signing key second and the key-agreement key third"
    }
  }
}

/// Identities as PEM text (RFC 7468): CERTIFICATE, then the signing key, then the key-agreement key, both PKCS#8.
///
/// This reads and writes text; opening files, and their modes, are the shell's.
public enum IdentityFile {
  /// The text of the file with all secrets.
  public static func text(of identity: Identity) -> String {
    [
      PEMDocument(type: "CERTIFICATE", derBytes: identity.public.certificate),
      PEMDocument(type: "PRIVATE KEY", derBytes: [UInt8](identity.signingKey.derRepresentation)),
      PEMDocument(type: "PRIVATE KEY", derBytes: [UInt8](identity.agreementKey.derRepresentation)),
    ].map { $0.pemString + "\n" }.joined()
  }

  /// The certificate alone: what may be given away.
  public static func text(of identity: PublicIdentity) -> String {
    PEMDocument(type: "CERTIFICATE", derBytes: identity.certificate).pemString + "\n"
  }

  /// Reads a whole identity. `file` is how errors name it.
  public static func identity(_ text: String, file: String) throws(IdentityError) -> Identity {
    let blocks = try documents(text, file: file)
    guard blocks.map(\.discriminator) == ["CERTIFICATE", "PRIVATE KEY", "PRIVATE KEY"] else {
      throw .blocks(file: file, found: blocks.map(\.discriminator))
    }
    let publicIdentity = try certificate(blocks[0], file: file)
    guard let signing = try? P256.Signing.PrivateKey(derRepresentation: blocks[1].derBytes) else {
      throw .block(file: file, number: 2, label: "PRIVATE KEY", detail: notAKey)
    }
    guard let agreement = try? P256.KeyAgreement.PrivateKey(derRepresentation: blocks[2].derBytes) else {
      throw .block(file: file, number: 3, label: "PRIVATE KEY", detail: notAKey)
    }
    guard let identity = Identity(publicIdentity, signingKey: signing, agreementKey: agreement) else {
      throw .keyOfAnotherCertificate(file: file)
    }
    return identity
  }

  /// Reads the certificate at the start of a file, whether private keys follow or not.
  public static func publicIdentity(_ text: String, file: String) throws(IdentityError) -> PublicIdentity {
    let blocks = try documents(text, file: file)
    guard let first = blocks.first, first.discriminator == "CERTIFICATE" else {
      throw .blocks(file: file, found: blocks.map(\.discriminator))
    }
    return try certificate(first, file: file)
  }

  /// The labels of the blocks of a file, in order: what there is, before anything is read.
  public static func labels(_ text: String, file: String) throws(IdentityError) -> [String] {
    try documents(text, file: file).map(\.discriminator)
  }

  private static let notAKey =
    "not a P-256 private key in PKCS#8: make it with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`, "
    + "or a whole identity with `pangate identity new`"

  private static func documents(_ text: String, file: String) throws(IdentityError) -> [PEMDocument] {
    do {
      return try PEMDocument.parseMultiple(pemString: text)
    } catch {
      throw .pem(file: file, detail: "\(error)")
    }
  }

  private static func certificate(_ block: PEMDocument, file: String) throws(IdentityError) -> PublicIdentity {
    do {
      return try PublicIdentity(certificate: block.derBytes)
    } catch {
      let detail =
        error.reason == .certificateKeyUnsupported
        ? "its key is not on the curve P-256: make an identity with `pangate identity new`"
        : "not an X.509 certificate: copy the file again or restore it from a backup"
      throw .block(file: file, number: 1, label: "CERTIFICATE", detail: detail)
    }
  }
}
