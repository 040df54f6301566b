import COSE
import Envelope
import TestSupport
import Testing
import Wire

@Suite struct HeaderTests {
  let world = World()

  static func reference(_ random: inout SeededGenerator) -> AddressReference {
    AddressReference(random.bytes(random.oneIn(2) ? 32 : 8)) ?? .short(Address.Short(0))
  }

  /// Numbers of every encoded length.
  static func number(_ random: inout SeededGenerator) -> UInt64 {
    random.next() >> UInt64.random(in: 0...63, using: &random)
  }

  static func header(_ random: inout SeededGenerator) -> EnvelopeHeader {
    var extensions = EnvelopeExtensions()
    if random.oneIn(2) { extensions.inReplyTo = number(&random) }
    if random.oneIn(2) { extensions.answerHash = random.next() }
    if random.oneIn(2) { extensions.echoChallenge = random.bytes(in: 8...16) }
    if random.oneIn(2) { extensions.echoResponse = random.bytes(in: 8...16) }
    if random.oneIn(2) { extensions.onBehalfOf = reference(&random) }
    if random.oneIn(2) { extensions.stream = StreamPosition(stream: number(&random), chunk: number(&random)) }
    if random.oneIn(2) { extensions.topic = number(&random) }
    var recipients: [AddressReference] = []
    for _ in 0..<Int.random(in: 1...32, using: &random) { recipients.append(reference(&random)) }
    return EnvelopeHeader(
      algorithm: random.oneIn(2) ? .es256 : .esp256, contentFormat: random.oneIn(2) ? number(&random) : nil,
      sender: reference(&random), class: EnvelopeClass.allCases.randomElement(using: &random) ?? .authOnly,
      recipients: recipients, sequence: number(&random), issuedAt: random.oneIn(3) ? nil : number(&random),
      lifetime: number(&random), flags: EnvelopeFlags(rawValue: UInt8.random(in: 0...255, using: &random)),
      extensions: random.oneIn(3) ? EnvelopeExtensions() : extensions)
  }

  @Test func headersRoundTrip() throws {
    var random = SeededGenerator(seed: 1)
    for _ in 0..<2_000 {
      let header = Self.header(&random)
      let bytes = try header.encoded()
      #expect(bytes.count == header.encodedLength)
      #expect(try EnvelopeHeader(parsing: bytes) == header)
      // What is written is deterministic CBOR and equals its own canonical form.
      #expect(try CBORValue(parsing: bytes).encoded() == bytes)
    }
  }

  @Test func everyTruncationOfAHeaderThrows() throws {
    var random = SeededGenerator(seed: 2)
    for _ in 0..<20 {
      let bytes = try Self.header(&random).encoded()
      for length in 0..<bytes.count {
        #expect(reason { _ = try EnvelopeHeader(parsing: Array(bytes.prefix(length))) } == .truncated)
      }
    }
  }

  @Test func mutatedHeadersNeverTrap() throws {
    var random = SeededGenerator(seed: 3)
    for _ in 0..<5_000 {
      var bytes = try Self.header(&random).encoded()
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      guard let header = try? EnvelopeHeader(parsing: bytes) else { continue }
      #expect(try EnvelopeHeader(parsing: header.encoded()) == header)
    }
  }

  private func refused(_ header: CBORValue) -> DropReason? {
    reason { _ = try EnvelopeHeader(parsing: try header.encoded()) }
  }

  @Test func headerKeysAreExactlyThoseKnown() throws {
    #expect(refused(world.header()) == nil)
    #expect(refused(world.header(changed: [3: nil])) == nil)
    #expect(refused(world.header(changed: [1: nil])) == .coseHeaderMissing)
    #expect(refused(world.header(changed: [34: nil])) == .coseHeaderMissing)
    #expect(refused(world.header(changed: [-65537: nil])) == .coseHeaderMissing)
    #expect(refused(world.header(changed: [2: [-65537]])) == .coseCriticalUnknown)
    #expect(refused(world.header(changed: [2: [99], 99: 1])) == .coseCriticalUnknown)
    #expect(refused(world.header(changed: [4: .bytes([1])])) == .coseHeaderUnknown)
    #expect(refused(world.header(changed: [-65538: 1])) == .coseHeaderUnknown)
    let text = CBORValue.map((world.header().mapValue ?? []) + [CBORPair("reply", 1)])
    #expect(refused(text) == .coseHeaderUnknown)
    #expect(refused([1, 2]) == .cborTypeMismatch)
  }

