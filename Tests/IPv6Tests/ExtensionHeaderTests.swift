import IPv6
import TestSupport
import Testing
import Wire

@Suite struct ExtensionHeaderTests {
  func walk(_ hex: String, _ first: NextHeader) throws -> UpperLayer {
    let bytes = try #require([UInt8](hex: hex))
    return try UpperLayer(in: bytes.rawSpan, startingWith: first)
  }

  @Test("RFC 8200 section 4.1: the upper layer behind a chain") func chain() throws {
    #expect(try walk("", .udp) == UpperLayer(protocol: .udp, offset: 0))
    #expect(try walk("", .noNextHeader) == UpperLayer(protocol: .noNextHeader, offset: 0))
    let hopByHop = "3c00010400000000"
    let destination = "2b01010c000000000000000000000000"
    let routing = "2c00030000000000"
    let fragment = "11000000 00000001"
    #expect(
      try walk(hopByHop + destination + routing + fragment + "aabb", .hopByHop)
        == UpperLayer(
          protocol: .udp, offset: 40,
          fragment: FragmentHeader(nextHeader: .udp, offset: 0, moreFragments: false, identification: 1)))
    // Authentication counts in units of 4 bytes (RFC 4302, 2.2).
    #expect(try walk("3a01" + String(repeating: "00", count: 10), .authentication).offset == 12)
    // Behind a later fragment there is no header to look at.
    let later = try walk("3c0000090000000100", .fragment)
    #expect(later.protocol == .destinationOptions && later.offset == 8)
    #expect(later.fragment?.offset == 1 && later.fragment?.moreFragments == true)
    // ESP hides what follows.
    #expect(try walk("00", .esp) == UpperLayer(protocol: .esp, offset: 0))
  }

  @Test("RFC 8200 section 4.1: malformed chains") func malformedChains() {
    for (hex, first) in [
      ("", NextHeader.hopByHop), ("3a00000000", .routing), ("3a01010400000000", .destinationOptions),
      // A hop-by-hop header anywhere but in front.
      ("0000010400000000 3a00010400000000", .destinationOptions), ("0000010400000000 3a00010400000000", .hopByHop),
      (String(repeating: "3c00010400000000", count: 8) + "3a00010400000000", .destinationOptions),
    ] {
      #expect(reason { _ = try walk(hex, first) } == .ipv6ExtensionHeaderMalformed, "\(hex)")
    }
    let allowed = String(repeating: "3c00010400000000", count: 7) + "3a00010400000000"
    #expect((try? walk(allowed, .destinationOptions))?.offset == 64)
  }

  @Test("RFC 8200 section 4.2: action bits") func actions() throws {
    let multicast = IPv6Address.allNodes
    let unicast = IPv6Address.loopback
    let expected: [(UInt8, UnrecognizedOptionAction, Bool, Bool)] = [
      (0x1e, .skip, false, false), (0x5e, .discard, false, false), (0x9e, .discardAndReport, true, true),
      (0xde, .discardAndReportUnlessMulticast, true, false),
    ]
    for (raw, action, unicastReport, multicastReport) in expected {
      let type = IPv6OptionType(rawValue: raw)
      #expect(type.actionIfUnrecognized == action)
      #expect(action.isReported(for: unicast) == unicastReport)
      #expect(action.isReported(for: multicast) == multicastReport)
      #expect(!type.mayChangeEnRoute && IPv6OptionType(rawValue: raw | 0x20).mayChangeEnRoute)
    }
  }

  @Test("RFC 8200 appendix A: padding and alignment") func layout() throws {
    // RFC 6553, section 3: the RPL option fills a header of 8 bytes exactly.
    let rpl = OptionsHeader(nextHeader: .udp, options: [.init(type: .rplLegacy, data: [0, 0x1e, 1, 0])])
    #expect(try rpl.encoded().hex == "11006304001e0100")
    // A 4n+2 option behind a 2n one with three bytes.
    let two = OptionsHeader(
      nextHeader: .tcp,
      options: [.init(type: .routerAlert, data: [0]), .init(type: .jumboPayload, data: [0, 1, 0, 0])])
    #expect(try two.encoded().hex == "0601050100 00c20400010000 01020000".filter { $0 != " " })
    // One byte left is Pad1, more are PadN.
    let one = OptionsHeader(nextHeader: .tcp, options: [.init(type: .mpl, data: [1, 2, 3])])
    #expect(try one.encoded().hex == "06006d0301020300")
    #expect(try OptionsHeader(nextHeader: .tcp, options: []).encoded().hex == "0600010400000000")
  }

  @Test func optionsAreTwins() throws {
    var generator = SeededGenerator(seed: 42)
    for _ in 0..<100 {
      let options = (0..<Int.random(in: 0...5, using: &generator)).map { _ in
        OptionsHeader.Option(
          type: IPv6OptionType(rawValue: max(2, generator.byte())), data: generator.bytes(in: 0...30))
      }
      let header = OptionsHeader(nextHeader: .icmpv6, options: options)
      try expectTwins(header)
      let bytes = try header.encoded()
      #expect(bytes.count % 8 == 0)
      var iterator = IPv6OptionIterator(bytes.rawSpan.extracting(droppingFirst: 2))
      var seen: [OptionsHeader.Option] = []
      while let option = try iterator.next() {
        #expect(bytes[option.offset + 2] == option.type.rawValue)
        seen.append(.init(type: option.type, data: option.data.array()))
      }
      #expect(seen == options)
    }
    for bad in [
      OptionsHeader.Option(type: .pad1, data: []), .init(type: .padN, data: []),
      .init(type: .mpl, data: [UInt8](repeating: 0, count: 256)),
    ] {
      #expect(throws: EmitError.notRepresentable) { try OptionsHeader(nextHeader: .udp, options: [bad]).encoded() }
    }
    let many = OptionsHeader(
      nextHeader: .udp, options: Array(repeating: .init(type: .mpl, data: generator.bytes(250)), count: 9))
    #expect(throws: EmitError.notRepresentable) { try many.encoded() }
  }

  @Test func malformedOptions() throws {
    for hex in ["1100630500000000", "110000000000006d", "1101010400000000", "11000101000000ff"] {
      let bytes = try #require([UInt8](hex: hex))
      #expect(reason { _ = try OptionsHeader(parsing: bytes) } == .ipv6ExtensionHeaderMalformed, "\(hex)")
    }
  }

  @Test("RFC 6554 section 3: source routing header") func sourceRoute() throws {
    let bytes = try #require(
      [UInt8](hex: "3a03 03 02 99 30 0000 02124b00000001 02124b00000002 02124b00000003 000000"))
    #expect(bytes.count == 32)
    let route = try RPLSourceRoute(parsing: bytes)
    #expect(route.nextHeader == .icmpv6 && route.segmentsLeft == 2 && route.segments.count == 3)
    #expect(route.elidedOctets == 9 && route.elidedOctetsOfLast == 9)
    let destination = try #require(IPv6Address("fd00:1::12:4b00:0:9"))
    #expect(route.address(ofSegment: 1, destination: destination) == IPv6Address("fd00:1::2:124b:0:2"))
    #expect(route.address(ofSegment: 3, destination: destination) == nil)
    #expect(try route.encoded() == bytes)
    var wrong = bytes
    wrong[3] = 4
    #expect(reason { _ = try RPLSourceRoute(parsing: wrong) } == .ipv6ExtensionHeaderMalformed)
    wrong[3] = 2
    wrong[5] = 0x20
    #expect(reason { _ = try RPLSourceRoute(parsing: wrong) } == .ipv6ExtensionHeaderMalformed)
    wrong[2] = 0
    #expect(reason { _ = try RPLSourceRoute(parsing: wrong) } == .unsupported)
    wrong[1] = 4
    #expect(reason { _ = try RPLSourceRoute(parsing: wrong) } == .ipv6ExtensionHeaderMalformed)
    #expect(throws: EmitError.notRepresentable) {
      try RPLSourceRoute(nextHeader: .udp, segmentsLeft: 0, segments: []).encoded()
    }
    #expect(throws: EmitError.notRepresentable) {
      try RPLSourceRoute(
        nextHeader: .udp, segmentsLeft: 1, elidedOctetsOfLast: 8, segments: [destination]
      ).encoded()
    }
  }

  @Test func sourceRoutesAreTwins() throws {
    var generator = SeededGenerator(seed: 6554)
    for _ in 0..<50 {
      let elided = UInt8.random(in: 0...15, using: &generator)
      let elidedOfLast = UInt8.random(in: 0...15, using: &generator)
      let count = Int.random(in: 1...6, using: &generator)
      let segments = (0..<count).map { index in
        let address = generator.address()
        let prefix = IPv6Prefix(address, length: 8 * (index == count - 1 ? elidedOfLast : elided)).address
        return IPv6Address(high: address.high ^ prefix.high, low: address.low ^ prefix.low)
      }
      try expectTwins(
        RPLSourceRoute(
          nextHeader: .udp, segmentsLeft: UInt8.random(in: 0...UInt8(count), using: &generator),
          elidedOctets: elided, elidedOctetsOfLast: elidedOfLast, segments: segments))
    }
  }

  @Test func anyRoutingHeader() throws {
    let bytes = try #require([UInt8](hex: "1102 04 01 0102030405060708090a0b0c 0d0e0f101112131415"))
    var reader = ByteReader(bytes.rawSpan)
    let header = try RoutingHeader(parsing: &reader)
    #expect(header.nextHeader == .udp && header.type == .segmentRouting && header.segmentsLeft == 1)
    #expect(!header.isPassedOverIfUnrecognized && header.data.byteCount == 20)
    #expect(reader.remaining == 1)
  }
}
