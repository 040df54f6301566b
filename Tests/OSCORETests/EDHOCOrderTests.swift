import COSE
import Crypto
import TestSupport
import Testing
import Wire

@testable import OSCORE

/// RFC 9528, 5.1 and 6: the order of steps, error messages, negotiation of suites, identifiers and external data.
struct EDHOCOrderTests {
  private static let way = EDHOCCase(method: .staticDH, suite: .suite2, initiator: .keyID, responder: .keyID)

  private func outOfOrder(_ step: () throws -> Void) {
    #expect(throws: EDHOCFailure(.edhocUnexpectedMessage)) { try step() }
  }

  @Test("A step out of order throws and changes nothing")
  func order() throws {
    var generator = SeededGenerator(seed: 1)
    var pair = try EDHOCPair(Self.way, generator: &generator)
    /// Every step but the one that is due.
    func wrongSteps(initiator due: Int, responder dueThere: Int) throws {
      var (initiator, responder) = (pair.initiator, pair.responder)
      let steps: [() throws -> Void] = [
        { _ = try initiator.composeMessage1() }, { _ = try initiator.processMessage2([0x40]) },
        { try initiator.authenticate([pair.responderIdentity.credential]) },
        { _ = try initiator.composeMessage3(identity: pair.initiatorIdentity) },
        { try initiator.processMessage4([0x40]) },
      ]
      for (index, step) in steps.enumerated() where index != due { outOfOrder(step) }
      let stepsThere: [() throws -> Void] = [
        { try responder.processMessage1([0]) },
        {
          _ = try responder.composeMessage2(
            identity: pair.responderIdentity, connectionIdentifier: pair.responderIdentifier,
            ephemeralKey: pair.responderKey)
        }, { _ = try responder.processMessage3([0x40]) },
        { try responder.authenticate([pair.initiatorIdentity.credential]) }, { _ = try responder.composeMessage4() },
      ]
      for (index, step) in stepsThere.enumerated() where index != dueThere { outOfOrder(step) }
      #expect(!initiator.hasFailed && !responder.hasFailed)
      (pair.initiator, pair.responder) = (initiator, responder)
    }
    try wrongSteps(initiator: 0, responder: 0)
    let message1 = try pair.initiator.composeMessage1()
    try wrongSteps(initiator: 1, responder: 0)
    try pair.responder.processMessage1(message1)
    try wrongSteps(initiator: 1, responder: 1)
    let message2 = try pair.responder.composeMessage2(
      identity: pair.responderIdentity, connectionIdentifier: pair.responderIdentifier,
      ephemeralKey: pair.responderKey)
    #expect(pair.responder.connectionIdentifier == pair.responderIdentifier)
    try wrongSteps(initiator: 1, responder: 2)
    _ = try pair.initiator.processMessage2(message2)
    try wrongSteps(initiator: 2, responder: 2)
    try pair.initiator.authenticate([pair.responderIdentity.credential])
    try wrongSteps(initiator: 3, responder: 2)
    let message3 = try pair.initiator.composeMessage3(identity: pair.initiatorIdentity)
    try wrongSteps(initiator: 4, responder: 2)
    _ = try pair.responder.processMessage3(message3)
    try wrongSteps(initiator: 4, responder: 3)
    try pair.responder.authenticate([pair.initiatorIdentity.credential])
    try wrongSteps(initiator: 4, responder: 4)
    let message4 = try pair.responder.composeMessage4()
    try wrongSteps(initiator: 4, responder: 5)
    try pair.initiator.processMessage4(message4)
    try wrongSteps(initiator: 5, responder: 5)
    // A completed session survives whatever comes late.
    #expect(pair.initiator.session != nil && pair.responder.session != nil)
  }

