import BorderRouter
import CoAP
import IEEE802154
import IPv6
import TestSupport
import Testing
import Wire

/// Requests from nodes, and what goes back.
@Suite struct PANStackRequestTests {
  @Test("POST /e in fragments is one request, and the response goes back in frames that decode to it")
  func fragmentedRequest() throws {
    let border = Border()
    var random = SeededGenerator(seed: 4)
    for (size, source) in [(10, Node(1).linkLocal), (400, Node(1).linkLocal), (700, Node(1).global)] {
      var node = Node(1)
      let destination = source.isLinkLocal ? border.linkLocal : border.global
      let message = CoAPMessage(
        type: .confirmable, code: .post, messageID: UInt16(size), token: CoAPToken(value: UInt64(size), count: 2),
        options: CoAPRequest(.post, path: ["e"]).options, payload: random.bytes(size))
      let frames = try node.frames(node.udp(message.encoded(), from: source, to: destination))
      #expect((frames.count > 1) == (size > 100))
      let effects = border.receive(frames.shuffled(using: &random))
      #expect(effects.drops.isEmpty)
      #expect(effects.requests.count == 1)
      let (id, request) = try #require(effects.requests.first)
      #expect(request.request.code == .post)
      #expect(request.request.uriPath == ["e"])
      #expect(request.request.payload == message.payload)
      #expect(request.peer == PANPeer(address: source, port: 40_000, local: destination))
      #expect(request.extendedAddress == ExtendedAddress(node.eui64))

      let payload = random.bytes(size)
      let answer = border.respond(id, CoAPResponse(.changed, payload: payload))
      #expect(answer.isAnswered)
      let sent = try Sent.packets(in: answer.frames)
      #expect(sent.count == 1)
      #expect(sent.first?.radio == node.radio)
      #expect(sent.first?.ip.source == destination)
      #expect(sent.first?.ip.destination == source)
      let response = try #require(try sent.first?.coap())
      #expect(response.type == .acknowledgement)
      #expect(response.messageID == message.messageID)
      #expect(response.token == message.token)
      #expect(response.code == .changed)
      #expect(response.payload == payload)
      // Once is enough.
      let second = border.respond(id, CoAPResponse(.changed))
      #expect(!second.isAnswered && second.frames.isEmpty)
    }
  }

  @Test("The same message sent again has the same fingerprint and gets the same answer (RFC 7252, 4.5)")
  func retransmission() throws {
    let border = Border()
    var node = Node(1)
    let message = CoAPMessage(
      type: .confirmable, code: .post, messageID: 9, options: CoAPRequest(.post, path: ["e"]).options, payload: [1])
    let packet = try node.udp(message.encoded(), to: border.linkLocal)
    let (id, request) = try #require(try border.receive(node.frames(packet)).requests.first)
    #expect(!request.fingerprint.isEmpty)
    let first = try Sent.packets(in: border.respond(id, CoAPResponse(.created)).frames)
    let again = try border.receive(node.frames(packet))
    #expect(again.requests.isEmpty)
    #expect(try Sent.packets(in: again.frames) == first)
    var other = message
    other.messageID = 10
    let next = try border.receive(node.frames(node.udp(other.encoded(), to: border.linkLocal)))
    #expect(next.requests.first?.request.fingerprint != request.fingerprint)
  }

  @Test("Random damage to recorded frames never traps, and all that is sent comes from the border router")
  func damagedFrames() throws {
    let frames = try Captures.frames("home")
    var random = SeededGenerator(seed: 2_026)
    let border = Border()
    var (requests, sent) = (0, 0)
    for _ in 0..<20_000 {
      guard var frame = frames.randomElement(using: &random) else { break }
      if !random.oneIn(10) { frame.bytes.mutate(using: &random, donors: frames) }
      frame.metadata.timestamp = border.now.advanced(by: .milliseconds(Int.random(in: 0...200, using: &random)))
      let effects = border.receive(frame)
      requests += effects.requests.count
      var transmissions = effects.frames
      for (id, _) in effects.requests where !random.oneIn(4) {
        transmissions += border.respond(id, CoAPResponse(.changed, payload: random.bytes(in: 0...300))).frames
      }
      if random.oneIn(50) { transmissions += border.timeout().frames }
      sent += transmissions.count
      for frame in transmissions {
        let view = try MACFrameView(frame.rawSpan, fcsPresent: false)
        let source = view.header.source
        #expect(source == .extended(Border.extended))
      }
    }
    #expect(requests > 20)
    #expect(sent > 100)
  }
}

extension [UInt8] {
  /// Flips bits, cuts, inserts, or takes a part of another frame.
  fileprivate mutating func mutate(using random: inout SeededGenerator, donors: [CapturedFrame]) {
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      guard !isEmpty else { return }
      let place = Int.random(in: 0..<count, using: &random)
      switch random.next() % 5 {
      case 0, 1: self[place] ^= 1 << UInt8(random.next() % 8)
      case 2: removeLast(count - place)
      case 3: insert(contentsOf: random.bytes(in: 1...8), at: place)
      default:
        guard let donor = donors.randomElement(using: &random)?.bytes, place < donor.count else { continue }
        replaceSubrange(place..., with: donor[place...])
      }
    }
  }
}
