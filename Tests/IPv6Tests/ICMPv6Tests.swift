import IPv6
import TestSupport
import Testing
import Wire

@Suite struct ICMPv6Tests {
  /// Captured by the OpenWSN project; tshark finds the checksums right.
  static let request = """
    6006cec500403a40fe80000000000000760014fffe65cc53fe8000000000000002127400146ef121
    8000bab71a1600315a47a857000000000db70d00000000001011121314151617
    18191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637
    """
  static let reply = """
    6006cec500403a40fe8000000000000002127400146ef121fe80000000000000760014fffe65cc53
    8100b9b71a1600315a47a857000000000db70d00000000001011121314151617
    18191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637
    """

  @Test("RFC 4443 sections 4.1 and 4.2") func echo() throws {
    let bytes = try #require([UInt8](hex: Self.request))
    let packet = try IPv6Packet(bytes.rawSpan)
    let message = try ICMPv6Message(
      packet.payload, source: packet.header.source, destination: packet.header.destination)
    #expect(message.header == ICMPv6Header(type: .echoRequest, checksum: 0xbab7))
    var reader = ByteReader(message.bytes)
    let echo = try ICMPv6Echo(parsing: &reader)
    #expect(echo == ICMPv6Echo(isReply: false, identifier: 0x1a16, sequenceNumber: 0x31))
    #expect(reader.remaining == 56)
    let made = ICMPv6Echo.reply(
      to: message.bytes, source: packet.header.destination, destination: packet.header.source)
    let answer = try #require(made)
    let expected = try #require([UInt8](hex: Self.reply))
    #expect(answer == Array(expected.dropFirst(40)))
    let toReply = ICMPv6Echo.reply(to: answer.rawSpan, source: .loopback, destination: .loopback)
    #expect(toReply == nil)
  }

  @Test("RFC 4443 section 2.3: every changed bit of a message breaks its checksum") func checksum() throws {
    let bytes = try #require([UInt8](hex: Self.request))
    let ip = try IPv6Header(parsing: Array(bytes.prefix(40)))
    for bit in 0..<64 * 8 {
      var message = Array(bytes.dropFirst(40))
      message[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(
        reason { _ = try ICMPv6Message(message.rawSpan, source: ip.source, destination: ip.destination).header }
          == .icmpv6ChecksumMismatch)
    }
    let short: [UInt8] = [128, 0, 0]
    #expect(
      reason { _ = try ICMPv6Message(short.rawSpan, source: ip.source, destination: ip.destination).header }
        == .truncated)
  }

  @Test func messagesAreTwins() throws {
    var generator = SeededGenerator(seed: 4443)
    for _ in 0..<100 {
      try expectTwins(
        ICMPv6Header(
          type: ICMPv6Type(rawValue: generator.byte()), code: generator.byte(), checksum: generator.word()))
      try expectTwins(
        ICMPv6Echo(
          isReply: generator.flag(), identifier: generator.word(), sequenceNumber: generator.word()))
      let word = UInt32.random(in: 0...(.max), using: &generator)
      try expectTwins(ICMPv6Error.destinationUnreachable(UnreachableCode(rawValue: generator.byte())))
      try expectTwins(ICMPv6Error.packetTooBig(mtu: word))
      try expectTwins(ICMPv6Error.timeExceeded(TimeExceededCode(rawValue: generator.byte())))
      try expectTwins(
        ICMPv6Error.parameterProblem(ParameterProblemCode(rawValue: generator.byte()), pointer: word))
    }
    #expect(reason { _ = try ICMPv6Error(parsing: [100, 0, 0, 0, 0, 0, 0, 0]) } == .icmpv6TypeUnknown)
    #expect(reason { _ = try ICMPv6Echo(parsing: [130, 0, 0, 0, 0, 0, 0, 0]) } == .icmpv6TypeUnknown)
  }

