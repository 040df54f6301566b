import CoAP
import Crypto
import TestSupport
import Testing
import Wire

@testable import OSCORE

/// RFC 9528, appendix A.2, and RFC 9668: EDHOC in CoAP, forward and reverse, and with the first OSCORE request.
struct EDHOCTransportTests {
  private static let way = EDHOCCase(
    method: .staticDHAndSignature, suite: .suite3, initiator: .claimsSet, responder: .x5t)

  /// What goes over the wire and comes back the same.
  private func carried(_ request: CoAPRequest) throws -> CoAPRequest {
    let message = CoAPMessage(
      type: .confirmable, code: request.code, messageID: 1, options: request.options, payload: request.payload)
    let parsed = try CoAPMessage(parsing: message.encoded())
    return CoAPRequest(code: parsed.code, options: parsed.options, payload: parsed.payload)
  }

  @Test("The client as the Initiator")
  func forward() throws {
    var generator = SeededGenerator(seed: 1)
    var pair = try EDHOCPair(Self.way, generator: &generator)
    let first = try carried(CoAPRequest(edhoc: .message1(pair.initiator.composeMessage1())))
    #expect(first.code == .post && first.uriPath == [".well-known", "edhoc"] && first.payload.first == 0xf5)
    #expect(first.contentFormat?.rawValue == 65)
    guard case .message1(let message1) = try first.edhocPayload() else {
      Issue.record("\(first) does not begin a session")
      return
    }
    try pair.responder.processMessage1(message1)
    let answer = try CoAPResponse(
      edhocMessage: pair.responder.composeMessage2(
        identity: pair.responderIdentity, connectionIdentifier: pair.responderIdentifier,
        ephemeralKey: pair.responderKey))
    #expect(answer.code == .changed && answer.contentFormat?.rawValue == 64)
    _ = try pair.initiator.processMessage2(answer.edhocMessage())
    try pair.initiator.authenticate([pair.responderIdentity.credential])
    let identifier = try #require(pair.initiator.peerConnectionIdentifier)
    let second = try carried(
      CoAPRequest(edhoc: .identified(identifier, pair.initiator.composeMessage3(identity: pair.initiatorIdentity))))
    #expect(second.payload.starts(with: identifier.encoding))
    guard case .identified(pair.responder.connectionIdentifier, let message3) = try second.edhocPayload() else {
      Issue.record("\(second) does not go on")
      return
    }
    _ = try pair.responder.processMessage3(message3)
    try pair.responder.authenticate([pair.initiatorIdentity.credential])
    let last = try CoAPResponse(edhocMessage: pair.responder.composeMessage4())
    try pair.initiator.processMessage4(last.edhocMessage())
    let keys = try #require(try pair.initiator.session?.oscoreParameters())
    #expect(try keys.masterSecret == pair.responder.session?.oscoreParameters().masterSecret)
  }

  @Test("The server as the Initiator: the identifiers of OSCORE go with the parties")
  func reverse() throws {
    var generator = SeededGenerator(seed: 2)
    var pair = try EDHOCPair(Self.way, message4: .unused, generator: &generator)
    let trigger = try carried(CoAPRequest(edhoc: .trigger))
    #expect(trigger.payload.isEmpty && trigger.contentFormat == nil)
    #expect(try trigger.edhocPayload() == .trigger)
    let message1 = try CoAPResponse(edhocMessage: pair.initiator.composeMessage1()).edhocMessage()
    let received = try pair.responder.processMessage1(message1)
    let second = try carried(
      CoAPRequest(
        edhoc: .identified(
          received.connectionIdentifier,
          pair.responder.composeMessage2(
            identity: pair.responderIdentity, connectionIdentifier: pair.responderIdentifier,
            ephemeralKey: pair.responderKey))))
    guard case .identified(pair.initiator.connectionIdentifier, let message2) = try second.edhocPayload() else {
      Issue.record("\(second) does not go on")
      return
    }
    _ = try pair.initiator.processMessage2(message2)
    try pair.initiator.authenticate([pair.responderIdentity.credential])
    let answer = try CoAPResponse(edhocMessage: pair.initiator.composeMessage3(identity: pair.initiatorIdentity))
    _ = try pair.responder.processMessage3(answer.edhocMessage())
    try pair.responder.authenticate([pair.initiatorIdentity.credential])
    let client = try #require(try pair.responder.session?.oscoreParameters())
    let server = try #require(try pair.initiator.session?.oscoreParameters())
    #expect(client.senderID == pair.initiator.connectionIdentifier.bytes && client.senderID == server.recipientID)
    #expect(client.recipientID == pair.responderIdentifier.bytes && client.recipientID == server.senderID)
  }

