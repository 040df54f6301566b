import CoAP
import TestSupport
import Testing
import Wire

private func capabilities(_ size: UInt32, blockwise: Bool = true) -> CoAPCapabilities {
  CoAPCapabilities(maximumMessageSize: size, supportsBlockwise: blockwise)
}

/// Bounds that hold bodies of 1 MB.
private func large(_ configuration: inout CoAPStreamConfiguration) {
  configuration.blockwise.maximumRequestBody = 1 << 20
  configuration.blockwise.maximumResponseBody = 1 << 20
  configuration.blockwise.assemblyBytes = 1 << 21
  configuration.blockwise.responseBytes = 1 << 21
}

private func message(_ content: some CoAPContent, _ token: UInt64 = 1) -> CoAPStreamMessage {
  CoAPStreamMessage(
    code: content.code, token: CoAPToken(value: token, count: 1), options: content.options, payload: content.payload)
}

/// "2/0/128" or "2/0/BERT".
private func block(_ text: String) -> CoAPBlock {
  let parts = text.split(separator: "/").map(String.init)
  let szx = parts[2] == "BERT" ? 7 : CoAPBlock.szx(forBytes: Int(parts[2]) ?? 0)
  return CoAPBlock(number: Int(parts[0]) ?? 0, more: parts[1] == "1", szx: szx)
}

/// Whether these are the same bodies, in any order; a failure does not print them.
private func same(_ some: [[UInt8]], _ others: [[UInt8]]) -> Bool {
  some.count == others.count && Set(some) == Set(others)
}

@Suite struct StreamBlockwiseTests {
  @Test("RFC 8323 figure 13: GET with BERT blocks, the client's side") func figure13() throws {
    let body = streamBody(3072 + 5120 + 4711)
    var client = connection { large(&$0) }
    try client.open(capabilities(6000))
    _ = client.takeOutputs()
    let id = client.request(CoAPRequest(.get, path: ["status"]), at: .start)
    var outputs: [Stream.Output] = []
    let blocks = [
      ("0/1/BERT", nil, 0..<3072), ("3/1/BERT", "3/0/BERT", 3072..<8192), ("8/0/BERT", "8/0/BERT", 8192..<body.count),
    ]
    for (described, asked, range) in blocks {
      let request = try #require(try client.messages(outputs.isEmpty ? client.takeOutputs() : outputs).first)
      #expect(request.code == .get && request.uriPath == ["status"] && request.block2?.description == asked)
      var response = CoAPResponse(.content, eTag: [1], payload: Array(body[range]))
      response.block2 = block(described)
      outputs = try client.take(message(response).with(token: request.token))
    }
    let (ended, response) = try #require(outputs.first?.response)
    #expect(ended == id && response == CoAPResponse(.content, eTag: [1], payload: body))
  }

  @Test("RFC 8323 figure 14: PUT with BERT blocks, the server's side") func figure14() throws {
    let body = streamBody(8192 + 16_384 + 5683)
    var server = connection { large(&$0) }
    try server.open(capabilities(2000))
    _ = server.takeOutputs()
    for (described, range, answer) in [
      ("0/1/BERT", 0..<8192, "0/1/BERT"), ("8/1/BERT", 8192..<24_576, "8/1/BERT"),
      ("24/0/BERT", 24_576..<body.count, "24/0/BERT"),
    ] {
      var request = CoAPRequest(.put, path: ["options"], payload: Array(body[range]))
      request.block1 = block(described)
      var outputs = try server.take(message(request))
      if let (exchange, whole) = outputs.first?.exchange {
        #expect(whole == CoAPRequest(.put, path: ["options"], payload: body))
        server.respond(to: exchange, with: CoAPResponse(.changed), at: .start)
        outputs = server.takeOutputs()
      }
      let response = try #require(try server.messages(outputs).first)
      #expect(response.code == (range.upperBound == body.count ? .changed : .continue))
      #expect(response.block1?.description == answer)
    }
  }

