import COSE
import Crypto
import Foundation
import TestSupport
import Testing
import Wire

@Suite struct Sign1Tests {
  /// RFC 9052, C.2.1, which is ecdsa-sig-01 without a content type; then the files of cose-wg/Examples by name.
  static let valid: [(name: String, message: String, externalAAD: String)] = [
    (
      "RFC 9052 C.2.1",
      "d28443a10126a10442313154546869732069732074686520636f6e74656e742e58408eb33e4ca31d1c465ab05aac34cc6b23d58fef5c083106c4d25a91aef0b0117e2af9a291aa32e14ab834dc56ed2a223444547e01f11d3b0916e5a4c345cacb36",
      ""
    ),
    (
      "ecdsa-sig-01",
      "D28445A201260300A10442313154546869732069732074686520636F6E74656E742E5840EAE868ECC176883766C5DC5BA5B8DCA25DAB3C2E56A551CE5705B793914348E172727F48461FABBBA2E343492DDECAC3983686250BC68E9F1A7A07D41225B59F",
      ""
    ),
    (
      "sign-pass-02",
      "D28443A10126A10442313154546869732069732074686520636F6E74656E742E5840EAE868ECC176883766C5DC5BA5B8DCA25DAB3C2E56A551CE5705B793914348E155388B10C4F1B59A6733EAB416870A945111A4B2FBDBEF33A77234B1DEFF2F9B",
      "11aa22bb33cc44dd55006699"
    ),
  ]

