import Envelope
import TestSupport
import Testing
import Wire

@testable import Bridge

/// What an endpoint keeps of a command that may be challenged, as bytes.
@Suite struct OpenCommandTests {
  private static func commands() -> [OpenCommand] {
    var generator = SeededGenerator(seed: 8)
    func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in .random(in: 0...255, using: &generator) } }
    return (0..<50).map { index in
      let addresses = (0..<index % 4).compactMap { _ in Address(bytes(32)) }
      return OpenCommand(
        class: EnvelopeClass.allCases[index % 4],
        content: .init(format: index.isMultiple(of: 3) ? nil : UInt64(index) << (index % 60), bytes: bytes(index * 7)),
        answerHash: generator.next(), lastSecond: index == 0 ? .max : generator.next(), waiting: addresses,
        challenged: addresses.reversed())
    }
  }

  @Test("Read back, it is the same; no part of it, and nothing longer, is one") func roundTrip() throws {
    for command in Self.commands() {
      let bytes = try command.cbor()
      #expect(try OpenCommand(parsing: bytes) == command && command.encodedLength == bytes.count)
      for count in 0..<bytes.count {
        #expect(throws: ParseError.self) { try OpenCommand(parsing: Array(bytes[..<count])) }
      }
      #expect(throws: ParseError.self) { try OpenCommand(parsing: bytes + [0]) }
    }
  }
}
