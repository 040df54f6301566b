import ArgumentParser
import Envelope
import Foundation
import Wire

/// `pangate identity show`.
struct IdentityShow: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Show address, subject, validity and public keys of an identity or certificate file.")

  @Argument(help: "Identity or certificate file in PEM (- is standard input).")
  var file: String

  @Flag(help: "Print one line of JSON.")
  var json = false

  func run() throws {
    let text = try InputFile.text(file)
    let facts: IdentityFacts
    do {
      // A file of one block is a certificate; with more it must be a whole identity.
      if try IdentityFile.labels(text, file: file) == ["CERTIFICATE"] {
        facts = IdentityFacts(try IdentityFile.publicIdentity(text, file: file), agreementPoint: nil)
      } else {
        let identity = try IdentityFile.identity(text, file: file)
        facts = IdentityFacts(identity.public, agreementPoint: identity.agreementPoint)
      }
    } catch { throw Failure.cannotStart(error.description) }
    print(json ? JSONOutput.line(facts) : facts.text)
  }
}

/// What `show` prints: never anything secret.
struct IdentityFacts: Encodable {
  var address: String
  var shortAddress: String
  var name: String
  var subject: String
  var validFrom: String
  var validUntil: String
  var signingKey: String
  var agreementKey: String?
  var privateKeys: Bool

  init(_ identity: PublicIdentity, agreementPoint: [UInt8]?) {
    address = identity.address.description
    shortAddress = identity.address.short.description
    name = identity.name
    subject = identity.subject
    validFrom = identity.validity.lowerBound.iso8601
    validUntil = identity.validity.upperBound.iso8601
    signingKey = identity.signingPoint.hex
    agreementKey = agreementPoint?.hex
    privateKeys = agreementKey != nil
  }

  var text: String {
    let forever = validUntil.hasPrefix("9999-12-31T23:59:59") ? " (no expiry)" : ""
    return """
      address        \(address)
      short address  \(shortAddress)
      subject        \(subject)
      valid          \(validFrom) to \(validUntil)\(forever)
      signing key    P-256 \(signingKey)
      agreement key  \(agreementKey.map { "P-256 \($0)" } ?? "not in this file")
      private keys   \(privateKeys ? "both in this file" : "none in this file")
      """
  }
}

extension Instant {
  /// `2026-01-01T00:00:00Z`.
  var iso8601: String { Date(timeIntervalSince1970: TimeInterval(seconds)).formatted(.iso8601) }
}
