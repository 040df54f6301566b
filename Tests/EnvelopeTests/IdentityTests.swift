import Crypto
import Envelope
import Foundation
import SwiftASN1
import TestSupport
import Testing
import Wire
import X509

@Suite struct IdentityTests {
  static func fresh(_ name: String = "lock") throws -> Identity {
    var random = SystemRandomNumberGenerator()
    return try Identity.new(name: name, validFrom: Instant(seconds: 1_767_225_600), using: &random)
  }

  @Test(arguments: Demo.names) func demoIdentitiesAreReadAndWrittenAgainByteForByte(name: String) throws {
    let text = try Demo.text("\(name).pem")
    let identity = try IdentityFile.identity(text, file: "\(name).pem")
    #expect(identity.name == name)
    #expect(IdentityFile.text(of: identity) == text)
    #expect(identity.address.bytes == [UInt8](SHA256.hash(data: identity.public.certificate)))
    #expect(identity.address.short.bytes == [UInt8](identity.address.bytes.prefix(8)))
    #expect(identity.public.validity.lowerBound == Instant(seconds: 1_767_225_600))
    #expect(identity.public.validity.upperBound == Instant(seconds: 253_402_300_799))
  }

  @Test func addressesOfTheDemoHomeAreThoseThatPythonWrote() throws {
    let record = try #require(
      try JSONSerialization.jsonObject(with: Data(Demo.bytes("peer-record.json"))) as? [String: Any])
    let members = try #require(record["members"] as? [[String: Any]])
    #expect(members.count == Demo.names.count)
    for member in members {
      let name = try #require(member["name"] as? String)
      #expect(try Demo.identity(name).address.description == member["address"] as? String)
    }
  }

  @Test func newIdentityIsReadAgain() throws {
    let identity = try Self.fresh("Haustür 1")
    let again = try IdentityFile.identity(IdentityFile.text(of: identity), file: "x.pem")
    #expect(again.public == identity.public)
    #expect(again.name == "Haustür 1")
    #expect(again.signingKey.rawRepresentation == identity.signingKey.rawRepresentation)
    #expect(again.agreementKey.rawRepresentation == identity.agreementKey.rawRepresentation)
    #expect(identity.public.validity.upperBound == Instant(seconds: 253_402_300_799))
    #expect(identity.public.certificate.count < 350)
    // Self-signed, and with a positive serial number (RFC 5280, 4.1.2.2).
    let certificate = try Certificate(derEncoded: identity.public.certificate)
    #expect(certificate.publicKey.isValidSignature(certificate.signature, for: certificate))
    #expect(certificate.serialNumber.bytes.count <= 20 && (certificate.serialNumber.bytes.first ?? 0) < 0x80)
  }

  @Test(arguments: ["", String(repeating: "x", count: 65)]) func nameMustHave1To64Characters(name: String) {
    #expect(throws: IdentityError.nameUnfit(name)) { try Self.fresh(name) }
  }

  @Test func truncatedCertificateIsInvalidAtEveryLength() throws {
    let der = try Demo.identity("lock").public.certificate
    for length in 0..<der.count {
      #expect(throws: ParseError(.certificateInvalid)) {
        try PublicIdentity(certificate: Array(der.prefix(length)))
      }
    }
    #expect(throws: ParseError(.certificateInvalid)) { try PublicIdentity(certificate: der + [0]) }
  }

  @Test func certificateOfAnotherCurveIsUnsupported() throws {
    let key = P384.Signing.PrivateKey()
    let subject = try DistinguishedName { CommonName("other") }
    let certificate = try Certificate(
      version: .v3, serialNumber: .init(1), publicKey: .init(key.publicKey), notValidBefore: Date(),
      notValidAfter: Date(timeIntervalSinceNow: 60), issuer: subject, subject: subject,
      signatureAlgorithm: .ecdsaWithSHA384, extensions: .init(), issuerPrivateKey: .init(key))
    var serializer = DER.Serializer()
    try serializer.serialize(certificate)
    #expect(throws: ParseError(.certificateKeyUnsupported)) {
      try PublicIdentity(certificate: serializer.serializedBytes)
    }
  }

  @Test func mutatedCertificatesNeverTrap() throws {
    var random = SeededGenerator(seed: 1)
    let der = try Demo.identity("lock").public.certificate
    for _ in 0..<2_000 {
      var changed = der
      changed[Int.random(in: der.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
      guard let identity = try? PublicIdentity(certificate: changed) else { continue }
      #expect(identity.address == Address(ofCertificate: changed))
    }
  }

  @Test func identityFileErrorsNameFileBlockAndRemedy() throws {
    let text = try Demo.text("lock.pem")
    let other = try Demo.text("owner.pem")
    let begin = "-----BEGIN "
    let blocks = text.components(separatedBy: begin).dropFirst().map { begin + $0 }
    let foreign = other.components(separatedBy: begin).dropFirst().map { begin + $0 }

    func failure(_ text: String) -> String {
      do {
        _ = try IdentityFile.identity(text, file: "a.pem")
        return "none"
      } catch { return error.description }
    }
    #expect(failure("").contains("a.pem: holds no PEM block"))
    #expect(failure(blocks[0]).contains("a.pem: holds CERTIFICATE: expected"))
    #expect(
      failure(blocks[1] + blocks[0] + blocks[2]).contains("expected CERTIFICATE, PRIVATE KEY, PRIVATE KEY"))
    #expect(
      failure(foreign[0] + blocks[1] + blocks[2]).contains("block 2 (PRIVATE KEY) is not the key of the"))
    #expect(
      failure(text.replacingOccurrences(of: "MIIB", with: "M*IB")).contains("a.pem: not readable as PEM"))
    #expect(
      failure(text.replacingOccurrences(of: "MIIB", with: "AIIB")).contains(
        "block 1 (CERTIFICATE): not an X.509"))
    let notAKey = PEMDocument(type: "PRIVATE KEY", derBytes: [0x30, 0x00]).pemString + "\n"
    #expect(
      failure(blocks[0] + notAKey + blocks[2]).contains("block 2 (PRIVATE KEY): not a P-256 private key"))
    #expect(
      failure(blocks[0] + blocks[1] + notAKey).contains("block 3 (PRIVATE KEY): not a P-256 private key"))
    #expect(try IdentityFile.publicIdentity(blocks[0], file: "a.pem") == Demo.identity("lock").public)
  }

  @Test func addressRoundTripsAsBytesAndText() {
    var random = SeededGenerator(seed: 2)
    for _ in 0..<200 {
      let bytes = random.bytes(32)
      let address = Address(bytes)
      #expect(address?.bytes == bytes)
      #expect((try? address?.encoded()) == bytes)
      #expect(address.flatMap { Address(hex: $0.description) } == address)
      #expect(Address.Short(Array(bytes.prefix(8))) == address?.short)
    }
    #expect(Address([UInt8](repeating: 0, count: 31)) == nil)
    #expect(Address.Short([UInt8](repeating: 0, count: 9)) == nil)
    #expect(AddressReference([UInt8](repeating: 0, count: 16)) == nil)
  }
}
