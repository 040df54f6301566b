import COSE
import Envelope
import TestSupport
import Testing
import Wire

@Suite struct ContentsTests {
  @Test func receiptsRoundTripAndAreExact() throws {
    for outcome in Receipt.Outcome.allCases {
      for text in [nil, "", "envelopeExpired", "zu spät"] as [String?] {
        let receipt = Receipt(outcome, reason: text)
        #expect(try Receipt(parsing: receipt.encoded()) == receipt)
      }
    }
    #expect(try Receipt(.delivered).encoded() == [0xa1, 1, 0])
    #expect(Receipt.rejected(.envelopeReplay).reason == "envelopeReplay")
    func refused(_ value: CBORValue) -> DropReason? {
      reason { _ = try Receipt(parsing: try value.encoded()) }
    }
    #expect(refused([1: 3]) == .reservedValue)
    #expect(refused([1: 256]) == .reservedValue)
    #expect(refused([2: "why"]) == .envelopeStructure)
    #expect(refused([1: 0, 3: 0]) == .envelopeStructure)
    #expect(refused([1: 0, 2: .bytes([])]) == .cborTypeMismatch)
    #expect(refused([0]) == .cborTypeMismatch)
  }

  @Test func coapMessagesRoundTripAndAreExact() throws {
    var random = SeededGenerator(seed: 1)
    for _ in 0..<500 {
      var options: [EncapsulatedMessage.Option] = []
      for _ in 0..<Int.random(in: 0...5, using: &random) {
        options.append(.init(UInt16.random(in: 0...UInt16.max, using: &random), random.bytes(in: 0...30)))
      }
      let message = EncapsulatedMessage(
        code: UInt8.random(in: 0...255, using: &random), options: options, payload: random.bytes(in: 0...100))
      let bytes = try message.encoded()
      #expect(try EncapsulatedMessage(parsing: bytes) == message)
      for length in 0..<bytes.count {
        #expect(reason { _ = try EncapsulatedMessage(parsing: Array(bytes.prefix(length))) } == .truncated)
      }
    }
    func refused(_ value: CBORValue) -> DropReason? {
      reason { _ = try EncapsulatedMessage(parsing: try value.encoded()) }
    }
    #expect(refused([3, [11, .bytes(Array("lock".utf8))], .bytes(Array("open".utf8))]) == nil)
    #expect(refused([256, [], .bytes([])]) == .cborIntegerOverflow)
    #expect(refused([3, [11], .bytes([])]) == .envelopeStructure)
    #expect(refused([3, [65536, .bytes([])], .bytes([])]) == .coapOptionNumberOverflow)
    #expect(refused([3, ["a", .bytes([])], .bytes([])]) == .cborTypeMismatch)
    #expect(refused([3, [], "text"]) == .cborTypeMismatch)
    #expect(refused([3, []]) == .lengthMismatch)
  }

  @Test func coapMessageOfTheRecordingIsReadable() throws {
    // [3, [11, 'lock'], 'open'], as tools/lab/scenario.py writes it.
    let message = try EncapsulatedMessage(
      parsing: [0x83, 3, 0x82, 11, 0x44] + Array("lock".utf8) + [0x44] + Array("open".utf8))
    #expect(message.codeText == "0.03")
    #expect(message.path == "/lock")
    #expect(message.payload == Array("open".utf8))
  }
}
