import Radio
import TestSupport
import Testing
import Wire

@Suite("The blocks of pcapng")
struct PcapngBlockTests {
  private func options(_ random: inout SeededGenerator) -> PcapngOptions {
    PcapngOptions(
      (0..<Int.random(in: 0...4, using: &random)).map { _ in
        PcapngOption(.random(in: 1...0x7fff, using: &random), random.bytes(in: 0...9))
      })
  }

  private func block(_ random: inout SeededGenerator) -> PcapngBlock {
    let options = options(&random)
    switch Int.random(in: 0..<4, using: &random) {
    case 0:
      let length = random.oneIn(2) ? nil : Int64.random(in: 0...(.max), using: &random)
      return .section(PcapngSection(length: length, options: options))
    case 1:
      let linkType = LinkType(rawValue: .random(in: 0...0xffff, using: &random))
      return .interface(
        PcapngInterface(linkType: linkType, snapLength: .random(in: 0...(.max), using: &random), options: options))
    case 2:
      return .packet(
        PcapngPacket(
          interface: .random(in: 0...(.max), using: &random), timestamp: random.next(), bytes: random.bytes(in: 0...40),
          originalLength: .random(in: 0...(.max), using: &random), options: options))
    default:
      let body = random.bytes(Int.random(in: 0...9, using: &random) * 4)
      return .other(type: .random(in: 7...0xffff, using: &random), body: body)
    }
  }

  @Test("Every block survives, its length is a multiple of four, and no truncation traps")
  func roundTrip() throws {
    var random = SeededGenerator(seed: 21)
    for _ in 0..<500 {
      let block = block(&random)
      let bytes = try block.encoded()
      #expect(bytes.count == block.encodedLength)
      #expect(bytes.count % 4 == 0)
      #expect(try PcapngBlock(parsing: bytes) == block)
      for length in 0..<bytes.count {
        #expect(throws: ParseError.self) { try PcapngBlock(parsing: Array(bytes.prefix(length))) }
      }
    }
  }

  @Test("Random changes give a block or a typed reason")
  func damaged() throws {
    var random = SeededGenerator(seed: 22)
    var parsed = 0
    for _ in 0..<5000 {
      var bytes = try block(&random).encoded()
      bytes[Int.random(in: 0..<bytes.count, using: &random)] = random.bytes(1)[0]
      guard let block = try? PcapngBlock(parsing: bytes) else { continue }
      // Another writer may leave the end of the options out.
      #expect(block.encodedLength <= bytes.count + 4)
      #expect(try PcapngBlock(parsing: block.encoded()) == block)
      parsed += 1
    }
    #expect(parsed > 100)
  }

  @Test("The bytes are those of the specification")
  func layout() throws {
    var packet = PcapngPacket(
      interface: 1, timestamp: 0x0102_0304_0506_0708, bytes: [0xaa, 0xbb, 0xcc],
      options: [PcapngOption(PcapngOptions.comment, Array("hello".utf8))])
    packet.direction = .outbound
    #expect(
      try PcapngBlock.packet(packet).encoded().hex
        == """
        06000000 3c000000 01000000 04030201 08070605 03000000 03000000 aabbcc00
        0100 0500 68656c6c6f000000 0200 0400 02000000 0000 0000 3c000000
        """.filter { $0.isHexDigit })
    var interface = PcapngInterface(linkType: .ieee802154TAP)
    #expect(interface.timeResolution == 6)
    interface.timeResolution = 9
    #expect(
      try PcapngBlock.interface(interface).encoded().hex
        == "01000000 20000000 1b010000 00000000 0900 0100 09000000 00000000 20000000".filter { $0.isHexDigit })
    #expect(
      try PcapngBlock.section(PcapngSection()).encoded().hex
        == "0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000".filter { $0.isHexDigit })
  }

  @Test("The direction is two bits of the flags, and the others stay")
  func direction() {
    var packet = PcapngPacket(timestamp: 0, bytes: [])
    #expect(packet.direction == nil)
    packet.options[PcapngPacket.flagsOption] = [0x04, 0, 0, 0x80]
    packet.direction = .inbound
    #expect(packet.options[PcapngPacket.flagsOption] == [0x05, 0, 0, 0x80])
    #expect(packet.direction == .inbound)
    packet.direction = nil
    #expect(packet.options[PcapngPacket.flagsOption] == [0x04, 0, 0, 0x80])
    packet.options[PcapngPacket.flagsOption] = nil
    packet.direction = nil
    #expect(packet.options.entries.isEmpty)
  }

  private func error(_ bytes: [UInt8]) -> DropReason? {
    do throws(ParseError) { _ = try PcapngBlock(parsing: bytes) } catch { return error.reason }
    return nil
  }

  @Test("What is not this format is refused for its reason")
  func refused() throws {
    let section = try PcapngBlock.section(PcapngSection()).encoded()
    var changed = CaptureBytes.pcapng(283, [], bigEndian: true)
    #expect(error(Array(changed.prefix(28))) == .unsupported)
    changed = section
    changed[8] = 0
    #expect(error(changed) == .reservedValue)
    changed = section
    changed[12] = 2
    #expect(error(changed) == .unsupported)
    changed = section
    changed[24] = 0x20
    #expect(error(changed) == .lengthMismatch)
    changed = section
    changed[4] = 0x1b
    #expect(error(changed) == .lengthMismatch)
    #expect(error([7, 0, 0, 0, 8, 0, 0, 0]) == .lengthMismatch)
    #expect(error(section + [0]) == .trailingBytes)
    // An end of options that is not empty, and options behind the end.
    #expect(error([1, 0, 0, 0, 24, 0, 0, 0] + [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 24, 0, 0, 0]) == .lengthMismatch)
    #expect(
      error([1, 0, 0, 0, 28, 0, 0, 0] + [UInt8](repeating: 0, count: 16) + [28, 0, 0, 0]) == .lengthMismatch)
    #expect(throws: EmitError.notRepresentable) { try PcapngBlock.other(type: 6, body: []).encoded() }
    #expect(throws: EmitError.notRepresentable) { try PcapngBlock.other(type: 7, body: [1]).encoded() }
    #expect(throws: EmitError.notRepresentable) { try PcapngOptions([PcapngOption(0, [])]).encoded() }
    #expect(throws: EmitError.notRepresentable) {
      try PcapngOptions([PcapngOption(1, [UInt8](repeating: 0, count: 65536))]).encoded()
    }
    #expect(throws: EmitError.notRepresentable) {
      try PcapngInterface(linkType: LinkType(rawValue: 65536)).encoded()
    }
    #expect(throws: EmitError.notRepresentable) { try PcapngSection(length: -2).encoded() }
  }

  @Test("A file that another writer made is read block by block")
  func otherWriter() throws {
    let bytes = CaptureBytes.pcapng(195, [[2, 0, 1], [2, 0, 2, 0xaa]])
    var reader = ByteReader(bytes.rawSpan)
    var blocks: [PcapngBlock] = []
    while !reader.isAtEnd { blocks.append(try PcapngBlock(parsing: &reader)) }
    var interface = PcapngInterface(linkType: .ieee802154WithFCS)
    interface.timeResolution = 9
    #expect(
      blocks == [
        .section(PcapngSection()), .interface(interface),
        .packet(PcapngPacket(timestamp: 1_000_123_456, bytes: [2, 0, 1])),
        .packet(PcapngPacket(timestamp: 2_000_123_456, bytes: [2, 0, 2, 0xaa])),
      ])
  }
}