  @Test("RFC 4443 section 3: type and code numbers") func numbers() throws {
    let cases: [(ICMPv6Error, String)] = [
      (.destinationUnreachable(.noRoute), "0100"), (.destinationUnreachable(.administrativelyProhibited), "0101"),
      (.destinationUnreachable(.beyondScopeOfSource), "0102"), (.destinationUnreachable(.addressUnreachable), "0103"),
      (.destinationUnreachable(.portUnreachable), "0104"),
      (.destinationUnreachable(.sourceAddressFailedPolicy), "0105"),
      (.destinationUnreachable(.rejectRoute), "0106"),
      (.destinationUnreachable(.errorInSourceRoutingHeader), "0107"), (.packetTooBig(mtu: 0), "0200"),
      (.timeExceeded(.hopLimit), "0300"), (.timeExceeded(.fragmentReassembly), "0301"),
      (.parameterProblem(.erroneousHeaderField, pointer: 0), "0400"),
      (.parameterProblem(.unrecognizedNextHeader, pointer: 0), "0401"),
      (.parameterProblem(.unrecognizedOption, pointer: 0), "0402"),
    ]
    for (error, hex) in cases { #expect(try Array(error.encoded().prefix(2)).hex == hex) }
  }

  @Test("RFC 4443 section 2.4 (c): the invoking packet is cut to 1280 bytes") func cut() throws {
    let small = try #require([UInt8](hex: Self.request))
    let big = [UInt8](repeating: 0x60, count: 1280)
    for (packet, length) in [(small, 8 + 104), (big, 1240)] {
      let message = try ICMPv6Error.packetTooBig(mtu: 1280).encoded(
        invoking: packet.rawSpan, source: .loopback, destination: .loopback)
      #expect(message.count == length)
      let parsed = try ICMPv6Message(message.rawSpan, source: .loopback, destination: .loopback)
      #expect(parsed.header.type == .packetTooBig)
      #expect(Array(message.dropFirst(8)) == Array(packet.prefix(length - 8)))
    }
  }

  @Test("RFC 4443 section 2.4 (e): what is never answered") func neverAnswered() throws {
    let unicast = IPv6Address(high: 0xfd << 56, low: 1)
    func mayAnswer(
      _ error: ICMPv6Error, source: IPv6Address = unicast, destination: IPv6Address = unicast,
      _ next: NextHeader = .udp, _ payload: [UInt8] = [1]
    ) throws -> Bool {
      let header = IPv6Header(nextHeader: next, hopLimit: 1, source: source, destination: destination)
      let bytes = try header.packet(payload)
      return error.mayAnswer(try IPv6Packet(bytes.rawSpan))
    }
    let exceeded = ICMPv6Error.timeExceeded(.hopLimit)
    #expect(try mayAnswer(exceeded))
    #expect(try mayAnswer(exceeded, .icmpv6, [128]))
    #expect(try !mayAnswer(exceeded, .icmpv6, [1]))
    #expect(try !mayAnswer(exceeded, .icmpv6, [127]))
    #expect(try !mayAnswer(exceeded, .icmpv6, [137]))
    // The error behind an extension header is an error, too.
    #expect(try !mayAnswer(exceeded, .destinationOptions, [58, 0, 1, 4, 0, 0, 0, 0, 1]))
    #expect(try mayAnswer(exceeded, .destinationOptions, [58, 0, 1, 4, 0, 0, 0, 0, 128]))
    #expect(try !mayAnswer(exceeded, source: .unspecified))
    #expect(try !mayAnswer(exceeded, source: .allNodes))
    #expect(try !mayAnswer(exceeded, destination: .allNodes))
    #expect(try mayAnswer(.packetTooBig(mtu: 1280), destination: .allNodes))
    #expect(try mayAnswer(.parameterProblem(.unrecognizedOption, pointer: 0), destination: .allNodes))
    #expect(try !mayAnswer(.parameterProblem(.erroneousHeaderField, pointer: 0), destination: .allNodes))
    #expect(try !mayAnswer(exceeded, .fragment, [58, 0, 0, 8, 0, 0, 0, 0, 128]))
  }
}
