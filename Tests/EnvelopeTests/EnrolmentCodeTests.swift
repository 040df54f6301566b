import Envelope
import TestSupport
import Testing
import Wire

@Suite struct EnrolmentCodeTests {
  let world = World()

  @Test(arguments: [EnvelopeClass.noConsequence, .authOnly, .confidential])
  func codesRoundTrip(envelopeClass: EnvelopeClass) throws {
    for code in [
      EnrolmentCode(fingerprint: world.sender.address, class: envelopeClass),
      EnrolmentCode(certificateOf: world.sender, class: envelopeClass),
    ] {
      let again = try EnrolmentCode(text: " \(code)\n")
      #expect(again == code)
      #expect(again.address == world.sender.address)
      // Only characters of QR's alphanumeric mode, none of them a space.
      #expect(code.description.allSatisfy { "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ$%*+-./:".contains($0) })
    }
  }

  @Test func sizesFitCommonQRCodes() {
    // Version 4-L holds 114 characters, 16-M 656 (ISO/IEC 18004, table 7).
    #expect(EnrolmentCode(fingerprint: world.sender.address, class: .authOnly).description.count == 66)
    #expect(EnrolmentCode(certificateOf: world.sender, class: .authOnly).description.count < 656)
  }

  @Test func whatIsNoCodeIsRefused() {
    let address = String(
      EnrolmentCode(fingerprint: world.sender.address, class: .authOnly).description.dropFirst(14))
    let certificate = EnrolmentCode(certificateOf: world.sender, class: .authOnly).description
    func refused(_ text: String) -> DropReason? { reason { _ = try EnrolmentCode(text: text) } }
    #expect(refused("PANGATE:1:1:F:\(address)") == nil)
    #expect(refused("") == .envelopeStructure)
    #expect(refused("pangate:1:1:F:\(address)") == .envelopeStructure)
    #expect(refused("PANGATE:2:1:F:\(address)") == .reservedValue)
    #expect(refused("PANGATE:1:3:F:\(address)") == .reservedValue)
    #expect(refused("PANGATE:1:+1:F:\(address)") == .reservedValue)
    #expect(refused("PANGATE:1:1:X:\(address)") == .envelopeStructure)
    #expect(refused("PANGATE:1:1:F:\(address):") == .envelopeStructure)
    #expect(refused("PANGATE:1:1:F:\(address.dropLast())") == .envelopeStructure)
    #expect(refused("PANGATE:1:1:F:\(address.dropLast())1") == .envelopeStructure)
    #expect(refused("PANGATE:1:1:F:\(address.lowercased())") == .envelopeStructure)
    #expect(refused("PANGATE:1:1:C:\(address)") == .envelopeStructure)
    #expect(refused("PANGATE:1:1:C:\(address):\(address)") == .certificateInvalid)
    #expect(refused(String(certificate.dropLast(53)) + address) == .coseKeyInvalid)
    #expect(refused(String(certificate.dropLast(53)) + address + "A") == .coseKeyInvalid)
    #expect(refused(String(certificate.dropLast(53)) + address + "AA") == .envelopeStructure)
    #expect(refused(String(certificate.dropLast(53)) + String(repeating: "A", count: 53)) == .coseKeyInvalid)
    #expect(refused(String(repeating: "A", count: 10_000)) == .tooLong)
  }

  @Test func everyAddressHasOneText() throws {
    var random = SeededGenerator(seed: 1)
    for _ in 0..<500 {
      let address = try #require(Address(random.bytes(32)))
      let text = EnrolmentCode(fingerprint: address, class: .authOnly).description
      #expect(try EnrolmentCode(text: text).address == address)
      // 52 characters hold 260 bits: the last four must be zero.
      let last = try #require(text.last)
      let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
      let value = try #require(alphabet.firstIndex(of: last))
      #expect(value % 16 == 0)
      #expect(throws: ParseError.self) {
        try EnrolmentCode(text: String(text.dropLast()) + String(alphabet[value + 1]))
      }
    }
  }
}
