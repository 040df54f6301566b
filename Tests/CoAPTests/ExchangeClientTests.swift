import CoAP
import TestSupport
import Testing
import Wire

private let temperature = CoAPRequest(.get, path: ["temperature"])
private let reading = CoAPResponse(.content, payload: text("22.3 C"))

private func answer(
  _ type: CoAPMessageType, _ id: UInt16, to request: CoAPMessage, options: CoAPOptions = []
) -> CoAPMessage {
  CoAPMessage(
    type: type, code: .content, messageID: id, token: request.token, options: options,
    payload: reading.payload)
}

@Suite struct ExchangeClientTests {
  @Test("RFC 7252 figures 16 to 18: piggybacked response, also after a retransmission", arguments: [0, 1, 4])
  func piggybacked(losses: Int) throws {
    var client = layer()
    let id = client.request(temperature, to: "server", at: .start)
    let sent = try #require(client.takeOutputs().first?.transmitted)
    #expect(sent.type == .confirmable && sent.code == .get && sent.uriPath == ["temperature"])
    #expect(sent.token.count == 4)
    for _ in 0..<losses {
      client.timeout(at: try #require(client.nextTimeout))
      #expect(client.takeOutputs().map(\.transmitted) == [sent])
    }
    let now = try #require(client.nextTimeout)
    let outputs = try client.take(answer(.acknowledgement, sent.messageID, to: sent), from: "server", at: now)
    guard case .response(id, reading)? = outputs.first, outputs.count == 1 else {
      Issue.record("\(outputs)")
      return
    }
    // A second copy of the response is ignored.
    #expect(
      try client.take(answer(.acknowledgement, sent.messageID, to: sent), from: "server", at: now).map(
        \.dropReason)
        == [.coapExchangeUnknown])
  }

  @Test("RFC 7252 section 4.2: the retransmission schedule", arguments: 0..<20 as Range<UInt64>)
  func schedule(seed: UInt64) throws {
    var client = layer(seed)
    let id = client.request(temperature, to: "server", at: .start)
    var times = [0.0]
    var failed: Double?
    _ = client.takeOutputs()
    while failed == nil, let next = client.nextTimeout {
      client.timeout(at: next)
      for output in client.takeOutputs() {
        if output.transmitted != nil { times.append(next.elapsed) }
        if case .failed(id, .timeout) = output { failed = next.elapsed }
      }
    }
    // ACK_TIMEOUT to ACK_TIMEOUT * ACK_RANDOM_FACTOR, then doubled; MAX_RETRANSMIT times; then MAX_TRANSMIT_WAIT at most.
    #expect(times.count == 5)
    let first = times[1]
    #expect(first >= 2 && first <= 3)
    for (index, time) in times.enumerated() { #expect(abs(time - first * Double(1 << index - 1)) < 0.001) }
    let end = try #require(failed)
    #expect(abs(end - first * 31) < 0.001 && end <= 93)
  }

  @Test("RFC 7252 section 4.8.2: derived times, and other parameters") func parameters() throws {
    let standard = TransmissionParameters()
    #expect(standard.maxTransmitSpan == .seconds(45) && standard.maxTransmitWait == .seconds(93))
    #expect(standard.maxRTT == .seconds(202) && standard.exchangeLifetime == .seconds(247))
    #expect(standard.nonLifetime == .seconds(145))

    var client = layer {
      $0.parameters.ackTimeout = .seconds(10)
      $0.parameters.ackRandomFactor = 1
      $0.parameters.maxRetransmit = 1
    }
    _ = client.request(temperature, to: "server", at: .start)
    var seen: [Double] = []
    _ = client.takeOutputs()
    while let next = client.nextTimeout, seen.count < 2 {
      client.timeout(at: next)
      if !client.takeOutputs().isEmpty { seen.append(next.elapsed) }
    }
    #expect(seen == [10, 30])
  }

  @Test("RFC 7252 section 4.2: late timers catch up and stay within MAX_TRANSMIT_SPAN") func lateTimers()
    throws
  {
    var client = layer()
    _ = client.request(temperature, to: "server", at: .start)
    _ = client.takeOutputs()
    client.timeout(at: .after(8))
    #expect(client.takeOutputs().count == 1)
    // At least ACK_TIMEOUT between two transmissions.
    let next = try #require(client.nextTimeout)
    #expect(next.elapsed >= 10 - 0.001 && next.elapsed <= 10.001)
    client.timeout(at: .after(50))
    #expect(client.takeOutputs().isEmpty)
  }

  @Test("RFC 7252 figure 20: separate response, in either order", arguments: [true, false])
  func separate(acknowledgementFirst: Bool) throws {
    var client = layer()
    let id = client.request(temperature, to: "server", at: .start)
    let sent = try #require(client.takeOutputs().first?.transmitted)
    let acknowledgement = CoAPMessage.empty(.acknowledgement, messageID: sent.messageID)
    if acknowledgementFirst {
      #expect(try client.take(acknowledgement, from: "server", at: .after(0.1)).isEmpty)
      // No retransmission any more.
      client.timeout(at: .after(60))
      #expect(client.takeOutputs().isEmpty)
    }
    let response = answer(.confirmable, 0xad7b, to: sent)
    var outputs = try client.take(response, from: "server", at: .after(60))
    #expect(outputs.first?.transmitted == .empty(.acknowledgement, messageID: 0xad7b))
    guard case .response(id, reading)? = outputs.last, outputs.count == 2 else {
      Issue.record("\(outputs)")
      return
    }
    if !acknowledgementFirst {
      #expect(
        try client.take(acknowledgement, from: "server", at: .after(61)).map(\.dropReason) == [
          .coapExchangeUnknown
        ])
    }
    // A duplicate of the response is acknowledged again and reported once only.
    outputs = try client.take(response, from: "server", at: .after(62))
    #expect(outputs.first?.transmitted == .empty(.acknowledgement, messageID: 0xad7b))
    #expect(outputs.count == 2 && outputs.last?.dropReason == .coapDuplicate)
  }

