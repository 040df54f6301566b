import Crypto
import Foundation
import TestSupport
import Testing
import Wire

@testable import OSCORE

/// RFC 9528 in all methods and both suites, against a computation from the RFC that shares no code with this one.
@Suite(.enabled(if: EDHOCPeer.python != nil, "PANGATE_PYTHON is not set: tools/test sets it"))
struct EDHOCReferenceTests {
  private func set(_ job: inout EDHOCPeer.Job, _ way: EDHOCCase, _ identity: EDHOCIdentity) throws {
    job.method = way.method.rawValue
    job.suite = way.suite.rawValue
    job.credential = identity.credential.encoded.hex
    job.header = try identity.identifier.headerMap().hex
    job.key =
      switch identity.key {
      case .signature(let key): [UInt8](key.rawRepresentation).hex
      case .staticDH(let key): [UInt8](key.rawRepresentation).hex
      }
  }

  private func compare(_ session: EDHOCSession?, _ peer: EDHOCPeer) throws {
    var session = try #require(session)
    for round in 0..<2 {
      for (label, context, length) in [(0, [], 16), (1, [], 8), (40_000, [1, 2], 300)] as [(Int, [UInt8], Int)] {
        let theirs = try peer.bytes("export") {
          $0.label = label
          $0.context = context.hex
          $0.length = length
        }
        #expect(
          try theirs == session.export(label: UInt64(label), context: context, length: length),
          "label \(label), round \(round)")
      }
      try peer.run("update") { $0.context = "aabbcc" }
      session.updateKey(context: [0xaa, 0xbb, 0xcc])
    }
  }

  @Test("The other as the Initiator")
  func otherInitiator() throws {
    let peer = try EDHOCPeer("edhoc_reference")
    for way in EDHOCCase.all { try otherInitiator(way, peer) }
  }

  private func otherInitiator(_ way: EDHOCCase, _ peer: EDHOCPeer) throws {
    var generator = SeededGenerator(seed: 1)
    var pair = try EDHOCPair(way, generator: &generator)
    let items = pair.ead.map { $0.map(EDHOCPeer.Item.init) }
    try peer.run("initiator") { try? set(&$0, way, pair.initiatorIdentity) }
    let message1 = try peer.bytes("compose_1") {
      $0.identifier = pair.initiator.connectionIdentifier.bytes.hex
      $0.ead = items[0]
    }
    let received = try pair.responder.processMessage1(message1)
    #expect(received.connectionIdentifier == pair.initiator.connectionIdentifier)
    #expect(received.ead == EDHOCPair.visible(pair.ead[0]))
    let message2 = try pair.responder.composeMessage2(
      identity: pair.responderIdentity, connectionIdentifier: pair.responderIdentifier,
      ephemeralKey: pair.responderKey, ead: pair.ead[1])
    let claim = try peer.run("process_2") { $0.message = message2.hex }
    #expect(claim.identifier == pair.responderIdentifier.bytes.hex && claim.ead == items[1])
    try peer.run("verify_2") {
      $0.peer = pair.responderIdentity.credential.encoded.hex
      $0.point = pair.responderIdentity.credential.point.hex
    }
    let message3 = try peer.bytes("compose_3") { $0.ead = items[2] }
    let theirs = try pair.responder.processMessage3(message3)
    #expect(theirs.identifier == pair.initiatorIdentity.identifier)
    #expect(theirs.ead == EDHOCPair.visible(pair.ead[2]))
    try pair.responder.authenticate([pair.initiatorIdentity.credential])
    let message4 = try pair.responder.composeMessage4(ead: pair.ead[3])
    #expect(try peer.run("process_4") { $0.message = message4.hex }.ead == items[3])
    try compare(pair.responder.session, peer)
  }

  @Test("The other as the Responder")
  func otherResponder() throws {
    let peer = try EDHOCPeer("edhoc_reference")
    for way in EDHOCCase.all { try otherResponder(way, peer) }
  }

  private func otherResponder(_ way: EDHOCCase, _ peer: EDHOCPeer) throws {
    var generator = SeededGenerator(seed: 2)
    var pair = try EDHOCPair(way, generator: &generator)
    let items = pair.ead.map { $0.map(EDHOCPeer.Item.init) }
    try peer.run("responder") { try? set(&$0, way, pair.responderIdentity) }
    let message1 = try pair.initiator.composeMessage1(ead: pair.ead[0])
    #expect(try peer.run("process_1") { $0.message = message1.hex }.ead == items[0])
    let message2 = try peer.bytes("compose_2") {
      $0.identifier = pair.responderIdentifier.bytes.hex
      $0.ead = items[1]
    }
    let theirs = try pair.initiator.processMessage2(message2)
    #expect(theirs.identifier == pair.responderIdentity.identifier)
    #expect(theirs.ead == EDHOCPair.visible(pair.ead[1]))
    try pair.initiator.authenticate([pair.responderIdentity.credential])
    let message3 = try pair.initiator.composeMessage3(identity: pair.initiatorIdentity, ead: pair.ead[2])
    #expect(try peer.run("process_3") { $0.message = message3.hex }.ead == items[2])
    try peer.run("verify_3") {
      $0.peer = pair.initiatorIdentity.credential.encoded.hex
      $0.point = pair.initiatorIdentity.credential.point.hex
    }
    let message4 = try peer.bytes("compose_4") { $0.ead = items[3] }
    #expect(try pair.initiator.processMessage4(message4) == EDHOCPair.visible(pair.ead[3]))
    try compare(pair.initiator.session, peer)
  }
}
