import CoAP
import TestSupport
import Testing
import Wire

private func body(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 ^ $0 >> 8) } }

private func block(_ text: String) -> CoAPBlock {
  let parts = text.split(separator: "/").compactMap { Int($0) }
  return CoAPBlock(number: parts[0], more: parts[1] == 1, szx: CoAPBlock.szx(forBytes: parts[2]))
}

private func response(
  _ code: CoAPCode, block1: String? = nil, block2: String? = nil, of content: [UInt8] = [],
  eTag: [UInt8]? = nil
) -> CoAPResponse {
  var response = CoAPResponse(code, eTag: eTag)
  response.block1 = block1.map(block)
  if let block2 = block2.map(block) {
    response.block2 = block2
    response.payload = Array(content[block2.offset..<min(block2.offset + block2.size, content.count)])
  }
  return response
}

extension BlockwiseTransfer.Step {
  fileprivate var request: CoAPRequest? {
    guard case .send(let request) = self else { return nil }
    return request
  }
  /// The block options, as `1:0/1/128 2:0/0/64`.
  fileprivate var blocks: String {
    guard let request else { return "\(self)" }
    return [request.block1.map { "1:\($0)" }, request.block2.map { "2:\($0)" }].compactMap { $0 }.joined(
      separator: " ")
  }
}

private func transfer(
  _ request: CoAPRequest, szx: UInt8 = 6, _ change: (inout BlockwiseConfiguration) -> Void = { _ in }
) -> BlockwiseTransfer {
  var configuration = BlockwiseConfiguration()
  configuration.preferredSZX = szx
  change(&configuration)
  return BlockwiseTransfer(request, configuration: configuration)
}

@Suite struct BlockwiseTransferTests {
  private let status = CoAPRequest(.get, path: ["status"])
  private let options = CoAPRequest(.put, path: ["options"], payload: body(300))

  @Test(
    "RFC 7959 figures 2 to 4: block-wise GET",
    arguments: [
      (6, false, 300, ["0/1/128", "1/1/128", "2/0/128"], ["", "2:1/0/128", "2:2/0/128"]),
      (2, true, 150, ["0/1/64", "1/1/64", "2/0/64"], ["2:0/0/64", "2:1/0/64", "2:2/0/64"]),
      (
        2, false, 350, ["0/1/128", "2/1/64", "3/1/64", "4/1/64", "5/0/64"],
        ["", "2:2/0/64", "2:3/0/64", "2:4/0/64", "2:5/0/64"]
      ),
      // The server uses smaller blocks than asked for.
      (6, true, 80, ["0/1/32", "1/1/32", "2/0/32"], ["2:0/0/1024", "2:1/0/32", "2:2/0/32"]),
    ] as [(UInt8, Bool, Int, [String], [String])])
  func get(szx: UInt8, early: Bool, size: Int, responses: [String], requests: [String]) throws {
    let content = body(size)
    var transfer = transfer(status, szx: szx) { $0.negotiatesEarly = early }
    var step = transfer.start()
    for (reply, request) in zip(responses, requests) {
      #expect(step.blocks == request)
      #expect(step.request?.uriPath == ["status"] && step.request?.payload.isEmpty == true)
      step = transfer.receive(response(.content, block2: reply, of: content, eTag: [1]))
    }
    #expect(step == .complete(CoAPResponse(.content, eTag: [1], payload: content)))
  }

  @Test(
    "RFC 7959 figures 7 to 9: block-wise PUT",
    arguments: [
      (300, ["0/1/128", "1/1/128", "2/0/128"], ["0/1/128", "1/1/128", "2/0/128"], CoAPCode.continue),
      (300, ["0/0/128", "1/0/128", "2/0/128"], ["0/1/128", "1/1/128", "2/0/128"], .changed),
      (
        210, ["0/1/32", "4/1/32", "5/1/32", "6/0/32"], ["0/1/128", "4/1/32", "5/1/32", "6/0/32"], .continue
      ),
    ])
  func put(size: Int, responses: [String], requests: [String], code: CoAPCode) throws {
    let content = body(size)
    var whole = options
    whole.payload = content
    whole.options.append(CoAPOption(.ifNoneMatch))
    var transfer = transfer(whole, szx: 3)
    #expect(transfer.sendsBlocks)
    var step = transfer.start()
    var sent: [UInt8] = []
    for (reply, request) in zip(responses, requests) {
      #expect(step.blocks == "1:" + request)
      let part = try #require(step.request)
      #expect(part.size1 == (sent.isEmpty ? UInt32(size) : nil))
      #expect(part.options.contains(.ifNoneMatch) == sent.isEmpty)
      sent += part.payload
      step = transfer.receive(response(request == requests.last ? .changed : code, block1: reply))
    }
    #expect(step == .complete(CoAPResponse(.changed)) && sent == content)
  }

