import ArgumentParser
import Envelope
import Foundation
import Testing
import Wire

@testable import pangate

@Suite struct IdentityCommandTests {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pangate-\(UUID())")

  init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

  private func new(_ arguments: String...) throws {
    var command = try IdentityCommand.parseAsRoot(["new"] + arguments)
    try command.run()
  }

  @Test func newIdentityIsReadableByItsOwnerOnlyAndNeverOverwritten() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appendingPathComponent("lock.pem").path
    try new("--name", "lock", "-o", file)
    let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
    #expect(mode == 0o600)
    let first = try IdentityFiles.identity(file)
    #expect(first.name == "lock")
    #expect(throws: Failure.self) { try new("--name", "lock", "-o", file) }
    #expect(try IdentityFiles.identity(file).address == first.address)
    try new("--name", "lock", "-o", file, "--force")
    #expect(try IdentityFiles.identity(file).address != first.address)
    // No half-written file is left beside it.
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["lock.pem"])
  }

  @Test func whatCannotBeWrittenOrNamedSaysSo() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    #expect(throws: Failure.self) {
      try new("--name", "lock", "-o", folder.appendingPathComponent("no/lock.pem").path)
    }
    #expect(throws: Failure.self) { try new("--name", "../lock") }
    #expect(throws: Failure.self) { try new("--name", String(repeating: "x", count: 65), "-o", "-") }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
  }

  @Test func factsHoldNothingSecret() throws {
    var random = SystemRandomNumberGenerator()
    let identity = try Identity.new(name: "lock", validFrom: Instant(seconds: 1_767_225_600), using: &random)
    let facts = IdentityFacts(identity.public, agreementPoint: identity.agreementPoint)
    // The scalars stand behind 36 bytes of PKCS#8 (RFC 5208) and ECPrivateKey (RFC 5915).
    let secrets = IdentityFile.text(of: identity).components(separatedBy: "-----").filter {
      $0.contains("MIGH")
    }
    .compactMap { Data(base64Encoded: $0, options: .ignoreUnknownCharacters) }.map {
      [UInt8]($0[36..<68]).hex
    }
    #expect(secrets.count == 2)
    for text in [facts.text, JSONOutput.line(facts), "\(identity)"] {
      for secret in secrets { #expect(!text.contains(secret)) }
    }
    #expect(facts.validUntil == "9999-12-31T23:59:59Z")
    #expect(facts.text.contains("(no expiry)"))
    #expect(facts.text.contains("both in this file"))
    #expect(IdentityFacts(identity.public, agreementPoint: nil).text.contains("none in this file"))
  }
}
