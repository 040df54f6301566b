import COSE
import Crypto
import Foundation
import TestSupport
import Testing
import Wire

@testable import OSCORE

/// RFC 9528 between two implementations: this one and lakers.
@Suite(.enabled(if: EDHOCPeer.python != nil, "PANGATE_PYTHON is not set: tools/test sets it"))
struct EDHOCPeerTests {
  /// How a session with the peer goes.
  struct Way: Sendable, CustomTestStringConvertible {
    var initiatorByValue: Bool
    var responderByValue: Bool
    var message4: Bool
    var ead: Bool

    static let all: [Way] = (0..<16).map {
      Way(initiatorByValue: $0 & 1 == 1, responderByValue: $0 & 2 == 2, message4: $0 & 4 == 4, ead: $0 & 8 == 8)
    }

    var testDescription: String {
      "\(initiatorByValue ? "value" : "kid") \(responderByValue ? "value" : "kid") message_4 \(message4) EAD \(ead)"
    }
  }

  private struct Party {
    var key: P256.KeyAgreement.PrivateKey
    var identity: EDHOCIdentity

    init(kid: UInt8, byValue: Bool, _ generator: inout SeededGenerator) throws {
      key = EDHOCFixtures.ephemeral(&generator)
      let credential = try EDHOCCredential(point: key.publicKey.point, keyID: [kid], subject: "party \(kid)")
      identity = try EDHOCIdentity(
        credential, identifiedBy: byValue ? credential.byValue : .keyID([kid]), key: .staticDH(key))
    }

    var scalar: String { [UInt8](key.rawRepresentation).hex }
    var credential: String { identity.credential.encoded.hex }
  }

  /// lakers takes labels of 16 bits and values of some length.
  private static let ead = [
    EDHOCEADItem(label: 7, isCritical: true, value: [1, 2, 3]), EDHOCEADItem(label: 300),
    EDHOCEADItem(label: 8, value: []),
  ]

  private func compare(_ session: EDHOCSession, _ peer: EDHOCPeer, _ expected: (sender: [UInt8], recipient: [UInt8]))
    throws
  {
    var session = session
    for round in 0..<2 {
      let parameters = try session.oscoreParameters()
      for (label, length, ours) in [(0, 16, parameters.masterSecret), (1, 8, parameters.masterSalt)] {
        let theirs = try peer.bytes("export") {
          $0.label = label
          $0.context = ""
          $0.length = length
        }
        #expect(theirs == ours, "label \(label), round \(round)")
      }
      #expect(parameters.senderID == expected.sender && parameters.recipientID == expected.recipient)
      // lakers 0.6.2 writes a label over 23 as one byte that is no CBOR integer.
      let theirs = try peer.bytes("export") {
        $0.label = 2
        $0.context = "0102"
        $0.length = 77
      }
      #expect(try theirs == session.export(label: 2, context: [1, 2], length: 77))
      try peer.run("update") { $0.context = "aabbcc" }
      session.updateKey(context: [0xaa, 0xbb, 0xcc])
    }
  }

  @Test("lakers as the Initiator", arguments: Way.all)
  func theirInitiator(_ way: Way) throws {
    var generator = SeededGenerator(seed: 1)
    let initiator = try Party(kid: 0x2b, byValue: way.initiatorByValue, &generator)
    let responder = try Party(kid: 0x83, byValue: way.responderByValue, &generator)
    let ead = way.ead ? Self.ead : []
    let items = ead.map(EDHOCPeer.Item.init)
    let peer = try EDHOCPeer()
    var own = EDHOCResponder(
      profile: EDHOCProfile(message4: way.message4 ? .required : .unused, understoodEAD: [7]))
    try peer.run("initiator")
    let message1 = try peer.bytes("compose_1") {
      $0.identifier = "0a"
      $0.ead = items
    }
    let received = try own.processMessage1(message1)
    #expect(received.connectionIdentifier.bytes == [0x0a] && received.ead == ead)
    let message2 = try own.composeMessage2(
      identity: responder.identity, connectionIdentifier: EDHOCConnectionIdentifier([0x2c, 0x99]),
      ephemeralKey: EDHOCFixtures.ephemeral(&generator), ead: ead)
    let claim = try peer.run("process_2") { $0.message = message2.hex }
    #expect(claim.identifier == "2c99" && claim.ead == items)
    #expect(try claim.credential == responder.identity.identifier.headerMap().hex)
    try peer.run("verify_2") {
      $0.key = initiator.scalar
      $0.credential = initiator.credential
      $0.peer = responder.credential
    }
    let message3 = try peer.bytes("compose_3") {
      $0.byValue = way.initiatorByValue
      $0.ead = items
    }
    #expect(
      try own.processMessage3(message3) == EDHOCPeerClaim(identifier: initiator.identity.identifier, ead: ead))
    try own.authenticate([initiator.identity.credential])
    if way.message4 {
      let message4 = try own.composeMessage4(ead: ead)
      #expect(try peer.run("process_4") { $0.message = message4.hex }.ead == items)
    } else {
      try peer.run("complete")
    }
    try compare(try #require(own.session), peer, (sender: [0x0a], recipient: [0x2c, 0x99]))
  }

