import Envelope
import TestSupport
import Testing
import Wire

@testable import Node

/// What is in a node's flash reads back, and what is damaged is an error.
@Suite struct EnvelopeMemoryTests {
  private func memory(_ generator: inout SeededGenerator) throws -> EnvelopeMemory {
    func address() throws -> Address {
      try #require(Address((0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }))
    }
    var memory = EnvelopeMemory()
    memory.sequenceLimit = generator.next()
    for _ in 0..<Int.random(in: 0...3, using: &generator) {
      var window = ReplayWindow(capacity: 4)
      for number in 0..<Int.random(in: 0...6, using: &generator) {
        window.record(UInt64(number), ContentDigest(protected: [UInt8(number)], payload: []))
      }
      memory.windows[try address()] = window
      memory.owed.append(
        OwedReceipt(
          commander: try address(), sequence: generator.next(), answerHash: generator.next(),
          receipt: Receipt(.rejected, reason: "why"), answer: generator.oneIn(2) ? [1, 2, 3] : nil))
      memory.endToEnd[try address()] = [UInt8](repeating: 7, count: Int.random(in: 0...90, using: &generator))
      memory.challenges.append(
        EchoChallenge(
          commander: try address(), sequence: generator.next(), answerHash: generator.next(),
          lifetime: generator.next(),
          content: ContentDigest(protected: [1], payload: [2]), challenge: [1, 2, 3, 4, 5, 6, 7, 8],
          isTaken: generator.oneIn(2)))
    }
    memory.record = generator.oneIn(2) ? [1, 2, 3] : nil
    return memory
  }

  @Test(arguments: 1...50) func readsBack(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let memory = try memory(&generator)
    let bytes = try memory.cbor()
    #expect(try EnvelopeMemory(parsing: bytes) == memory)
    for length in 0..<bytes.count {
      #expect(throws: ParseError.self) { _ = try EnvelopeMemory(parsing: Array(bytes[..<length])) }
    }
  }
}