  @Test("After a failure nothing goes on")
  func failure() throws {
    var generator = SeededGenerator(seed: 2)
    var pair = try EDHOCPair(Self.way, generator: &generator)
    let message1 = try pair.initiator.composeMessage1()
    var responder = pair.responder
    #expect(throws: EDHOCFailure.self) { try responder.processMessage1([0xff]) }
    #expect(responder.hasFailed)
    outOfOrder { try responder.processMessage1(message1) }
    try pair.responder.processMessage1(message1)
    let message2 = try pair.responder.composeMessage2(
      identity: pair.responderIdentity, connectionIdentifier: pair.responderIdentifier,
      ephemeralKey: pair.responderKey)
    var initiator = pair.initiator
    #expect(throws: EDHOCFailure.self) { _ = try initiator.processMessage2([0x41, 0]) }
    #expect(initiator.hasFailed)
    outOfOrder { _ = try initiator.processMessage2(message2) }
    #expect(throws: EDHOCFailure.self) { _ = try pair.responder.processMessage3([0x48] + generator.bytes(8)) }
    outOfOrder { _ = try pair.responder.composeMessage4() }
    #expect(pair.responder.session == nil && pair.responder.connectionIdentifier == nil)
  }

  @Test("A wrong message_4 takes the keys back", arguments: [EDHOCMessage4Use.optional, .required])
  func wrongMessage4(_ use: EDHOCMessage4Use) throws {
    var generator = SeededGenerator(seed: 11)
    var pair = try EDHOCPair(Self.way, message4: use, generator: &generator)
    var right: [UInt8] = []
    #expect(throws: EDHOCFailure(.edhocDecryptionFailed, reply: .unspecified("message_4 not accepted"))) {
      _ = try pair.run {
        guard $0 == 4 else { return $1 }
        right = $1
        return [0x48] + generator.bytes(8)
      }
    }
    #expect(pair.initiator.hasFailed && pair.initiator.session == nil)
    outOfOrder { try pair.initiator.processMessage4(right) }
  }

  @Test("An unknown credential is reported, in both directions")
  func unknownCredential() throws {
    var generator = SeededGenerator(seed: 3)
    var pair = try EDHOCPair(Self.way, generator: &generator)
    try pair.responder.processMessage1(pair.initiator.composeMessage1())
    let message2 = try pair.responder.composeMessage2(
      identity: pair.responderIdentity, connectionIdentifier: pair.responderIdentifier,
      ephemeralKey: pair.responderKey)
    _ = try pair.initiator.processMessage2(message2)
    var other = pair
    do {
      try other.initiator.authenticate([])
      Issue.record("believed nobody")
    } catch {
      #expect(error == EDHOCFailure(.edhocCredentialUnknown, reply: .unknownCredential))
      #expect(other.initiator.peerConnectionIdentifier == pair.responderIdentifier)
      // The Responder takes it in where message_3 was due.
      let reply = try #require(error.reply).encoded()
      #expect(reply == [0x03, 0xf5])
      #expect(throws: EDHOCFailure(.edhocPeerError, received: .unknownCredential)) {
        _ = try other.responder.processMessage3(reply)
      }
      #expect(other.responder.hasFailed)
    }
    try pair.initiator.authenticate([pair.responderIdentity.credential])
    _ = try pair.responder.processMessage3(pair.initiator.composeMessage3(identity: pair.initiatorIdentity))
    #expect(throws: EDHOCFailure(.edhocCredentialUnknown, reply: .unknownCredential)) {
      try pair.responder.authenticate([])
    }
    #expect(throws: EDHOCFailure(.edhocPeerError, received: .unknownCredential)) {
      try pair.initiator.processMessage4([0x03, 0xf5])
    }
    #expect(pair.initiator.session == nil)
  }

  @Test("An error message ends the Initiator's session, whatever it says")
  func errorMessages() throws {
    let messages: [([UInt8], EDHOCErrorMessage?)] = [
      ([0x01, 0x62, 0x6e, 0x6f], .unspecified("no")),
      ([0x02, 0x82, 0x03, 0x18, 0x18], .wrongSelectedCipherSuite([.suite3, EDHOCCipherSuite(rawValue: 24)])),
      ([0x03, 0xf5], .unknownCredential), ([0x20, 0xa0], .other(code: -1, information: [:])), ([0x00, 0x00], nil),
      ([0x01], nil),
    ]
    for (bytes, expected) in messages {
      var generator = SeededGenerator(seed: 4)
      var pair = try EDHOCPair(Self.way, generator: &generator)
      _ = try pair.initiator.composeMessage1()
      #expect(throws: EDHOCFailure(.edhocPeerError, received: expected)) {
        _ = try pair.initiator.processMessage2(bytes)
      }
      #expect(pair.initiator.hasFailed)
    }
  }

  private func attempt(
    _ preferred: [EDHOCCipherSuite], selecting: EDHOCCipherSuite, _ supported: [EDHOCCipherSuite]
  ) throws -> Result<EDHOCMessage1, EDHOCFailure> {
    var generator = SeededGenerator(seed: 5)
    var initiator = try EDHOCInitiator(
      profile: EDHOCProfile(suites: preferred), selecting: selecting,
      connectionIdentifier: EDHOCConnectionIdentifier([1]), ephemeralKey: EDHOCFixtures.ephemeral(&generator))
    var responder = EDHOCResponder(profile: EDHOCProfile(suites: supported))
    let message1 = try initiator.composeMessage1()
    return Result { () throws(EDHOCFailure) in try responder.processMessage1(message1) }
  }

  @Test("The suite is the first of the Initiator's that both support")
  func negotiation() throws {
    let refusals: [([EDHOCCipherSuite], EDHOCCipherSuite, [EDHOCCipherSuite], [EDHOCCipherSuite])] = [
      ([.suite2], .suite2, [.suite3], [.suite3]), ([.suite3], .suite3, [.suite2], [.suite2]),
      // The Responder supports what the Initiator prefers to the selected one.
      ([.suite3, .suite2], .suite2, [.suite2, .suite3], [.suite3]),
      ([.suite2, .suite3], .suite3, [.suite2], [.suite2]),
      ([.suite2], .suite2, [EDHOCCipherSuite(rawValue: 6), .suite3], [.suite3]),
    ]
    for (preferred, selected, supported, offered) in refusals {
      guard case .failure(let failure) = try attempt(preferred, selecting: selected, supported) else {
        Issue.record("\(preferred) \(selected) accepted by \(supported)")
        continue
      }
      #expect(failure == EDHOCFailure(.edhocSuiteUnsupported, reply: .wrongSelectedCipherSuite(offered)))
    }
    for (preferred, selected, supported) in [
      ([.suite2, .suite3], EDHOCCipherSuite.suite3, [.suite3]), ([.suite3, .suite2], .suite2, [.suite2]),
      ([EDHOCCipherSuite(rawValue: 6), .suite2], .suite2, [EDHOCCipherSuite.suite3, .suite2]),
    ] {
      let message = try attempt(preferred, selecting: selected, supported).get()
      #expect(message.suites == preferred && message.selectedSuite == selected)
    }
    #expect(EDHOCCipherSuite.select(from: [.suite2, .suite3], offered: [.suite3]) == .suite3)
    #expect(EDHOCCipherSuite.select(from: [.suite3, .suite2], offered: [.suite2, .suite3]) == .suite3)
    let suite6 = EDHOCCipherSuite(rawValue: 6)
    #expect(EDHOCCipherSuite.select(from: [suite6, .suite2], offered: [suite6, .suite2]) == .suite2)
    #expect(EDHOCCipherSuite.select(from: [.suite2], offered: [.suite3]) == nil)
    #expect(throws: ParseError(.edhocSuiteUnsupported)) {
      _ = try attempt([suite6], selecting: suite6, [.suite2])
    }
  }

  @Test("Methods that the profile does not have are refused")
  func methods() throws {
    var generator = SeededGenerator(seed: 6)
    for method in 0...4 as ClosedRange<Int64> {
      let message = EDHOCMessage1(
        method: EDHOCMethod(rawValue: method), suites: [.suite2],
        ephemeralKey: EDHOCFixtures.ephemeral(&generator).publicKey.xCoordinate,
        connectionIdentifier: EDHOCConnectionIdentifier([]))
      var responder = EDHOCResponder(profile: EDHOCProfile(methods: [.staticDH, EDHOCMethod(rawValue: 4)]))
      let bytes = try message.encoded()
      if method == 3 {
        #expect(try responder.processMessage1(bytes) == message)
      } else {
        #expect(throws: EDHOCFailure(.edhocMethodUnsupported, reply: .unspecified("Method not supported"))) {
          try responder.processMessage1(bytes)
        }
      }
    }
  }

  @Test("The parties must have different connection identifiers, and OSCORE's must be short")
  func connectionIdentifiers() throws {
    var generator = SeededGenerator(seed: 7)
    let pair = try EDHOCPair(Self.way, generator: &generator)
    var same = pair
    same.responderIdentifier = pair.initiator.connectionIdentifier
    do {
      _ = try same.run()
      Issue.record("one identifier for both")
    } catch let failure as EDHOCFailure { #expect(failure.reason == .edhocConnectionIdentifierInvalid) }

    // A Responder that does it all the same.
    var (initiator, responder) = (pair.initiator, pair.responder)
    let message1 = try initiator.composeMessage1()
    try responder.processMessage1(message1)
    let transcript = EDHOCKeySchedule.transcript2(
      ephemeralKey: pair.responderKey.publicKey.xCoordinate, message1: message1)
    let peer = try #require(P256.KeyAgreement.PublicKey(xCoordinate: EDHOCMessage1(parsing: message1).ephemeralKey))
    let prk2e = EDHOCKeySchedule.extract(
      salt: transcript, try pair.responderKey.sharedSecretFromKeyAgreement(with: peer))
    let plaintext = EDHOCPlaintext2(
      connectionIdentifier: initiator.connectionIdentifier,
      proof: EDHOCPlaintext3(identifier: .keyID([1]), signatureOrMAC: generator.bytes(8), ead: []))
    let ciphertext = try #require(
      EDHOCKeySchedule.applyKeystream2(plaintext.encoded(), key: prk2e, transcript: transcript))
    let message2 = EDHOCMessage2(ephemeralKey: pair.responderKey.publicKey.xCoordinate, ciphertext: ciphertext)
    do {
      _ = try initiator.processMessage2(message2.encoded())
      Issue.record("one identifier for both")
    } catch let failure as EDHOCFailure { #expect(failure.reason == .edhocConnectionIdentifierInvalid) }

    var long = pair
    long.responderIdentifier = EDHOCConnectionIdentifier(generator.bytes(8))
    let session = try long.run().initiator
    #expect(throws: ParseError(.edhocConnectionIdentifierInvalid)) { try session.oscoreParameters() }
    #expect(throws: EmitError.notRepresentable) { try session.export(label: 2, length: 8161) }
    #expect(throws: EmitError.notRepresentable) { try session.export(label: 2, length: -1) }
    #expect(try session.export(label: 2, length: 8160).count == 8160)
  }

  @Test("A critical item that is not understood is refused in each message", arguments: 0..<4)
  func criticalItems(_ index: Int) throws {
    var generator = SeededGenerator(seed: 8)
    let pair = try EDHOCPair(Self.way, generator: &generator)
    var (harmless, critical) = (pair, pair)
    harmless.ead[index] = [EDHOCEADItem(label: 8, value: [1])]
    _ = try harmless.run()
    critical.ead[index] = [EDHOCEADItem(label: 8, isCritical: true, value: [1])]
    do {
      _ = try critical.run()
      Issue.record("an unknown critical item was passed over")
    } catch let failure as EDHOCFailure {
      #expect(failure.reason == .edhocCriticalUnknown)
      #expect(failure.reply == .unspecified("message_\(index + 1) not accepted"))
    }
  }

  @Test("Of several credentials with one name the right one is found")
  func candidates() throws {
    var generator = SeededGenerator(seed: 9)
    var pair = try EDHOCPair(Self.way, generator: &generator)
    let (session, _) = try pair.run()
    #expect(session.peer == pair.responderIdentity.credential)
    // The candidates of the run were two, the wrong one first.
    #expect(pair.initiatorIdentity.credential != pair.responderIdentity.credential)
  }

  @Test("Nothing that is printed holds a secret")
  func descriptions() throws {
    var generator = SeededGenerator(seed: 10)
    var pair = try EDHOCPair(Self.way, generator: &generator)
    let (session, _) = try pair.run()
    let parameters = try session.oscoreParameters()
    var printed = ""
    for value in [
      session, parameters, pair.initiator, pair.responder, pair.initiatorIdentity, pair.initiatorIdentity.key,
    ]
      as [Any]
    {
      dump(value, to: &printed)
      printed += "\(value) \(String(reflecting: value))"
    }
    #expect(printed.contains(parameters.senderID.hex))
    for secret in [parameters.masterSecret, parameters.masterSalt] {
      #expect(!printed.contains(secret.hex) && !printed.contains("\(secret)".dropFirst().dropLast()))
      #expect(!printed.contains("\(secret[0])\n- \(secret[1])\n"))
    }
    #expect(!printed.contains("masterSecret") && !printed.contains("prk"))
  }
}