  @Test("lakers as the Responder", arguments: Way.all)
  func theirResponder(_ way: Way) throws {
    var generator = SeededGenerator(seed: 2)
    let initiator = try Party(kid: 0x2b, byValue: way.initiatorByValue, &generator)
    let responder = try Party(kid: 0x83, byValue: way.responderByValue, &generator)
    let ead = way.ead ? Self.ead : []
    let items = ead.map(EDHOCPeer.Item.init)
    let peer = try EDHOCPeer()
    var own = try EDHOCInitiator(
      profile: EDHOCProfile(message4: way.message4 ? .required : .unused, understoodEAD: [7]),
      connectionIdentifier: EDHOCConnectionIdentifier([0x37]), ephemeralKey: EDHOCFixtures.ephemeral(&generator))
    try peer.run("responder") {
      $0.key = responder.scalar
      $0.credential = responder.credential
    }
    let message1 = try own.composeMessage1(ead: ead)
    let received = try peer.run("process_1") { $0.message = message1.hex }
    #expect(received.identifier == "37" && received.ead == items)
    let message2 = try peer.bytes("compose_2") {
      $0.identifier = "1234"
      $0.byValue = way.responderByValue
      $0.ead = items
    }
    #expect(
      try own.processMessage2(message2) == EDHOCPeerClaim(identifier: responder.identity.identifier, ead: ead))
    try own.authenticate([responder.identity.credential])
    #expect(own.peerConnectionIdentifier?.bytes == [0x12, 0x34])
    let message3 = try own.composeMessage3(identity: initiator.identity, ead: ead)
    let claim = try peer.run("process_3") { $0.message = message3.hex }
    #expect(try claim.credential == initiator.identity.identifier.headerMap().hex && claim.ead == items)
    try peer.run("verify_3") { $0.peer = initiator.credential }
    if way.message4 {
      let message4 = try peer.bytes("compose_4") { $0.ead = items }
      #expect(try own.processMessage4(message4) == ead)
    } else {
      try peer.run("complete")
    }
    try compare(try #require(own.session), peer, (sender: [0x12, 0x34], recipient: [0x37]))
  }

  @Test("Each side refuses the other with the wrong credential")
  func wrongCredentials() throws {
    var generator = SeededGenerator(seed: 3)
    let initiator = try Party(kid: 0x2b, byValue: false, &generator)
    let responder = try Party(kid: 0x83, byValue: false, &generator)
    let stranger = try Party(kid: 0x83, byValue: false, &generator)
    let profile = EDHOCProfile()

    let peer = try EDHOCPeer()
    var own = EDHOCResponder(profile: profile)
    try peer.run("initiator")
    try own.processMessage1(peer.bytes("compose_1") { $0.identifier = "0a" })
    let message2 = try own.composeMessage2(
      identity: stranger.identity, connectionIdentifier: EDHOCConnectionIdentifier([1]),
      ephemeralKey: EDHOCFixtures.ephemeral(&generator))
    try peer.run("process_2") { $0.message = message2.hex }
    let verdict = try peer.answer("verify_2") {
      $0.key = initiator.scalar
      $0.credential = initiator.credential
      $0.peer = responder.credential
    }
    #expect(verdict.error != nil)

    let other = try EDHOCPeer()
    var ownInitiator = try EDHOCInitiator(
      profile: profile, connectionIdentifier: EDHOCConnectionIdentifier([2]),
      ephemeralKey: EDHOCFixtures.ephemeral(&generator))
    try other.run("responder") {
      $0.key = stranger.scalar
      $0.credential = stranger.credential
    }
    let message1 = try ownInitiator.composeMessage1()
    try other.run("process_1") { $0.message = message1.hex }
    let theirs = try other.bytes("compose_2") {
      $0.identifier = "03"
      $0.byValue = false
    }
    #expect(try ownInitiator.processMessage2(theirs).identifier == .keyID([0x83]))
    do {
      try ownInitiator.authenticate([responder.identity.credential])
      Issue.record("believed a stranger")
    } catch { #expect(error.reason == .edhocAuthenticationFailed) }
  }

  @Test("lakers refuses suite 3, and its Initiator takes suite 2 from our Responder only")
  func suites() throws {
    var generator = SeededGenerator(seed: 4)
    let responder = try Party(kid: 1, byValue: false, &generator)
    let peer = try EDHOCPeer()
    try peer.run("responder") {
      $0.key = responder.scalar
      $0.credential = responder.credential
    }
    var own = try EDHOCInitiator(
      profile: EDHOCProfile(suites: [.suite3]), selecting: .suite3,
      connectionIdentifier: EDHOCConnectionIdentifier([2]),
      ephemeralKey: EDHOCFixtures.ephemeral(&generator))
    let message1 = try own.composeMessage1()
    #expect(try peer.answer("process_1") { $0.message = message1.hex }.error != nil)
    let other = try EDHOCPeer()
    try other.run("initiator")
    var ownResponder = EDHOCResponder(profile: EDHOCProfile(suites: [.suite3]))
    let theirs = try other.bytes("compose_1") { $0.identifier = "0a" }
    #expect(throws: EDHOCFailure(.edhocSuiteUnsupported, reply: .wrongSelectedCipherSuite([.suite3]))) {
      try ownResponder.processMessage1(theirs)
    }
  }
}