  /// The peer's Max-Message-Size, whether it knows block-wise transfer, bytes of the body, and the blocks sent.
  @Test(
    "What is larger than the peer takes goes in blocks that it takes",
    arguments: [
      (66_048, true, 300_000, "BERT", 5), (1 << 20, true, 300_000, nil, 1), (2000, true, 5000, "BERT", 5),
      (1153, true, 5000, "BERT", 5), (1152, true, 5000, "1024", 5), (1152, true, 1100, nil, 1),
      (600, true, 2000, "512", 4),
      (100, true, 320, "32", 10), (1152, false, 1100, nil, 1),
    ] as [(UInt32, Bool, Int, String?, Int)])
  func blockSizes(size: UInt32, blockwise: Bool, count: Int, expected: String?, messages: Int) throws {
    let body = streamBody(count)
    for isResponse in [false, true] {
      var pair = try StreamPair { large(&$0) }
      // The other end says what the test wants.
      for end in 0...1 {
        pair.ends[end] = connection(UInt64(end)) {
          large(&$0)
          $0.maximumMessageSize = 1 << 20
        }
        try pair.ends[end].open(capabilities(end == (isResponse ? 1 : 0) ? size : 1 << 20, blockwise: blockwise))
        _ = pair.ends[end].takeOutputs()
      }
      _ = pair.ends[0].request(CoAPRequest(.put, path: ["x"], payload: isResponse ? [1] : body), at: pair.now)
      try pair.run { _, request in CoAPResponse(.changed, payload: isResponse ? body : []) }
      let crossed = pair.crossed[isResponse ? 1 : 0]
      #expect(crossed.count == messages)
      for message in crossed {
        #expect(message.encodedLength(.tcp) <= Int(size))
        let block = isResponse ? message.block2 : message.block1
        #expect(block?.description.split(separator: "/").last.map(String.init) == expected)
      }
      #expect(same(pair.delivered[1].map(\.payload), [isResponse ? [1] : body]))
      #expect(same(pair.responses(0).map(\.payload), [isResponse ? body : []]))
      #expect(pair.others(0).isEmpty && pair.others(1).isEmpty && pair.ends[0].openState == (0, 0))
    }
  }

  @Test(
    "Bodies of 300 kB in both directions at once, by BERT", arguments: [CoAPStreamFraming.tcp, .webSocket])
  func largeBothWays(framing: CoAPStreamFraming) throws {
    var pair = try StreamPair(framing: framing) { large(&$0) }
    let sizes = [300_000, 65_536, 65_537]
    for end in 0...1 {
      for (number, size) in sizes.enumerated() {
        let request = CoAPRequest(.post, path: ["e", "\(end)", "\(number)"], payload: streamBody(size, end))
        _ = pair.ends[end].request(request, at: pair.now)
      }
      try pair.run { _, request in CoAPResponse(.changed, payload: request.payload.reversed()) }
    }
    for end in 0...1 {
      #expect(same(pair.delivered[1 - end].map(\.payload), sizes.map { streamBody($0, end) }))
      #expect(same(pair.responses(end).map(\.payload), sizes.map { streamBody($0, end).reversed() }))
      #expect(pair.responses(end).count == sizes.count && pair.others(end).isEmpty)
      #expect(pair.crossed[end].allSatisfy { $0.encodedLength(framing) <= 66_048 })
      let blocks = pair.crossed[end].filter { $0.code == .post && $0.block1?.more == true }
      // A multiple of 1,024 that leaves room for the options.
      #expect(!blocks.isEmpty && blocks.allSatisfy { $0.block1?.szx == 7 && $0.payload.count == 65_536 })
    }
  }

