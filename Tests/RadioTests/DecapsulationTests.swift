import IEEE802154
import Radio
import TestSupport
import Testing
import Wire

/// Ethernet, IP and UDP around a payload.
enum Outer {
  static func udp(_ payload: [UInt8], port: UInt16 = 17754) -> [UInt8] {
    let length = payload.count + 8
    return [0xb0, 0x9d, UInt8(port >> 8), UInt8(port & 0xff), UInt8(length >> 8), UInt8(length & 0xff), 0, 0]
      + payload
  }

  static func ipv6(_ payload: [UInt8], nextHeader: UInt8 = 17) -> [UInt8] {
    [0x60, 0, 0, 0, UInt8(payload.count >> 8), UInt8(payload.count & 0xff), nextHeader, 64]
      + [UInt8](repeating: 0, count: 15) + [1] + [UInt8](repeating: 0, count: 15) + [1] + payload
  }

  static func ipv4(_ payload: [UInt8], options: Int = 0, fragment: UInt16 = 0, protocol: UInt8 = 17)
    -> [UInt8]
  {
    let length = 20 + options + payload.count
    return [
      UInt8(0x45 + options / 4), 0, UInt8(length >> 8), UInt8(length & 0xff), 0, 0, UInt8(fragment >> 8),
    ]
      + [UInt8(fragment & 0xff), 64, `protocol`, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]
      + [UInt8](repeating: 0, count: options) + payload
  }

  static func ethernet(_ payload: [UInt8], type: [UInt8], padding: Int = 0) -> [UInt8] {
    [UInt8](repeating: 2, count: 12) + type + payload + [UInt8](repeating: 0, count: padding)
  }
}

@Suite("Frames are found in every encapsulation")
struct DecapsulationTests {
  let now = Instant(seconds: 5)
  /// An acknowledgment with its FCS.
  let psdu: [UInt8] = [0x02, 0x00, 0x07, 0x07, 0xc1]

  private func frame(_ linkType: LinkType, _ bytes: [UInt8]) throws(ParseError) -> CapturedFrame? {
    guard let frame = try CaptureDecapsulator.frame(linkType, bytes.rawSpan, timestamp: now) else {
      return nil
    }
    return frame.owned
  }

  private func reason(_ linkType: LinkType, _ bytes: [UInt8]) -> DropReason? {
    do throws(ParseError) { _ = try frame(linkType, bytes) } catch { return error.reason }
    return nil
  }

  private func zep(
    _ trailer: ZEPReception.Trailer = .fcs, version: Int = 2, psdu: [UInt8]? = nil, length: Int? = nil
  ) throws -> [UInt8] {
    let psdu = psdu ?? self.psdu
    let reception = ZEPReception(
      channel: 26, device: 1, trailer: trailer, lqi: 99, length: UInt8(length ?? psdu.count))
    let header = version == 1 ? ZEPHeader.frameV1(reception) : .frame(reception, time: 0, sequence: 0)
    return try header.encoded() + psdu
  }

  private var zepMetadata: FrameMetadata {
    FrameMetadata(timestamp: now, fcsPresent: true, lqi: 99, channel: 26)
  }

  @Test("Link types 195 and 230: the record is the frame")
  func plain() throws {
    let with = FrameMetadata(timestamp: now, fcsPresent: true)
    let without = FrameMetadata(timestamp: now, fcsPresent: false)
    #expect(try frame(.ieee802154WithFCS, psdu) == CapturedFrame(bytes: psdu, metadata: with))
    #expect(try frame(.ieee802154WithoutFCS, psdu) == CapturedFrame(bytes: psdu, metadata: without))
  }

  @Test("Link type 215: preamble, delimiter, length, frame with FCS")
  func nonASK() throws {
    let header: [UInt8] = [0, 0, 0, 0, 0xa7, 0x85]
    let metadata = FrameMetadata(timestamp: now, fcsPresent: true)
    #expect(try frame(.ieee802154NonASK, header + psdu) == CapturedFrame(bytes: psdu, metadata: metadata))
    for length in 0..<header.count + psdu.count {
      #expect(reason(.ieee802154NonASK, Array((header + psdu).prefix(length))) == .truncated)
    }
    #expect(reason(.ieee802154NonASK, [0, 0, 0, 0, 0xa6, 5] + psdu) == .reservedValue)
    #expect(reason(.ieee802154NonASK, header + psdu + [0]) == .lengthMismatch)
  }