  @Test(
    "Examples of RFC 9052 and cose-wg/Examples verify, and not with another external_aad (4.4)",
    arguments: valid)
  func examples(name: String, message: String, externalAAD: String) throws {
    let bytes = Fixtures.bytes(message)
    let key = try Fixtures.signingKey().publicKey
    let view = try COSESign1View(bytes.rawSpan, allowingUnprotected: true)
    #expect(view.payload.array() == Fixtures.content)
    #expect(view.unprotected.hex == "a104423131")
    let algorithm = view.algorithm
    #expect(algorithm == .es256)
    try view.verify(with: key, externalAAD: Fixtures.bytes(externalAAD).rawSpan)
    #expect(reason(view, key, Fixtures.bytes(externalAAD + "00")) == .coseSignatureInvalid)
    #expect(
      reason(view, P256.Signing.PrivateKey().publicKey, Fixtures.bytes(externalAAD)) == .coseSignatureInvalid)
    // The same message is refused where nothing may stand outside the signature.
    #expect(refusal(bytes) == .coseUnprotectedNotEmpty)
    let value = try COSESign1(parsing: bytes)
    #expect(try value.encoded() == bytes)
    #expect(value.encodedLength == bytes.count)
    #expect(value.headers.keyID == [0x31, 0x31])
  }

  @Test("Sig_structure of sign-pass-02 (RFC 9052, 4.4)")
  func signatureStructure() {
    let (protected, payload) = (Fixtures.bytes("a10126"), Fixtures.content)
    let aad = Fixtures.bytes("11aa22bb33cc44dd55006699")
    let structure = COSESign1.signatureStructure(
      protected: protected.rawSpan, payload: payload.rawSpan, externalAAD: aad.rawSpan)
    #expect(
      structure.hex
        == "846a5369676e61747572653143a101264c11aa22bb33cc44dd5500669954546869732069732074686520636f6e74656e742e"
    )
  }

  @Test(
    "A changed payload, an untagged message and an unprotected algorithm are refused (sign-fail-02, sign-pass-03, sign-pass-01)"
  )
  func refusedExamples() throws {
    let changed = Fixtures.bytes(
      "D28443A10126A10442313154546869732069732074686520636F6E74656E742F5840EAE868ECC176883766C5DC5BA5B8DCA25DAB3C2E56A551CE5705B793914348E19F43D6C6BA654472DA301B645B293C9BA939295B97C4BDB847782BFF384C5794"
    )
    let view = try COSESign1View(changed.rawSpan, allowingUnprotected: true)
    #expect(reason(view, try Fixtures.signingKey().publicKey, []) == .coseSignatureInvalid)
    #expect(refusal([UInt8](changed.dropFirst())) == .coseTagMissing)
    let unprotected = Fixtures.bytes(
      "D28441A0A201260442313154546869732069732074686520636F6E74656E742E5840EAE868ECC176883766C5DC5BA5B8DCA25DAB3C2E56A551CE5705B793914348E11A02E5F0344BF2D4EE5C7FD75A68A9F5E0B3CC1F1FC1409C189566586FF9D610"
    )
    #expect(refusal(unprotected, allowingUnprotected: true) == .coseHeaderMissing)
  }

  @Test(
    "What is signed verifies, as ES256 and as ESP256, and parses to the same value",
    arguments: [COSEAlgorithm.es256, .esp256])
  func signAndVerify(algorithm: COSEAlgorithm) throws {
    var generator = SeededGenerator(seed: 9052)
    let key = P256.Signing.PrivateKey()
    for _ in 0..<20 {
      let aad = generator.bytes(in: 0...300)
      let headers = try COSEHeaders(
        protected: [
          1: .integer(algorithm.rawValue), 3: 112, 34: [-15, .bytes(generator.bytes(8))], "x": nil,
        ])
      let message = try COSESign1(
        signing: generator.bytes(in: 0...400), headers: headers, with: key, externalAAD: aad.rawSpan)
      let bytes = try message.encoded()
      #expect(try COSESign1(parsing: bytes) == message)
      let view = try COSESign1View(bytes.rawSpan)
      #expect(view.signature.byteCount == 64)
      #expect(view.payload.array() == message.payload)
      try view.verify(with: key.publicKey, externalAAD: aad.rawSpan)

      var changed = bytes
      // A bit of the content of payload or signature; the structure stays.
      let from = bytes.count - 64
      changed[Int.random(in: from..<bytes.count, using: &generator)] ^=
        1 << UInt8.random(in: 0..<8, using: &generator)
      let damaged = try COSESign1View(changed.rawSpan)
      #expect(reason(damaged, key.publicKey, aad) == .coseSignatureInvalid)
    }
  }

  @Test("A signature is malleable: with (r, s) also (r, n - s) verifies, so nothing may go by its bytes")
  func malleability() throws {
    let key = P256.Signing.PrivateKey()
    var message = try COSESign1(signing: [1, 2, 3], headers: COSEHeaders(protected: [1: -7]), with: key)
    let order = Fixtures.bytes("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
    var borrow = 0
    for index in (0..<32).reversed() {
      let difference = Int(order[index]) - Int(message.signature[32 + index]) - borrow
      borrow = difference < 0 ? 1 : 0
      message.signature[32 + index] = UInt8(difference & 0xff)
    }
    let bytes = try message.encoded()
    try COSESign1View(bytes.rawSpan).verify(with: key.publicKey)
  }

  @Test("Signatures of a wrong length or out of range are coseSignatureInvalid, never a trap")
  func badSignatures() throws {
    let key = P256.Signing.PrivateKey().publicKey
    let zero = [UInt8](repeating: 0, count: 64)
    let ones = [UInt8](repeating: 255, count: 64)
    for signature in [[], [0], [UInt8](zero.dropLast()), zero, ones, ones + [0]] {
      let message = COSESign1(
        headers: try COSEHeaders(protected: [1: -7]), payload: [1], signature: signature)
      let bytes = try message.encoded()
      #expect(reason(try COSESign1View(bytes.rawSpan), key, []) == .coseSignatureInvalid)
    }
  }

  @Test("The structure is checked, each part for its reason (RFC 9052, 3 and 4.2)")
  func structure() throws {
    let s = CBORValue.bytes([UInt8](repeating: 7, count: 64))
    let p = CBORValue.bytes(Fixtures.bytes("a10126"))
    func sign1(_ items: CBORValue...) -> CBORValue { .tag(18, .array(items)) }
    func header(_ map: CBORValue) throws -> CBORValue { .bytes(try map.encoded()) }
    let cases: [(CBORValue, DropReason)] = [
      (.array([p, [:], .bytes([]), s]), .coseTagMissing),
      (.tag(17, .array([p, [:], .bytes([]), s])), .coseTagMissing),
      (.tag(98, .array([p, [:], .bytes([]), s])), .coseTagMissing), (1, .coseTagMissing),
      (.tag(18, 1), .coseStructure), (sign1(p, [:], .bytes([])), .coseStructure),
      (sign1(p, [:], .bytes([]), s, s), .coseStructure), (sign1("p", [:], .bytes([]), s), .coseStructure),
      (sign1([:], [:], .bytes([]), s), .coseStructure), (sign1(p, [], .bytes([]), s), .coseStructure),
      (sign1(p, .bytes([0xa0]), .bytes([]), s), .coseStructure), (sign1(p, [:], "text", s), .coseStructure),
      (sign1(p, [:], nil, s), .coseStructure), (sign1(p, [:], .bytes([]), "s"), .coseStructure),
      (sign1(p, [4: 1], .bytes([]), s), .coseUnprotectedNotEmpty),
      (sign1(.bytes([]), [:], .bytes([]), s), .coseHeaderMissing),
      (sign1(.bytes([0xa0]), [:], .bytes([]), s), .coseHeaderMissing),
      (sign1(try header([3: 1]), [:], .bytes([]), s), .coseHeaderMissing),
      (sign1(try header([1: "ES256"]), [:], .bytes([]), s), .coseAlgorithmUnsupported),
      (sign1(try header([1: -7, 2: [3], 3: 1]), [:], .bytes([]), s), .coseCriticalUnknown),
      (sign1(try header([1: -7, .bytes([1]): 1]), [:], .bytes([]), s), .coseStructure),
      (sign1(try header([1: .bytes([1])]), [:], .bytes([]), s), .coseStructure),
      (sign1(try header([1]), [:], .bytes([]), s), .coseStructure),
      (sign1(.bytes(Fixtures.bytes("a1012600")), [:], .bytes([]), s), .trailingBytes),
      (sign1(.bytes(Fixtures.bytes("a201260126")), [:], .bytes([]), s), .cborDuplicateKey),
      (sign1(.bytes(Fixtures.bytes("a203000126")), [:], .bytes([]), s), .cborKeyOrder),
      (sign1(.bytes(Fixtures.bytes("bf0126ff")), [:], .bytes([]), s), .cborIndefiniteLength),
      (sign1(.bytes(Fixtures.bytes("a1013806")), [:], .bytes([]), s), .cborNotShortest),
    ]
    for (value, expected) in cases {
      let bytes = try value.encoded()
      #expect(refusal(bytes) == expected, "\(value)")
    }
    // What may stand in both headers, and what may not (RFC 9052, 3).
    let both = try sign1(p, [1: -7], .bytes([]), s).encoded()
    #expect(refusal(both, allowingUnprotected: true) == .coseStructure)
    let critical = try sign1(p, [2: [3]], .bytes([]), s).encoded()
    #expect(refusal(critical, allowingUnprotected: true) == .coseCriticalUnknown)
    let good = try sign1(p, [:], .bytes([]), s).encoded()
    #expect(refusal(good) == nil)
    #expect(refusal(good + [0]) == .trailingBytes)
    #expect(Fixtures.refusal(COSESign1.self, good + [0]) == .trailingBytes)
    // An algorithm that is no signature of ours.
    let other = try sign1(try header([1: -8]), [:], .bytes([]), s).encoded()
    let view = try COSESign1View(other.rawSpan)
    #expect(reason(view, try Fixtures.signingKey().publicKey, []) == .coseAlgorithmUnsupported)
  }

  @Test("Only ES256 and ESP256 are signed with, and headers that would be refused are not made")
  func refusesToMake() throws {
    let key = P256.Signing.PrivateKey()
    for protected: CBORValue in [[1: -8], [3: 1], [1: "ES256"]] {
      #expect(throws: EmitError.notRepresentable) {
        try COSESign1(signing: [], headers: COSEHeaders(protected: protected), with: key)
      }
    }
    #expect(throws: EmitError.notRepresentable) { try COSEHeaders(protected: [1: -7, 2: [1]]) }
    #expect(throws: EmitError.notRepresentable) { try COSEHeaders(protected: [1: -7], unprotected: [1: -7]) }
    #expect(throws: EmitError.notRepresentable) { try COSEHeaders(protected: [1]) }
    #expect(throws: EmitError.notRepresentable) { try COSEHeaders(protected: [[1]: 1]) }
  }

  @Test("The protected header is read in place, with positions in the whole message")
  func protectedReader() throws {
    let key = P256.Signing.PrivateKey()
    let message = try COSESign1(signing: [1], headers: COSEHeaders(protected: [1: -7, 3: 60]), with: key)
    let bytes = try message.encoded()
    let view = try COSESign1View(bytes.rawSpan)
    var reader = view.protectedReader
    var map = try reader.map()
    var labels: [Int64] = []
    while try reader.nextKey(in: &map) {
      labels.append(try reader.integer())
      if labels.last == 3 {
        let at = reader.offset
        #expect(bytes[at] == 0x18 && bytes[at + 1] == 60)
      }
      try reader.skip()
    }
    #expect(labels == [1, 3])
  }

  @Test("Every truncation of a message throws, and random changes never trap")
  func damage() throws {
    var generator = SeededGenerator(seed: 18)
    let key = P256.Signing.PrivateKey()
    let bytes = try COSESign1(
      signing: Fixtures.content, headers: COSEHeaders(protected: [1: -7, 34: [-15, .bytes([1, 2])]]),
      with: key
    ).encoded()
    for length in 0..<bytes.count {
      #expect(refusal([UInt8](bytes.prefix(length))) == .truncated)
      #expect(Fixtures.refusal(COSESign1.self, [UInt8](bytes.prefix(length))) == .truncated)
    }
    for _ in 0..<3_000 {
      var changed = bytes
      for _ in 0..<Int.random(in: 1...3, using: &generator) {
        changed[Int.random(in: 0..<changed.count, using: &generator)] = UInt8.random(
          in: 0...255, using: &generator)
      }
      if refusal(changed, allowingUnprotected: true) == nil {
        #expect(try COSESign1(parsing: changed).encoded() == changed)
      }
    }
  }

  private func refusal(_ bytes: [UInt8], allowingUnprotected: Bool = false) -> DropReason? {
    do throws(ParseError) {
      _ = try COSESign1View(bytes.rawSpan, allowingUnprotected: allowingUnprotected)
      return nil
    } catch { return error.reason }
  }

  private func reason(_ view: borrowing COSESign1View, _ key: P256.Signing.PublicKey, _ aad: [UInt8])
    -> DropReason?
  {
    do throws(ParseError) {
      try view.verify(with: key, externalAAD: aad.rawSpan)
      return nil
    } catch { return error.reason }
  }
}
