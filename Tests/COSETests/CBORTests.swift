import COSE
import TestSupport
import Testing
import Wire

@Suite struct CBORTests {
  @Test(
    "RFC 8949 appendix A: deterministic examples parse, print and encode to themselves",
    arguments: CBORExamples.deterministic)
  func appendixA(diagnostic: String, encoding: String) throws {
    let bytes = try #require([UInt8](hex: encoding))
    let value = try CBORValue(parsing: bytes)
    // Numbers may be written in several ways: those of the RFC and ours must be the same number.
    if case .float(let number) = value, let expected = Double(diagnostic), !number.isNaN {
      #expect(Double(value.description) == expected)
      #expect(number == expected && number.sign == expected.sign)
    } else {
      #expect(value.description == diagnostic)
    }
    #expect(try value.encoded() == bytes)
    #expect(value.encodedLength == bytes.count)
  }

  @Test(
    "RFC 8949 appendix A: other examples are refused for what is not deterministic in them (4.2.1)",
    arguments: CBORExamples.refused)
  func appendixARefused(diagnostic: String, encoding: String, reason: DropReason) throws {
    let bytes = try #require([UInt8](hex: encoding))
    #expect(refusal(bytes) == reason)
    #expect(skipRefusal(bytes) == reason)
  }

  @Test(
    "Malformed and non-deterministic items are refused, each for its reason",
    arguments: [
      // Arguments that fit a shorter form (4.2.1).
      ("1817", .cborNotShortest), ("1900ff", .cborNotShortest), ("1a0000ffff", .cborNotShortest),
      ("1b00000000ffffffff", .cborNotShortest), ("3817", .cborNotShortest), ("580161", .cborNotShortest),
      ("780161", .cborNotShortest), ("980100", .cborNotShortest), ("b8010000", .cborNotShortest),
      ("d80100", .cborNotShortest),
      // Floats that fit a shorter form, and not-a-numbers with a payload (4.2.2).
      ("fa3fc00000", .cborNotShortest), ("fb3ff8000000000000", .cborNotShortest),
      ("fb40f86a0000000000", .cborNotShortest),
      ("f97e01", .cborNotShortest), ("f9fe00", .cborNotShortest), ("fa7fc00001", .cborNotShortest),
      ("fa33800000", .cborNotShortest),
      // Reserved forms (3, 3.3).
      ("1c", .reservedValue), ("3d", .reservedValue), ("5e", .reservedValue), ("1f", .reservedValue),
      ("df00", .reservedValue),
      ("fc", .cborSimpleReserved), ("fe", .cborSimpleReserved), ("f800", .cborSimpleReserved),
      ("f814", .cborSimpleReserved),
      ("f81f", .cborSimpleReserved), ("ff", .cborIndefiniteLength),
      // Map keys (4.2.1, 5.6): bytewise order of the encodings, so 24 (1818) comes before -1 (20).
      ("a201000100", .cborDuplicateKey), ("a202000100", .cborKeyOrder), ("a22000181800", .cborKeyOrder),
      ("a2616200616100", .cborKeyOrder), ("a26161006000", .cborKeyOrder),
      ("a2f93c0000f93c0000", .cborDuplicateKey),
      ("a28101008000", .cborKeyOrder), ("a1a20100010000", .cborDuplicateKey),
      ("81a201000100", .cborDuplicateKey),
      // Text (3.1): surrogates, overlong forms, and ends in the middle of a character.
      ("61ff", .cborInvalidUTF8), ("63eda080", .cborInvalidUTF8), ("62c080", .cborInvalidUTF8),
      ("61c3", .cborInvalidUTF8),
      ("64f4908080", .cborInvalidUTF8), ("a161ff00", .cborInvalidUTF8),
      // Lengths and counts beyond the input.
      ("", .truncated), ("18", .truncated), ("41", .truncated), ("5affffffff00", .truncated),
      ("5bffffffffffffffff", .truncated),
      ("7b7fffffffffffffff", .truncated), ("9bffffffffffffffff00", .truncated),
      ("bb7fffffffffffffff0000", .truncated),
      ("8200", .truncated), ("a100", .truncated), ("c0", .truncated), ("f8", .truncated),
      ("f97e", .truncated),
      ("0000", .trailingBytes), ("a000", .trailingBytes),
    ] as [(String, DropReason)])
  func malformed(encoding: String, reason: DropReason) throws {
    let bytes = try #require([UInt8](hex: encoding))
    #expect(refusal(bytes) == reason)
    #expect(skipRefusal(bytes) == reason)
  }

  @Test("Nesting up to the limit is read and written, one level more is refused")
  func depth() throws {
    for wrapper: [UInt8] in [[0x81], [0xc1], [0xa1, 0x00]] {
      let heads = [[UInt8]](repeating: wrapper, count: CBORReader.maximumDepth)
      let deepest = [UInt8](heads.joined()) + [0x00]
      let value = try CBORValue(parsing: deepest)
      #expect(try value.encoded() == deepest)
      #expect(refusal(wrapper + deepest) == .cborTooDeep)
      #expect(skipRefusal(wrapper + deepest) == .cborTooDeep)
      #expect(throws: EmitError.notRepresentable) { try CBORValue.array([value]).encoded() }
    }
    // Depth through the keys of maps counts too, and a long row of heads costs nothing.
    #expect(refusal([UInt8](repeating: 0xa1, count: 100_000)) == .cborTooDeep)
    #expect(refusal([UInt8](repeating: 0x81, count: 100_000)) == .cborTooDeep)
  }

