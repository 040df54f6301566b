import CoAP
import TestSupport
import Testing
import Wire

private let large = CoAPCapabilities(maximumMessageSize: 100_000, supportsBlockwise: true)

private func message(_ request: CoAPRequest, _ token: UInt64 = 1) -> CoAPStreamMessage {
  CoAPStreamMessage(
    code: request.code, token: CoAPToken(value: token, count: 2), options: request.options, payload: request.payload)
}

private func answer(_ response: CoAPResponse, to request: CoAPStreamMessage) -> CoAPStreamMessage {
  CoAPStreamMessage(code: response.code, token: request.token, options: response.options, payload: response.payload)
}

@Suite struct StreamConnectionTests {
  // MARK: The first messages

  @Test("RFC 8323 section 3.3: both ends begin with a CSM", arguments: [CoAPStreamFraming.tcp, .webSocket])
  func handshake(framing: CoAPStreamFraming) throws {
    var end = connection(framing: framing) { $0.maximumMessageSize = 5000 }
    #expect(!end.isReady && end.nextTimeout == nil && end.takeOutputs().isEmpty)
    end.start(at: .start)
    end.start(at: .after(1))
    let sent = try end.sent()
    #expect(sent.map(\.code) == [.csm] && !end.isReady)
    let own = CoAPCapabilities(maximumMessageSize: 5000, supportsBlockwise: true)
    #expect(try CoAPSignal(parsing: sent[0]) == .capabilities(own))
    let outputs = try end.take(.capabilities(large), at: .after(1))
    #expect(outputs.map(\.kind) == ["ready"] && end.isReady && end.capabilities == large)
    // A further one changes what it says, and no more.
    #expect(try end.take(CoAPStreamMessage(code: .csm), at: .after(2)).isEmpty && end.capabilities == large)
    let small = CoAPCapabilities(maximumMessageSize: 20, supportsBlockwise: true)
    #expect(try end.take(.capabilities(small), at: .after(2)).isEmpty && end.capabilities == small)
  }

  @Test("An end that hears first begins with its CSM, too") func acceptor() throws {
    var end = connection()
    let outputs = try end.take(.capabilities(CoAPCapabilities()))
    #expect(outputs.map(\.kind) == ["transmit", "ready"] && end.isReady)
    #expect(try end.messages(outputs).map(\.code) == [.csm])
  }

  @Test("RFC 8323 section 3.3: a missing or invalid CSM ends the connection") func noCSM() throws {
    let token = CoAPToken(value: 7, count: 1)
    let firsts: [(CoAPStreamMessage, DropReason)] = [
      (message(CoAPRequest(.get)), .coapCapabilitiesMissing),
      (CoAPStreamMessage(code: .content, token: token), .coapCapabilitiesMissing),
      (CoAPSignal.ping(custody: false).message(token: token), .coapCapabilitiesMissing),
      (CoAPSignal.release(alternatives: [], holdOff: nil).message(), .coapCapabilitiesMissing),
      (CoAPStreamMessage(code: CoAPCode(class: 7, detail: 9)), .coapCapabilitiesMissing),
      (
        CoAPStreamMessage(code: .csm, options: [CoAPOption(CoAPOptionNumber(rawValue: 9))]), .coapOptionUnknownCritical
      ),
      (
        CoAPStreamMessage(code: .csm, options: [CoAPOption(CoAPOptionNumber(rawValue: 2), [1, 2, 3, 4, 5])]),
        .coapOptionLengthInvalid
      ),
    ]
    for (first, reason) in firsts {
      var end = connection()
      end.start(at: .start)
      _ = end.takeOutputs()
      let outputs = try end.take(first)
      #expect(outputs.map(\.kind) == ["transmit", "close \(reason)"])
      let abort = try CoAPSignal(parsing: end.messages(outputs)[0])
      #expect(abort == .abort(badOption: first.options.first?.number.rawValue, diagnostic: reason.name))
      #expect(end.isClosed && !end.isReady && end.nextTimeout == nil)
      #expect(try end.take(.capabilities(large)).isEmpty)
    }
    // An empty message is no message; an Abort is.
    var end = connection()
    end.start(at: .start)
    _ = end.takeOutputs()
    #expect(try end.take(CoAPStreamMessage(code: .empty, token: token, payload: [1])).isEmpty && !end.isClosed)
    let outputs = try end.take(.abort(badOption: 2, diagnostic: "no"))
    #expect(outputs.map(\.kind) == ["close coapPeerAborted"] && end.diagnostic == "no")
  }

