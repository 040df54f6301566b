import Crypto
import Foundation
import TestSupport
import Testing
import Wire

@testable import COSE

@Suite struct EncryptTests {
  // MARK: Vectors

  @Test("RFC 9180 A.3.1: the suite of HPKE-0 opens the ciphertexts of the base mode")
  func hpkeVectors() throws {
    let key = try P256.KeyAgreement.PrivateKey(
      rawRepresentation: Fixtures.bytes("f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2"))
    let enc = Fixtures.bytes(
      "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4"
    )
    let info = Fixtures.bytes("4f6465206f6e2061204772656369616e2055726e")
    let plaintext = Fixtures.bytes("4265617574792069732074727574682c20747275746820626561757479")
    let sealed: [(aad: String, ciphertext: String)] = [
      (
        "436f756e742d30",
        "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434"
      ),
      (
        "436f756e742d31",
        "fa6f037b47fc21826b610172ca9637e82d6e5801eb31cbd3748271affd4ecb06646e0329cbdf3c3cd655b28e82"
      ),
      (
        "436f756e742d32",
        "895cabfac50ce6c6eb02ffe6c048bf53b7f7be9a91fc559402cbc5b8dcaeb52b2ccc93e466c28fb55fed7a7fec"
      ),
    ]
    let first = sealed[0]
    #expect(
      try HPKEBase.open(
        Fixtures.bytes(first.ciphertext), encapsulatedKey: enc, with: key, info: info,
        aad: Fixtures.bytes(first.aad))
        == plaintext)
    var recipient = try HPKE.Recipient(
      privateKey: key, ciphersuite: HPKEBase.suite, info: Data(info), encapsulatedKey: Data(enc))
    for (aad, ciphertext) in sealed {
      let opened = try recipient.open(Fixtures.bytes(ciphertext), authenticating: Fixtures.bytes(aad))
      #expect([UInt8](opened) == plaintext)
    }
  }

  @Test("RFC 3394 4.1: 128 bits of key wrapped with 128 bits, and a changed wrapping is refused")
  func keyWrap() throws {
    let kek = SymmetricKey(data: Fixtures.bytes("000102030405060708090a0b0c0d0e0f"))
    let key = SymmetricKey(data: Fixtures.bytes("00112233445566778899aabbccddeeff"))
    let wrapped = try AES.KeyWrap.wrap(key, using: kek)
    #expect([UInt8](wrapped).hex == "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5")
    #expect(try AES.KeyWrap.unwrap(wrapped, using: kek) == key)
    #expect(throws: (any Error).self) { try AES.KeyWrap.unwrap([UInt8](wrapped).reversed(), using: kek) }
  }

  @Test("RFC 9052 C.4.1: AES-CCM-16-64-128 opens, and sealing with the same nonce gives the same bytes")
  func ccmExample() throws {
    let bytes = Fixtures.bytes(
      "d08343a1010aa1054d89f52f65a1c580933b5261a78c581c5974e1b99a3a4cc09a659aa2e9e7fff161d38ce71cb45ce460ffb569"
    )
    let key = SymmetricKey(data: Fixtures.bytes("849b5786457c1491be3a76dcea6c4271"))
    let value = try COSEEncrypt0(parsing: bytes)
    #expect(try value.open(using: key) == Fixtures.content)
    #expect(try value.encoded() == bytes)
    let nonce = try #require(value.headers[COSELabel.iv]?.bytesValue)
    #expect(try COSEEncrypt0.seal(Fixtures.content, using: key, nonce: nonce).encoded() == bytes)
    #expect(throws: ParseError(.coseDecryptionFailed)) {
      try value.open(using: key, externalAAD: [1].rawSpan)
    }
    #expect(throws: ParseError(.coseDecryptionFailed)) { try value.open(using: SymmetricKey(size: .bits128)) }
    #expect(throws: ParseError(.coseDecryptionFailed)) { try value.open(using: SymmetricKey(size: .bits256)) }
    #expect(throws: ParseError(.coseAlgorithmUnsupported)) { try value.open(with: .init()) }
  }

  /// p256-wrap-128-01 of cose-wg/Examples.
  static let keyWrapExample =
    "D8608443A10101A1054C02D1F7E6F26C43D4868D87CE582464F84D913BA60A76070A9A48F26E97E863E2852948658F0811139868826E89218A75715B818344A101381CA220A401022001215820ECDBCEC636CC1408A503BBF6B7311B900C9AED9C5B71503848C89A07D0EF6F5B225820D6D1586710C02203E4E53B20DC7B233CA4C8B6853467B9FB8244A3840ACCD6020458246D65726961646F632E6272616E64796275636B406275636B6C616E642E6578616D706C655818D23BCA11C3F8E35BF6F81412794E159772E946FF4FB31BD1"

  @Test(
    "ECDH-ES+A128KW: p256-wrap-128-01 opens once its unprotected map is in deterministic order (RFC 9053, 6.4)"
  )
  func ecdhExample() throws {
    // As published, -1 stands before 4 in the unprotected header, which nothing authenticates.
    let published = Fixtures.bytes(Self.keyWrapExample)
    #expect(Fixtures.refusal(COSEEncrypt.self, published) == .cborKeyOrder)
    let text = Self.keyWrapExample
    let keyID = "0458246D65726961646F632E6272616E64796275636B406275636B6C616E642E6578616D706C65"
    let sorted = text.replacingOccurrences(of: keyID, with: "").replacingOccurrences(
      of: "1CA220", with: "1CA2\(keyID)20")
    let message = try COSEEncrypt(parsing: Fixtures.bytes(sorted))
    let key = try Fixtures.agreementKey()
    #expect(try message.open(with: key) == Fixtures.content)
    #expect(try message.open(at: 0, with: key) == Fixtures.content)
    #expect(
      try message.open(with: key, keyID: [UInt8]("meriadoc.brandybuck@buckland.example".utf8))
        == Fixtures.content)
    #expect(throws: ParseError(.coseNoRecipient)) { try message.open(with: key, keyID: [1]) }
    #expect(throws: ParseError(.coseNoRecipient)) { try message.open(at: 1, with: key) }
    #expect(throws: ParseError(.coseNoRecipient)) { try message.open(at: -1, with: key) }
    #expect(throws: ParseError(.coseDecryptionFailed)) { try message.open(with: .init()) }

    // The y of an ephemeral key may also be its sign (RFC 9053, 7.1.1); this one is even.
    let compressed = sorted.replacingOccurrences(
      of: "225820D6D1586710C02203E4E53B20DC7B233CA4C8B6853467B9FB8244A3840ACCD602", with: "22F4")
    #expect(compressed != sorted)
    #expect(try COSEEncrypt(parsing: Fixtures.bytes(compressed)).open(with: key) == Fixtures.content)
  }

  @Test("RFC 9052 C.3.1 is read, and its direct key agreement is an algorithm that is not supported")
  func directAgreement() throws {
    let message: CBORValue = .tag(
      96,
      [
        .bytes(Fixtures.bytes("a10101")), [5: .bytes(Fixtures.bytes("c9cf4df2fe6c632bf7886413"))],
        .bytes(Fixtures.bytes("7adbe2709ca818fb415f1e5df66f4e1a51053ba6d65a1a0c52a357da7a644b8070a151b0")),
        [
          [
            .bytes(Fixtures.bytes("a1013818")),
            [
              -1: [
                1: 2, -1: 1,
                -2: .bytes(
                  Fixtures.bytes("98f50a4ff6c05861c8860d13a638ea56c3f5ad7590bbfbf054e1c7b4d91d6280")),
                -3: true,
              ], 4: .bytes([UInt8]("meriadoc.brandybuck@buckland.example".utf8)),
            ], .bytes([]),
          ]
        ],
      ])
    let parsed = try COSEEncrypt(parsing: message.encoded())
    #expect(throws: ParseError(.coseAlgorithmUnsupported)) { try parsed.open(with: Fixtures.agreementKey()) }
  }

  @Test("Recipient_structure of HPKE-0-KE (draft-ietf-cose-hpke)")
  func recipientStructure() {
    let info = COSERecipient.hpkeInfo(.a128GCM, protected: Fixtures.bytes("a101182e"))
    #expect(info.hex == "846e48504b4520526563697069656e740144a101182e40")
  }

  // MARK: Round trips

  @Test("HPKE-0: what is sealed opens with the key and external_aad it was sealed for, and only then")
  func hpke0() throws {
    var generator = SeededGenerator(seed: 35)
    let key = P256.KeyAgreement.PrivateKey()
    for format in [nil, 0, 112, 65001] as [UInt64?] {
      let plaintext = generator.bytes(in: 0...500)
      let aad = generator.bytes(in: 0...100)
      let message = try COSEEncrypt0.seal(
        plaintext, to: key.publicKey, contentFormat: format, externalAAD: aad.rawSpan)
      let bytes = try message.encoded()
      #expect(bytes.count == message.encodedLength)
      let parsed = try COSEEncrypt0(parsing: bytes)
      #expect(parsed == message)
      #expect(parsed.contentFormat == format)
      #expect(parsed.headers.unprotected[COSELabel.encapsulatedKey]?.bytesValue?.count == 65)
      #expect(try parsed.open(with: key, externalAAD: aad.rawSpan) == plaintext)
      #expect(throws: ParseError(.coseDecryptionFailed)) {
        try parsed.open(with: key, externalAAD: (aad + [0]).rawSpan)
      }
      #expect(throws: ParseError(.coseDecryptionFailed)) {
        try parsed.open(with: .init(), externalAAD: aad.rawSpan)
      }
      var other = message
      other.headers = try COSEHeaders(protected: [1: 35, 3: 9999], unprotected: message.headers.unprotected)
      #expect(throws: ParseError(.coseDecryptionFailed)) {
        try other.open(with: key, externalAAD: aad.rawSpan)
      }
      other = message
      other.ciphertext[Int.random(in: 0..<other.ciphertext.count, using: &generator)] ^= 1
      #expect(throws: ParseError(.coseDecryptionFailed)) {
        try other.open(with: key, externalAAD: aad.rawSpan)
      }
    }
  }

  @Test("HPKE-0: a missing or bad encapsulated key and a short ciphertext are refused, never a trap")
  func hpke0Malformed() throws {
    let key = P256.KeyAgreement.PrivateKey()
    let protected: CBORValue = [1: 35]
    func open(_ unprotected: CBORValue, _ ciphertext: [UInt8]) throws {
      let message = COSEEncrypt0(
        headers: try COSEHeaders(protected: protected, unprotected: unprotected), ciphertext: ciphertext)
      _ = try message.open(with: key)
    }
    let off = [UInt8]([4] + [UInt8](repeating: 1, count: 64))
    let good = key.publicKey.point
    #expect(throws: ParseError(.coseHeaderMissing)) { try open([:], []) }
    #expect(throws: ParseError(.coseKeyInvalid)) { try open([-4: 1], []) }
    #expect(throws: ParseError(.coseKeyInvalid)) { try open([-4: .bytes([4])], []) }
    #expect(throws: ParseError(.coseKeyInvalid)) { try open([-4: .bytes([2] + good.dropFirst())], []) }
    #expect(throws: ParseError(.coseDecryptionFailed)) {
      try open([-4: .bytes(off)], [UInt8](repeating: 0, count: 32))
    }
    for length in 0...17 {
      #expect(throws: ParseError(.coseDecryptionFailed)) {
        try open([-4: .bytes(good)], [UInt8](repeating: 0, count: length))
      }
    }
  }

  @Test(
    "COSE_Encrypt: every recipient opens it by position and by kid, whatever its algorithm; nobody else does")
  func severalRecipients() throws {
    var generator = SeededGenerator(seed: 96)
    let keys = (0..<4).map { _ in P256.KeyAgreement.PrivateKey() }
    let ids = (0..<4).map { _ in generator.bytes(8) }
    let recipients = (0..<4).map {
      COSERecipientKey(
        keys[$0].publicKey, keyID: $0 == 3 ? nil : ids[$0],
        algorithm: $0.isMultiple(of: 2) ? .hpke0KE : .ecdhESA128KW)
    }
    let plaintext = generator.bytes(300)
    let aad = generator.bytes(70)
    let message = try COSEEncrypt.seal(
      plaintext, to: recipients, contentFormat: 112, externalAAD: aad.rawSpan, using: &generator)
    let bytes = try message.encoded()
    #expect(bytes.count == message.encodedLength)
    let parsed = try COSEEncrypt(parsing: bytes)
    #expect(parsed == message)
    #expect(parsed.contentFormat == 112)
    #expect(parsed.recipients.map(\.keyID) == [ids[0], ids[1], ids[2], nil])
    #expect(parsed.recipients.map(\.ciphertext.count) == [32, 24, 32, 24])
    for (index, key) in keys.enumerated() {
      #expect(try parsed.open(at: index, with: key, externalAAD: aad.rawSpan) == plaintext)
      #expect(try parsed.open(with: key, externalAAD: aad.rawSpan) == plaintext)
      if index < 3 {
        #expect(try parsed.open(with: key, keyID: ids[index], externalAAD: aad.rawSpan) == plaintext)
      }
      let wrong = keys[(index + 1) % 4]
      #expect(throws: ParseError(.coseDecryptionFailed)) {
        try parsed.open(at: index, with: wrong, externalAAD: aad.rawSpan)
      }
    }
    #expect(throws: ParseError(.coseNoRecipient)) { try parsed.open(with: keys[3], keyID: ids[3]) }
    #expect(throws: ParseError(.coseDecryptionFailed)) {
      try parsed.open(with: .init(), externalAAD: aad.rawSpan)
    }
    #expect(throws: ParseError(.coseDecryptionFailed)) { try parsed.open(with: keys[0]) }
    // The next message has another key and another nonce.
    let next = try COSEEncrypt.seal(
      plaintext, to: recipients, contentFormat: 112, externalAAD: aad.rawSpan, using: &generator)
    #expect(next.headers[COSELabel.iv] != message.headers[COSELabel.iv])
    #expect(next.ciphertext != message.ciphertext)
  }

  @Test("COSE_Encrypt: what cannot be opened is refused for its reason, never a trap")
  func encryptMalformed() throws {
    var generator = SeededGenerator(seed: 97)
    let key = P256.KeyAgreement.PrivateKey()
    #expect(throws: EmitError.notRepresentable) { try COSEEncrypt.seal([], to: [], using: &generator) }
    #expect(throws: EmitError.notRepresentable) {
      try COSEEncrypt.seal([], to: [.init(key.publicKey, algorithm: .hpke0)], using: &generator)
    }
    let good = try COSEEncrypt.seal([1], to: [.init(key.publicKey)], using: &generator)
    var bad = good
    bad.headers = try COSEHeaders(protected: [1: 3], unprotected: good.headers.unprotected)
    #expect(throws: ParseError(.coseAlgorithmUnsupported)) { try bad.open(with: key) }
    bad.headers = try COSEHeaders(protected: [1: 1])
    #expect(throws: ParseError(.coseHeaderMissing)) { try bad.open(with: key) }
    for nonce in [0, 11, 13] {
      bad.headers = try COSEHeaders(
        protected: [1: 1], unprotected: [5: .bytes([UInt8](repeating: 0, count: nonce))])
      #expect(throws: ParseError(.coseDecryptionFailed)) { try bad.open(with: key) }
    }
    bad = good
    bad.ciphertext = [UInt8](repeating: 0, count: 15)
    #expect(throws: ParseError(.coseDecryptionFailed)) { try bad.open(with: key) }
    // A bad ephemeral key: missing, of another curve, off the curve.
    let x = CBORValue.bytes([UInt8](repeating: 1, count: 32))
    let cases: [(CBORValue, DropReason)] = [
      ([:], .coseHeaderMissing), ([-1: 1], .coseKeyInvalid),
      ([-1: [1: 2, -1: 2, -2: x, -3: x]], .coseKeyInvalid),
      ([-1: [1: 1, -1: 1, -2: x, -3: x]], .coseKeyInvalid),
      ([-1: [1: 2, -1: 1, -2: x, -3: x]], .coseKeyInvalid),
      ([-1: [1: 2, -1: 1, -2: x]], .coseKeyInvalid),
      ([-1: [1: 2, -1: 1, -2: .bytes([1]), -3: x]], .coseKeyInvalid),
      ([-1: key.publicKey.coseKey], .coseDecryptionFailed),
    ]
    for (unprotected, expected) in cases {
      bad = good
      bad.recipients[0].headers = try COSEHeaders(protected: [1: -29], unprotected: unprotected)
      #expect(throws: ParseError(expected)) { try bad.open(with: key) }
    }
    // A content key of 32 bytes is not one for A128GCM, even if it was encrypted rightly.
    bad = good
    bad.recipients[0] = try COSERecipient(
      sealing: SymmetricKey(size: .bits256), for: .a128GCM, to: .init(key.publicKey))
    #expect(throws: ParseError(.coseDecryptionFailed)) { try bad.open(with: key) }
  }

  @Test("AES-CCM: lengths that have no meaning are refused when sealing and when opening")
  func ccmLengths() throws {
    var generator = SeededGenerator(seed: 10)
    let key = SymmetricKey(data: generator.bytes(16))
    let nonce = generator.bytes(13)
    for length in [0, 1, 15, 16, 17, 65_535] {
      let plaintext = generator.bytes(length)
      let aad = generator.bytes(in: 0...40)
      let message = try COSEEncrypt0.seal(
        plaintext, using: key, nonce: nonce, contentFormat: 60, externalAAD: aad.rawSpan)
      #expect(message.ciphertext.count == length + 8)
      let parsed = try COSEEncrypt0(parsing: message.encoded())
      #expect(parsed == message)
      #expect(try parsed.open(using: key, externalAAD: aad.rawSpan) == plaintext)
      var changed = message
      changed.ciphertext[Int.random(in: 0..<changed.ciphertext.count, using: &generator)] ^= 0x80
      #expect(throws: ParseError(.coseDecryptionFailed)) {
        try changed.open(using: key, externalAAD: aad.rawSpan)
      }
      changed.ciphertext = [UInt8](message.ciphertext.prefix(7))
      #expect(throws: ParseError(.coseDecryptionFailed)) {
        try changed.open(using: key, externalAAD: aad.rawSpan)
      }
    }
    #expect(throws: EmitError.notRepresentable) {
      try COSEEncrypt0.seal([UInt8](repeating: 0, count: 65_536), using: key, nonce: nonce)
    }
    #expect(throws: EmitError.notRepresentable) {
      try COSEEncrypt0.seal([], using: key, nonce: generator.bytes(12))
    }
    #expect(throws: EmitError.notRepresentable) {
      try COSEEncrypt0.seal([], using: SymmetricKey(size: .bits256), nonce: nonce)
    }
    let noNonce = COSEEncrypt0(headers: try COSEHeaders(protected: [1: 10]), ciphertext: generator.bytes(9))
    #expect(throws: ParseError(.coseHeaderMissing)) { try noNonce.open(using: key) }
  }

  // MARK: Structure

  @Test(
    "Structures are checked, every truncation throws, and random changes parse to what encodes again (RFC 9052, 5)"
  )
  func structure() throws {
    var generator = SeededGenerator(seed: 16)
    let key = P256.KeyAgreement.PrivateKey()
    let single = try COSEEncrypt0.seal([1, 2, 3], to: key.publicKey, contentFormat: 0).encoded()
    let several = try COSEEncrypt.seal(
      [1, 2, 3],
      to: [.init(key.publicKey, keyID: [1]), .init(key.publicKey, keyID: [2], algorithm: .ecdhESA128KW)],
      using: &generator
    ).encoded()
    for length in 0..<single.count {
      #expect(Fixtures.refusal(COSEEncrypt0.self, [UInt8](single.prefix(length))) == .truncated)
    }
    for length in 0..<several.count {
      #expect(Fixtures.refusal(COSEEncrypt.self, [UInt8](several.prefix(length))) == .truncated)
    }
    #expect(Fixtures.refusal(COSEEncrypt0.self, several) == .coseTagMissing)
    #expect(Fixtures.refusal(COSEEncrypt.self, single) == .coseTagMissing)
    #expect(Fixtures.refusal(COSEEncrypt0.self, single + [0]) == .trailingBytes)
    let bytes = CBORValue.bytes([])
    for (value, expected) in [
      (.tag(16, [bytes, [:]]), .coseStructure), (.tag(16, [bytes, [:], nil]), .coseStructure),
      (.tag(16, [bytes, [2: [1]], bytes]), .coseCriticalUnknown), (.tag(16, [bytes, [:], bytes]), nil),
    ] as [(CBORValue, DropReason?)] {
      #expect(Fixtures.refusal(COSEEncrypt0.self, try value.encoded()) == expected)
    }
    for (recipients, expected) in [
      ([], .coseStructure), (nil, .coseStructure), ([1], .coseStructure), ([[bytes, [:]]], .coseStructure),
      ([[bytes, [:], bytes]], nil), ([[bytes, [:], bytes, [[bytes, [:], bytes]]]], .coseStructure),
    ] as [(CBORValue, DropReason?)] {
      let value = CBORValue.tag(96, [bytes, [:], bytes, recipients])
      #expect(Fixtures.refusal(COSEEncrypt.self, try value.encoded()) == expected, "\(value)")
    }
    for _ in 0..<2_000 {
      var changed = generator.oneIn(2) ? single : several
      changed[Int.random(in: 0..<changed.count, using: &generator)] = UInt8.random(
        in: 0...255, using: &generator)
      if let value = try? COSEEncrypt0(parsing: changed) {
        #expect(try value.encoded() == changed)
        if generator.oneIn(20) { _ = try? value.open(with: key) }
      }
      if let value = try? COSEEncrypt(parsing: changed) {
        #expect(try value.encoded() == changed)
        if generator.oneIn(20) { _ = try? value.open(with: key) }
      }
    }
  }

  @Test("Keys are read from points and COSE_Key maps, and refused off the curve")
  func keys() throws {
    let key = P256.KeyAgreement.PrivateKey().publicKey
    #expect(try P256.KeyAgreement.PublicKey(point: key.point.rawSpan).point == key.point)
    #expect(try P256.KeyAgreement.PublicKey(coseKey: key.coseKey).point == key.point)
    let odd = key.point[64] & 1 == 1
    let sign: CBORValue = [1: 2, -1: 1, -2: .bytes([UInt8](key.point[1..<33])), -3: .bool(odd)]
    #expect(try P256.KeyAgreement.PublicKey(coseKey: sign).point == key.point)
    let signing = P256.Signing.PrivateKey().publicKey
    #expect(try P256.Signing.PublicKey(point: signing.point.rawSpan).point == signing.point)
    var off = signing.point
    off[64] ^= 1
    for point in [
      [], [4], off, [UInt8](signing.point.dropLast()), signing.point + [0], [0],
      [UInt8](repeating: 0, count: 65),
    ] {
      #expect(throws: ParseError(.coseKeyInvalid)) { try P256.Signing.PublicKey(point: point.rawSpan) }
      #expect(throws: ParseError(.coseKeyInvalid)) { try P256.KeyAgreement.PublicKey(point: point.rawSpan) }
    }
  }
}
