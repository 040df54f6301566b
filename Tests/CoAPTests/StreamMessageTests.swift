import CoAP
import TestSupport
import Testing
import Wire

extension SeededGenerator {
  /// A message of any code that has a form on the wire.
  mutating func streamMessage() -> CoAPStreamMessage {
    CoAPStreamMessage(
      code: CoAPCode(class: [0, 2, 3, 4, 5, 7][below(6)], detail: UInt8(below(32))),
      token: CoAPToken(value: next(), count: below(9)),
      options: CoAPOptions((0..<below(8)).map { _ in option() }),
      payload: oneIn(3) ? [] : bytes(in: oneIn(50) ? 65_000...67_000 : 1...400))
  }
}

private func parse(_ hex: String, _ framing: CoAPStreamFraming = .tcp) throws -> CoAPStreamMessage {
  try CoAPStreamMessage(parsing: try bytes(hex), framing: framing)
}

@Suite struct StreamMessageTests {
  @Test("RFC 8323 figures 5, 11 and 12: messages written by hand") func figures() throws {
    let figures: [(String, CoAPStreamMessage)] = [
      ("01 43 7f", CoAPStreamMessage(code: .valid, token: CoAPToken(value: 0x7f, count: 1))),
      ("01 e2 42", CoAPStreamMessage(code: CoAPCode(class: 7, detail: 2), token: CoAPToken(value: 0x42, count: 1))),
      ("01 e3 42", CoAPStreamMessage(code: CoAPCode(class: 7, detail: 3), token: CoAPToken(value: 0x42, count: 1))),
      ("00 00", CoAPStreamMessage(code: .empty)),
      (
        "74 01 0a0b0c0d b474656d70 ff21",
        CoAPStreamMessage(
          code: .get, token: CoAPToken(value: 0x0a0b_0c0d, count: 4), options: [CoAPOption(.uriPath, string: "temp")],
          payload: [0x21])
      ),
    ]
    for (hex, message) in figures {
      #expect(try parse(hex) == message)
      #expect(try message.encoded(.tcp) == bytes(hex))
      // Over WebSockets the same, but for a Len of 0 (4.2).
      var inWebSocket = try bytes(hex)
      inWebSocket[0] &= 15
      #expect(try message.encoded(.webSocket) == inWebSocket)
      #expect(try CoAPStreamMessage(parsing: inWebSocket, framing: .webSocket) == message)
    }
  }

