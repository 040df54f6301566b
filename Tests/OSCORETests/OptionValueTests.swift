import OSCORE
import TestSupport
import Testing
import Wire

/// RFC 8613, 6.1 and 6.3: the value of the OSCORE option.
struct OptionValueTests {
  @Test(
    "The examples of 6.3 are parsed and emitted",
    arguments: [
      ("090525", OSCOREOptionValue(partialIV: 5, kid: [0x25])),
      ("0900", OSCOREOptionValue(partialIV: 0, kid: [])),
      ("19050544616c656b", OSCOREOptionValue(partialIV: 5, kidContext: Array("Dalek".utf8), kid: [])),
      ("", OSCOREOptionValue()),
      ("0107", OSCOREOptionValue(partialIV: 7)),
      ("05ffffffffff", OSCOREOptionValue(partialIV: OSCOREOptionValue.maximumPartialIV)),
    ])
  func examples(_ hex: String, _ value: OSCOREOptionValue) throws {
    #expect(try OSCOREOptionValue(parsing: bytes(hex)) == value)
    #expect(try value.encoded().hex == hex)
  }

  @Test(
    "Lying and truncated values are refused",
    arguments: [
      "00", "20", "40", "80", "2914", "06010203040506", "0701020304050607", "01", "0514", "020014", "0114ff", "10",
      "1005616263", "1903", "190305616263", "1001ffff",
    ])
  func refused(_ hex: String) {
    do throws(ParseError) {
      _ = try OSCOREOptionValue(parsing: bytes(hex))
      Issue.record("\(hex) was parsed")
    } catch { #expect(error.reason == .oscoreMalformed) }
  }

  @Test("Every prefix of a value is refused or is another value")
  func prefixes() throws {
    let value = OSCOREOptionValue(partialIV: 0x1234, kidContext: [1, 2, 3], kid: [9, 8])
    let whole = try value.encoded()
    for count in 0..<whole.count {
      let part = try? OSCOREOptionValue(parsing: Array(whole.prefix(count)))
      // A shorter kid is one; everything before it is needed.
      #expect((part == nil) == (1..<whole.count - 2).contains(count))
      #expect(part != value)
    }
  }

  @Test("What cannot be written: a Partial IV of 2^40, a value of 256 bytes")
  func unwritable() {
    #expect(throws: EmitError.notRepresentable) { try OSCOREOptionValue(partialIV: 1 << 40).encoded() }
    #expect(throws: EmitError.notRepresentable) {
      try OSCOREOptionValue(kid: [UInt8](repeating: 0, count: 255)).encoded()
    }
    #expect((try? OSCOREOptionValue(kid: [UInt8](repeating: 0, count: 254)).encoded())?.count == 255)
  }

  @Test("parse(emit(x)) == x, and emit(parse(b)) == b")
  func roundTrip() throws {
    var generator = SeededGenerator(seed: 8613)
    for _ in 0..<2000 {
      let value = OSCOREOptionValue(
        partialIV: generator.oneIn(3)
          ? nil : generator.next() & OSCOREOptionValue.maximumPartialIV >> UInt64.random(in: 0...40, using: &generator),
        kidContext: generator.oneIn(2) ? nil : generator.bytes(in: 0...20),
        kid: generator.oneIn(3) ? nil : generator.bytes(in: 0...7))
      let written = try value.encoded()
      #expect(written.count == value.encodedLength)
      #expect(try OSCOREOptionValue(parsing: written) == value)
      var noise = generator.bytes(in: 0...12)
      if !noise.isEmpty { noise[0] &= 0x1f }
      if let parsed = try? OSCOREOptionValue(parsing: noise) { #expect(try parsed.encoded() == noise) }
    }
  }
}
