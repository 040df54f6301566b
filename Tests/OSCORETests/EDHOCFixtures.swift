import Crypto
import Foundation
import TestSupport
import Testing
import Wire

@testable import OSCORE

/// What the tests of EDHOC share: vectors, parties, a whole session.
enum EDHOCFixtures {
  static func bytes(_ hex: String) -> [UInt8] { [UInt8](hex: hex) ?? [] }

  /// A file of Captures/vectors.
  static func vectors<T: Decodable>(_ name: String, as _: T.Type) throws -> T {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let data = try Data(contentsOf: root.appendingPathComponent("Captures/vectors/\(name).json"))
    return try JSONDecoder().decode(T.self, from: data)
  }

  /// RFC 9529, chapters 3 and 4.
  static let rfc9529: [String: [UInt8]] = {
    let texts = (try? vectors("edhoc-rfc9529", as: [String: String].self)) ?? [:]
    return texts.mapValues { bytes($0) }
  }()

  static func agreementKey(_ scalar: [UInt8]) throws -> P256.KeyAgreement.PrivateKey {
    try P256.KeyAgreement.PrivateKey(rawRepresentation: scalar)
  }

  /// A key from a generator, so that a failure comes again.
  static func ephemeral(_ generator: inout SeededGenerator) -> P256.KeyAgreement.PrivateKey {
    while true {
      if let key = try? P256.KeyAgreement.PrivateKey(rawRepresentation: generator.bytes(32)) { return key }
    }
  }
}

/// How a party names its credential.
enum EDHOCNaming: CaseIterable, Sendable {
  case keyID
  case claimsSet
  case x5t
  case truncatedX5t
  case x5chain
}

/// One way to run a session.
struct EDHOCCase: Sendable, CustomTestStringConvertible {
  var method: EDHOCMethod
  var suite: EDHOCCipherSuite
  var initiator: EDHOCNaming
  var responder: EDHOCNaming

  /// Every method with every suite and every naming; the parties name differently.
  static let all: [EDHOCCase] = (0...3).flatMap { (method: Int64) in
    [EDHOCCipherSuite.suite2, .suite3].flatMap { suite in
      EDHOCNaming.allCases.indices.map { index in
        let names = EDHOCNaming.allCases
        return EDHOCCase(
          method: EDHOCMethod(rawValue: method), suite: suite, initiator: names[index],
          responder: names[(index + Int(method) + 1) % names.count])
      }
    }
  }

  /// One of every method and suite.
  static let some: [EDHOCCase] = all.enumerated().filter { $0.offset % 5 == $0.offset / 5 % 2 }.map(\.element)

  var testDescription: String {
    "method \(method.rawValue) suite \(suite.rawValue) \(initiator) \(responder)"
  }
}

/// The two parties of a session with their identities and what they would send.
struct EDHOCPair {
  var profile: EDHOCProfile
  var initiatorIdentity: EDHOCIdentity
  var responderIdentity: EDHOCIdentity
  var initiator: EDHOCInitiator
  var responder: EDHOCResponder
  var responderIdentifier: EDHOCConnectionIdentifier
  var responderKey: P256.KeyAgreement.PrivateKey
  /// EAD_1 to EAD_4.
  var ead: [[EDHOCEADItem]]

  init(_ way: EDHOCCase, message4: EDHOCMessage4Use = .required, generator: inout SeededGenerator) throws {
    profile = EDHOCProfile(
      methods: [way.method], suites: [way.suite], message4: message4, understoodEAD: [7],
      maximumMessageLength: 4096)
    initiatorIdentity = try Self.identity(way.initiator, signs: way.method.initiatorSigns, &generator)
    responderIdentity = try Self.identity(way.responder, signs: way.method.responderSigns, &generator)
    initiator = try EDHOCInitiator(
      profile: profile, method: way.method, selecting: way.suite,
      connectionIdentifier: EDHOCConnectionIdentifier(generator.bytes(in: 0...3)),
      ephemeralKey: EDHOCFixtures.ephemeral(&generator))
    responder = EDHOCResponder(profile: profile)
    responderIdentifier = EDHOCConnectionIdentifier(generator.bytes(in: 4...7))
    responderKey = EDHOCFixtures.ephemeral(&generator)
    ead = (0..<4).map { _ in Self.ead(&generator) }
  }