  /// Bytes of content (options, marker, payload), and the first bytes of the frame in hexadecimal.
  @Test(
    "RFC 8323 section 3.2: every form of Len",
    arguments: [
      (0, "00"), (2, "20"), (12, "c0"), (13, "d0 00"), (14, "d0 01"), (268, "d0 ff"), (269, "e0 0000"),
      (270, "e0 0001"),
      (65_804, "e0 ffff"), (65_805, "f0 00000000"), (65_806, "f0 00000001"), (131_341, "f0 00010000"),
    ])
  func lengths(length: Int, header: String) throws {
    let message = CoAPStreamMessage(
      code: .content, payload: [UInt8](repeating: 7, count: length == 0 ? 0 : length - 1))
    let lead = try bytes(header)
    let frame = try message.encoded(.tcp)
    #expect(frame.count == lead.count + 1 + length && frame.count == message.encodedLength(.tcp))
    #expect(Array(frame.prefix(lead.count + 1)) == lead + [0x45])
    #expect(try CoAPStreamMessage(parsing: frame, framing: .tcp) == message)
    #expect(try CoAPStreamFrame.length(of: frame.rawSpan, maximum: frame.count) == frame.count)
    // Only as many bytes as are needed to tell, and not one less.
    #expect(try CoAPStreamFrame.length(of: lead.rawSpan, maximum: frame.count) == frame.count)
    let less = Array(lead.dropLast())
    #expect(try CoAPStreamFrame.length(of: less.rawSpan, maximum: frame.count) == nil)
    #expect(
      reason { _ = try CoAPStreamFrame.length(of: lead.rawSpan, maximum: frame.count - 1) } == .coapMessageTooLarge)
    let overWebSocket = try message.encoded(.webSocket)
    #expect(overWebSocket.count == 2 + length && overWebSocket.count == message.encodedLength(.webSocket))
    #expect(try CoAPStreamMessage(parsing: overWebSocket, framing: .webSocket) == message)
  }

  @Test("The longest Len cannot overflow, and is refused before it is read") func longest() throws {
    let huge = try bytes("f8 ffffffff 01")
    #expect(try CoAPStreamFrame.length(of: huge.rawSpan, maximum: .max) == 0xffff_ffff + 65_805 + 6 + 8)
    #expect(reason { _ = try CoAPStreamFrame.length(of: huge.rawSpan, maximum: 1 << 20) } == .coapMessageTooLarge)
    #expect(reason { _ = try CoAPStreamMessage(parsing: huge, framing: .tcp) } == .truncated)
  }

  @Test("Every token length; 9 to 15 are reserved", arguments: 0...15) func tokenLengths(count: Int) throws {
    let token = (0..<UInt8(count)).map { $0 + 1 }
    for framing in [CoAPStreamFraming.tcp, .webSocket] {
      let frame = [UInt8(count), 0x45] + token
      guard count <= 8 else {
        #expect(reason { _ = try CoAPStreamMessage(parsing: frame, framing: framing) } == .coapTokenLengthReserved)
        #expect(reason { _ = try CoAPStreamFrame.length(of: frame.rawSpan, maximum: 100) } == .coapTokenLengthReserved)
        continue
      }
      let message = try CoAPStreamMessage(parsing: frame, framing: framing)
      #expect(message.token.bytes == token && message.code == .content)
      #expect(try message.encoded(framing) == frame)
      #expect(try CoAPStreamFrame.length(of: frame.rawSpan, maximum: 100) == 2 + count)
    }
  }

  @Test("What is no message, and why") func malformed() throws {
    let cases: [(String, CoAPStreamFraming, DropReason)] = [
      ("", .tcp, .truncated), ("", .webSocket, .truncated), ("00", .tcp, .truncated), ("d0", .tcp, .truncated),
      ("e0 00", .tcp, .truncated), ("f0 000000", .tcp, .truncated), ("d0 00 45", .tcp, .truncated),
      // A token that is cut off.
      ("02 45 01", .tcp, .truncated), ("02 45 01", .webSocket, .truncated),
      // Less and more than Len says.
      ("20 45 ff", .tcp, .truncated), ("20 45 ff 01 00", .tcp, .trailingBytes), ("00 45 00", .tcp, .trailingBytes),
      // Len in a WebSocket message.
      ("20 45 ff 01", .webSocket, .lengthMismatch),
      // Classes 1 and 6.
      ("00 20", .tcp, .coapCodeClassReserved), ("00 3f", .webSocket, .coapCodeClassReserved),
      ("00 c1", .tcp, .coapCodeClassReserved), ("00 df", .tcp, .coapCodeClassReserved),
      // Options and payload as in any message.
      ("10 45 ff", .tcp, .coapPayloadMarkerWithoutPayload), ("10 45 f0", .tcp, .coapOptionReserved),
      ("10 45 13", .tcp, .truncated), ("00 45 ff", .webSocket, .coapPayloadMarkerWithoutPayload),
    ]
    for (hex, framing, expected) in cases {
      #expect(reason { _ = try parse(hex, framing) } == expected, "\(hex)")
    }
    for code in UInt8.min ... .max {
      let isReserved = [1, 6].contains(code >> 5)
      #expect((reason { _ = try CoAPStreamMessage(parsing: [0, code], framing: .tcp) } == nil) == !isReserved)
      let message = CoAPStreamMessage(code: CoAPCode(rawValue: code))
      #expect(((try? message.encoded(.tcp)) == nil) == isReserved)
    }
  }

  @Test("The first frame of a stream is found wherever the stream is cut") func stream() throws {
    var generator = SeededGenerator(seed: 8323)
    let messages = (0..<40).map { _ in generator.streamMessage() }
    var stream: [UInt8] = []
    for message in messages { stream += try message.encoded(.tcp) }
    var buffer: [UInt8] = []
    var found: [CoAPStreamMessage] = []
    while !stream.isEmpty || !buffer.isEmpty {
      let arrived = stream.prefix(generator.below(generator.oneIn(3) ? 4000 : 9) + 1)
      buffer += arrived
      stream.removeFirst(arrived.count)
      while let length = try CoAPStreamFrame.length(of: buffer.rawSpan, maximum: 100_000), length <= buffer.count {
        found.append(try CoAPStreamMessage(parsing: Array(buffer.prefix(length)), framing: .tcp))
        buffer.removeFirst(length)
      }
      if stream.isEmpty { try #require(buffer.isEmpty) }
    }
    #expect(found == messages)
  }

  @Test("What is written is read again, and a view says the same", arguments: [CoAPStreamFraming.tcp, .webSocket])
  func roundTrip(framing: CoAPStreamFraming) throws {
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<500 {
      let message = generator.streamMessage()
      let frame = try message.encoded(framing)
      #expect(frame.count == message.encodedLength(framing))
      #expect(try CoAPStreamMessage(parsing: frame, framing: framing) == message)
      let view = try CoAPStreamMessageView(frame.rawSpan, framing: framing)
      #expect(view.code == message.code && view.token == message.token)
      #expect(view.payload.array() == message.payload && view.content.optionCount == message.options.count)
      var options = view.options
      var read: [CoAPOption] = []
      while let option = options.next() { read.append(CoAPOption(option.number, option.value.array())) }
      #expect(read == Array(message.options))
    }
  }

  @Test("Any prefix or change of a message is a message or an error") func damaged() throws {
    var generator = SeededGenerator(seed: 2)
    for _ in 0..<500 {
      var frame = try generator.streamMessage().encoded(.tcp).prefix(60).map { $0 }
      for _ in 0..<generator.below(4) { frame[generator.below(frame.count)] = UInt8(generator.below(256)) }
      for framing in [CoAPStreamFraming.tcp, .webSocket] {
        guard let message = try? CoAPStreamMessage(parsing: frame, framing: framing) else { continue }
        #expect(try CoAPStreamMessage(parsing: message.encoded(framing), framing: framing) == message)
      }
    }
  }
}
