import CoAP
import TestSupport
import Testing
import Wire

private let temperature = CoAPRequest(.get, path: ["temperature"])
private let reading = CoAPResponse(.content, payload: text("22.3 C"))

private func request(
  _ id: UInt16, _ type: CoAPMessageType = .confirmable, token: [UInt8] = [],
  options: CoAPOptions = temperature.options
) -> CoAPMessage {
  CoAPMessage(type: type, code: .get, messageID: id, token: CoAPToken(token) ?? CoAPToken(), options: options)
}

private func answer(
  _ type: CoAPMessageType, _ id: UInt16, to request: CoAPMessage, options: CoAPOptions = []
) -> CoAPMessage {
  CoAPMessage(
    type: type, code: .content, messageID: id, token: request.token, options: options,
    payload: reading.payload)
}

@Suite struct ExchangeServerTests {
  @Test("RFC 7252 figures 16 and 17: piggybacked response", arguments: [[], [0x20]] as [[UInt8]])
  func piggybacked(token: [UInt8]) throws {
    var server = layer()
    let message = request(0x7d34, token: token)
    var outputs = try server.take(message, from: "client", at: .start)
    let (id, received) = try #require(outputs.first?.exchange)
    #expect(outputs.count == 1 && received == temperature && id.peer == "client")
    let sent = server.respond(to: id, with: reading, at: .start)
    #expect(sent)
    outputs = server.takeOutputs()
    #expect(outputs.count == 1)
    #expect(outputs.first?.transmitted == answer(.acknowledgement, 0x7d34, to: message))
    // Once only.
    let again = server.respond(to: id, with: reading, at: .start)
    #expect(!again)
    #expect(server.takeOutputs().map(\.dropReason) == [.coapExchangeUnknown])
  }

  @Test(
    "RFC 7252 figure 19 and section 4.5: a duplicate is answered with the same bytes, for EXCHANGE_LIFETIME")
  func duplicates() throws {
    var server = layer()
    let message = request(0x7d37, token: [0x42])
    let (id, _) = try #require(try server.take(message, from: "client", at: .start).first?.exchange)
    // Before there is a response there is nothing to repeat.
    var outputs = try server.take(message, from: "client", at: .after(0.1))
    #expect(outputs.count == 1 && outputs.first?.dropReason == .coapDuplicate)
    server.respond(to: id, with: reading, at: .after(0.2))
    let first = server.takeOutputs().first?.transmitted
    for seconds in [2.0, 100, 246.9] {
      server.timeout(at: .after(seconds))
      #expect(server.takeOutputs().isEmpty)
      outputs = try server.take(message, from: "client", at: .after(seconds))
      #expect(outputs.count == 2 && outputs.first?.transmitted == first)
      #expect(outputs.last?.dropReason == .coapDuplicate)
    }
    // The same message ID from another peer, or later, is another message.
    #expect(try server.take(message, from: "other", at: .after(3)).first?.exchange != nil)
    #expect(try server.take(message, from: "client", at: .after(247)).first?.exchange != nil)
  }

