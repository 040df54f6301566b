import COSE
import Envelope
import Testing
import Wire

@Suite struct SealedContentTests {
  let world = World()

  private let key = CBORValue.bytes([4] + [UInt8](repeating: 1, count: 64))

  private func enc0(
    protected: CBORValue = [1: 35, 3: 112], unprotected: CBORValue? = nil, ciphertext: CBORValue = .bytes([1])
  ) throws -> CBORValue {
    .tag(16, [.bytes(try protected.encoded()), unprotected ?? [-4: key], ciphertext])
  }

  private func recipient(
    protected: CBORValue? = nil, unprotected: CBORValue? = nil, length: Int = 32
  ) throws -> CBORValue {
    let named = protected ?? [1: 46, 4: .bytes(world.reader.address.short.bytes)]
    return [
      .bytes(try named.encoded()), unprotected ?? [-4: key], .bytes([UInt8](repeating: 0, count: length)),
    ]
  }

  private func enc(
    protected: CBORValue = [1: 1, 3: 112], unprotected: CBORValue? = nil, _ recipients: [CBORValue]
  ) throws -> CBORValue {
    .tag(
      96,
      [
        .bytes(try protected.encoded()), unprotected ?? [5: .bytes([UInt8](repeating: 0, count: 12))],
        .bytes([1]),
        .array(recipients),
      ])
  }

  private func refused(_ payload: CBORValue) -> DropReason? {
    reason {
      _ = try SignedEnvelope(parsing: world.signed(world.header(2, changed: [3: nil]), payload.encoded()))
    }
  }

  @Test func readablePayloadIsNotConfidential() throws {
    for payload in [[], [0x82, 0xf5, 0xf6], Array("ten bytes.".utf8), [0xd2], [0xd8], [0xd8, 0x61]]
      as [[UInt8]]
    {
      #expect(
        reason { _ = try SignedEnvelope(parsing: world.signed(world.header(2), payload)) }
          == .envelopeNotConfidential)
    }
    // A readable payload that merely begins like an encrypted one.
    #expect(
      reason { _ = try SignedEnvelope(parsing: world.signed(world.header(2), [0xd0, 0x80])) }
        == .coseStructure)
  }

  @Test func oneRecipientsFormIsExact() throws {
    #expect(try refused(enc0()) == nil)
    #expect(try refused(enc0(protected: [1: 35])) == nil)
    #expect(try refused(enc0(protected: [1: 10])) == .coseAlgorithmUnsupported)
    #expect(try refused(enc0(protected: [3: 112])) == .coseHeaderMissing)
    #expect(try refused(enc0(protected: [1: 35, 4: .bytes([1])])) == .coseHeaderUnknown)
    #expect(try refused(enc0(protected: [1: 35, 3: "text"])) == .cborTypeMismatch)
    #expect(try refused(enc0(protected: [1: 35, 2: [3]])) == .coseCriticalUnknown)
    #expect(try refused(enc0(unprotected: [:])) == .coseHeaderUnknown)
    #expect(try refused(enc0(unprotected: [-4: key, 4: .bytes([1])])) == .coseHeaderUnknown)
    #expect(try refused(enc0(unprotected: [5: key])) == .coseHeaderMissing)
    #expect(try refused(enc0(unprotected: [-4: .bytes([4])])) == .lengthMismatch)
    #expect(try refused(enc0(ciphertext: nil)) == .coseStructure)
  }

  @Test func severalRecipientsFormIsExact() throws {
    let good = try recipient()
    #expect(try refused(enc([good])) == nil)
    #expect(try refused(enc([])) == .coseStructure)
    #expect(try refused(enc(protected: [1: 3], [good])) == .coseAlgorithmUnsupported)
    #expect(try refused(enc(protected: [1: 1, 4: .bytes([1])], [good])) == .coseHeaderUnknown)
    #expect(try refused(enc(unprotected: [5: .bytes([1])], [good])) == .lengthMismatch)
    #expect(try refused(enc(unprotected: [:], [good])) == .coseHeaderUnknown)
    #expect(try refused(enc([recipient(length: 31)])) == .lengthMismatch)
    #expect(try refused(enc([recipient(protected: [1: -3])])) == .coseAlgorithmUnsupported)
    #expect(try refused(enc([recipient(protected: [1: 46, 3: 1])])) == .coseHeaderUnknown)
    #expect(try refused(enc([recipient(unprotected: [-4: .bytes([])])])) == .lengthMismatch)
  }

  @Test func ecdhRecipientsFormIsExact() throws {
    let half = CBORValue.bytes([UInt8](repeating: 1, count: 32))
    let named = CBORValue.bytes(world.reader.address.short.bytes)
    let ephemeral: CBORValue = [1: 2, -1: 1, -2: half, -3: half]
    func refused(_ unprotected: CBORValue, protected: CBORValue = [1: -29], length: Int = 24) throws
      -> DropReason?
    {
      try self.refused(enc([recipient(protected: protected, unprotected: unprotected, length: length)]))
    }
    #expect(try refused([-1: ephemeral]) == nil)
    #expect(try refused([4: named, -1: ephemeral]) == nil)
    #expect(try refused([4: named]) == .coseHeaderMissing)
    #expect(try refused([-1: ephemeral, 5: named]) == .coseHeaderUnknown)
    #expect(try refused([-1: [1: 2, -1: 1, -2: half, -3: true]]) == .coseKeyInvalid)
    #expect(try refused([-1: [1: 2, -1: 2, -2: half, -3: half]]) == .coseKeyInvalid)
    #expect(try refused([-1: ephemeral], length: 32) == .lengthMismatch)
    #expect(try refused([-1: ephemeral], protected: [1: -29, 4: named]) == .coseHeaderUnknown)
    #expect(try refused([4: .bytes([1]), -1: ephemeral]) == .lengthMismatch)
  }

  @Test func sealedForOthersThanTheHeaderNamesIsRefused() throws {
    let good = try recipient()
    let unnamed = try recipient(protected: [1: 46])
    let wrong = try recipient(protected: [1: 46, 4: .bytes(world.other.address.short.bytes)])
    #expect(try refused(enc([unnamed])) == nil)
    #expect(try refused(enc([wrong])) == .envelopeStructure)
    #expect(try refused(enc([good, good])) == .envelopeStructure)
    #expect(try refused(enc([CBORValue](repeating: good, count: 33))) == .envelopeTooManyRecipients)
    let two = CBORValue.array([.bytes(world.reader.address.bytes), .bytes(world.other.address.bytes)])
    let header = world.header(2, changed: [-65537: world.block(2, changed: [1: two])])
    #expect(
      reason { _ = try SignedEnvelope(parsing: world.signed(header, enc0().encoded())) } == .envelopeStructure
    )
    #expect(
      reason { _ = try SignedEnvelope(parsing: world.signed(header, enc([good, wrong]).encoded())) } == nil)
    #expect(
      reason { _ = try SignedEnvelope(parsing: world.signed(header, enc([wrong, good]).encoded())) }
        == .envelopeStructure)
  }
}