  @Test("A peer that says nothing is left after a while") func silentPeer() throws {
    var end = connection { $0.capabilitiesTimeout = .seconds(10) }
    end.start(at: .start)
    #expect(end.nextTimeout == .after(10))
    let id = end.request(CoAPRequest(.get), at: .after(1))
    _ = end.takeOutputs()
    end.timeout(at: .after(9.9))
    #expect(end.takeOutputs().isEmpty)
    end.timeout(at: .after(10))
    let outputs = end.takeOutputs()
    #expect(outputs.map(\.kind) == ["transmit", "failed closed", "close coapCapabilitiesMissing"])
    #expect(outputs[1].failure?.id == id)
  }

  @Test("Requests before the peer's CSM wait for it, in order") func queue() throws {
    var end = connection()
    let ids = (0..<4).map { end.request(CoAPRequest(.get, path: ["\($0)"]), at: .after(Double($0))) }
    var quiet = CoAPRequest(.post, path: ["quiet"])
    quiet.noResponse = 26
    _ = end.request(quiet, at: .after(5))
    end.cancel(ids[1], at: .after(5))
    var outputs = end.takeOutputs()
    #expect(outputs.map(\.kind) == ["transmit", "failed cancelled"] && outputs[1].failure?.id == ids[1])
    #expect(end.openState.operations == 4)
    outputs = try end.take(.capabilities(large), at: .after(9))
    #expect(outputs.map(\.kind) == ["ready", "transmit", "transmit", "transmit", "transmit"])
    #expect(try end.messages(outputs).map(\.uriPath) == [["0"], ["2"], ["3"], ["quiet"]])
    #expect(end.openState.operations == 3)
  }

  // MARK: Requests and responses

  @Test("Both ends ask and answer at once", arguments: [CoAPStreamFraming.tcp, .webSocket])
  func bothRoles(framing: CoAPStreamFraming) throws {
    var pair = try StreamPair(framing: framing)
    var asked: [[Stream.RequestID: CoAPRequest]] = [[:], [:]]
    for number in 0..<50 {
      for end in 0...1 {
        let request = CoAPRequest(
          .post, path: ["e", "\(end)"], contentFormat: .coseSign1, payload: streamBody(number * 7, number))
        asked[end][pair.ends[end].request(request, at: pair.now)] = request
      }
    }
    try pair.run { end, request in
      CoAPResponse(.changed, contentFormat: .cbor, eTag: [UInt8(end)], payload: request.payload.reversed())
    }
    for end in 0...1 {
      #expect(asked[end].count == 50 && pair.delivered[1 - end].count == 50 && pair.others(end).isEmpty)
      #expect(Set(pair.delivered[1 - end]) == Set(asked[end].values))
      for (id, response) in pair.events[end].compactMap(\.response) {
        let request = asked[end].removeValue(forKey: id)
        let expected = CoAPResponse(
          .changed, contentFormat: .cbor, eTag: [UInt8(1 - end)], payload: request?.payload.reversed() ?? [])
        #expect(request != nil && response == expected)
      }
      #expect(asked[end].isEmpty && pair.ends[end].openState == (0, 0))
      // Tokens of requests under way are all different.
      #expect(Set(pair.crossed[end].filter { $0.code == .post }.map(\.token)).count == 50)
    }
  }

