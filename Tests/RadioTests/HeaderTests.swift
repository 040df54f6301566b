import Radio
import TestSupport
import Testing
import Wire

@Suite("TAP and ZEP headers")
struct HeaderTests {
  private func roundTrip<T: WireValue & Equatable>(_ value: T) throws {
    let bytes = try value.encoded()
    #expect(bytes.count == value.encodedLength)
    #expect(try T(parsing: bytes) == value)
    for length in 0..<bytes.count {
      #expect(throws: ParseError.self) { try T(parsing: Array(bytes.prefix(length))) }
    }
  }

  /// A recorded one (`thread-sleepy-child.tap.pcap`, record 1).
  let recordedTAP: [UInt8] = [
    0, 0, 0x30, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 0, 0, 0, 0xa0, 0xc1, 3, 0, 4, 0, 0x0f, 0, 0, 0, 10, 0, 1,
    0, 0, 0, 0, 0,
    5, 0, 8, 0, 0x18, 0xae, 0xf1, 0x53, 0x89, 1, 0, 0,
  ]

  @Test("A recorded TAP header")
  func tap() throws {
    let header = try TAPHeader(parsing: recordedTAP)
    #expect(
      header
        == TAPHeader(
          fcs: .crc16, signalStrength: -20, channel: TAPHeader.Channel(number: 15),
          startOfFrame: 0x0189_53f1_ae18, lqi: 0))
    try roundTrip(header)
  }

  @Test("TAP: every combination of fields survives, and no truncation traps")
  func tapFields() throws {
    var random = SeededGenerator(seed: 3)
    for choice in 0..<128 {
      func field<T>(_ bit: Int, _ value: T) -> T? { choice >> bit & 1 == 1 ? value : nil }
      try roundTrip(
        TAPHeader(
          fcs: TAPHeader.FCS(rawValue: UInt8(choice % 3)) ?? .none,
          signalStrength: field(0, Float.random(in: -120...20, using: &random)),
          channel: field(1, TAPHeader.Channel(number: .random(in: 0...999, using: &random), page: 9)),
          sunPHY: field(2, TAPHeader.SUNPHY(band: 4, type: 1, mode: 3)),
          startOfFrame: field(3, random.next()), endOfFrame: field(4, random.next()),
          slotNumber: field(5, random.next()), lqi: field(6, 200)))
    }
  }

  private func tapError(_ bytes: [UInt8]) -> DropReason? {
    do throws(ParseError) { _ = try TAPHeader(parsing: bytes) } catch { return error.reason }
    return nil
  }

  @Test("TAP: other versions, lying lengths and unknown checks are refused; unknown fields are not")
  func tapMalformed() throws {
    #expect(tapError([1, 0, 4, 0]) == .unsupported)
    #expect(tapError([0, 0, 3, 0]) == .tapMalformed)
    #expect(tapError([0, 0, 12, 0, 0, 0, 1, 0, 1, 0, 0]) == .tapMalformed)
    #expect(tapError([0, 0, 12, 0, 0, 0, 1, 0, 3, 0, 0, 0]) == .tapMalformed)
    #expect(tapError([0, 0, 8, 0, 1, 0, 0, 0]) == .tapMalformed)
    #expect(tapError([0, 0, 8, 0, 1, 0, 0xff, 0xff]) == .tapMalformed)
    #expect(try TAPHeader(parsing: [0, 0, 12, 0, 0xff, 0x7f, 2, 0, 9, 9, 0, 0]) == TAPHeader())
    let noNumber: [UInt8] = [0, 0, 12, 0, 1, 0, 4, 0, 0, 0, 0xc0, 0x7f]
    #expect(try TAPHeader(parsing: noNumber).signalStrength == nil)
    #expect(throws: EmitError.notRepresentable) { try TAPHeader(signalStrength: .nan).encoded() }
  }

  @Test("ZEP: every kind survives, and no truncation traps")
  func zep() throws {
    let reception = ZEPReception(channel: 26, device: 0x1234, lqi: 255, length: 127)
    try roundTrip(ZEPHeader.frameV1(reception))
    try roundTrip(ZEPHeader.frame(reception, time: 0xeeee_ffff_0000_1111, sequence: 0x0102_0304))
    try roundTrip(ZEPHeader.acknowledgment(sequence: 77))
    try roundTrip(ZEPHeader.hello(length: 8))
    let chip = ZEPReception(channel: 11, device: 0, trailer: .chipStatus, lqi: 0, length: 5)
    try roundTrip(ZEPHeader.frame(chip, time: 0, sequence: 0))
  }

  @Test("ZEP: a recorded greeting and the places of the fields of both versions")
  func zepLayout() throws {
    let hello = try #require(
      [UInt8](hex: "455802ff" + "0000000000000000000000000000000000" + "48454c4c4f000000000008"))
    #expect(try ZEPHeader(parsing: hello) == .hello(length: 8))
    #expect(try ZEPHeader.hello(length: 8).encoded() == hello)
    let second = try #require(
      [UInt8](
        hex: "45580201" + "1a" + "beef" + "01" + "c8" + "0102030405060708" + "0a0b0c0d"
          + "00000000000000000000" + "40"))
    let reception = ZEPReception(channel: 26, device: 0xbeef, lqi: 200, length: 64)
    #expect(
      try ZEPHeader(parsing: second) == .frame(reception, time: 0x0102_0304_0506_0708, sequence: 0x0a0b_0c0d))
    let first = try #require([UInt8](hex: "455801" + "1a" + "beef" + "01" + "c8" + "00000000000000" + "40"))
    #expect(try ZEPHeader(parsing: first) == .frameV1(reception))
  }

  @Test(
    "ZEP: another magic, version or type, or a frame over 127 bytes",
    arguments: [
      "4557020200000001", "4558030200000001", "4558020300000001", "455801" + "1abeef01c80000000000000080",
    ])
  func zepMalformed(hex: String) throws {
    let bytes = try #require([UInt8](hex: hex))
    let error = try #require(throws: ParseError.self) { try ZEPHeader(parsing: bytes) }
    #expect(error.reason == .zepMalformed)
  }
}
