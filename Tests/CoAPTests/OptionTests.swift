import CoAP
import TestSupport
import Testing
import Wire

@Suite struct OptionTests {
  @Test(
    "RFC 7252 table 4 and the RFCs after it: critical, unsafe, no cache key, repeatable, length",
    arguments: [
      (1, "C--R", 0, 8), (3, "CU--", 1, 255), (4, "---R", 1, 8), (5, "C---", 0, 0), (6, "-U--", 0, 3),
      (7, "CU--", 0, 2), (8, "---R", 0, 255), (9, "C---", 0, 255), (11, "CU-R", 0, 255), (12, "----", 0, 2),
      (14, "-U--", 0, 4), (15, "CU-R", 0, 255), (16, "----", 1, 1), (17, "C---", 0, 2), (20, "---R", 0, 255),
      (23, "CU--", 0, 3), (27, "CU--", 0, 3), (28, "--N-", 0, 4), (35, "CU--", 1, 1034), (39, "CU--", 1, 255),
      (60, "--N-", 0, 4), (252, "--N-", 1, 40), (258, "-U--", 0, 1), (292, "---R", 0, 8),
    ] as [(UInt16, String, Int, Int)])
  func registry(value: UInt16, flags: String, least: Int, most: Int) throws {
    let number = CoAPOptionNumber(rawValue: value)
    let definition = try #require(number.definition)
    let seen =
      (number.isCritical ? "C" : "-") + (number.isUnsafe ? "U" : "-") + (number.isNoCacheKey ? "N" : "-")
      + (definition.isRepeatable ? "R" : "-")
    #expect(seen == flags)
    #expect(definition.lengths == least...most)
    #expect(CoAPOptionNumber.known.contains(number))
  }

  @Test("RFC 7252 section 3.2: numbers are written in the shortest form and read in any")
  func unsignedIntegers() throws {
    let cases: [(UInt64, String)] = [
      (0, ""), (1, "01"), (255, "ff"), (256, "0100"), (65_536, "010000"), (.max, "ffffffffffffffff"),
    ]
    for (number, hex) in cases {
      let option = CoAPOption(.size1, uint: number)
      #expect(try option.value == bytes(hex))
      #expect(option.uint == number)
    }
    #expect(CoAPOption(.size1, [0, 0, 7]).uint == 7)
    #expect(CoAPOption(.size1, [UInt8](repeating: 0, count: 9)).uint == nil)
    var message = CoAPRequest(.get)
    message.options.append(CoAPOption(.accept, [0, 60]))
    #expect(message.accept == .cbor)
  }

  @Test func optionsKeepTheOrderOfTheirNumbers() throws {
    var generator = SeededGenerator(seed: 5)
    for _ in 0..<200 {
      let list = (0..<generator.below(12)).map { _ in generator.option() }
      let sorted = list.enumerated().sorted {
        ($0.element.number, $0.offset) < ($1.element.number, $1.offset)
      }
      #expect(Array(CoAPOptions(list)) == sorted.map(\.element))
    }
  }

  @Test func conveniences() throws {
    var request = CoAPRequest(
      .fetch, path: ["a", "ü"], query: ["x=1", "y"], contentFormat: .coseSign1, accept: .senMLCBOR,
      payload: [1])
    request.observe = 0
    request.eTag = [1, 2]
    request.block1 = CoAPBlock(number: 3, more: true, szx: 3)
    request.block2 = CoAPBlock(number: 0, more: false, szx: 0)
    request.size1 = 300
    request.size2 = 0
    request.echo = [9]
    request.requestTag = []
    request.hopLimit = 16
    request.noResponse = 26
    request.maxAge = 60
    let wire = try CoAPMessage(
      type: .confirmable, code: request.code, messageID: 1, options: request.options, payload: request.payload
    ).encoded()
    let read = try CoAPMessage(parsing: wire)
    #expect(read.uriPath == ["a", "ü"] && read.uriQuery == ["x=1", "y"])
    #expect(read.contentFormat == .coseSign1 && read.accept == .senMLCBOR)
    #expect(read.observe == 0 && read.eTag == [1, 2] && read.echo == [9] && read.requestTag == [])
    #expect(read.block1 == CoAPBlock(number: 3, more: true, szx: 3) && read.block1?.description == "3/1/128")
    #expect(read.block2 == CoAPBlock(number: 0, more: false, szx: 0))
    #expect(read.options[value: .block1] == [0x3b] && read.options[value: .block2] == [])
    #expect(read.size1 == 300 && read.size2 == 0 && read.hopLimit == 16 && read.maxAge == 60)
    #expect(read.suppresses(.changed) && read.suppresses(.notFound) && read.suppresses(.badGateway))
    request.block1 = nil
    request.noResponse = 2
    #expect(request.block1 == nil && request.suppresses(.content) && !request.suppresses(.notFound))
    var response = CoAPResponse(.created)
    response.locationPath = ["e", "7"]
    response.locationQuery = ["v=2"]
    #expect(response.options.count == 3 && response.locationPath == ["e", "7"])
    #expect(response.locationQuery == ["v=2"])
  }

