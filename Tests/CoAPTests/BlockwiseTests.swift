import CoAP
import TestSupport
import Testing
import Wire

/// A server with one answer to everything, and a client that sends what a figure says: both ends by message.
private struct Site {
  var endpoint: Endpoint
  var delivered: [CoAPRequest] = []
  var answer: (CoAPRequest) -> CoAPResponse
  var id: UInt16 = 1234
  var now = Instant.start

  init(
    szx: UInt8 = 6, _ change: (inout BlockwiseConfiguration) -> Void = { _ in },
    answer: @escaping (CoAPRequest) -> CoAPResponse
  ) {
    var blockwise = BlockwiseConfiguration()
    blockwise.preferredSZX = szx
    change(&blockwise)
    endpoint = Endpoint(blockwise: blockwise, random: SeededGenerator(seed: 1))
    self.answer = answer
  }

  /// Sends a request and returns the response and the reasons of drops.
  mutating func exchange(
    _ request: CoAPRequest, from peer: String = "client"
  ) throws -> (response: CoAPMessage, drops: [DropReason]) {
    let message = CoAPMessage(
      type: .confirmable, code: request.code, messageID: id, options: request.options,
      payload: request.payload)
    id &+= 1
    var outputs = try endpoint.take(message, from: peer, at: now)
    for (exchange, request) in outputs.compactMap(\.exchange) {
      delivered.append(request)
      endpoint.respond(to: exchange, with: answer(request), at: now)
      outputs += endpoint.takeOutputs()
    }
    let response = try #require(outputs.compactMap(\.transmitted).first)
    #expect(response.type == .acknowledgement && response.messageID == message.messageID)
    return (response, outputs.compactMap(\.dropReason))
  }
}

private func body(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 ^ $0 >> 8) } }

/// "2/0/128" as in the RFC.
private func block(_ text: String) -> CoAPBlock {
  let parts = text.split(separator: "/").compactMap { Int($0) }
  return CoAPBlock(number: parts[0], more: parts[1] == 1, szx: CoAPBlock.szx(forBytes: parts[2]))
}

private func get(_ block2: String? = nil, path: String = "status") -> CoAPRequest {
  var request = CoAPRequest(.get, path: [path])
  request.block2 = block2.map(block)
  return request
}

private func put(_ block1: String, _ body: [UInt8], code: CoAPCode = .put, block2: String? = nil)
  -> CoAPRequest
{
  let block1 = block(block1)
  var request = CoAPRequest(
    code, path: ["options"],
    payload: Array(body[block1.offset..<min(block1.offset + block1.size, body.count)]))
  request.block1 = block1
  request.block2 = block2.map(block)
  return request
}

