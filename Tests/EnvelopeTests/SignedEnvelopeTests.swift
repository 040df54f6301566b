import COSE
import Crypto
import Envelope
import Foundation
import TestSupport
import Testing
import Wire

@Suite struct SignedEnvelopeTests {
  let world = World()

  @Test(arguments: EnvelopeClass.allCases, [EnvelopeDraft.AddressForm.full, .short])
  func everyClassAndFormIsMadeVerifiedAndOpened(envelopeClass: EnvelopeClass, form: EnvelopeDraft.AddressForm)
    throws
  {
    for recipients in [[world.reader], [world.reader, world.other]] {
      let envelope = try world.make(world.draft(envelopeClass, to: recipients, form: form))
      let again = try SignedEnvelope(parsing: envelope.bytes)
      #expect(again == envelope)
      try again.verify(with: world.sender.signingKey.publicKey)
      #expect(again.header.class == envelopeClass)
      #expect(again.header.recipients.count == recipients.count)
      for recipient in recipients {
        let content = try again.open(with: recipient)
        #expect(content == SignedEnvelope.Content(format: 112, bytes: Array("ten bytes.".utf8)))
      }
      #expect(reason { _ = try again.open(with: world.oracle) } == .envelopeNotForUs)
      #expect((again.readableContent == nil) == (envelopeClass == .confidential))
      // The content format of what is sealed is sealed off from the outer header.
      #expect((again.header.contentFormat == nil) == (envelopeClass == .confidential))
    }
  }