  @Test("A message as large as the peer takes goes whole, one byte more does not") func exactly() throws {
    for (count, whole) in [(1152, true), (1153, false)] {
      var end = connection()
      try end.open(capabilities(1152))
      _ = end.takeOutputs()
      // 4 bytes of header, 4 of token, one marker.
      _ = end.request(CoAPRequest(.post, payload: streamBody(count - 9)), at: .start)
      let sent = try end.sent()[0]
      #expect((sent.block1 == nil) == whole && sent.encodedLength(.tcp) <= 1152)
      #expect(!whole || sent.encodedLength(.tcp) == 1152)
      // 1 byte of token.
      let exchange = try #require(try end.take(message(CoAPRequest(.get))).first?.exchange)
      end.respond(to: exchange.id, with: CoAPResponse(.content, payload: streamBody(count - 6)), at: .start)
      let response = try end.sent()[0]
      #expect((response.block2 == nil) == whole && response.encodedLength(.tcp) <= 1152)
      #expect(!whole || response.encodedLength(.tcp) == 1152)
    }
  }

  @Test("Without Block-Wise-Transfer, what is too large fails") func noBlockwise() throws {
    var end = connection()
    try end.open(capabilities(1152, blockwise: false))
    _ = end.takeOutputs()
    _ = end.request(CoAPRequest(.post, payload: streamBody(2000)), at: .start)
    var quiet = CoAPRequest(.post, payload: streamBody(2000))
    quiet.noResponse = 26
    _ = end.request(quiet, at: .start)
    #expect(end.takeOutputs().map(\.kind) == ["failed limit", "failed limit"])
    let exchange = try #require(try end.take(message(CoAPRequest(.get))).first?.exchange)
    end.respond(to: exchange.id, with: CoAPResponse(.content, payload: streamBody(2000)), at: .start)
    let outputs = end.takeOutputs()
    #expect(outputs.map(\.kind) == ["dropped coapMessageTooLarge", "transmit"])
    #expect(try end.messages(outputs).map(\.code) == [.internalServerError])
    // A peer that takes next to nothing.
    end = connection()
    try end.open(capabilities(16))
    _ = end.takeOutputs()
    _ = end.request(CoAPRequest(.post, payload: streamBody(200)), at: .start)
    #expect(end.takeOutputs().map(\.kind) == ["failed limit"])
    // A request that waits is judged by the CSM that comes.
    end = connection()
    _ = end.request(CoAPRequest(.post, payload: streamBody(2000)), at: .start)
    _ = end.takeOutputs()
    #expect(try end.take(.capabilities(capabilities(1000, blockwise: false))).map(\.kind) == ["ready", "failed limit"])
  }

  @Test("RFC 7959 section 2.5: who loses interest and starts again is served anew") func restart() throws {
    var pair = try StreamPair { large(&$0) }
    let (first, second) = (streamBody(300_000), streamBody(250_000, 5))
    for (old, new) in [(first, second), (second, first)] {
      // Two blocks of the first body have crossed when the application changes its mind.
      let abandoned = pair.ends[0].request(CoAPRequest(.put, path: ["x"], payload: old), at: pair.now)
      for _ in 0..<2 {
        for end in 0...1 {
          for frame in pair.ends[end].takeOutputs().compactMap(\.frame) {
            pair.ends[1 - end].receive(frame.rawSpan, at: pair.now)
          }
        }
      }
      pair.ends[0].cancel(abandoned, at: pair.now)
      let id = pair.ends[0].request(CoAPRequest(.put, path: ["x"], payload: new), at: pair.now)
      pair.delivered[1] = []
      pair.events[0] = []
      try pair.run { _, request in CoAPResponse(.changed, payload: request.payload) }
      #expect(same(pair.delivered[1].map(\.payload), [new]))
      #expect(same(pair.responses(0).map(\.payload), [new]) && pair.events[0].last?.response?.id == id)
      #expect(pair.others(0).contains("failed cancelled"))
    }
    // The same for a large response.
    let abandoned = pair.ends[0].request(CoAPRequest(.get, path: ["y"]), at: pair.now)
    let frame = try #require(pair.ends[0].takeOutputs().first?.frame)
    pair.ends[1].receive(frame.rawSpan, at: pair.now)
    let exchange = try #require(pair.ends[1].takeOutputs().first?.exchange)
    pair.ends[1].respond(to: exchange.id, with: CoAPResponse(.content, payload: first), at: pair.now)
    let part = try #require(pair.ends[1].takeOutputs().first?.frame)
    pair.ends[0].receive(part.rawSpan, at: pair.now)
    pair.ends[0].cancel(abandoned, at: pair.now)
    _ = pair.ends[0].request(CoAPRequest(.get, path: ["y"]), at: pair.now)
    pair.events[0] = []
    try pair.run { _, _ in CoAPResponse(.content, payload: second) }
    #expect(same(pair.responses(0).map(\.payload), [second]))
  }

