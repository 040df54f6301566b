import TestSupport
import Testing
import Wire

@Suite struct CursorTests {
  @Test func integersReadBackAsWritten() throws {
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<200 {
      let (a, b, c, d) = (
        UInt8.random(in: 0...255, using: &generator), UInt16.random(in: 0...0xffff, using: &generator),
        UInt32.random(in: 0...0xffff_ffff, using: &generator), generator.next()
      )
      let tail = generator.bytes(in: 0...20)
      let bytes = try withWriter(capacity: 100) { (writer) throws(EmitError) in
        try writer.u8(a)
        try writer.u16(b)
        try writer.u32(c)
        try writer.u64(d)
        try writer.u16LE(b)
        try writer.u32LE(c)
        try writer.u64LE(d)
        try writer.bytes(tail)
      }
      #expect(bytes.count == 29 + tail.count)
      #expect(bytes[1] == UInt8(b >> 8))
      var reader = ByteReader(bytes.rawSpan)
      #expect(try reader.u8() == a)
      #expect(try reader.u16() == b)
      #expect(try reader.u32() == c)
      #expect(try reader.u64() == d)
      #expect(try reader.u16LE() == b)
      #expect(try reader.u32LE() == c)
      #expect(try reader.u64LE() == d)
      #expect(reader.takeRest().array() == tail)
      try reader.expectEnd()
    }
  }

  @Test func shortInputThrowsAtItsOffsetAndConsumesNothing() {
    let bytes: [UInt8] = [1, 2, 3]
    var reader = ByteReader(bytes.rawSpan)
    _ = try? reader.u8()
    do {
      _ = try reader.u32()
      Issue.record("read past the end")
    } catch { #expect(error == ParseError(.truncated, at: 1)) }
    #expect(reader.remaining == 2)
    do {
      _ = try reader.bytes(-1)
      Issue.record("took a negative count")
    } catch { #expect(error.reason == .truncated) }
  }

  @Test func writerNeverPassesItsRoom() {
    #expect(throws: EmitError.noRoom) {
      try withWriter(capacity: 3) { (writer) throws(EmitError) in try writer.u32(1) }
    }
    #expect(throws: EmitError.noRoom) {
      try withWriter(capacity: 4) { (writer) throws(EmitError) in
        try writer.u8(1)
        try writer.patchU16(1, at: 0)
      }
    }
  }

  @Test(arguments: [
    ("", 0xffff as UInt16), ("0001f203f4f5f6f7", 0x220d), ("00", 0xffff), ("ff", 0x00ff),
  ])
  func checksum(hex: String, expected: UInt16) throws {
    var checksum = InternetChecksum()
    let bytes = try #require([UInt8](hex: hex))
    checksum.add(bytes.rawSpan)
    #expect(checksum.value == expected)
  }

  @Test func checksumEqualsTheSumOfWords() {
    var generator = SeededGenerator(seed: 2)
    for _ in 0..<300 {
      let bytes = generator.bytes(in: 0...90)
      var reference: UInt32 = 0
      for (index, byte) in bytes.enumerated() { reference += index % 2 == 0 ? UInt32(byte) << 8 : UInt32(byte) }
      while reference > 0xffff { reference = (reference & 0xffff) + (reference >> 16) }
      var checksum = InternetChecksum()
      checksum.add(bytes.rawSpan)
      #expect(checksum.value == ~UInt16(reference))
    }
  }

  @Test func hexReadsBack() {
    var generator = SeededGenerator(seed: 3)
    let bytes = generator.bytes(40)
    #expect([UInt8](hex: bytes.hex) == bytes)
    #expect([UInt8](hex: "AA:bb cc") == [0xaa, 0xbb, 0xcc])
    #expect([UInt8](hex: "abc") == nil)
    #expect([UInt8](hex: "zz") == nil)
  }

  @Test func countersSumAndSort() {
    var counters = DropCounters()
    counters.count(.truncated)
    counters.count(.macReplay)
    counters.count(.macReplay)
    #expect(counters.total == 3)
    #expect(counters.nonZero.map(\.reason) == [.macReplay, .truncated])
    #expect(Set(DropReason.allCases.map(\.name)).count == DropReason.allCases.count)
  }

  @Test func instantRoundsDown() {
    #expect(Instant(microseconds: -1).seconds == -1)
    #expect(Instant(microseconds: 1_999_999).seconds == 1)
    #expect(Instant(seconds: 5).advanced(by: .milliseconds(1500)).microseconds == 6_500_000)
  }
}