  @Test("RFC 7959 figures 10 and 11: both bodies in blocks", arguments: [false, true])
  func both(early: Bool) throws {
    var whole = options
    whole.code = .post
    let reply = body(500)
    var transfer = transfer(whole, szx: 3) { $0.negotiatesEarly = early }
    var step = transfer.start()
    #expect(step.blocks == "1:0/1/128")
    step = transfer.receive(response(.continue, block1: "0/1/128"))
    #expect(step.blocks == "1:1/1/128")
    step = transfer.receive(response(.continue, block1: "1/1/128"))
    #expect(step.blocks == (early ? "1:2/0/128 2:0/0/128" : "1:2/0/128"))
    step = transfer.receive(response(.changed, block1: "2/0/128", block2: "0/1/128", of: reply))
    for number in 1...3 {
      #expect(step.blocks == "2:\(number)/0/128" && step.request?.payload == [])
      step = transfer.receive(response(.changed, block2: "\(number)/\(number < 3 ? 1 : 0)/128", of: reply))
    }
    #expect(step == .complete(CoAPResponse(.changed, payload: reply)))
  }

  @Test("RFC 7959 section 2.4: another representation means to start over, a few times")
  func changedRepresentation() throws {
    let content = body(100)
    var getting = transfer(status, szx: 2)
    _ = getting.start()
    #expect(
      getting.receive(response(.content, block2: "0/1/64", of: content, eTag: [1])).blocks == "2:1/0/64")
    // The first block again, then all is of version 2.
    #expect(getting.receive(response(.content, block2: "1/0/64", of: content, eTag: [2])).blocks == "")
    #expect(
      getting.receive(response(.content, block2: "0/1/64", of: content, eTag: [2])).blocks == "2:1/0/64")
    let last = getting.receive(response(.content, block2: "1/0/64", of: content, eTag: [2]))
    #expect(last == .complete(CoAPResponse(.content, eTag: [2], payload: content)))

    var restless = transfer(status, szx: 2)
    var step = restless.start()
    var requests = 0
    for version in UInt8(0)..<100 {
      guard step.request != nil else { break }
      requests += 1
      let reply = step.request?.block2 == nil ? "0/1/64" : "1/0/64"
      step = restless.receive(response(.content, block2: reply, of: content, eTag: [version]))
    }
    #expect(step == .fail(.coapBlockOutOfOrder) && requests == 8)

    var posting = transfer(CoAPRequest(.post), szx: 2)
    _ = posting.start()
    _ = posting.receive(response(.changed, block2: "0/1/64", of: content, eTag: [1]))
    #expect(
      posting.receive(response(.changed, block2: "1/0/64", of: content, eTag: [2]))
        == .fail(.coapBlockOutOfOrder))
  }

  @Test("RFC 7959 section 2.9.3: 4.13 with a smaller size is a hint, without one it is the answer")
  func tooLarge() throws {
    var sending = transfer(options, szx: 3)
    _ = sending.start()
    let hint = response(.requestEntityTooLarge, block1: "0/1/32")
    #expect(sending.receive(hint).blocks == "1:0/1/32")
    #expect(sending.receive(response(.continue, block1: "0/1/32")).blocks == "1:1/1/32")
    let final = response(.requestEntityTooLarge, block1: "1/1/32")
    #expect(sending.receive(final) == .complete(CoAPResponse(.requestEntityTooLarge)))

    var collecting = transfer(status, szx: 0) { $0.maximumResponseBody = 20 }
    _ = collecting.start()
    #expect(collecting.receive(response(.content, block2: "0/1/16", of: body(40))).request != nil)
    #expect(
      collecting.receive(response(.content, block2: "1/1/16", of: body(40))) == .fail(.coapBlockTooLarge))
    // 2^20 blocks of 16 bytes are all that there can be.
    var huge = transfer(CoAPRequest(.post, payload: [UInt8](repeating: 0, count: 1 << 24 + 1)), szx: 0)
    #expect(huge.start() == .fail(.coapBlockTooLarge))
  }

  @Test("Responses that fit nothing fail the transfer") func misfits() throws {
    let content = body(200)
    func after(_ replies: [CoAPResponse], of request: CoAPRequest? = nil) -> BlockwiseTransfer.Step {
      var transfer = transfer(request ?? status, szx: 2)
      var step = transfer.start()
      for reply in replies { step = transfer.receive(reply) }
      return step
    }
    let first = response(.content, block2: "0/1/64", of: content)
    var short = response(.content, block2: "1/1/64", of: content)
    short.payload.removeLast()
    var long = response(.content, block2: "1/0/64", of: content)
    long.payload.append(0)
    var otherFormat = response(.changed, block2: "1/1/64", of: content)
    otherFormat.contentFormat = .cbor
    for misfit in [
      response(.content, block2: "2/1/64", of: content), response(.content, block2: "0/1/64", of: content),
      short, long,
      CoAPResponse(.content, payload: content), response(.changed, block2: "1/1/64", of: content),
      otherFormat,
    ] { #expect(after([first, misfit]) == .fail(.coapBlockOutOfOrder)) }
    #expect(after([response(.content, block2: "1/1/64", of: content)]) == .fail(.coapBlockOutOfOrder))
    // An error in the midst is the answer.
    #expect(after([first, CoAPResponse(.notFound)]) == .complete(CoAPResponse(.notFound)))
    for misfit in [
      CoAPResponse(.continue), response(.continue, block1: "1/1/64"), CoAPResponse(.changed),
    ] { #expect(after([misfit], of: options) == .fail(.coapBlockOutOfOrder)) }
    #expect(after([CoAPResponse(.continue)]) == .fail(.coapBlockOutOfOrder))
    #expect(
      after([response(.requestEntityIncomplete, block1: "0/1/64")], of: options)
        == .complete(CoAPResponse(.requestEntityIncomplete)))
  }
}
