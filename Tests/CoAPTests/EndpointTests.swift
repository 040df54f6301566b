import CoAP
import TestSupport
import Testing
import Wire

private func body(_ count: Int, _ first: UInt8 = 0) -> [UInt8] {
  (0..<count).map { first &+ UInt8(truncatingIfNeeded: $0) }
}

/// Two endpoints with a perfect network between them. The server answers with what `answer` says.
private struct Pair {
  var client: Endpoint
  var server: Endpoint
  /// Message types, codes and options that crossed, in order.
  var crossed: [CoAPMessage] = []
  var delivered: [CoAPRequest] = []
  var ended: [ExchangeOutput<String>] = []

  init(szx: UInt8 = 2, nStart: Int = 1) {
    var configuration = ExchangeConfiguration()
    configuration.parameters.nStart = nStart
    var blockwise = BlockwiseConfiguration()
    blockwise.preferredSZX = szx
    client = Endpoint(configuration: configuration, blockwise: blockwise, random: SeededGenerator(seed: 1))
    server = Endpoint(configuration: configuration, blockwise: blockwise, random: SeededGenerator(seed: 2))
  }

  mutating func run(_ answer: (CoAPRequest) -> CoAPResponse) {
    while true {
      let fromClient = client.takeOutputs()
      let fromServer = server.takeOutputs()
      if fromClient.isEmpty && fromServer.isEmpty { return }
      for output in fromClient {
        guard case .transmit(let datagram, _) = output else {
          ended.append(output)
          continue
        }
        crossed += [output.transmitted].compactMap { $0 }
        server.receive(datagram.rawSpan, from: "client", at: .start)
      }
      for output in fromServer {
        if case .transmit(let datagram, _) = output {
          crossed += [output.transmitted].compactMap { $0 }
          client.receive(datagram.rawSpan, from: "server", at: .start)
        } else if let (id, request) = output.exchange {
          delivered.append(request)
          server.respond(to: id, with: answer(request), at: .start)
        }
      }
    }
  }
}

@Suite struct EndpointTests {
  @Test("Complete requests and responses at both ends, whatever their sizes", arguments: [1, 3])
  func completeBodies(nStart: Int) throws {
    var pair = Pair(nStart: nStart)
    var asked: [RequestID<String>: CoAPRequest] = [:]
    for (number, size) in [0, 1, 64, 65, 128, 129, 1000].enumerated() {
      let request = CoAPRequest(
        .post, path: ["r", "\(number)"], contentFormat: size > 0 ? .cbor : nil,
        payload: body(size, UInt8(number)))
      asked[pair.client.request(request, to: "server", at: .start)] = request
    }
    pair.run { CoAPResponse(.changed, contentFormat: .json, payload: $0.payload.reversed()) }
    #expect(pair.ended.count == asked.count)
    for output in pair.ended {
      guard case .response(let id, let response) = output else {
        Issue.record("\(output)")
        continue
      }
      #expect(response.payload == asked[id]?.payload.reversed() && response.code == .changed)
      #expect(response.contentFormat == .json)
    }
    #expect(Set(pair.delivered) == Set(asked.values) && pair.delivered.count == asked.count)
    // 64 bytes are one message; 65 are two each way.
    #expect(pair.crossed.allSatisfy { $0.payload.count <= 64 })
    #expect(pair.client.openState.operations == 0)
  }

  @Test("RFC 9175 section 3.5.2: operations to one resource at once are told apart by Request-Tag")
  func concurrentOperations() throws {
    var pair = Pair(nStart: 3)
    let bodies = (0..<3).map { body(200, UInt8($0 * 50)) }
    for content in bodies {
      _ = pair.client.request(CoAPRequest(.post, path: ["e"], payload: content), to: "server", at: .start)
    }
    pair.run { CoAPResponse(.changed, payload: $0.payload) }
    #expect(Set(pair.delivered.map(\.payload)) == Set(bodies) && pair.delivered.count == 3)
    #expect(Set(pair.ended.compactMap(\.response).map(\.payload)) == Set(bodies) && pair.ended.count == 3)
    // The first goes without; the tag is for the wire only.
    let tags = Set(pair.crossed.filter { $0.code == .post }.map(\.requestTag))
    #expect(tags == [nil, [], [1]])
    #expect(pair.delivered.allSatisfy { $0.requestTag == nil })
    #expect(pair.crossed.filter { $0.code.isResponse }.allSatisfy { $0.requestTag == nil })
    // After they are over the next needs no tag.
    pair.crossed = []
    _ = pair.client.request(CoAPRequest(.post, path: ["e"], payload: bodies[0]), to: "server", at: .start)
    pair.run { _ in CoAPResponse(.changed) }
    #expect(pair.crossed.allSatisfy { $0.requestTag == nil })
  }

