import COSE
import Envelope
import Testing
import Wire

/// RFC 8613, 4 and RFC 9528, A.2 as far as a hop can see them: which messages of format 65004 protect themselves.
@Suite struct EndToEndProtectionTests {
  private typealias Option = EncapsulatedMessage.Option
  private static let ciphertext = [UInt8](repeating: 0xc1, count: 13)
  private static let edhocPath = [Option(11, Array(".well-known".utf8)), Option(11, Array("edhoc".utf8))]
  /// `true`, method 3, suite 2, G_X, C_I.
  private static let message1: [UInt8] = [0xf5, 0x03, 0x02, 0x58, 0x20] + [UInt8](repeating: 7, count: 32) + [0x0e]
  private static let message2: [UInt8] = [0x58, 0x2a] + [UInt8](repeating: 7, count: 42)

  private static func message(_ code: UInt8, _ options: [Option], _ payload: [UInt8]) -> EncapsulatedMessage {
    EncapsulatedMessage(code: code, options: options, payload: payload)
  }

  @Test func whatProtectsItself() {
    let request = Option(9, [0x09, 0x00, 0x01])
    let cases: [(EncapsulatedMessage, EndToEndProtection)] = [
      (Self.message(0x02, [request], Self.ciphertext), .oscore),
      (Self.message(0x05, [Option(6, []), request], Self.ciphertext), .oscore),
      (Self.message(0x02, [Option(3, [0x61]), Option(7, [1]), request, Option(16, [3])], Self.ciphertext), .oscore),
      (Self.message(0x02, [request, Option(21, [])], [0x42, 1, 2] + Self.ciphertext), .oscore),
      (Self.message(0x44, [Option(9, [])], Self.ciphertext), .oscore),
      (Self.message(0x45, [Option(6, [1]), Option(9, [0x01, 0x05])], Self.ciphertext), .oscore),
      (Self.message(0x02, Self.edhocPath + [Option(12, [65])], Self.message1), .edhoc),
      (Self.message(0x02, Self.edhocPath, Self.message1), .edhoc),
      (Self.message(0x02, Self.edhocPath, [0x27, 0x52] + [UInt8](repeating: 1, count: 18)), .edhoc),
      (Self.message(0x02, Self.edhocPath, [0x27, 0x03, 0xf5]), .edhoc),
      (Self.message(0x44, [Option(12, [64])], Self.message2), .edhoc), (Self.message(0x44, [], Self.message2), .edhoc),
      (Self.message(0x80, [Option(12, [64])], [0x03, 0xf5]), .edhoc),
      (Self.message(0x80, [Option(12, [64])], [0x02, 0x02]), .edhoc),
    ]
    for (message, protection) in cases { #expect(message.endToEnd == protection, "\(message)") }
  }

  @Test func whatDoesNot() {
    let request = Option(9, [0x09, 0x00, 0x01])
    let text = [UInt8]("The door is open, nobody is at home".utf8)
    let longText: [UInt8] = [0x01, 0x78, 0x41] + [UInt8](repeating: 0x61, count: 65)
    let cases: [EncapsulatedMessage] = [
      Self.message(0x03, [Option(11, Array("lock".utf8))], [1]),
      // An option that belongs inside, or is unknown, stands outside.
      Self.message(0x02, [request, Option(11, Array("lock".utf8))], Self.ciphertext),
      Self.message(0x02, [request, Option(12, [50])], Self.ciphertext),
      Self.message(0x02, [request, Option(15, Array("x=1".utf8))], Self.ciphertext),
      Self.message(0x02, [request, Option(35, Array("coap://x/secret".utf8))], Self.ciphertext),
      Self.message(0x02, [request, Option(65_000, text)], Self.ciphertext),
      Self.message(0x44, [Option(4, [1]), Option(9, [])], Self.ciphertext),
      // No ciphertext, none that can be one, two options, no number or name of the sender, another code.
      Self.message(0x02, [request], []), Self.message(0x02, [request], [1, 2, 3, 4, 5, 6, 7, 8]),
      Self.message(0x02, [request, request], Self.ciphertext), Self.message(0x02, [Option(9, [])], Self.ciphertext),
      Self.message(0x02, [Option(9, [0x08, 1])], Self.ciphertext),
      Self.message(0x02, [Option(9, [0xe9, 0, 1])], Self.ciphertext),
      Self.message(0x03, [request], Self.ciphertext), Self.message(0x01, [request], Self.ciphertext),
      Self.message(0x81, [Option(9, [])], Self.ciphertext),
      // message_3 is missing, or the ciphertext after it.
      Self.message(0x02, [request, Option(21, [])], Self.ciphertext),
      Self.message(0x02, [request, Option(21, [])], [0x42, 1, 2]),
      Self.message(0x44, [Option(9, []), Option(21, [])], [0x42, 1, 2] + Self.ciphertext),
      // Not EDHOC, whatever the path says.
      Self.message(0x02, Self.edhocPath, text), Self.message(0x02, Self.edhocPath, []),
      Self.message(0x02, Self.edhocPath, Self.message1 + text), Self.message(0x02, Self.edhocPath, [0xf5, 0x03]),
      Self.message(0x02, Self.edhocPath + [Option(12, [0])], Self.message1),
      Self.message(0x02, Self.edhocPath + [Option(15, text)], Self.message1),
      Self.message(0x02, Self.edhocPath + [Option(11, text)], Self.message1),
      Self.message(0x03, Self.edhocPath, Self.message1), Self.message(0x02, [], Self.message1),
      Self.message(0x02, Self.edhocPath, [0x27] + longText),
      Self.message(0x44, [Option(12, [64])], text), Self.message(0x44, [Option(12, [0])], Self.message2),
      Self.message(0x44, [], Self.message2 + [1]), Self.message(0x44, [], []), Self.message(0x45, [], Self.message2),
      Self.message(0x80, [], [0x03, 0xf5]), Self.message(0x80, [Option(12, [64])], longText),
      Self.message(0x81, [], []), Self.message(0x80, [Option(12, [64])], text),
    ]
    for message in cases { #expect(message.endToEnd == nil, "\(message)") }
  }

  @Test func answersAreProtectedAsTheirRequestsWere() {
    let oscore = Self.message(0x44, [Option(9, [])], Self.ciphertext)
    let message2 = Self.message(0x44, [], Self.message2)
    let error = Self.message(0x80, [Option(12, [64])], [0x03, 0xf5])
    #expect(oscore.answers(.oscore) && !oscore.answers(.edhoc))
    #expect(message2.answers(.edhoc) && !message2.answers(.oscore))
    #expect(error.answers(.edhoc) && error.answers(.oscore))
    #expect(!Self.message(0x81, [], []).answers(.oscore) && !Self.message(0x45, [], [1]).answers(.edhoc))
  }

  @Test("Only an auth-only envelope of format 65004 is taken for what is in it") func classRule() throws {
    let world = World()
    let protected = Self.message(0x02, [Option(9, [0x09, 0x00, 0x01])], Self.ciphertext)
    let plain = Self.message(0x03, [Option(11, Array("lock".utf8))], [1])
    let cases: [(EnvelopeClass, UInt64?, EncapsulatedMessage, Bool)] = [
      (.authOnly, ContentFormats.coapMessage, protected, true),
      (.authOnly, ContentFormats.coapMessage, plain, false),
      (.authOnly, 60, protected, false), (.authOnly, nil, protected, false),
      (.noConsequence, ContentFormats.coapMessage, protected, false),
      (.confidential, ContentFormats.coapMessage, plain, true),
    ]
    for (protection, format, message, satisfies) in cases {
      let envelope = try world.make(world.draft(protection, content: .init(format: format, bytes: try message.cbor())))
      #expect(envelope.satisfies(.confidential) == satisfies)
      #expect(envelope.satisfies(.noConsequence))
      #expect(envelope.satisfies(.authOnly) == (protection != .noConsequence))
    }
  }
}