  @Test("RFC 7959 section 2.2: block values") func blocks() {
    #expect(CoAPBlock(optionValue: 33) == CoAPBlock(number: 2, more: false, szx: 1))
    #expect(CoAPBlock(optionValue: 59)?.description == "3/1/128")
    #expect(CoAPBlock(optionValue: 0x100_0000) == nil)
    for szx in UInt8(0)...7 {
      let block = CoAPBlock(number: 0xf_ffff, more: true, szx: szx)
      #expect(CoAPBlock(optionValue: block.optionValue) == block)
      // The implementation note of 2.2; 7 counts like 6 (RFC 8323, 6).
      #expect(UInt64(block.offset) == (block.optionValue & ~0xf) << min(block.optionValue & 7, 6))
      #expect(block.isReserved == (szx == 7))
      if szx < 7 { #expect(CoAPBlock.szx(forBytes: block.size) == szx) }
    }
    #expect(CoAPBlock.szx(forBytes: 1) == 0 && CoAPBlock.szx(forBytes: 100) == 2)
    #expect(CoAPBlock.szx(forBytes: 5000) == 6)
  }

  /// What is left of the options, or why they are refused.
  private func check(_ options: CoAPOptions) -> Result<[CoAPOption], OptionRefusal> {
    do throws(OptionRefusal) {
      return .success(Array(try options.recognized(Set(CoAPOptionNumber.known))))
    } catch { return .failure(error) }
  }

  @Test("RFC 7252 sections 5.4.1, 5.4.3 and 5.4.5: elective options are ignored, critical ones refuse")
  func recognition() {
    let path = CoAPOption(.uriPath, string: "e")
    #expect(check([path, path]) == .success([path, path]))
    let unknown = CoAPOptionNumber(rawValue: 65_001)
    #expect(
      check([path, CoAPOption(unknown)])
        == .failure(OptionRefusal(reason: .coapOptionUnknownCritical, number: unknown)))
    #expect(check([path, CoAPOption(CoAPOptionNumber(rawValue: 65_000), [1])]) == .success([path]))
    // Lengths.
    #expect(
      check([CoAPOption(.uriHost)])
        == .failure(OptionRefusal(reason: .coapOptionLengthInvalid, number: .uriHost)))
    #expect(
      check([CoAPOption(.block1, [0, 0, 0, 1])])
        == .failure(OptionRefusal(reason: .coapOptionLengthInvalid, number: .block1)))
    #expect(check([CoAPOption(.contentFormat, [0, 0, 60]), path]) == .success([path]))
    #expect(check([CoAPOption(.eTag)]) == .success([]))
    // Repetitions: all after the first are as if unknown.
    let accept = CoAPOption(.accept, uint: 60)
    #expect(
      check([accept, accept]) == .failure(OptionRefusal(reason: .coapOptionUnknownCritical, number: .accept)))
    let age = CoAPOption(.maxAge, uint: 1)
    #expect(check([age, CoAPOption(.maxAge, uint: 2)]) == .success([age]))
    // Text.
    #expect(
      check([CoAPOption(.uriPath, [0xff])])
        == .failure(OptionRefusal(reason: .coapOptionUnknownCritical, number: .uriPath)))
    #expect(check([CoAPOption(.locationPath, [0xc0])]) == .success([]))
  }
}
