import COSE
import Crypto
import Foundation
import Testing
import Wire

@testable import OSCORE

/// RFC 9529, chapter 3: static Diffie-Hellman, suite 2, claims sets by `kid`; and chapter 4, invalid messages.
struct EDHOCVectorTests {
  private func value(_ name: String) throws -> [UInt8] { try #require(EDHOCFixtures.rfc9529[name], "\(name)") }

  private func identity(_ party: String) throws -> EDHOCIdentity {
    let credential = try EDHOCCredential(claimsSet: value("CRED_\(party)"))
    return try EDHOCIdentity(
      credential, identifiedBy: EDHOCCredentialIdentifier(headerMap: value("ID_CRED_\(party)")),
      key: .staticDH(EDHOCFixtures.agreementKey(value("SK_\(party)"))))
  }

  private func initiator(_ suites: [Int64], selecting: Int64 = 2) throws -> EDHOCInitiator {
    try EDHOCInitiator(
      profile: EDHOCProfile(suites: suites.map(EDHOCCipherSuite.init), message4: .required),
      selecting: EDHOCCipherSuite(rawValue: selecting),
      connectionIdentifier: EDHOCConnectionIdentifier(value("C_I")),
      ephemeralKey: EDHOCFixtures.agreementKey(value("X")))
  }

  @Test("Every message, the keys for OSCORE and those after a key update")
  func session() throws {
    var initiator = try initiator([6, 2])
    var responder = EDHOCResponder(profile: EDHOCProfile(suites: [.suite2], message4: .required))
    let message1 = try initiator.composeMessage1()
    #expect(try message1 == value("message_1"))
    try responder.processMessage1(message1)
    let message2 = try responder.composeMessage2(
      identity: identity("R"), connectionIdentifier: EDHOCConnectionIdentifier(value("C_R")),
      ephemeralKey: EDHOCFixtures.agreementKey(value("Y")))
    #expect(try message2 == value("message_2"))
    #expect(try initiator.processMessage2(message2).identifier == .keyID([0x32]))
    try initiator.authenticate([identity("R").credential])
    let message3 = try initiator.composeMessage3(identity: identity("I"))
    #expect(try message3 == value("message_3"))
    #expect(try responder.processMessage3(message3).identifier == .keyID([0x2b]))
    try responder.authenticate([identity("I").credential])
    let message4 = try responder.composeMessage4()
    #expect(try message4 == value("message_4"))
    #expect(try initiator.processMessage4(message4).isEmpty)

    for (session, sender, recipient) in [
      (initiator.session, "client", "server"), (responder.session, "server", "client"),
    ] {
      var session = try #require(session)
      let parameters = try session.oscoreParameters()
      #expect(
        try parameters
          == EDHOCOSCOREParameters(
            masterSecret: value("OSCORE_master_secret"), masterSalt: value("OSCORE_master_salt"),
            senderID: value("OSCORE_\(sender)_sender_id"), recipientID: value("OSCORE_\(recipient)_sender_id")))
      session.updateKey(context: try value("key_update_context"))
      let updated = try session.oscoreParameters()
      #expect(try updated.masterSecret == value("key_update_OSCORE_master_secret"))
      #expect(try updated.masterSalt == value("key_update_OSCORE_master_salt"))
    }
  }

  @Test("The first attempt with suite 6 is answered with suite 2, and the second names both")
  func negotiation() throws {
    var responder = EDHOCResponder(profile: EDHOCProfile(suites: [.suite2]))
    do {
      try responder.processMessage1(value("message_1_first"))
      Issue.record("accepted suite 6")
    } catch let failure as EDHOCFailure {
      #expect(failure.reason == .edhocSuiteUnsupported)
      #expect(try failure.reply?.encoded() == value("error"))
    }
    #expect(try EDHOCErrorMessage(parsing: value("error")) == .wrongSelectedCipherSuite([.suite2]))
  }

