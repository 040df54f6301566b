import Crypto
import Foundation
import TestSupport
import Testing
import Wire

@testable import OSCORE

/// RFC 9528, 5: whole sessions in every method, suite and way to name a credential, and what breaks them.
struct EDHOCSessionTests {
  @Test("The parties agree on keys and identifiers", arguments: EDHOCCase.all)
  func agreement(_ way: EDHOCCase) throws {
    var generator = SeededGenerator(seed: 1)
    for message4 in [EDHOCMessage4Use.required, .optional, .unused] {
      var pair = try EDHOCPair(way, message4: message4, generator: &generator)
      var (initiator, responder) = try pair.run()
      let keys = try initiator.oscoreParameters()
      let mirrored = try responder.oscoreParameters()
      #expect(keys.masterSecret == mirrored.masterSecret && keys.masterSalt == mirrored.masterSalt)
      #expect(keys.senderID == mirrored.recipientID && keys.recipientID == mirrored.senderID)
      #expect(keys.senderID == pair.responderIdentifier.bytes)
      #expect(keys.recipientID == pair.initiator.connectionIdentifier.bytes)
      #expect(keys.masterSecret.count == 16 && keys.masterSalt.count == 8)
      #expect(initiator.peer == pair.responderIdentity.credential)
      #expect(responder.peer == pair.initiatorIdentity.credential)
      #expect(initiator.role == .initiator && responder.role == .responder)
      #expect(responder.method == way.method && responder.suite == way.suite)
      let exported = try initiator.export(label: 40_000, context: [1, 2], length: 100)
      #expect(try exported == responder.export(label: 40_000, context: [1, 2], length: 100))
      #expect(try exported != initiator.export(label: 40_001, context: [1, 2], length: 100))
      #expect(try exported != initiator.export(label: 40_000, context: [1], length: 100))
      initiator.updateKey(context: [9])
      responder.updateKey(context: [9])
      #expect(try initiator.oscoreParameters().masterSecret == responder.oscoreParameters().masterSecret)
      #expect(try initiator.oscoreParameters().masterSecret != keys.masterSecret)
      responder.updateKey(context: [9])
      #expect(try initiator.oscoreParameters().masterSecret != responder.oscoreParameters().masterSecret)
    }
  }

  @Test(
    "Messages are as long as RFC 9528, 1.2 has them with suite 2, and longer by MACs and tags with suite 3",
    arguments: [
      (EDHOCMethod.staticDH, EDHOCCipherSuite.suite2, false, [37, 45, 19, 9]),
      (.staticDH, .suite2, true, [37, 58, 33, 9]),
      (.signature, .suite2, false, [37, 102, 77, 9]), (.signature, .suite2, true, [37, 115, 90, 9]),
      (.staticDH, .suite3, false, [37, 53, 36, 17]), (.staticDH, .suite3, true, [37, 66, 49, 17]),
      (.signature, .suite3, false, [37, 102, 85, 17]), (.signatureAndStaticDH, .suite3, false, [37, 53, 85, 17]),
    ])
  func lengths(method: EDHOCMethod, suite: EDHOCCipherSuite, x5t: Bool, expected: [Int]) throws {
    var generator = SeededGenerator(seed: 7)
    let naming = x5t ? EDHOCNaming.truncatedX5t : .keyID
    var pair = try EDHOCPair(
      EDHOCCase(method: method, suite: suite, initiator: naming, responder: naming), generator: &generator)
    pair.initiator = try EDHOCInitiator(
      profile: pair.profile, method: method, selecting: suite, connectionIdentifier: EDHOCConnectionIdentifier([1]),
      ephemeralKey: EDHOCFixtures.ephemeral(&generator))
    pair.responderIdentifier = EDHOCConnectionIdentifier([2])
    pair.ead = [[], [], [], []]
    if !x5t {
      let names = try [pair.initiatorIdentity, pair.responderIdentity].map {
        try EDHOCIdentity($0.credential, identifiedBy: .keyID([3]), key: $0.key)
      }
      (pair.initiatorIdentity, pair.responderIdentity) = (names[0], names[1])
    }
    var lengths: [Int] = []
    _ = try pair.run {
      lengths.append($1.count)
      return $1
    }
    #expect(lengths == expected)
  }

  @Test("Two sessions of the same parties have nothing in common")
  func freshness() throws {
    var generator = SeededGenerator(seed: 2)
    let pair = try EDHOCPair(EDHOCCase.all[0], generator: &generator)
    var (one, other) = (pair, pair)
    other.responderKey = EDHOCFixtures.ephemeral(&generator)
    let keys = try (one.run().initiator.oscoreParameters(), other.run().initiator.oscoreParameters())
    #expect(keys.0.masterSecret != keys.1.masterSecret && keys.0.masterSalt != keys.1.masterSalt)
  }