  @Test("RFC 9175 section 3.5.2: large bodies to one resource at once do not mix") func concurrent() throws {
    var pair = try StreamPair { large(&$0) }
    let bodies = (0..<4).map { streamBody(200_000, $0 * 7) }
    for body in bodies { _ = pair.ends[0].request(CoAPRequest(.post, path: ["e"], payload: body), at: pair.now) }
    try pair.run { _, request in CoAPResponse(.changed, payload: Array(request.payload.prefix(3))) }
    #expect(same(pair.delivered[1].map(\.payload), bodies))
    #expect(pair.responses(0).count == 4 && pair.delivered[1].allSatisfy { $0.requestTag == nil })
  }

  @Test("Each block has its own time; what stops in the middle is forgotten") func timeouts() throws {
    var client = connection {
      large(&$0)
      $0.pingInterval = nil
    }
    try client.open(capabilities(2000))
    _ = client.takeOutputs()
    let id = client.request(CoAPRequest(.put, path: ["x"], payload: streamBody(3000)), at: .start)
    let first = try client.sent()[0]
    var next = CoAPStreamMessage(code: .continue, token: first.token)
    next.block1 = first.block1
    #expect(try client.messages(client.take(next, at: .after(25)))[0].block1?.description == "1/1/BERT")
    client.timeout(at: .after(30))
    #expect(client.takeOutputs().isEmpty && client.nextTimeout == .after(55))
    client.timeout(at: .after(55))
    let outputs = client.takeOutputs()
    #expect(outputs.map(\.kind) == ["failed noResponse"] && outputs[0].failure?.id == id && client.nextTimeout == nil)

    var server = connection { $0.pingInterval = nil }
    try server.open(capabilities(2000))
    _ = server.takeOutputs()
    #expect(try server.messages(server.take(first)).map(\.code) == [.continue])
    #expect(server.nextTimeout == .after(247))
    server.timeout(at: .after(247))
    #expect(server.nextTimeout == nil)
    var second = first
    second.block1 = block("1/1/BERT")
    let late = try server.take(second, at: .after(248))
    #expect(late.map(\.kind) == ["transmit", "dropped coapBlockOutOfOrder"])
    #expect(try server.messages(late).map(\.code) == [.requestEntityIncomplete])
  }

  @Test("Blocks that are not as long as they may be") func badBlocks() throws {
    for (described, count) in [
      ("0/1/BERT", 0), ("0/1/BERT", 1023), ("0/1/BERT", 1500), ("0/1/1024", 2048), ("0/0/1024", 1025),
    ] {
      var server = connection()
      try server.open(capabilities(2000))
      _ = server.takeOutputs()
      var request = CoAPRequest(.put, path: ["x"], payload: streamBody(count))
      request.block1 = block(described)
      let outputs = try server.take(message(request))
      #expect(outputs.map(\.kind) == ["transmit", "dropped lengthMismatch"])
      #expect(try server.messages(outputs).map(\.code) == [.badRequest])
      // The same from a server.
      var client = connection()
      try client.open(capabilities(2000))
      _ = client.takeOutputs()
      _ = client.request(CoAPRequest(.get), at: .start)
      var response = CoAPResponse(.content, payload: streamBody(count))
      response.block2 = block(described)
      let failed = try client.take(message(response).with(token: client.sent()[0].token))
      #expect(failed.map(\.kind) == ["failed blockwise(Wire.DropReason.coapBlockOutOfOrder)"])
    }
    // An end that takes no more than 1,152 bytes has not said that it takes BERT.
    var small = connection { $0.maximumMessageSize = 1152 }
    try small.open(capabilities(2000))
    _ = small.takeOutputs()
    var request = CoAPRequest(.put, payload: streamBody(1024))
    request.block1 = block("0/1/BERT")
    #expect(try small.take(message(request)).map(\.kind) == ["transmit", "dropped reservedValue"])
    // A body over the bound.
    var bounded = connection { $0.blockwise.maximumRequestBody = 3000 }
    try bounded.open(capabilities(2000))
    _ = bounded.takeOutputs()
    let outputs = try bounded.take(message(CoAPRequest(.put, payload: streamBody(3001))))
    #expect(outputs.map(\.kind) == ["transmit", "dropped coapBlockTooLarge"])
    let refusal = try bounded.messages(outputs)[0]
    #expect(refusal.code == .requestEntityTooLarge && refusal.size1 == 3000)
  }