  @Test("Link type 283: the TAP header says what the frame ends with")
  func tap() throws {
    for (fcs, present) in [(TAPHeader.FCS.none, false), (.crc16, true)] {
      let header = TAPHeader(
        fcs: fcs, signalStrength: -47.6, channel: TAPHeader.Channel(number: 15), lqi: 30)
      let metadata = FrameMetadata(timestamp: now, fcsPresent: present, rssi: -48, lqi: 30, channel: 15)
      #expect(
        try frame(.ieee802154TAP, header.encoded() + psdu) == CapturedFrame(bytes: psdu, metadata: metadata))
    }
    let far = TAPHeader(fcs: .none, signalStrength: -1e9, channel: TAPHeader.Channel(number: 300))
    let metadata = try frame(.ieee802154TAP, far.encoded() + psdu)?.metadata
    #expect(metadata == FrameMetadata(timestamp: now, fcsPresent: false))
    #expect(reason(.ieee802154TAP, [0, 0, 9]) == .tapMalformed)
  }

  @Test("Link type 283: a 32-bit FCS (IEEE 802.15.4-2020, 7.2.11) is checked and taken off")
  func tapCRC32() throws {
    let header = try TAPHeader(fcs: .crc32).encoded()
    let digits = Array("123456789".utf8)
    let checked = header + digits + [0x26, 0x39, 0xf4, 0xcb]
    let metadata = FrameMetadata(timestamp: now, fcsPresent: false)
    #expect(try frame(.ieee802154TAP, checked) == CapturedFrame(bytes: digits, metadata: metadata))
    #expect(reason(.ieee802154TAP, header + digits + [0x27, 0x39, 0xf4, 0xcb]) == .macFCSMismatch)
    #expect(reason(.ieee802154TAP, header + [1, 2, 3]) == .truncated)
    // A frame of three bytes is checked as if a zero followed.
    let short: [UInt8] = [0x02, 0x00, 0x37]
    let check = crc32(short + [0])
    #expect(try frame(.ieee802154TAP, header + short + check)?.bytes == short)
  }

  /// Bit by bit, as the standard draws it.
  private func crc32(_ bytes: [UInt8]) -> [UInt8] {
    var register = UInt32.max
    for byte in bytes {
      for bit in 0..<8 {
        let feedback = (register ^ UInt32(byte >> bit)) & 1
        register = register >> 1 ^ (feedback == 1 ? 0xedb8_8320 : 0)
      }
    }
    return (0..<4).map { UInt8(truncatingIfNeeded: ~register >> (8 * $0)) }
  }

  @Test("ZEP in UDP over IPv4 and IPv6, in every outer link type", arguments: [1, 2])
  func zepEverywhere(version: Int) throws {
    let udp = Outer.udp(try zep(version: version))
    let wanted = CapturedFrame(bytes: psdu, metadata: zepMetadata)
    let four = Outer.ipv4(udp)
    let six = Outer.ipv6(udp)
    #expect(try frame(.ethernet, Outer.ethernet(four, type: [8, 0])) == wanted)
    #expect(try frame(.ethernet, Outer.ethernet(six, type: [0x86, 0xdd])) == wanted)
    #expect(try frame(.ethernet, Outer.ethernet(four, type: [8, 0], padding: 9)) == wanted)
    #expect(try frame(.ethernet, Outer.ethernet(six, type: [0x81, 0, 0, 5, 0x86, 0xdd])) == wanted)
    #expect(
      try frame(.ethernet, Outer.ethernet(six, type: [0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 0x86, 0xdd])) == wanted
    )
    for raw in [LinkType.rawIP, .rawIPOpenBSD, .rawIPInFiles] {
      #expect(try frame(raw, four) == wanted)
      #expect(try frame(raw, six) == wanted)
    }
    #expect(try frame(.ipv4, four) == wanted)
    #expect(try frame(.ipv6, six) == wanted)
    #expect(try frame(.null, [30, 0, 0, 0] + six) == wanted)
    #expect(try frame(.loop, [0, 0, 0, 2] + four) == wanted)
    #expect(try frame(.linuxCooked, [UInt8](repeating: 0, count: 14) + [8, 0] + four) == wanted)
    #expect(try frame(.linuxCooked2, [0x86, 0xdd] + [UInt8](repeating: 0, count: 18) + six) == wanted)
    #expect(try frame(.rawIP, Outer.ipv4(udp, options: 8)) == wanted)
    #expect(try frame(.rawIP, Outer.ipv6([17, 0, 1, 4, 0, 0, 0, 0] + udp, nextHeader: 0)) == wanted)
  }

  @Test("Other traffic is no frame and no error")
  func otherTraffic() throws {
    let udp = Outer.udp(try zep())
    #expect(try frame(.rawIP, Outer.ipv4(Outer.udp(try zep(), port: 17755))) == nil)
    #expect(try frame(.rawIP, Outer.ipv4(udp, fragment: 0x2000)) == nil)
    #expect(try frame(.rawIP, Outer.ipv4(udp, fragment: 1)) == nil)
    #expect(try frame(.rawIP, Outer.ipv4(udp, protocol: 6)) == nil)
    #expect(try frame(.rawIP, Outer.ipv6(udp, nextHeader: 58)) == nil)
    #expect(try frame(.ethernet, Outer.ethernet(udp, type: [8, 6])) == nil)
    let hello = try ZEPHeader.hello(length: 8).encoded() + [2, 0x12, 0x4b, 0, 0, 0, 0, 3]
    #expect(try frame(.rawIP, Outer.ipv4(Outer.udp(hello))) == nil)
    #expect(try frame(.rawIP, Outer.ipv4(Outer.udp(ZEPHeader.acknowledgment(sequence: 1).encoded()))) == nil)
    let whole = Outer.ethernet(Outer.ipv6(udp), type: [0x86, 0xdd])
    for length in 0..<whole.count { #expect(try frame(.ethernet, Array(whole.prefix(length))) == nil) }
  }

  @Test("A ZEP datagram that is broken is named")
  func brokenZEP() throws {
    func zepReason(_ payload: [UInt8]) -> DropReason? { reason(.rawIP, Outer.ipv6(Outer.udp(payload))) }
    let whole = try zep()
    for length in 0..<whole.count { #expect(zepReason(Array(whole.prefix(length))) == .zepMalformed) }
    #expect(zepReason(whole + [0]) == .zepMalformed)
    #expect(zepReason(try zep(.chipStatus, psdu: [1])) == .zepMalformed)
  }

  @Test("ZEP in LQI mode: two bytes of chip status stand for the FCS, and say whether it was right")
  func chipStatus() throws {
    var metadata = zepMetadata
    metadata.fcsPresent = false
    let good = try zep(.chipStatus, psdu: [2, 0, 7, 0xe0, 0xeb])
    #expect(
      try frame(.rawIP, Outer.ipv6(Outer.udp(good))) == CapturedFrame(bytes: [2, 0, 7], metadata: metadata))
    let bad = try zep(.chipStatus, psdu: [2, 0, 7, 0xe0, 0x6b])
    #expect(reason(.rawIP, Outer.ipv6(Outer.udp(bad))) == .macFCSMismatch)
  }

  @Test("An unknown link type is refused")
  func unknownLinkType() { #expect(reason(LinkType(rawValue: 127), psdu) == .captureLinkTypeUnknown) }

  @Test("Random bytes of every link type give a frame, nothing or a typed reason")
  func random() {
    var random = SeededGenerator(seed: 11)
    for _ in 0..<20_000 {
      let linkType = LinkType.supported.randomElement(using: &random) ?? .ethernet
      var bytes = random.bytes(in: 0...90)
      if bytes.count > 14, random.oneIn(2) { bytes.replaceSubrange(12..<14, with: [0x86, 0xdd]) }
      guard let found = try? frame(linkType, bytes) else { continue }
      #expect(found.bytes.count <= bytes.count)
    }
  }
}