  static func identity(
    _ naming: EDHOCNaming, signs: Bool, _ generator: inout SeededGenerator
  ) throws -> EDHOCIdentity {
    let scalar = EDHOCFixtures.ephemeral(&generator).rawRepresentation
    let key: EDHOCAuthenticationKey =
      signs
      ? .signature(try P256.Signing.PrivateKey(rawRepresentation: scalar))
      : .staticDH(try P256.KeyAgreement.PrivateKey(rawRepresentation: scalar))
    switch naming {
    case .keyID, .claimsSet:
      let credential = try EDHOCCredential(
        point: key.point, keyID: generator.bytes(in: 0...3), subject: generator.oneIn(2) ? "a node" : nil)
      let identifier = naming == .keyID ? try #require(credential.byReference()) : credential.byValue
      return try EDHOCIdentity(credential, identifiedBy: identifier, key: key)
    case .x5t, .truncatedX5t, .x5chain:
      // What is in the certificate is the caller's business.
      let credential = try EDHOCCredential(certificate: generator.bytes(in: 1...300), point: key.point)
      let identifier =
        naming == .x5chain
        ? credential.byValue : try #require(credential.byReference(truncated: naming == .truncatedX5t))
      return try EDHOCIdentity(credential, identifiedBy: identifier, key: key)
    }
  }

  /// Padding, an item that is ignored and one that is critical and understood.
  static func ead(_ generator: inout SeededGenerator) -> [EDHOCEADItem] {
    let items = [
      EDHOCEADItem(label: 0, value: generator.oneIn(2) ? generator.bytes(in: 0...20) : nil),
      EDHOCEADItem(label: UInt64.random(in: 1...70_000, using: &generator), value: generator.bytes(in: 0...30)),
      EDHOCEADItem(label: 7, isCritical: true, value: generator.oneIn(2) ? [] : nil),
    ]
    return items.filter { _ in generator.oneIn(2) }
  }

  static func visible(_ items: [EDHOCEADItem]) -> [EDHOCEADItem] { items.filter { !$0.isPadding } }

  /// The whole session; `change` may alter each message on its way, by its number. What is not authenticated yet is
  /// looked at only if nothing is altered.
  mutating func run(
    change: ((Int, [UInt8]) -> [UInt8])? = nil
  ) throws -> (initiator: EDHOCSession, responder: EDHOCSession) {
    let isHonest = change == nil
    let change = change ?? { $1 }
    let message1 = try change(1, initiator.composeMessage1(ead: ead[0]))
    let received = try responder.processMessage1(message1)
    #expect(!isHonest || received.ead == Self.visible(ead[0]))
    let message2 = try change(
      2,
      responder.composeMessage2(
        identity: responderIdentity, connectionIdentifier: responderIdentifier, ephemeralKey: responderKey,
        ead: ead[1]))
    let responderClaim = try initiator.processMessage2(message2)
    #expect(!isHonest || responderClaim.identifier == responderIdentity.identifier)
    #expect(!isHonest || responderClaim.ead == Self.visible(ead[1]))
    try initiator.authenticate([initiatorIdentity.credential, responderIdentity.credential])
    #expect(initiator.peerConnectionIdentifier == responderIdentifier)
    let message3 = try change(3, initiator.composeMessage3(identity: initiatorIdentity, ead: ead[2]))
    let initiatorClaim = try responder.processMessage3(message3)
    #expect(initiatorClaim.identifier == initiatorIdentity.identifier)
    #expect(initiatorClaim.ead == Self.visible(ead[2]))
    try responder.authenticate([responderIdentity.credential, initiatorIdentity.credential])
    if profile.message4 != .unused {
      #expect((initiator.session == nil) == (profile.message4 == .required))
      #expect((responder.session == nil) == (profile.message4 == .required))
      let message4 = try change(4, responder.composeMessage4(ead: ead[3]))
      #expect(try initiator.processMessage4(message4) == Self.visible(ead[3]))
    }
    return (try #require(initiator.session), try #require(responder.session))
  }
}
