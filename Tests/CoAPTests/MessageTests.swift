import CoAP
import TestSupport
import Testing
import Wire

@Suite struct MessageTests {
  @Test("RFC 7252 figure 16: confirmable request, piggybacked response, bytes") func figure16() throws {
    let request = CoAPMessage(
      type: .confirmable, code: .get, messageID: 0x7d34,
      options: [CoAPOption(.uriPath, string: "temperature")])
    let wire = try bytes("40 01 7d34 bb") + text("temperature")
    #expect(wire.count == 16)
    #expect(try request.encoded() == wire)
    #expect(try CoAPMessage(parsing: wire) == request)
    #expect(try CoAPMessage(parsing: wire).uriPath == ["temperature"])

    let response = CoAPMessage(
      type: .acknowledgement, code: .content, messageID: 0x7d34, payload: text("22.3 C"))
    let answer = try bytes("60 45 7d34 ff") + text("22.3 C")
    #expect(answer.count == 11)
    #expect(try response.encoded() == answer)
    #expect(try CoAPMessage(parsing: answer) == response)
  }

  @Test("RFC 7252 figure 17: token 0x20, bytes") func figure17() throws {
    let request = CoAPMessage(
      type: .confirmable, code: .get, messageID: 0x7d35, token: try #require(CoAPToken([0x20])),
      options: [CoAPOption(.uriPath, string: "temperature")])
    let wire = try bytes("41 01 7d35 20 bb") + text("temperature")
    #expect(wire.count == 17)
    #expect(try request.encoded() == wire)
    #expect(try CoAPMessage(parsing: wire) == request)
    let answer = try bytes("61 45 7d35 20 ff") + text("22.3 C")
    #expect(answer.count == 12)
    let response = try CoAPMessage(parsing: answer)
    #expect(response.token.bytes == [0x20] && response.code == .content && response.type == .acknowledgement)
    #expect(response.description == "ACK 2.05 Content [32053], token 20, 6 bytes")
  }

  @Test("RFC 7252 section 3.1: delta and length extensions at their limits") func extensions() throws {
    for number in [0, 12, 13, 268, 269, 65_535] {
      for length in [0, 12, 13, 268, 269, 1034] {
        let message = CoAPMessage(
          type: .nonConfirmable, code: .post, messageID: 1,
          options: [
            CoAPOption(CoAPOptionNumber(rawValue: UInt16(number)), [UInt8](repeating: 7, count: length))
          ])
        let wire = try message.encoded()
        func size(_ value: Int) -> Int { value < 13 ? 0 : value < 269 ? 1 : 2 }
        #expect(wire.count == 4 + 1 + size(number) + size(length) + length)
        #expect(wire.count == message.encodedLength)
        #expect(try CoAPMessage(parsing: wire) == message)
      }
    }
    // Proxy-Uri of 300 bytes behind Uri-Path: delta 24 is 13 + 11, length 300 is 269 + 31.
    let message = CoAPMessage(
      type: .confirmable, code: .get, messageID: 1,
      options: [CoAPOption(.proxyUri, [UInt8](repeating: 97, count: 300)), CoAPOption(.uriPath, string: "e")])
    #expect(try message.encoded().prefix(10) == bytes("40010001 b1 65 de 0b 001f")[...])
  }