  @Test("Every step of the key schedule")
  func keySchedule() throws {
    let (x, y) = try (EDHOCFixtures.agreementKey(value("X")), EDHOCFixtures.agreementKey(value("Y")))
    #expect(try x.publicKey.xCoordinate == value("G_X"))
    #expect(try y.publicKey.xCoordinate == value("G_Y"))
    let peerX = try #require(P256.KeyAgreement.PublicKey(xCoordinate: value("G_X")))
    let peerY = try #require(P256.KeyAgreement.PublicKey(xCoordinate: value("G_Y")))
    let secret = try x.sharedSecretFromKeyAgreement(with: peerY)
    #expect(try secret == value("G_XY"))
    #expect(try y.sharedSecretFromKeyAgreement(with: peerX) == value("G_XY"))
    #expect(try EDHOCKeySchedule.hash(value("message_1")) == value("H_message_1"))
    let transcript2 = try EDHOCKeySchedule.transcript2(ephemeralKey: value("G_Y"), message1: value("message_1"))
    #expect(try transcript2 == value("TH_2"))
    let prk2e = EDHOCKeySchedule.extract(salt: transcript2, secret)
    #expect(try prk2e == SymmetricKey(data: value("PRK_2e")))
    #expect(
      try EDHOCKeySchedule.kdf(prk2e, .salt3e2m, context: transcript2, length: 32) == value("SALT_3e2m"))
    #expect(
      try EDHOCKeySchedule.kdf(prk2e, .keystream2, context: transcript2, length: 11) == value("KEYSTREAM_2"))
    let responderSecret = try EDHOCFixtures.agreementKey(value("SK_R")).sharedSecretFromKeyAgreement(with: peerX)
    #expect(try responderSecret == value("G_RX"))
    let prk3e2m = EDHOCKeySchedule.mix(prk2e, salt: .salt3e2m, transcript: transcript2, responderSecret)
    #expect(try prk3e2m == SymmetricKey(data: value("PRK_3e2m")))
    let proof2 = try EDHOCProof(
      label: .mac2, prk: prk3e2m, suite: .suite2, connectionIdentifier: value("C_R"), transcript: transcript2,
      headerMap: value("ID_CRED_R"), credential: value("CRED_R"), ead: [], signs: false)
    #expect(try proof2.mac == value("MAC_2"))
    let transcript3 = try EDHOCKeySchedule.transcript(
      after: transcript2, plaintext: value("PLAINTEXT_2"), credential: value("CRED_R"))
    #expect(try transcript3 == value("TH_3"))
    #expect(try EDHOCKeySchedule.kdf(prk3e2m, .key3, context: transcript3, length: 16) == value("K_3"))
    #expect(try EDHOCKeySchedule.kdf(prk3e2m, .iv3, context: transcript3, length: 13) == value("IV_3"))
    #expect(
      try EDHOCKeySchedule.kdf(prk3e2m, .salt4e3m, context: transcript3, length: 32) == value("SALT_4e3m"))
    let initiatorSecret = try EDHOCFixtures.agreementKey(value("SK_I")).sharedSecretFromKeyAgreement(with: peerY)
    #expect(try initiatorSecret == value("G_IY"))
    let prk4e3m = EDHOCKeySchedule.mix(prk3e2m, salt: .salt4e3m, transcript: transcript3, initiatorSecret)
    #expect(try prk4e3m == SymmetricKey(data: value("PRK_4e3m")))
    let proof3 = try EDHOCProof(
      label: .mac3, prk: prk4e3m, suite: .suite2, connectionIdentifier: [], transcript: transcript3,
      headerMap: value("ID_CRED_I"), credential: value("CRED_I"), ead: [], signs: false)
    #expect(try proof3.mac == value("MAC_3"))
    let plaintext3 = try #require(
      EDHOCSealing.message3(prk3e2m, transcript: transcript3, suite: .suite2).open(value("CIPHERTEXT_3")))
    let transcript4 = try EDHOCKeySchedule.transcript(
      after: transcript3, plaintext: plaintext3, credential: value("CRED_I"))
    #expect(try transcript4 == value("TH_4"))
    #expect(try EDHOCKeySchedule.kdf(prk4e3m, .key4, context: transcript4, length: 16) == value("K_4"))
    #expect(try EDHOCKeySchedule.kdf(prk4e3m, .iv4, context: transcript4, length: 13) == value("IV_4"))
    let prkOut = EDHOCKeySchedule.key(prk4e3m, .prkOut, context: transcript4)
    #expect(try prkOut == SymmetricKey(data: value("PRK_out")))
    #expect(
      try EDHOCKeySchedule.kdf(prkOut, .prkExporter, context: [], length: 32) == value("PRK_exporter"))
    let updated = try EDHOCKeySchedule.key(prkOut, .keyUpdate, context: value("key_update_context"))
    #expect(try updated == SymmetricKey(data: value("key_update_PRK_out")))
    #expect(
      try EDHOCKeySchedule.kdf(updated, .prkExporter, context: [], length: 32) == value("key_update_PRK_exporter"))
  }

  @Test("The credentials are read, and written as the RFC has them")
  func credentials() throws {
    for (party, kid, subject) in [("R", [0x32 as UInt8], "example.edu"), ("I", [0x2b], "42-50-31-FF-EF-37-32-39")] {
      let point = try [4] + value("PK_\(party)_x") + value("PK_\(party)_y")
      let credential = try EDHOCCredential(claimsSet: value("CRED_\(party)"))
      #expect(credential.point == point && credential.keyID == kid)
      #expect(try EDHOCCredential(point: point, keyID: kid, subject: subject) == credential)
      #expect(try credential.byReference()?.headerMap() == value("ID_CRED_\(party)"))
      #expect(try credential.byValue.headerMap() == [0xa1, 0x0e] + value("CRED_\(party)"))
    }
  }

  @Test("Invalid messages are refused", arguments: EDHOCFixtures.rfc9529.keys.filter { $0.hasPrefix("invalid") })
  func invalid(name: String) throws {
    let bytes = try value(name)
    if name.hasSuffix("message_1") {
      var responder = EDHOCResponder(profile: EDHOCProfile(suites: [.suite2]))
      #expect(throws: EDHOCFailure.self) { try responder.processMessage1(bytes) }
      #expect(responder.hasFailed)
    } else if name.hasSuffix("message_2") {
      var initiator = try initiator([2])
      _ = try initiator.composeMessage1()
      #expect(throws: EDHOCFailure.self) { _ = try initiator.processMessage2(bytes) }
      #expect(initiator.hasFailed)
    } else if name.contains("4_2_5") {
      // A MAC of four bytes is well-formed; it is refused because it is not the MAC.
      let plaintext = try EDHOCPlaintext2(parsing: bytes)
      let proof = try EDHOCProof(
        label: .mac2, prk: SymmetricKey(data: value("PRK_3e2m")), suite: .suite2,
        connectionIdentifier: value("C_R"), transcript: value("TH_2"), headerMap: value("ID_CRED_R"),
        credential: value("CRED_R"), ead: [], signs: false)
      #expect(try !proof.isValid(plaintext.proof.signatureOrMAC, from: identity("R").credential))
    } else {
      #expect(throws: ParseError.self) { try EDHOCPlaintext2(parsing: bytes) }
    }
  }
}