  @Test func readersAreEveryoneOrTheRecipients() throws {
    #expect(try world.make(world.draft(.noConsequence)).readers == .everyone)
    #expect(try world.make(world.draft(.authOnly)).readers == .everyone)
    #expect(
      try world.make(world.draft(.confidential, to: [world.reader, world.other])).readers
        == .recipients([.full(world.reader.address), .full(world.other.address)]))
    #expect(try world.make(world.draft(.stream)).readers == .holdersOfStreamKey)
  }

  /// A reading of 10 bytes to one reader, parties named by fp8, content format 112, a lifetime of an hour: 129 and 224
  /// bytes with a sequence number of two bytes; the number alone makes the difference.
  @Test(arguments: [(7, -1), (200, 0), (60_000, 1), (4_000_000_000, 3)])
  func sizesOfATenByteReadingAreThoseOfTheDesign(sequence: UInt64, more: Int) throws {
    var draft = world.draft(.authOnly, form: .short)
    #expect(draft.content.bytes.count == 10)
    draft.sequence = sequence
    #expect(try world.make(draft).bytes.count == 129 + more)
    draft.class = .confidential
    #expect(try world.make(draft).bytes.count == 224 + more)
  }

  @Test func oneBitAnywhereBreaksStructureOrSignature() throws {
    for envelopeClass in EnvelopeClass.allCases {
      let bytes = try world.make(world.draft(envelopeClass, form: .short)).bytes
      for bit in 0..<bytes.count * 8 {
        var changed = bytes
        changed[bit / 8] ^= 1 << UInt8(bit % 8)
        #expect(throws: ParseError.self, "bit \(bit)") {
          try SignedEnvelope(parsing: changed).verify(with: world.sender.signingKey.publicKey)
        }
      }
    }
  }

  @Test func everyTruncationAndTrailingBytesAreRefused() throws {
    for envelopeClass in EnvelopeClass.allCases {
      let bytes = try world.make(world.draft(envelopeClass, to: [world.reader, world.other])).bytes
      for length in 0..<bytes.count {
        #expect(reason { _ = try SignedEnvelope(parsing: Array(bytes.prefix(length))) } == .truncated)
      }
      #expect(reason { _ = try SignedEnvelope(parsing: bytes + [0]) } == .trailingBytes)
    }
  }

  @Test func signatureOfAnotherIsInvalid() throws {
    let envelope = try world.make(world.draft(.authOnly), from: world.sender)
    #expect(reason { try envelope.verify(with: world.other.signingKey.publicKey) } == .coseSignatureInvalid)
  }

  @Test func largerThanTheMaximumIsTooLarge() throws {
    let content = SignedEnvelope.Content(format: 42, bytes: [UInt8](repeating: 0, count: 65_536))
    #expect(throws: EmitError.notRepresentable) { try world.make(world.draft(.authOnly, content: content)) }
    var random = SystemRandomNumberGenerator()
    let large = try SignedEnvelope.make(
      world.draft(.authOnly, content: content), from: world.sender, maximumSize: 70_000, using: &random)
    #expect(reason { _ = try SignedEnvelope(parsing: large.bytes) } == .envelopeTooLarge)
    #expect(try SignedEnvelope(parsing: large.bytes, maximumSize: large.bytes.count).bytes == large.bytes)
    #expect(
      reason { _ = try SignedEnvelope(parsing: large.bytes, maximumSize: large.bytes.count - 1) }
        == .envelopeTooLarge)
  }

  @Test func outerStructureIsExact() throws {
    let protected = try world.header().encoded()
    let zeros = [UInt8](repeating: 0, count: 64)
    func refused(_ value: CBORValue) -> DropReason? {
      reason { _ = try SignedEnvelope(parsing: try value.encoded()) }
    }
    let parts: [CBORValue] = [.bytes(protected), [:], .bytes([]), .bytes(zeros)]
    #expect(refused(.tag(18, .array(parts))) == nil)
    #expect(refused(.array(parts)) == .coseTagMissing)
    #expect(refused(.tag(98, .array(parts))) == .coseTagMissing)
    #expect(refused(.tag(18, .tag(18, .array(parts)))) == .coseStructure)
    #expect(refused(.tag(18, .array(Array(parts.dropLast())))) == .coseStructure)
    #expect(refused(.tag(18, .array(parts + [.bytes([])]))) == .coseStructure)
    #expect(
      refused(.tag(18, .array([parts[0], [4: .bytes([1])], parts[2], parts[3]]))) == .coseUnprotectedNotEmpty)
    #expect(refused(.tag(18, .array([parts[0], [], parts[2], parts[3]]))) == .coseStructure)
    #expect(refused(.tag(18, .array([parts[0], parts[1], nil, parts[3]]))) == .coseStructure)
    #expect(refused(.tag(18, .array([parts[0], parts[1], parts[2], .bytes(zeros + [0])]))) == .coseStructure)
    #expect(refused(.tag(18, .array([parts[0], parts[1], parts[2], .bytes([])]))) == .coseStructure)
    #expect(refused(.tag(18, .array([.bytes([]), parts[1], parts[2], parts[3]]))) == .coseHeaderMissing)
    #expect(
      refused(.tag(18, .array([.bytes(protected + [0]), parts[1], parts[2], parts[3]]))) == .trailingBytes)
  }

  @Test func onlyDeterministicCBORIsAccepted() throws {
    let bytes = try world.make(world.draft(.authOnly, form: .short)).bytes
    // The array of the envelope with an indefinite length, and its length not in the shortest form.
    #expect(bytes[1] == 0x84)
    var indefinite = bytes
    indefinite[1] = 0x9f
    #expect(reason { _ = try SignedEnvelope(parsing: indefinite + [0xff]) } == .cborIndefiniteLength)
    var long = bytes
    long.replaceSubrange(1..<2, with: [0x98, 4])
    #expect(reason { _ = try SignedEnvelope(parsing: long) } == .cborNotShortest)
    // Keys of the protected header: repeated, and out of order.
    let block = try world.block().encoded()
    let sender = try CBORValue.array([-16, .bytes(world.sender.address.bytes)]).encoded()
    let twice = [0xa4, 0x01, 0x26, 0x01, 0x26, 0x18, 0x22] + sender + [0x3a, 0, 1, 0, 0] + block
    #expect(
      reason { _ = try SignedEnvelope(parsing: world.signed(protected: twice, [])) } == .cborDuplicateKey)
    let unordered = [0xa3, 0x18, 0x22] + sender + [0x01, 0x26, 0x3a, 0, 1, 0, 0] + block
    #expect(
      reason { _ = try SignedEnvelope(parsing: world.signed(protected: unordered, [])) } == .cborKeyOrder)
  }

  /// With (r, s) also (r, n - s) is valid: to deduplicate by a hash of the whole envelope would let it pass twice.
  @Test func malleatedSignatureIsTheSameEnvelope() throws {
    let envelope = try world.make(world.draft(.authOnly))
    let twin = try SignedEnvelope(parsing: malleated(envelope))
    try twin.verify(with: world.sender.signingKey.publicKey)
    #expect(twin.bytes != envelope.bytes)
    #expect(twin.contentDigest == envelope.contentDigest)
    #expect(twin.answerHash == envelope.answerHash)
    var window = ReplayWindow()
    window.record(envelope.header.sequence, envelope.contentDigest)
    #expect(window.verdict(twin.header.sequence, twin.contentDigest) == .same)
  }

  private func malleated(_ envelope: SignedEnvelope) -> [UInt8] {
    let order = [UInt8](hex: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551") ?? []
    var bytes = envelope.bytes
    var borrow = 0
    for index in (0..<32).reversed() {
      let position = bytes.count - 32 + index
      var digit = Int(order[index]) - Int(bytes[position]) - borrow
      borrow = digit < 0 ? 1 : 0
      if digit < 0 { digit += 256 }
      bytes[position] = UInt8(digit)
    }
    return bytes
  }

  @Test func answerHashIsTheSHA256OfProtectedHeaderAndPayload() throws {
    let envelope = try world.make(world.draft(.authOnly))
    let hash = SHA256.hash(data: Array(envelope.protectedHeader) + Array(envelope.payload))
    #expect(Address.Short(envelope.answerHash).bytes == Array(hash.prefix(8)))
    #expect(try envelope.contentDigest.encoded() == Array(hash.prefix(16)))
  }

  @Test func cutOutCiphertextSignedByAnotherDoesNotOpen() throws {
    for recipients in [[world.reader], [world.reader, world.other]] {
      let envelope = try world.make(world.draft(.confidential, to: recipients))
      // The thief is "other", and signs the ciphertext under his own header.
      let header = EnvelopeHeader(
        sender: .full(world.other.address), class: .confidential, recipients: envelope.header.recipients,
        sequence: 1,
        issuedAt: World.now, lifetime: 60)
      let stolen = try SignedEnvelope(
        parsing: resigned(protected: header.cbor(), payload: Array(envelope.payload), by: world.other))
      try stolen.verify(with: world.other.signingKey.publicKey)
      #expect(reason { _ = try stolen.open(with: world.reader) } == .coseDecryptionFailed)
    }
  }

  private func resigned(protected: [UInt8], payload: [UInt8], by identity: Identity) throws -> [UInt8] {
    let digest = COSESign1.digest(protected: protected.rawSpan, payload: payload.rawSpan)
    return try World.envelope(
      protected: protected, payload: payload,
      signature: [UInt8](try identity.signingKey.signature(for: digest).rawRepresentation))
  }

  @Test func draftsThatCannotBeWrittenAreRefused() throws {
    var draft = world.draft(.authOnly)
    draft.recipients = []
    #expect(throws: EmitError.notRepresentable) { try world.make(draft) }
    draft.recipients = [EnvelopeDraft.Recipient](repeating: .init(world.reader.address), count: 33)
    #expect(throws: EmitError.notRepresentable) { try world.make(draft) }
    draft.recipients.removeLast()
    #expect(try world.make(draft).header.recipients.count == 32)
    draft.class = .confidential
    #expect(throws: EmitError.notRepresentable) { try world.make(draft) }
    draft = world.draft(.authOnly)
    draft.extensions.echoChallenge = [1, 2, 3]
    #expect(throws: EmitError.notRepresentable) { try world.make(draft) }
  }

  @Test func everyRecipientOfThirtyTwoCanOpen() throws {
    let identities = (0..<32).map { World.identity("r\($0)", seed: 100 + UInt64($0)) }
    let envelope = try world.make(world.draft(.confidential, to: identities, form: .short))
    for identity in identities {
      #expect(try envelope.open(with: identity).bytes == Array("ten bytes.".utf8))
    }
    #expect(envelope.sealed?.algorithms == [COSEAlgorithm](repeating: .hpke0KE, count: 32))
  }
}