  @Test("A server that answers BERT with smaller blocks, or wants blocks at all, gets them") func smallerBlocks() throws
  {
    let body = streamBody(5000)
    var client = connection()
    try client.open(capabilities(3000))
    _ = client.takeOutputs()
    _ = client.request(CoAPRequest(.put, path: ["x"], payload: body), at: .start)
    var request = try client.sent()[0]
    #expect(request.block1?.description == "0/1/BERT" && request.payload == Array(body[..<2048]))
    var response = CoAPStreamMessage(code: .continue, token: request.token)
    response.block1 = block("0/1/512")
    request = try client.messages(client.take(response))[0]
    #expect(request.block1?.description == "4/1/512" && request.payload == Array(body[2048..<2560]))
    // 4.13 with a hint: from the start (RFC 7959, 2.9.3).
    response = CoAPStreamMessage(code: .requestEntityTooLarge, token: request.token)
    response.block1 = block("4/1/64")
    request = try client.messages(client.take(response))[0]
    #expect(request.block1?.description == "0/1/64")

    client = connection()
    try client.open(capabilities(10_000))
    _ = client.takeOutputs()
    _ = client.request(CoAPRequest(.put, path: ["x"], payload: body), at: .start)
    request = try client.sent()[0]
    #expect(request.block1 == nil && request.payload == body)
    response = CoAPStreamMessage(code: .requestEntityTooLarge, token: request.token)
    response.block1 = block("0/0/1024")
    request = try client.messages(client.take(response))[0]
    #expect(request.block1?.description == "0/1/1024" && request.payload == Array(body[..<1024]))
  }

  @Test("RFC 7967: a large body with No-Response goes in blocks, and its answer is not told") func noResponse() throws {
    var pair = try StreamPair { large(&$0) }
    var request = CoAPRequest(.post, path: ["s"], payload: streamBody(200_000))
    request.noResponse = 26
    _ = pair.ends[0].request(request, at: pair.now)
    try pair.run { _, _ in CoAPResponse(.changed) }
    #expect(same(pair.delivered[1].map(\.payload), [request.payload]))
    #expect(pair.events[0].isEmpty && pair.ends[0].openState == (0, 0) && pair.ends[1].openState == (0, 0))
    // From a client that sends the option with every block: all is answered that it needs to go on.
    var end = connection { large(&$0) }
    try end.open(capabilities(2000))
    _ = end.takeOutputs()
    request.payload = streamBody(2048)
    request.block1 = block("0/1/BERT")
    #expect(try end.messages(end.take(message(request))).map(\.code) == [.continue])
    request.payload = [1]
    request.block1 = block("2/0/BERT")
    let (exchange, whole) = try #require(try end.take(message(request)).first?.exchange)
    #expect(!exchange.wantsResponse && whole.payload == streamBody(2048) + [1])
  }
}

extension CoAPStreamMessage {
  fileprivate func with(token: CoAPToken) -> CoAPStreamMessage {
    var message = self
    message.token = token
    return message
  }
}
