import COSE
import Crypto
import Foundation
import Testing
import Wire

@testable import OSCORE

/// RFC 9528, 4 and 5: the steps that a draft had already, from the working group's vectors with suite 2: signatures with
/// `x5chain`, `x5t`, `x5bag` and `kid`, and static Diffie-Hellman with certificates and claims sets.
struct EDHOCDraftVectorTests {
  struct Vector: Decodable, Sendable, CustomTestStringConvertible {
    var name = ""
    var fields: [String: String] = [:]

    private struct Field: Decodable {
      var text: String
      init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        text = if let text = try? container.decode(String.self) { text } else { try "\(container.decode(Int.self))" }
      }
    }

    init(from decoder: any Decoder) throws {
      fields = try decoder.singleValueContainer().decode([String: Field].self).mapValues(\.text)
    }

    subscript(_ key: String) -> [UInt8] { EDHOCFixtures.bytes(fields[key] ?? "") }
    func secret(_ key: String) -> SymmetricKey { SymmetricKey(data: self[key]) }
    var signs: Bool { fields["method"] == "00" }
    var testDescription: String { name }
  }

  static let vectors: [Vector] = {
    let all = (try? EDHOCFixtures.vectors("edhoc-p256", as: [String: Vector].self)) ?? [:]
    return all.sorted { $0.key < $1.key }.map { name, vector in
      var vector = vector
      vector.name = name
      return vector
    }
  }()

  @Test("There are six vectors")
  func count() { #expect(Self.vectors.count == 6) }

  @Test("message_1 is parsed and written", arguments: vectors)
  func message1(_ vector: Vector) throws {
    let message = try EDHOCMessage1(parsing: vector["message_1"])
    #expect(message.method == (vector.signs ? .signature : .staticDH))
    #expect(message.suites == [.suite2] && message.ead.isEmpty)
    #expect(message.ephemeralKey == vector["g_x_raw"])
    #expect(message.connectionIdentifier.encoding == vector["c_i"])
    #expect(try message.encoded() == vector["message_1"])
    #expect(EDHOCKeySchedule.hash(vector["message_1"]) == vector["h_message_1_raw"])
    let peer = try EDHOCFixtures.agreementKey(vector["y_raw"]).publicKey
    #expect(peer.xCoordinate == vector["g_y_raw"])
    let x = try EDHOCFixtures.agreementKey(vector["x_raw"])
    #expect(x.publicKey.xCoordinate == vector["g_x_raw"])
    #expect(try x.sharedSecretFromKeyAgreement(with: peer) == vector["g_xy_raw"])
    let secret = try x.sharedSecretFromKeyAgreement(with: #require(.init(xCoordinate: vector["g_y_raw"])))
    #expect(EDHOCKeySchedule.extract(salt: vector["salt_raw"], secret) == vector.secret("prk_2e_raw"))
    #expect(EDHOCKeySchedule.hash(vector["input_th_2"]) == vector["th_2_raw"])
  }

  @Test("Keys from the secrets of static keys", arguments: vectors)
  func pseudorandomKeys(_ vector: Vector) throws {
    let (prk2e, prk3e2m) = (vector.secret("prk_2e_raw"), vector.secret("prk_3e2m_raw"))
    #expect(
      EDHOCKeySchedule.kdf(prk2e, .salt3e2m, context: vector["th_2_raw"], length: 32) == vector["salt_3e2m"])
    #expect(
      EDHOCKeySchedule.kdf(prk3e2m, .salt4e3m, context: vector["th_3_raw"], length: 32) == vector["salt_4e3m"])
    let (secret2, secret3) =
      try vector.signs ? (nil, nil) : (Self.secret(vector, "r", "x"), Self.secret(vector, "i", "y"))
    #expect(
      EDHOCKeySchedule.mix(prk2e, salt: .salt3e2m, transcript: vector["th_2_raw"], secret2) == prk3e2m)
    #expect(
      EDHOCKeySchedule.mix(prk3e2m, salt: .salt4e3m, transcript: vector["th_3_raw"], secret3)
        == vector.secret("prk_4e3m_raw"))
  }

  private static func secret(_ vector: Vector, _ owner: String, _ ephemeral: String) throws -> SharedSecret {
    let peer = try #require(P256.KeyAgreement.PublicKey(xCoordinate: vector["g_\(ephemeral)_raw"]))
    let secret = try EDHOCFixtures.agreementKey(vector["\(owner)_raw"]).sharedSecretFromKeyAgreement(with: peer)
    #expect(secret == vector["g_\(owner)\(ephemeral)_raw"])
    return secret
  }

  private func proof(_ vector: Vector, _ number: Int) -> EDHOCProof {
    let party = number == 2 ? "r" : "i"
    return EDHOCProof(
      label: number == 2 ? .mac2 : .mac3, prk: vector.secret(number == 2 ? "prk_3e2m_raw" : "prk_4e3m_raw"),
      suite: .suite2, connectionIdentifier: [], transcript: vector["th_\(number)_raw"],
      headerMap: vector["id_cred_\(party)"], credential: vector["cred_\(party)"], ead: [], signs: vector.signs)
  }

  /// The credential of a party, whose `kid` may be an integer in a draft.
  private func credential(_ vector: Vector, _ party: String) throws -> EDHOCCredential {
    let x = vector["g_\(party)_raw"] + vector["g_\(party)_raw_y_coordinate"]
    let point = vector.signs ? vector["pk_\(party)_raw"] : [4] + x
    let encoded = vector["cred_\(party)"]
    guard case .bytes(let certificate) = try CBORValue(parsing: encoded) else {
      let credential = try EDHOCCredential(claimsSet: encoded)
      #expect(credential.point == point)
      return credential
    }
    let credential = try EDHOCCredential(certificate: certificate, point: point)
    #expect(credential.encoded == encoded)
    return credential
  }

  @Test("MACs and signatures", arguments: vectors, [2, 3])
  func proofs(_ vector: Vector, _ number: Int) throws {
    let party = number == 2 ? "r" : "i"
    let proof = proof(vector, number)
    #expect(proof.mac == vector["mac_\(number)_raw"])
    let credential = try credential(vector, party)
    let sent = vector["sig_or_mac_\(number)_raw"]
    #expect(proof.isValid(sent, from: credential))
    for index in sent.indices {
      var other = sent
      other[index] ^= 1
      #expect(!proof.isValid(other, from: credential))
    }
    #expect(!proof.isValid([], from: credential))
    if vector.signs {
      let key = try P256.Signing.PrivateKey(rawRepresentation: vector["sk_\(party)_raw"])
      let made = try #require(proof.make(with: .signature(key)))
      #expect(proof.isValid(made, from: credential))
    } else {
      #expect(try proof.make(with: .staticDH(EDHOCFixtures.agreementKey(vector["\(party)_raw"]))) == sent)
    }
  }

  @Test("Identifiers of credentials, and the plaintexts that hold them", arguments: vectors)
  func identifiers(_ vector: Vector) throws {
    for (party, plaintext) in [("r", "plaintext_2"), ("i", "p_3")] {
      let encoded = vector["id_cred_\(party)"]
      guard let identifier = try? EDHOCCredentialIdentifier(headerMap: encoded) else {
        // In RFC 9528 a `kid` is a byte string.
        #expect(encoded.starts(with: [0xa1, 0x04]))
        continue
      }
      #expect(try identifier.headerMap() == encoded)
      let credential = try credential(vector, party)
      switch encoded[2] {
      case 33: #expect(identifier == credential.byValue)
      case 34: #expect(identifier == credential.byReference(truncated: true))
      default: #expect(identifier == .other(encoded))
      }
      let proof = try EDHOCPlaintext3(parsing: vector[plaintext])
      #expect(proof.identifier == identifier && proof.ead.isEmpty)
      #expect(proof.signatureOrMAC == vector["sig_or_mac_\(party == "r" ? 2 : 3)_raw"])
      #expect(try proof.encoded() == vector[plaintext])
    }
  }

  @Test("Encryption of message_2, message_3 and message_4", arguments: vectors)
  func encryption(_ vector: Vector) throws {
    let ciphertext2 = EDHOCKeySchedule.applyKeystream2(
      vector["plaintext_2"], key: vector.secret("prk_2e_raw"), transcript: vector["th_2_raw"])
    #expect(ciphertext2 == vector["ciphertext_2_raw"])
    // In the draft the credential was no part of the next transcript hash.
    let transcript3 = EDHOCKeySchedule.transcript(
      after: vector["th_2_raw"], plaintext: vector["plaintext_2"], credential: [])
    #expect(transcript3 == vector["th_3_raw"])
    let (prk3e2m, prk4e3m) = (vector.secret("prk_3e2m_raw"), vector.secret("prk_4e3m_raw"))
    #expect(EDHOCKeySchedule.kdf(prk3e2m, .key3, context: transcript3, length: 16) == vector["k_3_raw"])
    #expect(EDHOCKeySchedule.kdf(prk3e2m, .iv3, context: transcript3, length: 13) == vector["iv_3_raw"])
    let sealing3 = EDHOCSealing.message3(prk3e2m, transcript: transcript3, suite: .suite2)
    #expect(sealing3.seal(vector["p_3"]) == vector["ciphertext_3_raw"])
    #expect(sealing3.open(vector["ciphertext_3_raw"]) == vector["p_3"])
    #expect(try EDHOCMessage3(parsing: vector["message_3"]).ciphertext == vector["ciphertext_3_raw"])
    let transcript4 = EDHOCKeySchedule.transcript(after: transcript3, plaintext: vector["p_3"], credential: [])
    #expect(transcript4 == vector["th_4_raw"])
    #expect(EDHOCKeySchedule.kdf(prk4e3m, .key4, context: transcript4, length: 16) == vector["k_4_raw"])
    #expect(EDHOCKeySchedule.kdf(prk4e3m, .iv4, context: transcript4, length: 13) == vector["iv_4_raw"])
    let sealing4 = EDHOCSealing.message4(prk4e3m, transcript: transcript4, suite: .suite2)
    #expect(sealing4.seal([]) == vector["ciphertext_4_raw"])
    #expect(try EDHOCMessage4(ciphertext: vector["ciphertext_4_raw"]).encoded() == vector["message_4"])
  }

  @Test("Keys for the application", arguments: vectors)
  func exporter(_ vector: Vector) throws {
    let prk4e3m = vector.secret("prk_4e3m_raw")
    #expect(
      EDHOCKeySchedule.kdf(prk4e3m, .prkOut, context: vector["th_4_raw"], length: 32) == vector["prk_out"])
    for (prkOut, exporter) in [("prk_out", "prk_exporter"), ("prk_out_updated", "prk_exporter_update")] {
      #expect(
        EDHOCKeySchedule.kdf(vector.secret(prkOut), .prkExporter, context: [], length: 32) == vector[exporter])
    }
    for (exporter, names) in [
      ("prk_exporter", ("oscore_secret_raw", "oscore_salt_raw")),
      ("prk_exporter_update", ("oscore_secret_key_update_raw", "oscore_salt_key_update_raw")),
    ] {
      #expect(EDHOCKeySchedule.kdf(vector.secret(exporter), 0, context: [], length: 16) == vector[names.0])
      #expect(EDHOCKeySchedule.kdf(vector.secret(exporter), 1, context: [], length: 8) == vector[names.1])
    }
    let session = try EDHOCSession(
      role: .initiator, method: .staticDH, suite: .suite2,
      initiatorIdentifier: EDHOCConnectionIdentifier(vector["c_i"]),
      responderIdentifier: EDHOCConnectionIdentifier(vector["c_r"]), peer: credential(vector, "r"),
      prk4e3m: prk4e3m, transcript4: vector["th_4_raw"])
    #expect(
      try session.oscoreParameters()
        == EDHOCOSCOREParameters(
          masterSecret: vector["oscore_secret_raw"], masterSalt: vector["oscore_salt_raw"],
          senderID: vector["client_sender_id_raw"], recipientID: vector["server_sender_id_raw"]))
  }
}