  @Test("RFC 7252 figure 20: separate response, retransmitted until acknowledged") func separateResponse()
    throws
  {
    var server = layer()
    let message = request(0x7d38, token: [0x53])
    let (id, _) = try #require(try server.take(message, from: "client", at: .start).first?.exchange)
    #expect(server.nextTimeout == .after(0.5))
    server.timeout(at: .after(0.5))
    #expect(server.takeOutputs().map(\.transmitted) == [.empty(.acknowledgement, messageID: 0x7d38)])
    server.respond(to: id, with: reading, at: .after(10))
    let response = try #require(server.takeOutputs().first?.transmitted)
    #expect(response == answer(.confirmable, response.messageID, to: message))
    // A duplicate request still gets its empty acknowledgement.
    let outputs = try server.take(message, from: "client", at: .after(11))
    #expect(outputs.first?.transmitted == .empty(.acknowledgement, messageID: 0x7d38))
    let due = try #require(server.nextTimeout)
    #expect(due.elapsed >= 12 && due.elapsed <= 13)
    server.timeout(at: due)
    #expect(server.takeOutputs().map(\.transmitted) == [response])
    #expect(
      try server.take(.empty(.acknowledgement, messageID: response.messageID), from: "client", at: .after(14))
        .isEmpty)
    server.timeout(at: .after(200))
    #expect(server.takeOutputs().isEmpty)
  }

  @Test("RFC 7252 figure 21: a separate response that the client rejects") func separateResponseReset() throws {
    var server = layer()
    let message = request(0x7d39, token: [0x64])
    let (id, _) = try #require(try server.take(message, from: "client", at: .start).first?.exchange)
    server.timeout(at: .after(1))
    server.respond(to: id, with: reading, at: .after(2))
    let response = try #require(server.takeOutputs().last?.transmitted)
    let outputs = try server.take(
      .empty(.reset, messageID: response.messageID), from: "client", at: .after(3))
    guard case .responseFailed(let failed, .reset)? = outputs.first else {
      Issue.record("\(outputs)")
      return
    }
    #expect(failed == id && outputs.count == 1)
  }

  @Test("RFC 7252 figure 22: non-confirmable request and response") func nonConfirmable() throws {
    var server = layer()
    let message = request(0x7d40, .nonConfirmable, token: [0x75])
    let (id, _) = try #require(try server.take(message, from: "client", at: .start).first?.exchange)
    server.respond(to: id, with: reading, at: .after(1))
    let response = try #require(server.takeOutputs().first?.transmitted)
    #expect(response == answer(.nonConfirmable, response.messageID, to: message))
    let outputs = try server.take(message, from: "client", at: .after(2))
    #expect(outputs.count == 1 && outputs.first?.dropReason == .coapDuplicate)
    #expect(try server.take(message, from: "client", at: .after(145)).first?.exchange != nil)
  }

  @Test("RFC 7252 sections 4.2 and 4.3: pings, format errors and misuse of types") func rejection() throws {
    var server = layer()
    #expect(
      try server.take(.empty(.confirmable, messageID: 7), from: "a", at: .start).map(\.transmitted)
        == [.empty(.reset, messageID: 7)])
    #expect(
      try server.take(.empty(.nonConfirmable, messageID: 7), from: "a", at: .start).map(\.dropReason)
        == [.reservedValue])

    func outputs(_ hex: String, multicast: Bool = false) throws -> [ExchangeOutput<String>] {
      let datagram = try bytes(hex)
      server.receive(datagram.rawSpan, from: "a", at: .start, multicast: multicast)
      return server.takeOutputs()
    }
    // Confirmable ones are answered with a reset, the others ignored.
    for (hex, reason) in [
      ("40200102", DropReason.coapCodeClassReserved), ("4f010102", .coapTokenLengthReserved),
      ("40000102 00", .coapEmptyMessageNotEmpty), ("40010102 ff", .coapPayloadMarkerWithoutPayload),
    ] {
      let result = try outputs(hex)
      #expect(result.first?.transmitted == .empty(.reset, messageID: 0x102))
      #expect(result.count == 2 && result.last?.dropReason == reason)
      for first in ["5", "6", "7"] {
        #expect(try outputs(first + hex.dropFirst()).map(\.dropReason) == [reason])
      }
      #expect(try outputs(hex, multicast: true).map(\.dropReason) == [reason])
    }
    #expect(try outputs("00010102").map(\.dropReason) == [.coapVersionUnknown])
    #expect(try outputs("40").map(\.dropReason) == [.truncated])
    // An acknowledgement with a request, a reset with a code, and ones that match nothing.
    #expect(try outputs("60010102").map(\.dropReason) == [.reservedValue])
    #expect(try outputs("70010102").map(\.dropReason) == [.coapEmptyMessageNotEmpty])
    #expect(try outputs("60000102").map(\.dropReason) == [.coapExchangeUnknown])
    #expect(try outputs("70000102").map(\.dropReason) == [.coapExchangeUnknown])
    #expect(try outputs("60450102").map(\.dropReason) == [.coapExchangeUnknown])
    // Responses that nobody asked for.
    #expect(try outputs("40450102").first?.transmitted == .empty(.reset, messageID: 0x102))
    #expect(try outputs("40450102", multicast: true).map(\.dropReason) == [.reservedValue])
    #expect(server.peerCount == 0)
  }

  @Test("RFC 7252 section 5.4.1: critical options that are not understood") func badOptions() throws {
    var server = layer()
    let unknown: CoAPOptions = [CoAPOption(CoAPOptionNumber(rawValue: 65_001), [1])]
    let message = request(1, token: [5], options: unknown)
    var outputs = try server.take(message, from: "a", at: .start)
    let refusal = CoAPMessage(
      type: .acknowledgement, code: .badOption, messageID: 1, token: message.token)
    #expect(outputs.count == 2 && outputs.first?.transmitted == refusal)
    #expect(outputs.last?.dropReason == .coapOptionUnknownCritical)
    outputs = try server.take(message, from: "a", at: .after(1))
    #expect(outputs.first?.transmitted == refusal && outputs.last?.dropReason == .coapDuplicate)
    outputs = try server.take(request(2, .nonConfirmable, options: unknown), from: "a", at: .start)
    #expect(outputs.first?.transmitted == .empty(.reset, messageID: 2))
    outputs = try server.take(
      request(3, options: [CoAPOption(.proxyUri, string: "coap://x")]), from: "a", at: .start)
    #expect(outputs.first?.transmitted?.code == .proxyingNotSupported)
    outputs = try server.take(request(4, options: [CoAPOption(.uriPort, [1, 2, 3])]), from: "a", at: .start)
    #expect(
      outputs.first?.transmitted?.code == .badOption && outputs.last?.dropReason == .coapOptionLengthInvalid)
    // Elective ones are left out of what the application sees.
    let elective: CoAPOptions = [
      CoAPOption(CoAPOptionNumber(rawValue: 65_000)), CoAPOption(.uriPath, string: "e"),
    ]
    outputs = try server.take(request(5, options: elective), from: "a", at: .start)
    #expect(outputs.first?.exchange?.request.options == [CoAPOption(.uriPath, string: "e")])
    // OSCORE only where it is implemented.
    let oscore: CoAPOptions = [CoAPOption(.oscore, [])]
    #expect(
      try server.take(request(6, options: oscore), from: "a", at: .start).first?.transmitted?.code
        == .badOption)
    var other = layer { $0.recognizedOptions.insert(.oscore) }
    #expect(try other.take(request(6, options: oscore), from: "a", at: .start).first?.exchange != nil)
  }

  @Test("RFC 7967: responses that the client does not want") func noResponse() throws {
    var server = layer()
    let quiet: CoAPOptions = [CoAPOption(.noResponse, uint: 2)]
    var (id, _) = try #require(
      try server.take(request(1, options: quiet), from: "a", at: .start).first?.exchange)
    server.respond(to: id, with: reading, at: .start)
    #expect(server.takeOutputs().map(\.transmitted) == [.empty(.acknowledgement, messageID: 1)])
    (id, _) = try #require(
      try server.take(request(2, .nonConfirmable, options: quiet), from: "a", at: .start).first?.exchange)
    server.respond(to: id, with: reading, at: .start)
    #expect(server.takeOutputs().isEmpty)
    (id, _) = try #require(try server.take(request(3, options: quiet), from: "a", at: .start).first?.exchange)
    server.respond(to: id, with: CoAPResponse(.notFound), at: .start)
    #expect(server.takeOutputs().first?.transmitted?.code == .notFound)
  }

  @Test("A response that has no form on the wire goes out as 5.00") func unrepresentableResponse() throws {
    var server = layer()
    let (id, _) = try #require(try server.take(request(1, token: [3]), from: "a", at: .start).first?.exchange)
    server.respond(to: id, with: CoAPResponse(.get), at: .start)
    #expect(
      server.takeOutputs().first?.transmitted
        == CoAPMessage(
          type: .acknowledgement, code: .internalServerError, messageID: 1,
          token: CoAPToken(value: 3, count: 1)))
  }

  @Test("The limits hold: per peer, peers, bytes of replies") func limits() throws {
    var server = layer {
      $0.limits.peers = 3
      $0.limits.receivedPerPeer = 4
      $0.limits.replyBytes = 64
    }
    var open: [ExchangeID<String>] = []
    for id in UInt16(0)..<4 {
      open.append(try #require(try server.take(request(id), from: "a", at: .start).first?.exchange).id)
    }
    // Four unanswered requests: no room for more.
    #expect(try server.take(request(4), from: "a", at: .start).map(\.dropReason) == [.coapExchangeLimit])
    server.respond(to: open[0], with: reading, at: .start)
    _ = server.takeOutputs()
    // The answered one makes room, and is not known any more.
    #expect(try server.take(request(4), from: "a", at: .start).first?.exchange != nil)
    #expect(try server.take(request(1), from: "a", at: .start).map(\.dropReason) == [.coapDuplicate])
    // Two more peers fit; a fourth takes the place of one with nothing open.
    let (b, _) = try #require(try server.take(request(1), from: "b", at: .after(1)).first?.exchange)
    #expect(try server.take(request(1), from: "c", at: .after(2)).first?.exchange != nil)
    #expect(try server.take(request(1), from: "d", at: .after(3)).map(\.dropReason) == [.coapExchangeLimit])
    server.respond(to: b, with: reading, at: .after(3))
    _ = server.takeOutputs()
    #expect(try server.take(request(1), from: "d", at: .after(4)).first?.exchange != nil)
    #expect(server.peerCount == 3)
    #expect(server.pendingRequest(open[1]) != nil)

    // Replies over the bound are forgotten, the oldest first; the peers still work.
    var small = layer { $0.limits.replyBytes = 64 }
    for number in UInt16(0)..<20 {
      let (id, _) = try #require(
        try small.take(request(number), from: "p\(number)", at: .start).first?.exchange)
      small.respond(to: id, with: reading, at: .start)
      #expect(small.takeOutputs().count == 1)
    }
    var repeated = 0
    for number in UInt16(0)..<20 {
      repeated += try small.take(request(number), from: "p\(number)", at: .after(1)).count {
        $0.dropReason == .coapDuplicate
      }
    }
    #expect(repeated > 0 && repeated <= 5)
  }

  @Test("State is given up when its time is over") func forgetting() throws {
    var server = layer()
    for number in UInt16(0)..<50 {
      let (id, _) = try #require(
        try server.take(request(number), from: "p\(number)", at: .start).first?.exchange)
      if number % 2 == 0 { server.respond(to: id, with: reading, at: .start) }
      _ = server.takeOutputs()
    }
    var steps = 0
    while let next = server.nextTimeout {
      server.timeout(at: next)
      steps += 1
      #expect(next.elapsed <= 256)
    }
    #expect(server.peerCount == 0 && steps < 10)
  }
}