  @Test func messagesAreTwins() throws {
    var generator = SeededGenerator(seed: 7252)
    for _ in 0..<2000 {
      let message = generator.message()
      let wire = try message.encoded()
      #expect(wire.count == message.encodedLength)
      #expect(try CoAPMessage(parsing: wire) == message)
      #expect(throws: EmitError.noRoom) {
        try withWriter(capacity: wire.count - 1) { (writer) throws(EmitError) in
          try message.emit(into: &writer)
        }
      }
      let header = CoAPHeader(
        type: message.type, tokenLength: message.token.count, code: message.code, messageID: message.messageID
      )
      #expect(try CoAPHeader(parsing: header.encoded()) == header)
    }
  }

  @Test("A view reads what the value holds") func viewAgreesWithValue() throws {
    var generator = SeededGenerator(seed: 16)
    for _ in 0..<500 {
      let message = generator.message()
      let wire = try message.encoded()
      let view = try CoAPMessageView(wire.rawSpan)
      #expect(view.type == message.type && view.code == message.code && view.messageID == message.messageID)
      #expect(view.token == message.token && view.payload.array() == message.payload)
      #expect(view.content.optionCount == message.options.count)
      var options = view.options
      var seen: [CoAPOption] = []
      while let option = options.next() {
        let copy = CoAPOption(option.number, option.value.array())
        #expect(option.uint == copy.uint)
        seen.append(copy)
      }
      #expect(seen == Array(message.options))
      for number in CoAPOptionNumber.known {
        var first: [UInt8]?
        if let option = view.firstOption(number) { first = option.value.array() }
        #expect(first == message.options[value: number])
      }
    }
  }

  @Test("Every truncation of a valid message throws, or is a valid shorter message") func truncations() throws {
    var generator = SeededGenerator(seed: 3)
    for _ in 0..<300 {
      let message = generator.message()
      let wire = try message.encoded()
      let contentStart = wire.count - (message.payload.isEmpty ? 0 : message.payload.count + 1)
      for length in 0..<wire.count {
        let cut = Array(wire.prefix(length))
        let shorter = try? CoAPMessage(parsing: cut)
        if let shorter {
          // Only at the end of an option or inside the payload, and then the rest is as it was.
          #expect(length <= contentStart || length > contentStart + 1)
          #expect(Array(shorter.options) == Array(message.options.prefix(shorter.options.count)))
          #expect(shorter.payload == Array(message.payload.prefix(shorter.payload.count)))
          #expect(try shorter.encoded() == cut)
        } else {
          #expect(reason { _ = try CoAPMessage(parsing: cut) } != nil)
        }
      }
    }
  }

  @Test("Random bytes never trap, and what parses has the same bytes' meaning") func randomBytes() throws {
    var generator = SeededGenerator(seed: 4)
    var parsed = 0
    for _ in 0..<20_000 {
      var wire = generator.bytes(in: 0...40)
      if !wire.isEmpty { wire[0] = 0x40 | wire[0] & 0x38 }
      guard let message = try? CoAPMessage(parsing: wire) else { continue }
      parsed += 1
      // Extended lengths have one form each, so the bytes come out as they went in.
      #expect(try message.encoded() == wire)
    }
    #expect(parsed > 500)
  }

  @Test(
    "RFC 7252 sections 3, 3.1 and 4.1: format errors",
    arguments: [
      ("", DropReason.truncated, 0), ("400100", .truncated, 0), ("00010001", .coapVersionUnknown, 0),
      ("80010001", .coapVersionUnknown, 0), ("c0010001", .coapVersionUnknown, 0),
      ("49010001 010203040506070809", .coapTokenLengthReserved, 0),
      ("4f010001 0102030405060708090a0b0c0d0e0f", .coapTokenLengthReserved, 0),
      ("40200001", .coapCodeClassReserved, 1), ("40c00001", .coapCodeClassReserved, 1),
      ("40e10001", .coapCodeClassReserved, 1), ("41000001 aa", .coapEmptyMessageNotEmpty, 4),
      ("40000001 00", .coapEmptyMessageNotEmpty, 4), ("40000001 ff 01", .coapEmptyMessageNotEmpty, 4),
      ("42010001 aa", .truncated, 5), ("40010001 ff", .coapPayloadMarkerWithoutPayload, 4),
      ("40010001 b161 ff", .coapPayloadMarkerWithoutPayload, 6), ("40010001 f1 00", .coapOptionReserved, 5),
      ("40010001 1f 00", .coapOptionReserved, 5), ("40010001 b2 61", .truncated, 5),
      ("40010001 d0", .truncated, 5), ("40010001 e0 00", .truncated, 5), ("40010001 0e 0000", .truncated, 7),
      // 65,535 is 14 with 65,266 (0xfef2); one more overflows, at once or with a second option.
      ("40010001 e0 fef3", .coapOptionNumberOverflow, 4),
      ("40010001 e0 fef2 10", .coapOptionNumberOverflow, 7),
    ])
  func formatErrors(hex: String, expected: DropReason, offset: Int) throws {
    do {
      _ = try CoAPMessage(parsing: bytes(hex))
      Issue.record("\(hex) parsed")
    } catch let error as ParseError {
      #expect(error == ParseError(expected, at: offset))
    }
    #expect(try CoAPMessage(parsing: bytes("40010001 e0 fef2")).options.first?.number.rawValue == 65_535)
  }

  @Test("At most 128 options, in both directions") func optionCount() throws {
    let options = [UInt8](repeating: 0, count: 128)
    #expect(try CoAPMessage(parsing: bytes("40010001") + options).options.count == 128)
    #expect(reason { _ = try CoAPMessage(parsing: bytes("40010001") + options + [0]) } == .coapOptionTooMany)
    var message = CoAPMessage(type: .confirmable, code: .get, messageID: 1)
    for _ in 0..<129 { message.options.append(CoAPOption(.uriPath)) }
    #expect(throws: EmitError.notRepresentable) { try message.encoded() }
  }

  @Test func whatHasNoFormIsNotWritten() throws {
    let token = try #require(CoAPToken([1]))
    let messages = [
      CoAPMessage(type: .reset, code: .empty, messageID: 1, token: token),
      CoAPMessage(type: .reset, code: .empty, messageID: 1, options: [CoAPOption(.uriPath)]),
      CoAPMessage(type: .reset, code: .empty, messageID: 1, payload: [1]),
      CoAPMessage(type: .confirmable, code: CoAPCode(class: 7, detail: 1), messageID: 1),
      CoAPMessage(
        type: .confirmable, code: .get, messageID: 1,
        options: [CoAPOption(.proxyUri, [UInt8](repeating: 0, count: 65_805))]),
    ]
    for message in messages { #expect(throws: EmitError.notRepresentable) { try message.encoded() } }
    #expect(CoAPToken([UInt8](repeating: 0, count: 9)) == nil)
  }

  @Test("Tokens of every length, with and without bytes behind them") func tokens() throws {
    for count in 0...8 {
      let wanted = (0..<count).map { UInt8(0xa0 + $0) }
      for behind in [0, 3, 20] {
        let input = wanted + [UInt8](repeating: 0xee, count: behind)
        var reader = ByteReader(input.rawSpan)
        let token = try CoAPToken(parsing: &reader, count: count)
        #expect(token.bytes == wanted && reader.offset == count)
        #expect(token == CoAPToken(wanted))
        let wide = CoAPToken(value: .max, count: count)
        #expect(wide.bytes == [UInt8](repeating: 0xff, count: count))
      }
    }
  }

  @Test("RFC 7252 section 12.1: codes") func codes() {
    #expect(CoAPCode.content.rawValue == 69 && CoAPCode.get.rawValue == 1 && CoAPCode.iPatch.rawValue == 7)
    #expect(CoAPCode.continue.rawValue == 95 && CoAPCode.requestEntityIncomplete.rawValue == 0x88)
    #expect(CoAPCode.tooManyRequests.description == "4.29 Too Many Requests")
    #expect(CoAPCode.proxyingNotSupported.description == "5.05 Proxying Not Supported")
    #expect(CoAPCode(class: 0, detail: 9).description == "0.09")
    for value in UInt8.min ... .max {
      let code = CoAPCode(rawValue: value)
      let kinds = [code.isEmpty, code.isRequest, code.isResponse, code.isReserved]
      #expect(kinds.count { $0 } == 1)
      #expect(code.isReserved == [1, 6, 7].contains(code.class))
      #expect(CoAPCode(class: code.class, detail: code.detail) == code)
    }
  }
}