  @Test("RFC 7959 section 2.10: If-None-Match goes with the first block and counts for the whole")
  func ifNoneMatch() throws {
    var pair = Pair()
    var request = CoAPRequest(.put, path: ["x"], contentFormat: .cbor, payload: body(300))
    request.options.append(CoAPOption(.ifNoneMatch))
    _ = pair.client.request(request, to: "server", at: .start)
    pair.run { CoAPResponse(.created, payload: $0.payload) }
    #expect(pair.delivered == [request] && pair.ended.first?.response?.payload == body(300))
    let blocks = pair.crossed.filter { $0.code == .put }
    #expect(
      blocks.count == 9
        && blocks.map { $0.options.contains(.ifNoneMatch) } == [true] + [Bool](repeating: false, count: 8))
  }

  @Test("An operation ends under the name that it began with: cancelled, timed out, too large")
  func failures() throws {
    var pair = Pair()
    let large = CoAPRequest(.put, path: ["x"], payload: body(200))
    let id = pair.client.request(large, to: "server", at: .start)
    // One block is acknowledged; the second is in flight when the application changes its mind.
    let first = try #require(pair.client.takeOutputs().first?.transmitted)
    let next = try #require(try pair.server.take(first, from: "client", at: .start).first?.transmitted)
    #expect(next.code == .continue)
    let second = try #require(try pair.client.take(next, from: "server", at: .start).first?.transmitted)
    #expect(second.block1?.number == 1)
    pair.client.cancel(id, at: .start)
    guard case .failed(id, .cancelled)? = pair.client.takeOutputs().first else {
      Issue.record("not cancelled")
      return
    }
    // A late answer finds nobody.
    let late = try #require(try pair.server.take(second, from: "client", at: .start).first?.transmitted)
    #expect(
      try pair.client.take(late, from: "server", at: .start).map(\.dropReason) == [.coapExchangeUnknown])

    let lost = pair.client.request(large, to: "nobody", at: .start)
    var ends: [RequestFailure] = []
    while let next = pair.client.nextTimeout, next.elapsed < 100 {
      pair.client.timeout(at: next)
      for case .failed(lost, let failure) in pair.client.takeOutputs() { ends.append(failure) }
    }
    #expect(ends == [.timeout])

    var small = Pair(szx: 0)
    let huge = CoAPRequest(.put, path: ["x"], payload: [UInt8](repeating: 0, count: 1 << 24 + 1))
    let tooLarge = small.client.request(huge, to: "server", at: .start)
    guard case .failed(tooLarge, .blockwise(.coapBlockTooLarge))? = small.client.takeOutputs().first else {
      Issue.record("sent")
      return
    }
    #expect(small.client.openState.operations == 0)
  }

  @Test("A ping, and a response that nobody acknowledges") func pingAndLostResponse() throws {
    var pair = Pair()
    let ping = pair.client.ping("server", at: .start)
    pair.run { _ in CoAPResponse(.content) }
    guard case .pong(ping)? = pair.ended.first, pair.ended.count == 1 else {
      Issue.record("\(pair.ended)")
      return
    }
    let request = CoAPMessage(type: .confirmable, code: .get, messageID: 1)
    let (id, _) = try #require(try pair.server.take(request, from: "x", at: .start).first?.exchange)
    pair.server.timeout(at: .after(1))
    pair.server.respond(to: id, with: CoAPResponse(.content), at: .after(2))
    var failed: [ExchangeID<String>] = []
    while let next = pair.server.nextTimeout {
      pair.server.timeout(at: next)
      for case .responseFailed(let exchange, .timeout) in pair.server.takeOutputs() {
        failed.append(exchange)
      }
    }
    #expect(failed == [id])
    let again = pair.server.respond(to: id, with: CoAPResponse(.content), at: .after(500))
    #expect(!again)
  }

  @Test("Large error responses and large responses to large requests go in blocks too") func largeErrors()
    throws
  {
    var pair = Pair()
    _ = pair.client.request(CoAPRequest(.put, path: ["x"], payload: body(500)), to: "server", at: .start)
    pair.run { _ in CoAPResponse(.conflict, contentFormat: .problemDetails, payload: body(300)) }
    let response = try #require(pair.ended.first?.response)
    #expect(response.code == .conflict && response.payload == body(300))
    #expect(response.contentFormat == .problemDetails && response.block1 == nil && response.block2 == nil)
  }
}