  @Test("Typed reads give the value or refuse the type, and a read that throws consumes nothing")
  func typedReads() throws {
    let bytes = try CBORValue.array([
      7, -7, .bytes([1, 2]), "ü", true, false, nil, .undefined, .simple(99), 1.5, .tag(32, "x"), [1: 2],
    ]).encoded()
    var reader = CBORReader(bytes.rawSpan)
    try reader.array(count: 12)
    #expect(try reader.peekKind() == .unsigned)
    do {
      _ = try reader.bytes()
      Issue.record("an integer was read as bytes")
    } catch { #expect(error == ParseError(.cborTypeMismatch, at: 1)) }
    #expect(try reader.unsigned() == 7)
    #expect(try reader.peekKind() == .negative)
    #expect(try reader.integer() == -7)
    #expect(try reader.bytes(count: 2).array() == [1, 2])
    #expect(try reader.text() == "ü")
    #expect(try reader.bool() == true)
    #expect(try reader.bool() == false)
    #expect(try reader.takeNull())
    #expect(try !reader.takeNull())
    try reader.undefined()
    #expect(try reader.simple() == 99)
    #expect(try reader.float() == 1.5)
    #expect(try reader.tag() == 32)
    #expect(try reader.text() == "x")
    #expect(try reader.itemBytes().array() == [0xa1, 1, 2])
    try reader.expectEnd()

    let offset = reader.offset
    #expect(offset == bytes.count)
    var again = CBORReader(bytes.rawSpan, offset: 100)
    do {
      try again.array(count: 11)
      Issue.record("a wrong count was accepted")
    } catch { #expect(error == ParseError(.lengthMismatch, at: 100)) }
    let unmoved = again.offset
    #expect(unmoved == 100)
    try again.skip()
    let atEnd = again.isAtEnd
    #expect(atEnd)
  }

  @Test("Integers that do not fit the type asked for are cborIntegerOverflow")
  func overflow() throws {
    for (encoding, fits) in [
      ("1b7fffffffffffffff", true), ("1b8000000000000000", false), ("3b7fffffffffffffff", true),
      ("3b8000000000000000", false), ("3bffffffffffffffff", false),
    ] {
      let bytes = try #require([UInt8](hex: encoding))
      var reader = CBORReader(bytes.rawSpan)
      do {
        let value = try reader.integer()
        #expect(fits)
        #expect(CBORValue.integer(value).description == (try CBORValue(parsing: bytes)).description)
      } catch {
        #expect(!fits)
        #expect(error.reason == .cborIntegerOverflow)
        let unmoved = reader.offset
        #expect(unmoved == 0)
      }
    }
    let bytes: [UInt8] = [0x19, 0x01, 0x00]
    var reader = CBORReader(bytes.rawSpan)
    do {
      _ = try reader.unsigned(upTo: 255)
      Issue.record("256 was accepted")
    } catch { #expect(error.reason == .cborIntegerOverflow) }
    #expect(try reader.unsigned(upTo: 256) == 256)
  }

  @Test("Walking a map checks the order of the keys, whatever is done with the values")
  func mapWalk() throws {
    let bytes = try ([1: "a", 3: [1, 2], 34: .bytes([9]), -65537: nil] as CBORValue).encoded()
    var reader = CBORReader(bytes.rawSpan)
    var map = try reader.map()
    var keys: [Int64] = []
    while try reader.nextKey(in: &map) {
      keys.append(try reader.integer())
      try reader.skip()
    }
    try reader.expectEnd()
    #expect(keys == [1, 3, 34, -65537])

    let wrong: [UInt8] = [0xa2, 0x02, 0x80, 0x01, 0x80]
    var second = CBORReader(wrong.rawSpan)
    var position = try second.map()
    #expect(try second.nextKey(in: &position))
    try second.skip()
    try second.skip()
    do {
      _ = try second.nextKey(in: &position)
      Issue.record("keys out of order were accepted")
    } catch { #expect(error == ParseError(.cborKeyOrder, at: 3)) }
  }

  @Test("A map is written in the order of its encoded keys; a repeated key or reserved value is not written")
  func writing() throws {
    let value: CBORValue = ["b": 1, -1: 2, 24: 3, "a": 4, 1: 5]
    #expect(try value.encoded().hex == "a501051818032002616104616201")
    #expect(try CBORValue(parsing: value.encoded()) == value)
    #expect(throws: EmitError.notRepresentable) { try CBORValue.map([.init(1, 1), .init(1, 2)]).encoded() }
    for reserved in UInt8(24)...31 {
      #expect(throws: EmitError.notRepresentable) { try CBORValue.simple(reserved).encoded() }
    }
    var writer = CBORWriter()
    writer.array(2)
    writer.integer(.min)
    writer.integer(.max)
    #expect(writer.bytes.hex == "823b7fffffffffffffff1b7fffffffffffffff")
  }

  @Test("Diagnostic notation escapes what would not print (RFC 8949, 8; RFC 8259, 7)")
  func diagnosticEscapes() {
    #expect(
      CBORValue.text("a\"b\\c\n\r\t\u{1}\u{7f}\u{9b}é").description == #""a\"b\\c\n\r\t\u0001\u007f\u009bé""#)
    #expect(
      ([1: .bytes([0xab]), "k": [nil, .undefined, true]] as CBORValue).description
        == #"{1: h'ab', "k": [null, undefined, true]}"#)
  }

  @Test(
    "Half-precision floats: all 65,536 read, and every number is written as itself (RFC 8949, appendix D)")
  func halves() throws {
    for bits in UInt16.min...UInt16.max {
      let bytes: [UInt8] = [0xf9, UInt8(bits >> 8), UInt8(bits & 0xff)]
      let nan = bits & 0x7c00 == 0x7c00 && bits & 0x3ff != 0
      if nan && bits != 0x7e00 {
        #expect(refusal(bytes) == .cborNotShortest)
      } else {
        let value = try CBORValue(parsing: bytes)
        guard case .float(let number) = value else {
          Issue.record("\(bytes.hex) is no float")
          continue
        }
        if try value.encoded() != bytes { Issue.record("\(bytes.hex) became \(try value.encoded().hex)") }
        if bits & 0x7fff == 0x3c00 { #expect(number.magnitude == 1) }
      }
    }
  }

  @Test("Random values: parse(emit(x)) is x, the length is the one announced, and one encoding has one value")
  func roundTrip() throws {
    var generator = SeededGenerator(seed: 8949)
    for _ in 0..<2_000 {
      let value = randomValue(&generator, depth: 0)
      let bytes = try value.encoded()
      #expect(bytes.count == value.encodedLength)
      let parsed = try CBORValue(parsing: bytes)
      #expect(parsed == value)
      #expect(try parsed.encoded() == bytes)
      #expect(skipRefusal(bytes) == nil)
    }
  }

  @Test("Truncated values throw at every length; changed ones throw or encode to what was read")
  func damage() throws {
    var generator = SeededGenerator(seed: 4949)
    for _ in 0..<300 {
      let bytes = try randomValue(&generator, depth: 0).encoded()
      for length in 0..<bytes.count { #expect(refusal([UInt8](bytes.prefix(length))) == .truncated) }
      for _ in 0..<20 {
        var changed = bytes
        changed[Int.random(in: 0..<changed.count, using: &generator)] = UInt8.random(
          in: 0...255, using: &generator)
        let refused = refusal(changed)
        #expect(refused == skipRefusal(changed))
        if refused == nil { #expect(try CBORValue(parsing: changed).encoded() == changed) }
      }
    }
  }

  private func refusal(_ bytes: [UInt8]) -> DropReason? {
    do throws(ParseError) {
      _ = try CBORValue(parsing: bytes)
      return nil
    } catch { return error.reason }
  }

  private func skipRefusal(_ bytes: [UInt8]) -> DropReason? {
    do throws(ParseError) {
      var reader = CBORReader(bytes.rawSpan)
      let item = try reader.itemBytes()
      #expect(item.byteCount == reader.offset)
      try reader.expectEnd()
      return nil
    } catch { return error.reason }
  }

  private func randomValue(_ generator: inout SeededGenerator, depth: Int) -> CBORValue {
    let argument =
      UInt64.random(in: 0...UInt64.max, using: &generator) >> UInt64.random(in: 0..<64, using: &generator)
    switch Int.random(in: 0..<(depth < 4 ? 13 : 10), using: &generator) {
    case 0: return .unsigned(argument)
    case 1: return .negative(argument)
    case 2: return .bytes(generator.bytes(in: 0...40))
    case 3: return .text(String(decoding: generator.bytes(in: 0...40), as: UTF8.self))
    case 4: return .bool(generator.oneIn(2))
    case 5: return .null
    case 6: return .undefined
    case 7: return .simple([0, 19, 32, 255].randomElement(using: &generator) ?? 0)
    case 8: return .float(Double(bitPattern: argument))
    case 9: return .float(Double(Float(bitPattern: UInt32(truncatingIfNeeded: argument))))
    case 10:
      return .array(
        (0..<Int.random(in: 0...4, using: &generator)).map { _ in randomValue(&generator, depth: depth + 1) })
    case 11:
      var keys: Set<CBORValue> = []
      let pairs = (0..<Int.random(in: 0...4, using: &generator)).compactMap { _ -> CBORPair? in
        let key = randomValue(&generator, depth: depth + 1)
        return keys.insert(key).inserted ? CBORPair(key, randomValue(&generator, depth: depth + 1)) : nil
      }
      return .map(pairs)
    default: return .tag(argument, randomValue(&generator, depth: depth + 1))
    }
  }
}