  @Test("RFC 7252 figure 21: a response that a restarted client does not expect is reset") func unexpected()
    throws
  {
    var client = layer()
    let stray = CoAPMessage(
      type: .confirmable, code: .content, messageID: 0xad7c, token: try #require(CoAPToken([0x64])),
      payload: reading.payload)
    #expect(
      try client.take(.empty(.acknowledgement, messageID: 0x7d39), from: "server", at: .start).map(
        \.dropReason)
        == [.coapExchangeUnknown])
    let outputs = try client.take(stray, from: "server", at: .start)
    #expect(outputs.first?.transmitted == .empty(.reset, messageID: 0xad7c))
    #expect(outputs.last?.dropReason == .coapExchangeUnknown)
  }

  @Test("RFC 7252 section 5.3.2: a response must come from the peer and have the token") func matching()
    throws
  {
    var client = layer()
    _ = client.request(temperature, to: "server", at: .start)
    let sent = try #require(client.takeOutputs().first?.transmitted)
    let response = answer(.acknowledgement, sent.messageID, to: sent)
    #expect(try client.take(response, from: "other", at: .start).map(\.dropReason) == [.coapExchangeUnknown])
    var wrong = response
    wrong.token = CoAPToken(value: sent.token.value ^ 1, count: 4)
    #expect(try client.take(wrong, from: "server", at: .start).map(\.dropReason) == [.coapExchangeUnknown])
    wrong.token = CoAPToken(value: sent.token.value, count: 5)
    #expect(try client.take(wrong, from: "server", at: .start).map(\.dropReason) == [.coapExchangeUnknown])
    wrong = response
    wrong.messageID ^= 1
    #expect(try client.take(wrong, from: "server", at: .start).map(\.dropReason) == [.coapExchangeUnknown])
    #expect(try client.take(response, from: "server", at: .start).first?.response == reading)
  }

  @Test("RFC 7252 section 5.4.1: critical options in responses") func badOptionInResponse() throws {
    let unknown: CoAPOptions = [CoAPOption(CoAPOptionNumber(rawValue: 65_001))]
    var client = layer()
    _ = client.request(temperature, to: "server", at: .start)
    let sent = try #require(client.takeOutputs().first?.transmitted)
    #expect(
      try client.take(
        answer(.acknowledgement, sent.messageID, to: sent, options: unknown), from: "server", at: .start
      )
      .map(\.dropReason) == [.coapOptionUnknownCritical])
    let outputs = try client.take(
      answer(.confirmable, 9, to: sent, options: unknown), from: "server", at: .start)
    #expect(outputs.first?.transmitted == .empty(.reset, messageID: 9))
    #expect(outputs.last?.dropReason == .coapOptionUnknownCritical)
    #expect(
      try client.take(answer(.acknowledgement, sent.messageID, to: sent), from: "server", at: .after(1))
        .first?
        .response == reading)
  }

  @Test("RFC 7252 section 4.7: NSTART requests at a time, the others in order", arguments: [1, 3])
  func nStart(limit: Int) throws {
    var client = layer { $0.parameters.nStart = limit }
    let ids = (0..<6).map { client.request(CoAPRequest(.get, path: ["\($0)"]), to: "server", at: .start) }
    var inFlight = client.takeOutputs().compactMap(\.transmitted)
    #expect(inFlight.count == limit)
    // Another peer does not wait.
    _ = client.request(temperature, to: "other", at: .start)
    #expect(client.takeOutputs().count == 1)
    var finished: [RequestID<String>] = []
    while !inFlight.isEmpty {
      let next = inFlight.removeFirst()
      for output in try client.take(
        answer(.acknowledgement, next.messageID, to: next), from: "server", at: .after(1))
      {
        if case .response(let id, _) = output { finished.append(id) }
        if let message = output.transmitted { inFlight.append(message) }
      }
      #expect(inFlight.count <= limit)
    }
    #expect(finished == ids)
  }

  @Test("An acknowledged request does not hold up the next, and fails if no response comes") func noResponse()
    throws
  {
    var client = layer()
    let id = client.request(temperature, to: "server", at: .start)
    let second = client.request(temperature, to: "server", at: .start)
    let sent = try #require(client.takeOutputs().first?.transmitted)
    let outputs = try client.take(
      .empty(.acknowledgement, messageID: sent.messageID), from: "server", at: .after(1))
    let next = try #require(outputs.first?.transmitted)
    #expect(next.messageID == sent.messageID &+ 1 && next.token != sent.token)
    client.cancel(second, at: .after(2))
    guard case .failed(second, .cancelled)? = client.takeOutputs().first else {
      Issue.record("not cancelled")
      return
    }
    client.cancel(second, at: .after(2))
    #expect(client.takeOutputs().isEmpty)
    client.timeout(at: .after(247.9))
    #expect(client.takeOutputs().isEmpty)
    client.timeout(at: .after(248))
    guard case .failed(id, .noResponse)? = client.takeOutputs().first else {
      Issue.record("still waiting")
      return
    }
  }

  @Test("A reset fails the request; of a ping it is the answer") func resetAndPing() throws {
    var client = layer()
    let id = client.request(temperature, to: "server", at: .start)
    let sent = try #require(client.takeOutputs().first?.transmitted)
    guard
      case .failed(id, .reset)? = try client.take(
        .empty(.reset, messageID: sent.messageID), from: "server", at: .after(1)
      ).first
    else {
      Issue.record("not reset")
      return
    }
    let ping = client.ping("server", at: .after(2))
    let message = try #require(client.takeOutputs().first?.transmitted)
    #expect(message == .empty(.confirmable, messageID: message.messageID))
    var server = layer()
    let pong = try #require(try server.take(message, from: "client", at: .after(2)).first?.transmitted)
    guard case .pong(ping)? = try client.take(pong, from: "server", at: .after(2)).first else {
      Issue.record("no pong")
      return
    }
    let lost = client.ping("server", at: .after(3))
    _ = client.takeOutputs()
    var failures: [RequestID<String>] = []
    while let next = client.nextTimeout, next.elapsed < 100 {
      client.timeout(at: next)
      for case .failed(let id, .timeout) in client.takeOutputs() { failures.append(id) }
    }
    #expect(failures == [lost])
  }

  @Test("RFC 7252 section 4.7: a non-confirmable request counts until PROBING_RATE allows the next")
  func probingRate() throws {
    var client = layer { $0.parameters.probingRate = 2 }
    let id = client.request(temperature, to: "server", confirmable: false, at: .start)
    let second = client.request(temperature, to: "server", confirmable: false, at: .start)
    let sent = try #require(client.takeOutputs().first?.transmitted)
    #expect(sent.type == .nonConfirmable)
    // 20 bytes at 2 bytes a second.
    #expect(sent.encodedLength == 20)
    client.timeout(at: .after(9.9))
    #expect(client.takeOutputs().isEmpty)
    client.timeout(at: .after(10))
    let next = try #require(client.takeOutputs().first?.transmitted)
    // Both responses are still welcome.
    let first = try client.take(answer(.nonConfirmable, 1, to: sent), from: "server", at: .after(11))
    let last = try client.take(answer(.nonConfirmable, 2, to: next), from: "server", at: .after(12))
    guard case .response(id, reading)? = first.first, case .response(second, reading)? = last.first else {
      Issue.record("\(first) \(last)")
      return
    }
  }

  @Test("What cannot be sent fails at once") func refusals() throws {
    var client = layer {
      $0.limits.requestsPerPeer = 2
      $0.limits.requests = 3
    }
    _ = client.request(temperature, to: "a", at: .start)
    _ = client.request(temperature, to: "a", at: .start)
    _ = client.takeOutputs()
    _ = client.request(temperature, to: "a", at: .start)
    #expect(client.takeOutputs().map(\.failure) == [.limit])
    _ = client.request(temperature, to: "b", at: .start)
    #expect(client.takeOutputs().count == 1)
    _ = client.request(temperature, to: "c", at: .start)
    #expect(client.takeOutputs().map(\.failure) == [.limit])
    var other = layer()
    _ = other.request(CoAPRequest(.content), to: "a", at: .start)
    _ = other.request(CoAPRequest(.empty), to: "a", at: .start)
    #expect(other.takeOutputs().map(\.failure) == [.notRepresentable, .notRepresentable])
  }

  @Test("RFC 7252 section 4.4: message IDs start at random and rise") func messageIDs() throws {
    var starts: Set<UInt16> = []
    for seed in UInt64(0)..<20 {
      var client = layer(seed) { $0.parameters.nStart = 10 }
      for _ in 0..<10 { _ = client.request(temperature, to: "a", at: .start) }
      let ids = client.takeOutputs().compactMap { $0.transmitted?.messageID }
      #expect(ids == (0..<10).map { ids[0] &+ $0 })
      starts.insert(ids[0])
    }
    #expect(starts.count > 15)
  }
}
