import IEEE802154
import TestSupport
import Testing
import Wire

/// The worked examples of IEEE 802.15.4-2006, annex C, and what must hold at every level.
@Suite struct AnnexCTests {
  let key: LinkKey
  let source = ExtendedAddress(0xacde_4800_0000_0001)

  init() throws {
    let octets = try #require([UInt8](hex: "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"))
    key = try #require(LinkKey(octets, acceptsUnauthenticated: true))
  }

  func check(_ clear: String, _ secured: String, headerLength: Int, payload: String) throws {
    let expected = try #require([UInt8](hex: secured))
    let plain = try #require([UInt8](hex: clear))
    let view = try MACFrameView(expected.rawSpan, fcsPresent: false)
    #expect(view.headerLength == headerLength)
    let open = try FrameSecurity.unsecure(view, bytes: expected.rawSpan, key: key, source: source)
    #expect(open.hex == payload.filter { $0 != " " })
    #expect(Array(plain.dropFirst(headerLength)) == open)
    var frame = MACFrame(view)
    frame.payload = open
    #expect(try FrameSecurity.secure(frame, key: key, source: source).encoded(withFCS: false) == expected)
    for bit in 0..<(8 * expected.count) {
      var changed = expected
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      // A changed header may not parse, or announce other things; nothing of it may pass.
      guard let view = try? MACFrameView(changed.rawSpan, fcsPresent: false), view.header.control.isSecured,
        view.header.security?.level.micLength != 0
      else { continue }
      #expect(throws: ParseError.self) {
        try FrameSecurity.unsecure(view, bytes: changed.rawSpan, key: key, source: source)
      }
    }
  }

  @Test("C.2.1: a beacon, MIC-64") func beacon() throws {
    let clear = "08d0 84 2143 0100000000 48deac 02 05000000 55cf 00 00 51525354"
    try check(clear, clear + "223bc1ec841ab553", headerLength: 18, payload: "55cf 00 00 51525354")
  }

  @Test("C.2.2: a data frame, ENC") func data() throws {
    try check(
      "69dc 84 2143 0200000000 48deac 0100000000 48deac 04 05000000 61626364",
      "69dc 84 2143 0200000000 48deac 0100000000 48deac 04 05000000 d43e022b", headerLength: 26,
      payload: "61626364")
  }

  @Test("C.2.3: a command frame, ENC-MIC-64; its identifier stays readable") func command() throws {
    let header = "2bdc 84 2143 0200000000 48deac ffff 0100000000 48deac 06 05000000 01"
    try check(header + "ce", header + "d8 4fde529061f9c6f1", headerLength: 28, payload: "01 ce")
  }

  @Test(
    "9.3.5 of 2015: every level, key mode and kind of frame opens to what was sealed", arguments: UInt8(1)...7
  )
  func levels(_ number: UInt8) throws {
    var generator = SeededGenerator(seed: UInt64(number))
    let level = try #require(SecurityLevel(rawValue: number))
    let identifiers: [KeyIdentifier] = [
      .implicit, .index(3), .shortSource(0x0102_0304, index: 5), .longSource(0x0102_0304_0506_0708, index: 7),
    ]
    for identifier in identifiers {
      for (type, version, first) in [
        (FrameType.data, FrameVersion.v2006, []), (.data, .v2015, []), (.command, .v2006, [4]),
        (.command, .v2015, [4]), (.beacon, .v2006, [0xff, 0xcf, 0, 0]), (.acknowledgment, .v2015, []),
      ] as [(FrameType, FrameVersion, [UInt8])] {
        let security = AuxiliarySecurityHeader(
          level: level, keyIdentifier: identifier,
          frameCounter: UInt32.random(in: 0..<(.max), using: &generator))
        let header = MACHeader(
          type: type, version: version, sequenceNumber: 7, sourcePAN: PANIdentifier(0xabcd),
          source: .extended(source), security: security)
        let frame = MACFrame(header: header, payload: first + generator.bytes(in: 0...40))
        let bytes = try FrameSecurity.secure(frame, key: key, source: source).encoded(withFCS: false)
        #expect(bytes.count == frame.encodedLength + level.micLength)
        let view = try MACFrameView(bytes.rawSpan, fcsPresent: false)
        #expect(
          try FrameSecurity.unsecure(view, bytes: bytes.rawSpan, key: key, source: source) == frame.payload)
      }
    }
  }
}