@Suite struct BlockwiseServerTests {
  @Test(
    "RFC 7959 figures 2 to 4: block-wise GET",
    arguments: [
      (3, 300, [nil, "1/0/128", "2/0/128"], ["0/1/128", "1/1/128", "2/0/128"]),
      (
        6, 350, ["0/0/64", "1/0/64", "2/0/64", "3/0/64", "4/0/64", "5/0/64"],
        ["0/1/64", "1/1/64", "2/1/64", "3/1/64", "4/1/64", "5/0/64"]
      ),
      (
        3, 350, [nil, "2/0/64", "3/0/64", "4/0/64", "5/0/64"],
        ["0/1/128", "2/1/64", "3/1/64", "4/1/64", "5/0/64"]
      ),
      // The gateway's GET /e, 130 bytes read in blocks of 64; a last block that is full; larger blocks than are served.
      (6, 130, ["0/0/64", "1/0/64", "2/0/64"], ["0/1/64", "1/1/64", "2/0/64"]),
      (6, 128, ["0/0/64", "1/0/64"], ["0/1/64", "1/0/64"]),
      (2, 200, ["0/0/1024", "1/0/128"], ["0/1/64", "2/1/64"]),
      (2, 10, ["0/0/16"], ["0/0/16"]), (2, 10, [nil], [nil]), (2, 64, [nil], [nil]),
    ] as [(UInt8, Int, [String?], [String?])])
  func blockwiseGet(szx: UInt8, size: Int, requests: [String?], responses: [String?]) throws {
    let content = body(size)
    var site = Site(szx: szx) { _ in CoAPResponse(.content, contentFormat: .coseSign1, payload: content) }
    var tags: Set<[UInt8]?> = []
    var collected: [Int: UInt8] = [:]
    for (request, expected) in zip(requests, responses) {
      let (response, drops) = try site.exchange(get(request))
      #expect(response.code == .content && response.contentFormat == .coseSign1 && drops.isEmpty)
      #expect(response.block2?.description == expected)
      let start = response.block2?.offset ?? 0
      for (index, byte) in response.payload.enumerated() { collected[start + index] = byte }
      if expected?.hasPrefix("0/1") == true { #expect(response.size2 == UInt32(size)) }
      tags.insert(response.eTag)
    }
    if requests.last != "1/0/128" || szx != 2 {
      #expect((0..<size).compactMap { collected[$0] } == content)
    }
    // One representation: delivered once, one ETag.
    #expect(site.delivered.count == 1 && tags.count == 1)
    #expect(site.delivered.first?.block2 == nil)
    if size > 64 { #expect(!tags.contains(nil)) }
  }

  @Test("RFC 7959 section 2.4: the blocks are of one representation, even if the resource changes")
  func representationIsKept() throws {
    var version: UInt8 = 0
    var site = Site(szx: 2) { _ in
      version += 1
      return CoAPResponse(.content, payload: [UInt8](repeating: version, count: 150))
    }
    let first = try site.exchange(get("0/0/64")).response
    let other = try site.exchange(get("0/0/64"), from: "other").response
    #expect(first.eTag != other.eTag)
    for number in 1...2 {
      let response = try site.exchange(get("\(number)/0/64")).response
      #expect(response.eTag == first.eTag && Set(response.payload) == [1])
    }
    // From the start again is a new request.
    #expect(try site.exchange(get("0/0/64")).response.payload.first == 3)
    #expect(try site.exchange(get("2/0/64")).response.payload == [UInt8](repeating: 3, count: 22))
    // Other options are another operation.
    let formatted = CoAPRequest(.get, path: ["status"], accept: .cbor)
    #expect(try site.exchange(formatted).response.payload.first == 4)
    // After its lifetime the representation is made anew, with another ETag if it has changed.
    site.now = .after(300)
    let late = try site.exchange(get("1/0/64")).response
    #expect(late.payload.first == 5 && late.block2 == block("1/1/64") && late.eTag != first.eTag)
    #expect(try site.exchange(get("9/0/64")).response.code == .badRequest)
  }

  @Test("The application's own ETag is kept") func ownETag() throws {
    var site = Site(szx: 0) { _ in CoAPResponse(.content, eTag: [1, 2, 3], payload: body(40)) }
    for number in 0...2 {
      #expect(try site.exchange(get("\(number)/0/16")).response.eTag == [1, 2, 3])
    }
  }

  @Test(
    "RFC 7959 figures 7 and 9: block-wise PUT",
    arguments: [
      (6, 300, ["0/1/128", "1/1/128", "2/0/128"], ["0/1/128", "1/1/128", "2/0/128"]),
      (1, 210, ["0/1/128", "4/1/32", "5/1/32", "6/0/32"], ["0/1/32", "4/1/32", "5/1/32", "6/0/32"]),
      (6, 100, ["0/0/128"], ["0/0/128"]),
    ] as [(UInt8, Int, [String], [String])])
  func blockwisePut(szx: UInt8, size: Int, requests: [String], responses: [String]) throws {
    let content = body(size)
    var site = Site(szx: szx) { _ in CoAPResponse(.changed) }
    for (request, expected) in zip(requests, responses) {
      let (response, drops) = try site.exchange(put(request, content))
      #expect(response.block1?.description == expected && drops.isEmpty && response.payload.isEmpty)
      #expect(response.code == (request == requests.last ? .changed : .continue))
    }
    #expect(site.delivered.map(\.payload) == [content])
    #expect(site.delivered.first?.options.map(\.number) == [.uriPath])
    #expect(site.endpoint.openState.peers == 1)
  }

  @Test("RFC 7959 figures 10 and 11: both bodies in blocks", arguments: [false, true])
  func both(early: Bool) throws {
    let content = body(300)
    let reply = body(early ? 250 : 500)
    let size = early ? 64 : 128
    var site = Site(szx: 3) { _ in CoAPResponse(.changed, payload: reply) }
    #expect(try site.exchange(put("0/1/128", content, code: .post)).response.code == .continue)
    #expect(try site.exchange(put("1/1/128", content, code: .post)).response.block2 == nil)
    let last = put("2/0/128", content, code: .post, block2: early ? "0/0/64" : nil)
    var response = try site.exchange(last).response
    #expect(response.code == .changed && response.block1 == block("2/0/128"))
    #expect(response.block2 == block("0/1/\(size)"))
    var collected = response.payload
    for number in 1...3 {
      var next = CoAPRequest(.post, path: ["options"])
      next.block2 = block("\(number)/0/\(size)")
      response = try site.exchange(next).response
      #expect(response.code == .changed && response.block1 == nil)
      #expect(response.block2 == block("\(number)/\(number < 3 ? 1 : 0)/\(size)"))
      collected += response.payload
    }
    #expect(collected == reply && site.delivered.map(\.payload) == [content])
  }

  @Test("RFC 7959 sections 2.3, 2.5 and 2.9.2: what cannot be assembled") func incomplete() throws {
    let content = body(300)
    var site = Site { _ in CoAPResponse(.changed) }
    func refusal(_ request: CoAPRequest, from peer: String = "client") throws -> (CoAPCode, DropReason?) {
      let (response, drops) = try site.exchange(request, from: peer)
      return (response.code, drops.first)
    }
    // Never begun; out of order; from another peer; with another format.
    #expect(
      try refusal(put("1/1/128", content)) == (.requestEntityIncomplete, .coapBlockOutOfOrder))
    #expect(try refusal(put("0/1/128", content)) == (.continue, nil))
    #expect(
      try refusal(put("2/0/128", content)) == (.requestEntityIncomplete, .coapBlockOutOfOrder))
    #expect(
      try refusal(put("1/1/128", content)) == (.requestEntityIncomplete, .coapBlockOutOfOrder))
    #expect(try refusal(put("0/1/128", content)) == (.continue, nil))
    #expect(
      try refusal(put("1/1/128", content), from: "b") == (
        .requestEntityIncomplete, .coapBlockOutOfOrder
      ))
    var other = put("1/1/128", content)
    other.contentFormat = .cbor
    #expect(try refusal(other) == (.requestEntityIncomplete, .coapBlockOutOfOrder))
    // Blocks that are not as long as they say, and the reserved size.
    #expect(try refusal(put("0/1/128", body(100))) == (.badRequest, .lengthMismatch))
    var long = put("0/0/16", content)
    long.payload = body(17)
    #expect(try refusal(long) == (.badRequest, .lengthMismatch))
    var reserved = put("0/1/128", content)
    reserved.block1 = CoAPBlock(number: 0, more: true, szx: 7)
    #expect(try refusal(reserved) == (.badRequest, .reservedValue))
    reserved = CoAPRequest(.get)
    reserved.block2 = CoAPBlock(number: 0, more: false, szx: 7)
    #expect(try refusal(reserved) == (.badRequest, .reservedValue))
    #expect(site.delivered.isEmpty)
    // A block repeated in a new message is taken once; a new start takes the place of what there was.
    #expect(try refusal(put("0/1/128", content)) == (.continue, nil))
    #expect(try refusal(put("1/1/128", content)) == (.continue, nil))
    #expect(try refusal(put("1/1/128", content)) == (.continue, nil))
    #expect(try refusal(put("2/0/128", content)) == (.changed, nil))
    #expect(try refusal(put("0/1/128", content)) == (.continue, nil))
    #expect(try refusal(put("0/1/128", content)) == (.continue, nil))
    // Too late.
    site.now = .after(248)
    #expect(
      try refusal(put("1/1/128", content)) == (.requestEntityIncomplete, .coapBlockOutOfOrder))
    #expect(site.delivered.map(\.payload) == [content])
    // What is left of a response to POST cannot be made again.
    var rest = CoAPRequest(.post)
    rest.block2 = block("1/0/64")
    #expect(try refusal(rest) == (.requestEntityIncomplete, .coapBlockOutOfOrder))
  }

  @Test("RFC 7959 section 2.9.3: too large, with Size1") func tooLarge() throws {
    let content = body(300)
    var site = Site({ $0.maximumRequestBody = 200 }, answer: { _ in CoAPResponse(.changed) })
    #expect(try site.exchange(put("0/1/128", content)).response.code == .continue)
    let (response, drops) = try site.exchange(put("1/1/128", content))
    #expect(response.code == .requestEntityTooLarge && response.size1 == 200 && drops == [.coapBlockTooLarge])
    var announced = put("0/1/16", content)
    announced.size1 = 201
    #expect(try site.exchange(announced).response.code == .requestEntityTooLarge)
    announced.size1 = 200
    #expect(try site.exchange(announced).response.code == .continue)
    #expect(try site.exchange(CoAPRequest(.post, payload: body(201))).response.code == .requestEntityTooLarge)
    #expect(try site.exchange(CoAPRequest(.post, payload: body(200))).response.code == .changed)
  }

  @Test("RFC 9175 section 3.3: transfers with different Request-Tags are different") func requestTags() throws {
    let first = body(200)
    let second = first.map { ~$0 }
    var site = Site { _ in CoAPResponse(.changed) }
    for text in ["0/1/128", "1/0/128"] {
      for (tag, content) in [([1], first), ([2], second)] as [([UInt8], [UInt8])] {
        var request = put(text, content)
        request.requestTag = tag
        request.size1 = text == "0/1/128" ? 200 : nil
        #expect(try site.exchange(request).response.code == (text == "0/1/128" ? .continue : .changed))
      }
    }
    #expect(site.delivered.map(\.payload) == [first, second])
  }

  @Test("The bounds on transfers hold") func bounds() throws {
    let content = body(2000)
    func limit(_ limits: inout BlockwiseConfiguration) {
      limits.assembliesPerPeer = 2
      limits.assemblies = 5
      limits.assemblyBytes = 600
      limits.responses = 3
      limits.responsesPerPeer = 2
      limits.responseBytes = 5000
    }
    var site = Site(limit, answer: { _ in CoAPResponse(.content, payload: content) })
    func start(_ tag: UInt8, _ peer: String) throws -> CoAPMessage {
      var request = put("0/1/128", content)
      request.requestTag = [tag]
      return try site.exchange(request, from: peer).response
    }
    // The third of one peer takes the place of its first; the fifth in all has no room for its bytes.
    for (tag, peer) in [(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "c")] as [(UInt8, String)] {
      #expect(try start(tag, peer).code == .continue)
    }
    let busy = try start(6, "d")
    #expect(busy.code == .serviceUnavailable && busy.maxAge == 248)
    var next = put("1/1/128", content)
    next.requestTag = [1]
    #expect(try site.exchange(next, from: "a").response.code == .requestEntityIncomplete)
    site.now = .after(250)
    #expect(try start(6, "d").code == .continue)

    // Two representations of 2,000 bytes fit.
    for peer in ["a", "b", "c"] {
      #expect(try site.exchange(get("0/0/1024"), from: peer).response.code == .content)
    }
    let before = site.delivered.count
    #expect(try site.exchange(get("1/0/1024"), from: "c").response.payload.count == 976)
    #expect(try site.exchange(get("1/0/1024"), from: "b").response.payload.count == 976)
    #expect(site.delivered.count == before)
    #expect(try site.exchange(get("1/0/1024"), from: "a").response.payload.count == 976)
    #expect(site.delivered.count == before + 1)
  }

  @Test("State of transfers is given up when its time is over") func forgetting() throws {
    var site = Site(szx: 0) { _ in CoAPResponse(.content, payload: body(100)) }
    #expect(try site.exchange(get()).response.code == .content)
    #expect(try site.exchange(put("0/1/16", body(100))).response.code == .continue)
    var steps = 0
    while let next = site.endpoint.nextTimeout, steps < 20 {
      site.endpoint.timeout(at: next)
      steps += 1
    }
    #expect(site.endpoint.nextTimeout == nil && site.endpoint.openState == (0, 0))
  }
}
