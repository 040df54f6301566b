import Radio
import TestSupport
import Testing
import Wire

@Suite("HDLC-lite")
struct SpinelFramingTests {
  /// Everything that a decoder finds in `bytes`, handed over in pieces.
  private func frames(_ bytes: [UInt8], pieces: [Int]? = nil, decoder: inout HDLCDecoder) -> [[UInt8]] {
    var frames: [[UInt8]] = []
    var rest = bytes[...]
    var sizes = (pieces ?? [bytes.count]).makeIterator()
    while !rest.isEmpty {
      let piece = Array(rest.prefix(sizes.next() ?? rest.count))
      rest = rest.dropFirst(piece.count)
      var reader = ByteReader(piece.rawSpan)
      while let frame = decoder.next(&reader) { frames.append(frame) }
    }
    return frames
  }

  private func frames(_ bytes: [UInt8]) -> [[UInt8]] {
    var decoder = HDLCDecoder()
    return frames(bytes, decoder: &decoder)
  }

  @Test("Every recorded frame is decoded, and encoded to the same bytes", arguments: SpinelTranscript.names)
  func recorded(name: String) throws {
    let transcript = try SpinelTranscript(name)
    #expect(transcript.lines.count > 100)
    for line in transcript.lines where !line.isBroken {
      let content = try SpinelTranscript.content(line.wire)
      if let frame = line.frame { #expect(content == frame) }
      #expect(HDLCLite.encode(content) == line.wire)
    }
  }

  @Test("A whole recording is decoded in pieces of any size, side by side with the broken frame in it")
  func pieces() throws {
    let lines = try SpinelTranscript("rcp-session").lines
    #expect(lines.count { $0.isBroken } == 1)
    let expected = try lines.filter { !$0.isBroken }.map { try SpinelTranscript.content($0.wire) }
    let bytes = lines.flatMap(\.wire)
    for size in [1, 2, 3, 7, 64, bytes.count] {
      var decoder = HDLCDecoder()
      let pieces = [Int](repeating: size, count: bytes.count / size + 1)
      #expect(frames(bytes, pieces: pieces, decoder: &decoder) == expected)
      #expect(decoder.drops.nonZero.map(\.reason) == [.hdlcFCSMismatch])
      #expect(decoder.drops.total == 1 && decoder.garbage == 5)
    }
  }

  @Test("Any content survives, and so do contents that share their flags")
  func roundTrip() {
    var random = SeededGenerator(seed: 1)
    for _ in 0..<500 {
      let contents = (0..<Int.random(in: 1...5, using: &random)).map { _ in
        // Many of the octets that are escaped.
        random.bytes(in: 1...200).map { $0 % 3 == 0 ? [0x7e, 0x7d, 0x11, 0x13, 0xf8, 0x5e, 0x5d][Int($0) % 7] : $0 }
      }
      let wires = contents.map(HDLCLite.encode)
      for wire in wires {
        #expect(wire.dropFirst().dropLast().allSatisfy { ![0x7e, 0x11, 0x13, 0xf8].contains($0) })
      }
      #expect(frames(wires.flatMap { $0 }) == contents)
      #expect(frames([0x7e] + wires.flatMap { $0.dropFirst() }) == contents)
    }
  }

  @Test("Garbage in front, between and behind costs nothing but itself, and is counted")
  func resynchronises() {
    var random = SeededGenerator(seed: 2)
    for _ in 0..<500 {
      let contents = (0..<3).map { _ in random.bytes(in: 3...40) }
      var bytes: [UInt8] = []
      var junk = 0
      for content in contents {
        // No flags in it: they would only make it two pieces.
        let noise = random.bytes(in: 3...60).map { $0 == 0x7e || $0 == 0x7d ? 0 : $0 }
        bytes += noise + HDLCLite.encode(content)
        junk += noise.count
      }
      var decoder = HDLCDecoder()
      #expect(frames(bytes, decoder: &decoder) == contents)
      #expect(decoder.drops[.hdlcFCSMismatch] == 3 && decoder.garbage == UInt64(junk))
    }
  }

  @Test("A frame whose bytes were changed or lost is never taken for another")
  func damage() {
    var random = SeededGenerator(seed: 3)
    for _ in 0..<2_000 {
      let content = random.bytes(in: 4...60)
      var wire = HDLCLite.encode(content)
      let index = Int.random(in: 1..<(wire.count - 1), using: &random)
      if random.oneIn(3) { wire.remove(at: index) } else { wire[index] ^= 1 << UInt8.random(in: 0..<8, using: &random) }
      let found = frames(wire + HDLCLite.encode([1, 2, 3]))
      #expect(found.last == [1, 2, 3] && found.count == 1)
    }
  }

  @Test("Nothing is kept beyond the largest frame")
  func bounded() {
    var decoder = HDLCDecoder(maximumLength: 100)
    let largest = [UInt8](repeating: 5, count: 100)
    #expect(frames(HDLCLite.encode(largest), decoder: &decoder) == [largest])
    #expect(decoder.drops.total == 0 && decoder.garbage == 0)
    #expect(frames(HDLCLite.encode(largest + [5]), decoder: &decoder).isEmpty)
    #expect(decoder.drops[.tooLong] == 1 && decoder.garbage == 103)
    // Endless bytes without a flag are counted as they come, once as a frame.
    #expect(frames([UInt8](repeating: 0x55, count: 10_000), decoder: &decoder).isEmpty)
    #expect(decoder.drops[.tooLong] == 2 && decoder.garbage == 10_103)
    #expect(frames(HDLCLite.encode([9, 9, 9]), decoder: &decoder) == [[9, 9, 9]])
    #expect(decoder.drops.total == 2)
  }

  @Test("An abort, a frame of less than an FCS, and flags in a row")
  func odds() {
    var decoder = HDLCDecoder()
    #expect(frames([0x7e, 0x7e, 0x7e], decoder: &decoder).isEmpty)
    #expect(decoder.drops.total == 0 && decoder.garbage == 0)
    #expect(frames([1, 2, 3, 4, 0x7d, 0x7e], decoder: &decoder).isEmpty)
    #expect(decoder.drops[.hdlcAborted] == 1)
    #expect(frames([1, 2, 0x7e], decoder: &decoder).isEmpty)
    #expect(decoder.drops[.truncated] == 1 && decoder.garbage == 6)
  }
}
