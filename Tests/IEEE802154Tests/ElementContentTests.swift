import IEEE802154
import TestSupport
import Testing
import Wire

@Suite struct ElementContentTests {
  /// Bytes and back, at the announced length.
  func expectRoundTrip<T: WireValue & Equatable>(
    _ value: T, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let bytes = try value.encoded()
    #expect(bytes.count == value.encodedLength, sourceLocation: sourceLocation)
    #expect(try T(parsing: bytes) == value, sourceLocation: sourceLocation)
    #expect(throws: EmitError.noRoom, sourceLocation: sourceLocation) {
      try withWriter(capacity: bytes.count - 1) { (writer) throws(EmitError) in try value.emit(into: &writer)
      }
    }
  }

  @Test func contentsAreTwins() throws {
    var generator = SeededGenerator(seed: 742)
    for _ in 0..<100 {
      let words = (0..<3).map { _ in UInt16.random(in: 0...(.max), using: &generator) }
      try expectRoundTrip(CSLElement(phase: words[0], period: words[1]))
      try expectRoundTrip(CSLElement(phase: words[0], period: words[1], rendezvousTime: words[2]))
      try expectRoundTrip(
        TimeCorrectionElement(
          microseconds: Int16.random(in: -2048...2047, using: &generator),
          isNegativeAcknowledgment: generator.oneIn(2)))
      try expectRoundTrip(
        VendorElement(
          vendor: UInt32.random(in: 0...0xff_ffff, using: &generator), content: generator.bytes(in: 0...9)))
      try expectRoundTrip(
        NestedIE(.short(UInt8.random(in: 0...127, using: &generator)), content: generator.bytes(in: 0...255)))
      try expectRoundTrip(
        NestedIE(.long(UInt8.random(in: 0...15, using: &generator)), content: generator.bytes(in: 0...300)))
    }
  }

  @Test("802.15.4-2020 7.4.2.7: twelve bits with a sign, and the negative acknowledgment")
  func timeCorrection() throws {
    #expect(try TimeCorrectionElement(parsing: [0xff, 0x0f]) == TimeCorrectionElement(microseconds: -1))
    #expect(
      try TimeCorrectionElement(parsing: [0x00, 0x88])
        == TimeCorrectionElement(microseconds: -2048, isNegativeAcknowledgment: true))
    #expect(throws: EmitError.notRepresentable) { try TimeCorrectionElement(microseconds: 2048).encoded() }
  }

  @Test("802.15.4-2020 7.4.2.2: a vendor's three octets, last first") func vendor() throws {
    let element = try VendorElement(parsing: [0x9b, 0xb8, 0xea, 0x01])
    #expect(element == VendorElement(vendor: 0xea_b89b, content: [0x01]))
    #expect(throws: EmitError.notRepresentable) {
      try VendorElement(vendor: 0x100_0000, content: []).encoded()
    }
    #expect(throws: ParseError(.truncated, at: 2)) { try VendorElement(parsing: [0x9b, 0xb8]) }
  }

  @Test("802.15.4-2020 7.4.4.1: a TSCH synchronization element beside a long one") func nested() throws {
    // ASN 0x0102030405, join metric 6; then a channel hopping element of one octet.
    let bytes = try #require([UInt8](hex: "061a 0504030201 06 01c8 00"))
    let elements = try NestedIE.all(in: bytes.rawSpan)
    #expect(
      elements == [
        NestedIE(.tschSynchronization, content: [5, 4, 3, 2, 1, 6]), NestedIE(.channelHopping, content: [0]),
      ])
    #expect(try elements.flatMap { try $0.encoded() } == bytes)
    for count in [1, 2, 7, 9, 10] {
      #expect(throws: ParseError.self) { try NestedIE.all(in: bytes.rawSpan.extracting(first: count)) }
    }
    #expect(throws: EmitError.notRepresentable) { try NestedIE(.long(16), content: []).encoded() }
    #expect(
      throws: EmitError.notRepresentable
    ) { try NestedIE(.short(1), content: .init(repeating: 0, count: 256)).encoded() }
  }

  @Test("802.15.4-2020 7.4.3: payload elements end with their termination or with the payload") func payload()
    throws
  {
    let mlme = PayloadIE(group: 1, content: [1, 2, 3])
    let bytes = try mlme.encoded() + PayloadIE.termination.encoded() + [0x61, 0x62]
    var elements = PayloadIEs(bytes.rawSpan)
    let first = try elements.next()
    #expect(first?.group == 1)
    let content = first?.content.array()
    #expect(content == [1, 2, 3])
    #expect(try elements.next()?.group == 15)
    #expect(try elements.next() == nil)
    let rest = elements.rest.array()
    #expect(rest == [0x61, 0x62])
    let length = try PayloadIE.length(in: bytes.rawSpan)
    #expect(length == 7)
    let open = try mlme.encoded()
    var unterminated = PayloadIEs(open.rawSpan)
    #expect(try unterminated.next() != nil)
    #expect(try unterminated.next() == nil)
    let left = unterminated.rest.byteCount
    #expect(left == 0)
    // Too long, a header element, half a descriptor, a termination with content.
    for malformed in ["0489 00", "0000", "00", "01f8 00"] {
      let bytes = try #require([UInt8](hex: malformed))
      #expect(throws: ParseError(.macIEMalformed)) {
        var elements = PayloadIEs(bytes.rawSpan)
        _ = try elements.next()
      }
    }
  }

  @Test("802.15.4-2020 6.7.4.2: what is acknowledged, and how") func acknowledgments() throws {
    let pan = PANIdentifier(0xabcd)
    let source = MACAddress.short(ShortAddress(2))
    func asking(_ version: FrameVersion, destination: UInt16, asks: Bool = true) -> MACHeader {
      MACHeader(
        type: .data, version: version, sequenceNumber: 9, destinationPAN: pan,
        destination: .short(ShortAddress(destination)), source: source, acknowledgmentRequested: asks,
        panIdentifierCompressed: true)
    }
    #expect(asking(.v2006, destination: 1, asks: false).acknowledgment(framePending: true) == nil)
    #expect(asking(.v2006, destination: 0xffff).acknowledgment(framePending: true) == nil)
    #expect(
      try asking(.v2006, destination: 1).acknowledgment(framePending: true)?.encoded() == [0x12, 0x00, 0x09])
    #expect(
      try asking(.v2015, destination: 1).acknowledgment(framePending: false)?.encoded()
        == [0x02, 0x28, 0x09, 0xcd, 0xab, 0x02, 0x00])
    // An acknowledgment is never acknowledged, whatever it says.
    var asked = asking(.v2015, destination: 1)
    asked.control.rawValue = asked.control.rawValue & ~7 | 2
    #expect(asked.acknowledgment(framePending: false) == nil)
    // Without addresses or PAN identifiers to answer to.
    for (compressed, carried) in [(false, nil), (true, pan)] as [(Bool, PANIdentifier?)] {
      let header = MACHeader(
        type: .data, version: .v2015, sequenceNumber: nil, destinationPAN: carried,
        acknowledgmentRequested: true,
        panIdentifierCompressed: compressed)
      let answer = try #require(header.acknowledgment(framePending: false))
      #expect(try MACHeader(parsing: answer.encoded()) == answer)
      #expect(answer.destinationPAN == carried)
    }
  }
}