  @Test func algorithmIsES256OrESP256() {
    #expect(refused(world.header(changed: [1: -9])) == nil)
    for other: CBORValue in [-8, -35, -36, 5, 0, -65535] {
      #expect(refused(world.header(changed: [1: other])) == .coseAlgorithmUnsupported)
    }
  }

  @Test func senderIsNamedBySHA256InItsTwoLengths() {
    let full = CBORValue.bytes(world.sender.address.bytes)
    let short = CBORValue.bytes(world.sender.address.short.bytes)
    #expect(refused(world.header(changed: [34: [-15, short]])) == nil)
    #expect(refused(world.header(changed: [34: [-16, short]])) == .envelopeStructure)
    #expect(refused(world.header(changed: [34: [-15, full]])) == .envelopeStructure)
    #expect(refused(world.header(changed: [34: [-44, full]])) == .coseAlgorithmUnsupported)
    #expect(refused(world.header(changed: [34: [-16, full, 1]])) == .lengthMismatch)
    #expect(refused(world.header(changed: [34: full])) == .cborTypeMismatch)
  }

  @Test func blockHasItsItemsInTheirRanges() {
    func with(_ index: Int, _ value: CBORValue) -> DropReason? {
      refused(world.header(changed: [-65537: world.block(changed: [index: value])]))
    }
    let to = CBORValue.bytes(world.reader.address.bytes)
    #expect(with(0, 3) == nil)
    #expect(with(0, 4) == .envelopeClassReserved)
    #expect(with(0, 300) == .envelopeClassReserved)
    #expect(with(0, -1) == .cborTypeMismatch)
    #expect(with(1, []) == .envelopeStructure)
    #expect(with(1, .array([CBORValue](repeating: to, count: 32))) == nil)
    #expect(with(1, .array([CBORValue](repeating: to, count: 33))) == .envelopeTooManyRecipients)
    #expect(with(1, [.bytes([1, 2, 3])]) == .lengthMismatch)
    #expect(with(1, to) == .cborTypeMismatch)
    #expect(with(2, .unsigned(.max)) == nil)
    #expect(with(2, -1) == .cborTypeMismatch)
    #expect(with(3, nil) == nil)
    #expect(with(3, .float(1.5)) == .cborTypeMismatch)
    #expect(with(4, nil) == .cborTypeMismatch)
    #expect(with(5, 255) == nil)
    #expect(with(5, 256) == .cborIntegerOverflow)
    let short = CBORValue.array(Array((world.block().arrayValue ?? []).dropLast()))
    #expect(refused(world.header(changed: [-65537: short])) == .envelopeStructure)
    #expect(refused(world.header(changed: [-65537: world.block(more: [[:], [:]])])) == .envelopeStructure)
  }

  @Test func extensionsAreExactlyThoseKnown() {
    func with(_ extensions: CBORValue) -> DropReason? {
      refused(world.header(changed: [-65537: world.block(more: [extensions])]))
    }
    #expect(with([:]) == nil)
    #expect(with([1: 2, 7: 3]) == nil)
    #expect(with([8: 1]) == .envelopeStructure)
    #expect(with([0: 1]) == .envelopeStructure)
    #expect(with([-1: 1]) == .cborTypeMismatch)
    #expect(with([2: .bytes([1, 2, 3, 4, 5, 6, 7])]) == .lengthMismatch)
    #expect(with([3: .bytes([UInt8](repeating: 0, count: 7))]) == .lengthMismatch)
    #expect(with([3: .bytes([UInt8](repeating: 0, count: 8))]) == nil)
    #expect(with([4: .bytes([UInt8](repeating: 0, count: 16))]) == nil)
    #expect(with([4: .bytes([UInt8](repeating: 0, count: 17))]) == .lengthMismatch)
    #expect(with([5: .bytes([UInt8](repeating: 0, count: 16))]) == .lengthMismatch)
    #expect(with([6: [1]]) == .lengthMismatch)
    #expect(with([6: [1, 2]]) == nil)
    #expect(with([7: "topic"]) == .cborTypeMismatch)
  }
}
