import COSE
import Crypto
import Foundation
import TestSupport
import Testing
import Wire

@testable import OSCORE

/// RFC 9528, 3.3, 3.5.3, 3.8, 5 and 6: every message as a twin of parse and emit, and what is no message.
struct EDHOCMessageTests {
  private func roundTrip<T: WireValue & Equatable>(_ value: T) throws {
    let bytes = try value.encoded()
    #expect(bytes.count == value.encodedLength)
    #expect(try T(parsing: bytes) == value)
    for count in bytes.indices {
      // Nothing that is cut stands for the same value.
      if let other = try? T(parsing: [UInt8](bytes.prefix(count))) { #expect(other != value) }
    }
  }

  private func identifier(_ generator: inout SeededGenerator) -> EDHOCConnectionIdentifier {
    EDHOCConnectionIdentifier(generator.bytes(in: 0...(generator.oneIn(2) ? 1 : 9)))
  }

  private func suites(_ generator: inout SeededGenerator) -> [EDHOCCipherSuite] {
    (0..<Int.random(in: 1...4, using: &generator)).map { _ in
      EDHOCCipherSuite(rawValue: Int64.random(in: -30...30, using: &generator))
    }
  }

  private func name(_ generator: inout SeededGenerator) throws -> EDHOCCredentialIdentifier {
    switch Int.random(in: 0..<6, using: &generator) {
    case 0: .keyID(generator.bytes(in: 0...3))
    case 1: .claimsSet(try CBORValue(dictionaryLiteral: (2, "x"), (8, [1: .bytes(generator.bytes(3))])).encoded())
    case 2:
      .certificateHash(
        algorithm: COSEAlgorithm(rawValue: Int64.random(in: -50...5, using: &generator)), generator.bytes(in: 0...32))
    case 3: .certificateChain([generator.bytes(in: 0...40)])
    case 4: .certificateChain([generator.bytes(in: 0...40), generator.bytes(in: 0...40), [1]])
    default: .other(try CBORValue(dictionaryLiteral: (4, .bytes(generator.bytes(2))), (5, 1)).encoded())
    }
  }

  @Test("What is emitted is parsed to the same")
  func roundTrips() throws {
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<300 {
      let ead = EDHOCPair.ead(&generator)
      try roundTrip(
        EDHOCMessage1(
          method: EDHOCMethod(rawValue: Int64.random(in: -2...5, using: &generator)), suites: suites(&generator),
          ephemeralKey: generator.bytes(in: 0...40), connectionIdentifier: identifier(&generator), ead: ead))
      try roundTrip(
        EDHOCMessage2(ephemeralKey: generator.bytes(32), ciphertext: generator.bytes(in: 0...300)))
      try roundTrip(EDHOCMessage3(ciphertext: generator.bytes(in: 0...300)))
      try roundTrip(EDHOCMessage4(ciphertext: generator.bytes(in: 0...30)))
      try roundTrip(identifier(&generator))
      let proof = EDHOCPlaintext3(
        identifier: try name(&generator), signatureOrMAC: generator.bytes(in: 0...64), ead: ead)
      try roundTrip(proof)
      try roundTrip(EDHOCPlaintext2(connectionIdentifier: identifier(&generator), proof: proof))
      try roundTrip(EDHOCPlaintext4(ead: ead))
      try roundTrip(EDHOCErrorMessage.wrongSelectedCipherSuite(suites(&generator)))
      try roundTrip(EDHOCErrorMessage.other(code: Int64.random(in: 4...90, using: &generator), information: [1, nil]))
      try roundTrip(EDHOCRequestPayload.message1(generator.bytes(in: 1...60)))
      try roundTrip(EDHOCRequestPayload.identified(identifier(&generator), generator.bytes(in: 1...60)))
      try roundTrip(
        EDHOCCombinedPayload(
          message3: EDHOCMessage3(ciphertext: generator.bytes(in: 0...90)),
          oscorePayload: generator.bytes(in: 1...60)))
    }
    try roundTrip(EDHOCErrorMessage.unknownCredential)
    try roundTrip(EDHOCErrorMessage.unspecified("not so"))
    try roundTrip(EDHOCErrorMessage.other(code: -1, information: true))
    try roundTrip(EDHOCRequestPayload.trigger)
  }

  @Test("A string of one byte stands as an integer if it is the encoding of one")
  func connectionIdentifiers() throws {
    for byte in UInt8.min...UInt8.max {
      let isInteger = byte <= 0x17 || (0x20...0x37).contains(byte)
      let encoded = try EDHOCConnectionIdentifier([byte]).encoded()
      #expect(encoded == (isInteger ? [byte] : [0x41, byte]))
      if isInteger {
        #expect(throws: ParseError.self) { try EDHOCConnectionIdentifier(parsing: [0x41, byte]) }
      } else if byte != 0x40 {  // The empty string.
        #expect(throws: ParseError.self) { try EDHOCConnectionIdentifier(parsing: [byte]) }
      }
    }
    // The examples of RFC 9528, 3.3.2.
    for (bytes, encoded) in [
      ("21", "21"), ("0d", "0d"), ("18", "4118"), ("38", "4138"), ("abcd", "42abcd"), ("", "40"),
    ] {
      let identifier = EDHOCConnectionIdentifier(EDHOCFixtures.bytes(bytes))
      #expect(try identifier.encoded().hex == encoded)
    }
  }

  @Test(
    "Malformed message_1",
    arguments: [
      ("", DropReason.truncated), ("03", .truncated), ("0302", .truncated), ("030240", .truncated),
      ("f50240 00", .edhocMalformed), ("03025f00", .cborIndefiniteLength), ("0302400040", .edhocMalformed),
      ("03024000 6161", .edhocMalformed), ("0380 4000", .edhocMalformed), ("0381024000", .edhocMalformed),
      ("03820241004000", .edhocMalformed), ("0302 6000", .edhocMalformed), ("03024017 00 41", .truncated),
      ("030240410d", .edhocMalformed), ("0302401818", .edhocMalformed), ("03024000 1817 40", .cborNotShortest),
      ("1803024000", .cborNotShortest), ("1b80000000000000000240 00", .cborIntegerOverflow),
      ("0302f600", .edhocMalformed),
    ])
  func malformedMessage1(hex: String, reason: DropReason) throws {
    do throws(ParseError) {
      _ = try EDHOCMessage1(parsing: EDHOCFixtures.bytes(hex))
      Issue.record("\(hex) is a message")
    } catch { #expect(error.reason == reason, "\(hex)") }
  }

  @Test("What has no encoding is not emitted")
  func notRepresentable() {
    let message = EDHOCMessage1(
      method: .staticDH, suites: [], ephemeralKey: [], connectionIdentifier: EDHOCConnectionIdentifier([]))
    #expect(throws: EmitError.notRepresentable) { try message.encoded() }
    for item in [EDHOCEADItem(label: 0, isCritical: true), EDHOCEADItem(label: 1 << 63)] {
      #expect(throws: EmitError.notRepresentable) { try EDHOCPlaintext4(ead: [item]).encoded() }
    }
    for size in [0, 31, 33] {
      let message = EDHOCMessage2(ephemeralKey: [UInt8](repeating: 1, count: size), ciphertext: [])
      #expect(throws: EmitError.notRepresentable) { try message.encoded() }
    }
    for error in [
      EDHOCErrorMessage.wrongSelectedCipherSuite([]), .other(code: 0, information: 1),
      .other(code: 3, information: true),
    ] {
      #expect(throws: EmitError.notRepresentable) { try error.encoded() }
    }
    for name in [
      EDHOCCredentialIdentifier.certificateChain([]), .claimsSet([]), .claimsSet([0x01]), .other([0xa0]),
      .other([0x01]),
      .other([0xa1, 0x04, 0x41, 0x01]),
    ] {
      #expect(throws: EmitError.notRepresentable) { try name.headerMap() }
    }
    #expect(throws: EmitError.notRepresentable) { try EDHOCRequestPayload.message1([]).encoded() }
    #expect(throws: EmitError.notRepresentable) {
      try EDHOCCombinedPayload(message3: EDHOCMessage3(ciphertext: [1]), oscorePayload: []).encoded()
    }
  }

  @Test("Whatever parses is emitted as it was")
  func arbitraryBytes() throws {
    var generator = SeededGenerator(seed: 2)
    func same<T: WireValue>(_: T.Type, _ bytes: [UInt8]) throws {
      guard let value = try? T(parsing: bytes) else { return }
      #expect(try value.encoded() == bytes, "\(bytes.hex)")
    }
    let start: [[UInt8]] = [
      [], [3, 2, 0x41, 1], [0x58, 0x22], [0xa1, 4, 0x41, 0], [2], [1, 0x61], [0x27, 0x32], [0xf5],
    ]
    for round in 0..<20_000 {
      let bytes = start[round % start.count] + generator.bytes(in: 0...12)
      try same(EDHOCMessage1.self, bytes)
      try same(EDHOCMessage2.self, bytes)
      try same(EDHOCMessage3.self, bytes)
      try same(EDHOCErrorMessage.self, bytes)
      try same(EDHOCPlaintext2.self, bytes)
      try same(EDHOCPlaintext3.self, bytes)
      try same(EDHOCPlaintext4.self, bytes)
      try same(EDHOCRequestPayload.self, bytes)
      try same(EDHOCCombinedPayload.self, bytes)
      try same(EDHOCConnectionIdentifier.self, bytes)
    }
  }

  @Test("Credentials without a key on P-256 are refused, and a sign may stand for y")
  func credentials() throws {
    let key = try EDHOCFixtures.agreementKey(#require(EDHOCFixtures.rfc9529["SK_R"])).publicKey
    let x = CBORValue.bytes(key.xCoordinate)
    let signed: CBORValue = [8: [1: [1: 2, -1: 1, -2: x, -3: .bool(key.point[64] & 1 == 1)]]]
    let credential = try EDHOCCredential(claimsSet: signed.encoded())
    #expect(credential.point == key.point && credential.keyID == nil && credential.byReference() == nil)
    let refused: [CBORValue] = [
      [:], [8: 1], [8: [1: 1]], [8: [1: [1: 1, -1: 1, -2: x, -3: true]]], [8: [1: [1: 2, -1: 2, -2: x, -3: true]]],
      [8: [1: [1: 2, -1: 1, -2: x]]], [8: [1: [1: 2, -1: 1, -2: .bytes([1]), -3: true]]], [1, 2],
    ]
    for claims in refused {
      #expect(throws: ParseError(.edhocCredentialInvalid)) { try EDHOCCredential(claimsSet: claims.encoded()) }
    }
    #expect(throws: ParseError(.edhocCredentialInvalid)) {
      try EDHOCCredential(certificate: [1], point: [4] + [UInt8](repeating: 1, count: 64))
    }
    #expect(throws: ParseError(.edhocCredentialInvalid)) { try EDHOCCredential(point: [], keyID: [1]) }
    // The order of a claims set that is not deterministic is kept.
    let odd: [UInt8] = [0xa2, 0x08, 0x01, 0x02, 0x61, 0x61]
    #expect(throws: ParseError.self) { try EDHOCCredential(claimsSet: odd) }
    #expect(try EDHOCCredential(encoded: odd, point: key.point).encoded == odd)
  }
}