  @Test("Messages without a content format are taken, other requests are not")
  func contentFormats() throws {
    let plain = CoAPRequest(.post, path: CoAPRequest.edhocPath, payload: [0xf5, 1])
    #expect(try plain.edhocPayload() == .message1([1]))
    var other = plain
    other.contentFormat = .edhoc
    #expect(throws: ParseError(.unsupported)) { try other.edhocPayload() }
    other = plain
    other.options[values: .contentFormat] = [[0, 0, 0, 0, 0, 0, 0, 0, 0]]
    #expect(throws: ParseError(.unsupported)) { try other.edhocPayload() }
    #expect(throws: ParseError(.unsupported)) {
      try CoAPRequest(.get, path: CoAPRequest.edhocPath, payload: [0xf5, 1]).edhocPayload()
    }
    #expect(throws: ParseError(.unsupported)) {
      try CoAPRequest(.post, path: [".well-known", "core"], payload: [0xf5, 1]).edhocPayload()
    }
    for payload in [[0xf5], [0x27], [0x41], [0x41, 0x27, 1], [0xf4, 1], [0xa0, 1]] as [[UInt8]] {
      #expect(throws: ParseError.self, "\(payload.hex)") {
        try CoAPRequest(.post, path: CoAPRequest.edhocPath, payload: payload).edhocPayload()
      }
    }
    #expect(try CoAPResponse(.changed, payload: [0x40]).edhocMessage() == [0x40])
    #expect(throws: ParseError(.unsupported)) {
      try CoAPResponse(.changed, contentFormat: .cbor, payload: [0x40]).edhocMessage()
    }
    #expect(CoAPResponse(edhocMessage: []).contentFormat == nil)
  }

  @Test("Errors travel in error responses")
  func errors() throws {
    let refused = try CoAPResponse(edhocError: .wrongSelectedCipherSuite([.suite2]))
    #expect(refused.code == .badRequest && refused.contentFormat == .edhoc && refused.payload == [2, 2])
    #expect(try refused.edhocMessage() == [2, 2])
    #expect(try CoAPResponse(edhocError: .unspecified(""), isServerFault: true).code == .internalServerError)
    for response in [
      CoAPResponse(.notFound), CoAPResponse(.badRequest, payload: [UInt8]("no".utf8)),
      CoAPResponse(.badRequest, contentFormat: .edhoc, payload: [0x40]),
    ] {
      #expect(throws: ParseError(.coapRequestRefused)) { try response.edhocMessage() }
    }
  }

  @Test("message_3 before the ciphertext of the first OSCORE request")
  func combined() throws {
    var generator = SeededGenerator(seed: 3)
    var pair = try EDHOCPair(Self.way, message4: .unused, generator: &generator)
    try pair.responder.processMessage1(pair.initiator.composeMessage1())
    let message2 = try pair.responder.composeMessage2(
      identity: pair.responderIdentity, connectionIdentifier: pair.responderIdentifier,
      ephemeralKey: pair.responderKey)
    _ = try pair.initiator.processMessage2(message2)
    try pair.initiator.authenticate([pair.responderIdentity.credential])
    let message3 = try pair.initiator.composeMessage3(identity: pair.initiatorIdentity)
    let keyID = try #require(pair.initiator.peerConnectionIdentifier).bytes
    // An OSCORE option with a partial IV of one byte and the kid (RFC 8613, 6.1).
    let protected = CoAPRequest(
      code: .post, options: [CoAPOption(.oscore, [0x09, 0x00] + keyID), CoAPOption(.uriHost, string: "lock")],
      payload: generator.bytes(21))
    var request = protected
    try request.combine(edhocMessage3: message3)
    #expect(request.isEDHOCCombined && request.options[values: .edhoc] == [[]])
    #expect(request.payload == message3 + protected.payload)
    #expect(CoAPOptionNumber.edhoc.rawValue == 21 && CoAPOptionNumber.edhoc.isCritical)
    request = try carried(request)
    var ignored = request
    ignored.options[values: .edhoc] = [[1]]
    let taken = try request.takeEDHOCMessage3()
    #expect(taken == message3 && request == protected)
    #expect(try ignored.takeEDHOCMessage3() == message3 && ignored == protected)
    _ = try pair.responder.processMessage3(taken)
    try pair.responder.authenticate([pair.initiatorIdentity.credential])
    #expect(try pair.responder.session?.oscoreParameters().recipientID == keyID)
  }

  @Test("What is not combined as it should be is refused and not changed")
  func notCombined() throws {
    let protected = CoAPRequest(code: .post, options: [CoAPOption(.oscore, [0x09, 0, 1])], payload: [1, 2, 3])
    var plain = CoAPRequest(.post, payload: [1])
    #expect(throws: EmitError.notRepresentable) { try plain.combine(edhocMessage3: [0x41, 1]) }
    var twice = protected
    try twice.combine(edhocMessage3: [0x41, 1])
    #expect(throws: EmitError.notRepresentable) { try twice.combine(edhocMessage3: [0x41, 1]) }
    var empty = protected
    empty.payload = []
    #expect(throws: EmitError.notRepresentable) { try empty.combine(edhocMessage3: [0x41, 1]) }
    var broken = protected
    #expect(throws: EmitError.notRepresentable) { try broken.combine(edhocMessage3: [0x42, 1]) }
    #expect(broken == protected)

    let edhoc = CoAPOption(.edhoc)
    let oscore = CoAPOption(.oscore, [0x09, 0, 1])
    let refusals: [(CoAPOptions, [UInt8], DropReason)] = [
      ([oscore], [0x41, 1, 2], .coapOptionUnknownCritical),
      ([edhoc, edhoc, oscore], [0x41, 1, 2], .coapOptionUnknownCritical),
      ([edhoc], [0x41, 1, 2], .edhocMalformed), ([edhoc, oscore, oscore], [0x41, 1, 2], .edhocMalformed),
      ([edhoc, oscore], [], .truncated), ([edhoc, oscore], [0x42, 1], .truncated),
      ([edhoc, oscore], [0x41, 1], .edhocMalformed), ([edhoc, oscore], [0x01, 1], .edhocMalformed),
    ]
    for (options, payload, reason) in refusals {
      var request = CoAPRequest(code: .post, options: options, payload: payload)
      let before = request
      do {
        _ = try request.takeEDHOCMessage3()
        Issue.record("\(payload.hex) was taken")
      } catch { #expect(error.reason == reason) }
      #expect(request == before)
    }
  }
}