  @Test("A change of any byte of any message is refused", arguments: EDHOCCase.some)
  func tampering(_ way: EDHOCCase) throws {
    var generator = SeededGenerator(seed: 3)
    let pair = try EDHOCPair(way, generator: &generator)
    var lengths: [Int: Int] = [:]
    var honest = pair
    _ = try honest.run {
      lengths[$0] = $1.count
      return $1
    }
    #expect(lengths.count == 4)
    for (number, length) in lengths.sorted(by: { $0.key < $1.key }) {
      for index in 0..<length {
        let mask = UInt8.random(in: 1...255, using: &generator)
        var changed = pair
        #expect(throws: EDHOCFailure.self, "message_\(number), byte \(index) ^ \(mask)") {
          _ = try changed.run {
            guard $0 == number else { return $1 }
            var bytes = $1
            // Signatures are not made the same twice, and the lengths of what is encoded are.
            if index < bytes.count { bytes[index] ^= mask }
            return bytes
          }
        }
        #expect(changed.initiator.session == nil)
        #expect(number == 4 || changed.responder.session == nil)
      }
    }
  }

  @Test("A message that is cut, longer or of another session is refused", arguments: EDHOCCase.some)
  func otherLengths(_ way: EDHOCCase) throws {
    var generator = SeededGenerator(seed: 4)
    let pair = try EDHOCPair(way, generator: &generator)
    var other: [Int: [UInt8]] = [:]
    var elsewhere = try EDHOCPair(way, generator: &generator)
    _ = try elsewhere.run {
      other[$0] = $1
      return $1
    }
    for number in 1...4 {
      let changes: [([UInt8]) -> [UInt8]] = [
        { [UInt8]($0.dropLast()) }, { $0 + [0] }, { $0 + [0x40] }, { _ in [] }, { _ in other[number] ?? [] },
        { _ in [UInt8](repeating: 0xff, count: 5000) },
      ]
      for change in changes {
        var changed = pair
        #expect(throws: EDHOCFailure.self) {
          _ = try changed.run { $0 == number ? change($1) : $1 }
        }
      }
    }
  }

  @Test("A key of the wrong party, or of the wrong kind, is refused", arguments: EDHOCCase.some)
  func impostors(_ way: EDHOCCase) throws {
    var generator = SeededGenerator(seed: 5)
    var pair = try EDHOCPair(way, generator: &generator)
    let impostor = try EDHOCPair.identity(way.responder, signs: way.method.responderSigns, &generator)
    let message1 = try pair.initiator.composeMessage1()
    try pair.responder.processMessage1(message1)
    let accepted = pair.responder
    let message2 = try pair.responder.composeMessage2(
      identity: impostor, connectionIdentifier: pair.responderIdentifier, ephemeralKey: pair.responderKey)
    _ = try pair.initiator.processMessage2(message2)
    do {
      try pair.initiator.authenticate([pair.responderIdentity.credential])
      Issue.record("an impostor was believed")
    } catch {
      #expect(error.reason == .edhocAuthenticationFailed)
      #expect(error.reply == .unspecified("message_2 not accepted"))
    }
    #expect(pair.initiator.hasFailed && pair.initiator.session == nil)
    let wrongKind = try EDHOCPair.identity(way.responder, signs: !way.method.responderSigns, &generator)
    pair.responder = accepted
    do {
      _ = try pair.responder.composeMessage2(
        identity: wrongKind, connectionIdentifier: pair.responderIdentifier, ephemeralKey: pair.responderKey)
      Issue.record("the wrong kind of key was used")
    } catch { #expect(error.reason == .edhocCredentialInvalid) }
    #expect(pair.responder.hasFailed)
    #expect(throws: ParseError(.edhocCredentialInvalid)) {
      try EDHOCIdentity(
        pair.responderIdentity.credential, identifiedBy: .keyID([1]), key: pair.initiatorIdentity.key)
    }
  }

  @Test("An Initiator that is not who it claims to be is refused", arguments: EDHOCCase.some)
  func initiatorImpostor(_ way: EDHOCCase) throws {
    var generator = SeededGenerator(seed: 6)
    var pair = try EDHOCPair(way, generator: &generator)
    let expected = pair.initiatorIdentity.credential
    pair.initiatorIdentity = try EDHOCPair.identity(way.initiator, signs: way.method.initiatorSigns, &generator)
    try pair.responder.processMessage1(pair.initiator.composeMessage1())
    let message2 = try pair.responder.composeMessage2(
      identity: pair.responderIdentity, connectionIdentifier: pair.responderIdentifier,
      ephemeralKey: pair.responderKey)
    _ = try pair.initiator.processMessage2(message2)
    try pair.initiator.authenticate([pair.responderIdentity.credential])
    _ = try pair.responder.processMessage3(pair.initiator.composeMessage3(identity: pair.initiatorIdentity))
    do {
      try pair.responder.authenticate([expected])
      Issue.record("an impostor was believed")
    } catch { #expect(error.reason == .edhocAuthenticationFailed) }
    #expect(pair.responder.hasFailed && pair.responder.session == nil)
  }
}