  @Test("RFC 8323 section 3.3: requests are pipelined and answered in any order") func outOfOrder() throws {
    var client = connection(1)
    try client.open(large)
    let ids = (0..<30).map { client.request(CoAPRequest(.get, path: ["\($0)"]), at: .start) }
    let requests = try client.sent()
    #expect(requests.count == 30 && Set(requests.map(\.token)).count == 30)
    var server = connection(2)
    try server.open(large)
    _ = server.takeOutputs()
    var exchanges: [(id: Stream.ExchangeID, request: CoAPRequest)] = []
    for request in requests { exchanges += try server.take(request).compactMap(\.exchange) }
    #expect(exchanges.map(\.request.uriPath) == (0..<30).map { ["\($0)"] })
    var generator = SeededGenerator(seed: 4)
    exchanges.shuffle(using: &generator)
    var ended: [Stream.RequestID: [UInt8]] = [:]
    for (id, request) in exchanges {
      let known = server.respond(
        to: id, with: CoAPResponse(.content, payload: text(request.uriPath[0])), at: .start)
      #expect(known)
      for message in try server.sent() {
        for output in try client.take(message) {
          if let (id, response) = output.response { ended[id] = response.payload }
        }
      }
    }
    #expect(ended == Dictionary(uniqueKeysWithValues: ids.enumerated().map { ($1, text("\($0)")) }))
    #expect(client.openState == (0, 0) && server.openState == (0, 0))
    // A second answer goes nowhere.
    let again = server.respond(to: exchanges[0].id, with: CoAPResponse(.content), at: .start)
    #expect(!again)
    #expect(server.takeOutputs().map(\.kind) == ["dropped coapExchangeUnknown"])
    #expect(
      try client.take(answer(CoAPResponse(.content), to: requests[0])).map(\.kind) == ["dropped coapExchangeUnknown"])
  }

  @Test("A request without a response fails in time; what comes later is nobody's") func timeouts() throws {
    var end = connection {
      $0.requestTimeout = .seconds(30)
      $0.pingInterval = nil
    }
    try end.open(large)
    _ = end.takeOutputs()
    #expect(end.nextTimeout == nil)
    let first = end.request(CoAPRequest(.get, path: ["1"]), at: .start)
    let second = end.request(CoAPRequest(.get, path: ["2"]), at: .after(10))
    let third = end.request(CoAPRequest(.get, path: ["3"]), at: .after(20))
    let requests = try end.sent()
    #expect(try end.take(answer(CoAPResponse(.content), to: requests[1]), at: .after(25)).first?.response?.id == second)
    var failed: [(Double, Stream.RequestID?)] = []
    while let next = end.nextTimeout {
      end.timeout(at: next)
      for output in end.takeOutputs() {
        #expect(output.kind == "failed noResponse")
        failed.append((next.elapsed, output.failure?.id))
      }
    }
    #expect(failed.map(\.0) == [30, 50] && failed.map(\.1) == [first, third])
    #expect(
      try end.take(answer(CoAPResponse(.content), to: requests[0]), at: .after(60)).map(\.kind) == [
        "dropped coapExchangeUnknown"
      ])
  }

  @Test("As many requests as may be, on either side") func limits() throws {
    var end = connection {
      $0.requestsInFlight = 3
      $0.receivedInFlight = 2
    }
    try end.open(large)
    _ = end.takeOutputs()
    for _ in 0..<3 { _ = end.request(CoAPRequest(.get), at: .start) }
    let requests = try end.sent()
    let fourth = end.request(CoAPRequest(.get), at: .start)
    var outputs = end.takeOutputs()
    #expect(outputs.map(\.kind) == ["failed limit"] && outputs[0].failure?.id == fourth)
    _ = try end.take(answer(CoAPResponse(.valid), to: requests[1]))
    _ = end.request(CoAPRequest(.get), at: .start)
    #expect(end.takeOutputs().map(\.kind) == ["transmit"])

    let first = try #require(try end.take(message(CoAPRequest(.get), 1)).first?.exchange)
    #expect(try end.take(message(CoAPRequest(.get), 2)).map(\.kind) == ["request"])
    outputs = try end.take(message(CoAPRequest(.get), 3))
    #expect(outputs.map(\.kind) == ["transmit", "dropped coapExchangeLimit"])
    let busy = try end.messages(outputs)[0]
    #expect(busy.code == .serviceUnavailable && busy.token == CoAPToken(value: 3, count: 2) && busy.maxAge == 1)
    end.respond(to: first.id, with: CoAPResponse(.content), at: .start)
    _ = end.takeOutputs()
    #expect(try end.take(message(CoAPRequest(.get), 4)).map(\.kind) == ["request"])
  }

  @Test("RFC 7252 section 5.4.1: critical options that are unknown") func criticalOptions() throws {
    var end = connection()
    try end.open(large)
    _ = end.takeOutputs()
    for (number, code) in [(65_001, CoAPCode.badOption), (35, .proxyingNotSupported), (9, .badOption)]
      as [(UInt16, CoAPCode)]
    {
      var request = CoAPRequest(.get)
      request.options.append(CoAPOption(CoAPOptionNumber(rawValue: number), [1]))
      let outputs = try end.take(message(request))
      #expect(outputs.map(\.kind) == ["transmit", "dropped coapOptionUnknownCritical"])
      #expect(try end.messages(outputs).map(\.code) == [code])
      request.noResponse = 26
      #expect(try end.take(message(request)).map(\.kind) == ["dropped coapOptionUnknownCritical"])
    }
    // An elective one is left out.
    var request = CoAPRequest(.get, path: ["a"])
    let plain = request
    request.options.append(CoAPOption(CoAPOptionNumber(rawValue: 65_000), [1]))
    #expect(try end.take(message(request)).first?.exchange?.request == plain)

    let id = end.request(CoAPRequest(.get), at: .start)
    let sent = try end.sent()
    var response = CoAPResponse(.content)
    response.options.append(CoAPOption(CoAPOptionNumber(rawValue: 65_001)))
    let outputs = try end.take(answer(response, to: sent[0]))
    #expect(
      outputs.map(\.kind) == [
        "dropped coapOptionUnknownCritical", "failed unacceptable(Wire.DropReason.coapOptionUnknownCritical)",
      ])
    #expect(outputs[1].failure?.id == id && end.openState.operations == 0 && end.isReady)
  }

  @Test("RFC 7967: no response where none is wanted") func noResponse() throws {
    var pair = try StreamPair { $0.pingInterval = nil }
    // 26: nothing to wait for on either side.
    var quiet = CoAPRequest(.post, path: ["s"], payload: [1])
    quiet.noResponse = 26
    _ = pair.ends[0].request(quiet, at: pair.now)
    #expect(pair.ends[0].openState.operations == 0 && pair.ends[0].nextTimeout == nil)
    let frame = try #require(pair.ends[0].takeOutputs().first?.frame)
    pair.ends[1].receive(frame.rawSpan, at: pair.now)
    let (exchange, request) = try #require(pair.ends[1].takeOutputs().first?.exchange)
    #expect(request == quiet && !exchange.wantsResponse && pair.ends[1].openState.exchanges == 0)
    let done = pair.ends[1].respond(to: exchange, with: CoAPResponse(.changed), at: pair.now)
    #expect(done)
    #expect(pair.ends[1].takeOutputs().isEmpty)

    // 2: a success is not answered, a refusal is.
    for (code, ended) in [(CoAPCode.changed, []), (.forbidden, [CoAPCode.forbidden])] {
      quiet.noResponse = 2
      _ = pair.ends[0].request(quiet, at: pair.now)
      try pair.run { _, _ in CoAPResponse(code) }
      #expect(pair.responses(0).map(\.code) == ended && pair.ends[1].openState.exchanges == 0)
      pair.events[0] = []
    }
    #expect(pair.ends[0].openState.operations == 1)
    pair.ends[0].timeout(at: .after(30))
    #expect(pair.ends[0].takeOutputs().map(\.kind) == ["failed noResponse"])
  }

  @Test("A response or a request that has no form on the wire") func notRepresentable() throws {
    var pair = try StreamPair()
    let many = CoAPOptions((0..<200).map { CoAPOption(.uriPath, string: "\($0)") })
    _ = pair.ends[0].request(CoAPRequest(code: .get, options: many), at: pair.now)
    _ = pair.ends[0].request(CoAPRequest(code: .content), at: pair.now)
    try pair.run()
    #expect(pair.others(0) == ["failed notRepresentable", "failed notRepresentable"])
    for response in [CoAPResponse(.get), CoAPResponse(code: .content, options: many)] {
      _ = pair.ends[0].request(CoAPRequest(.get), at: pair.now)
      try pair.run { _, _ in response }
    }
    #expect(pair.responses(0).map(\.code) == [.internalServerError, .internalServerError])
    #expect(pair.ends[1].openState.exchanges == 0)
  }

  @Test("Taken back, and closed by the transport: every request ends once") func cancelAndClose() throws {
    var pair = try StreamPair()
    let ids = (0..<5).map { _ in pair.ends[0].request(CoAPRequest(.get), at: pair.now) }
    pair.ends[0].cancel(ids[2], at: pair.now)
    pair.ends[0].cancel(ids[2], at: pair.now)
    try pair.run { _, _ in nil }
    let exchange = pair.ends[1].openState.exchanges
    #expect(pair.others(0) == ["failed cancelled"] && exchange == 5)
    pair.ends[0].close(at: pair.now)
    pair.ends[0].close(at: pair.now)
    let late = pair.ends[0].request(CoAPRequest(.get), at: pair.now)
    let outputs = pair.ends[0].takeOutputs()
    #expect(outputs.map(\.kind) == [String](repeating: "failed closed", count: 5))
    #expect(outputs.compactMap { $0.failure?.id } == [ids[0], ids[1], ids[3], ids[4], late])
    pair.ends[0].timeout(at: .after(1000))
    pair.ends[0].ping(at: .after(1000))
    pair.ends[0].release(at: .after(1000))
    pair.ends[0].abort(nil, at: .after(1000))
    pair.ends[0].cancel(ids[0], at: .after(1000))
    #expect(pair.ends[0].takeOutputs().isEmpty && pair.ends[0].nextTimeout == nil)
  }
}
