public import Crypto
import FoundationEssentials
public import Wire

/// The Initiator of one EDHOC session (RFC 9528, 5), as a value without input and output.
///
/// The steps, in this order: ``composeMessage1(ead:)``, ``processMessage2(_:)``, ``authenticate(_:)``,
/// ``composeMessage3(identity:ead:)`` and, as the profile has it, ``processMessage4(_:)``. Then ``session`` holds the
/// keys. A step out of order throws and changes nothing; a step that fails ends the session, and every later one throws.
/// A value is used for one session and not copied: two message_3 from one state would share key and nonce.
public struct EDHOCInitiator: Sendable, CustomStringConvertible, CustomReflectable {
  private enum State {
    case start
    /// message_1 was sent.
    case waiting2(message1: [UInt8])
    /// message_2 was decrypted, and nothing of it was authenticated.
    case claimed(Claimed)
    /// The Responder proved who it is.
    case authenticated(Authenticated)
    /// message_3 was sent and message_4 is awaited.
    case waiting4(EDHOCSession, EDHOCSealing)
    case completed(EDHOCSession)
    case failed
  }

  private struct Claimed {
    var ephemeralKey: P256.KeyAgreement.PublicKey
    var transcript: [UInt8]
    var prk2e: SymmetricKey
    var encodedPlaintext: [UInt8]
    var plaintext: EDHOCPlaintext2
  }

  private struct Authenticated {
    var ephemeralKey: P256.KeyAgreement.PublicKey
    var connectionIdentifier: EDHOCConnectionIdentifier
    var peer: EDHOCCredential
    var transcript: [UInt8]
    var prk3e2m: SymmetricKey
  }

  public let method: EDHOCMethod
  public let suite: EDHOCCipherSuite
  /// C_I.
  public let connectionIdentifier: EDHOCConnectionIdentifier
  /// C_R as message_2 has it: what goes before message_3 in a CoAP request, and before the error message that stands in its
  /// place. It is the Responder's only after ``authenticate(_:)``.
  public private(set) var peerConnectionIdentifier: EDHOCConnectionIdentifier?
  private let profile: EDHOCProfile
  private let ephemeralKey: P256.KeyAgreement.PrivateKey
  private var state: State = .start

  /// A session with `method` and the suite `selecting` of the profile's.
  ///
  /// `ephemeralKey` is fresh for every session, also for the second attempt after the Responder wanted another suite.
  /// The peer will address OSCORE messages to `connectionIdentifier`. Throws ``DropReason/edhocMethodUnsupported`` and
  /// ``DropReason/edhocSuiteUnsupported``.
  public init(
    profile: EDHOCProfile, method: EDHOCMethod = .staticDH, selecting suite: EDHOCCipherSuite = .suite2,
    connectionIdentifier: EDHOCConnectionIdentifier, ephemeralKey: P256.KeyAgreement.PrivateKey
  ) throws(ParseError) {
    guard method.isSupported else { throw ParseError(.edhocMethodUnsupported) }
    guard suite.isSupported, profile.suites.contains(suite) else { throw ParseError(.edhocSuiteUnsupported) }
    self.profile = profile
    self.method = method
    self.suite = suite
    self.connectionIdentifier = connectionIdentifier
    self.ephemeralKey = ephemeralKey
  }

  /// message_1, encoded. EAD_1 is not protected.
  public mutating func composeMessage1(ead: [EDHOCEADItem] = []) throws(EDHOCFailure) -> [UInt8] {
    guard case .start = state else { throw .outOfOrder }
    state = .failed
    // All that is preferred to the selected suite is named, whatever an error message said (RFC 9528, 5.2.2).
    let suites = profile.suites.prefix { $0 != suite } + [suite]
    let message = EDHOCMessage1(
      method: method, suites: [EDHOCCipherSuite](suites), ephemeralKey: ephemeralKey.publicKey.xCoordinate,
      connectionIdentifier: connectionIdentifier, ead: ead)
    guard let encoded = try? message.encoded() else { throw EDHOCFailure(.edhocMalformed) }
    state = .waiting2(message1: encoded)
    return encoded
  }

  /// Decrypts message_2, or takes in the error message that came in its place, and says who the Responder claims to be.
  /// Nothing is authenticated before ``authenticate(_:)``.
  public mutating func processMessage2(_ bytes: [UInt8]) throws(EDHOCFailure) -> EDHOCPeerClaim {
    guard case .waiting2(let message1) = state else { throw .outOfOrder }
    state = .failed
    let message: EDHOCMessage2 = try profile.parse(bytes, as: 2)
    guard let peerKey = P256.KeyAgreement.PublicKey(xCoordinate: message.ephemeralKey),
      let secret = try? ephemeralKey.sharedSecretFromKeyAgreement(with: peerKey)
    else { throw .refused(.edhocEphemeralKeyInvalid, message: 2) }
    let transcript = EDHOCKeySchedule.transcript2(ephemeralKey: message.ephemeralKey, message1: message1)
    let prk2e = EDHOCKeySchedule.extract(salt: transcript, secret)
    guard
      let encoded = EDHOCKeySchedule.applyKeystream2(message.ciphertext, key: prk2e, transcript: transcript)
    else { throw .refused(.tooLong, message: 2) }
    do throws(ParseError) {
      let plaintext = try EDHOCPlaintext2(parsing: encoded)
      peerConnectionIdentifier = plaintext.connectionIdentifier
      guard plaintext.connectionIdentifier != connectionIdentifier else {
        throw ParseError(.edhocConnectionIdentifierInvalid)
      }
      let ead = try plaintext.proof.ead.checked(understood: profile.understoodEAD)
      state = .claimed(
        Claimed(
          ephemeralKey: peerKey, transcript: transcript, prk2e: prk2e, encodedPlaintext: encoded, plaintext: plaintext))
      return EDHOCPeerClaim(identifier: plaintext.proof.identifier, ead: ead)
    } catch { throw .refused(error.reason, message: 2) }
  }

  /// Verifies that the Responder owns one of `candidates`, the trusted credentials that its claim may mean, and returns
  /// it. With no candidate the Responder is told that its credential is unknown.
  @discardableResult
  public mutating func authenticate(_ candidates: [EDHOCCredential]) throws(EDHOCFailure) -> EDHOCCredential {
    guard case .claimed(let claimed) = state else { throw .outOfOrder }
    state = .failed
    guard !candidates.isEmpty else { throw .refused(.edhocCredentialUnknown, message: 2) }
    for candidate in candidates {
      guard let prk3e2m = prk3e2m(claimed, candidate), isProof(of: candidate, claimed, prk3e2m) else { continue }
      let transcript = EDHOCKeySchedule.transcript(
        after: claimed.transcript, plaintext: claimed.encodedPlaintext, credential: candidate.encoded)
      state = .authenticated(
        Authenticated(
          ephemeralKey: claimed.ephemeralKey, connectionIdentifier: claimed.plaintext.connectionIdentifier,
          peer: candidate, transcript: transcript, prk3e2m: prk3e2m))
      return candidate
    }
    throw .refused(.edhocAuthenticationFailed, message: 2)
  }

  private func prk3e2m(_ claimed: Claimed, _ candidate: EDHOCCredential) -> SymmetricKey? {
    guard !method.responderSigns else { return claimed.prk2e }
    guard let key = candidate.agreementKey,
      let secret = try? ephemeralKey.sharedSecretFromKeyAgreement(with: key)
    else { return nil }
    return EDHOCKeySchedule.mix(claimed.prk2e, salt: .salt3e2m, transcript: claimed.transcript, secret)
  }

  private func isProof(of candidate: EDHOCCredential, _ claimed: Claimed, _ prk3e2m: SymmetricKey) -> Bool {
    let sent = claimed.plaintext.proof
    guard let headerMap = try? sent.identifier.headerMap(), let ead = try? sent.ead.sequence() else { return false }
    let proof = EDHOCProof(
      label: .mac2, prk: prk3e2m, suite: suite,
      connectionIdentifier: claimed.plaintext.connectionIdentifier.encoding, transcript: claimed.transcript,
      headerMap: headerMap, credential: candidate.encoded, ead: ead, signs: method.responderSigns)
    return proof.isValid(sent.signatureOrMAC, from: candidate)
  }

  /// message_3, encoded, by which `identity` authenticates. Its key must be of the kind that the method wants; else
  /// ``DropReason/edhocCredentialInvalid``. EAD_3 is protected.
  public mutating func composeMessage3(
    identity: EDHOCIdentity, ead: [EDHOCEADItem] = []
  ) throws(EDHOCFailure) -> [UInt8] {
    guard case .authenticated(let peer) = state else { throw .outOfOrder }
    state = .failed
    var secret: SharedSecret?
    if case .staticDH(let key) = identity.key {
      guard let shared = try? key.sharedSecretFromKeyAgreement(with: peer.ephemeralKey) else {
        throw EDHOCFailure(.edhocCredentialInvalid)
      }
      secret = shared
    }
    let prk4e3m = EDHOCKeySchedule.mix(peer.prk3e2m, salt: .salt4e3m, transcript: peer.transcript, secret)
    guard let headerMap = try? identity.identifier.headerMap(), let encodedEAD = try? ead.sequence() else {
      throw EDHOCFailure(.edhocMalformed)
    }
    let proof = EDHOCProof(
      label: .mac3, prk: prk4e3m, suite: suite, connectionIdentifier: [], transcript: peer.transcript,
      headerMap: headerMap, credential: identity.credential.encoded, ead: encodedEAD, signs: method.initiatorSigns)
    guard let signatureOrMAC = proof.make(with: identity.key) else { throw EDHOCFailure(.edhocCredentialInvalid) }
    let plaintext = EDHOCPlaintext3(identifier: identity.identifier, signatureOrMAC: signatureOrMAC, ead: ead)
    guard let encoded = try? plaintext.encoded(),
      let ciphertext = EDHOCSealing.message3(peer.prk3e2m, transcript: peer.transcript, suite: suite).seal(encoded),
      let message = try? EDHOCMessage3(ciphertext: ciphertext).encoded()
    else { throw EDHOCFailure(.edhocMalformed) }
    let transcript4 = EDHOCKeySchedule.transcript(
      after: peer.transcript, plaintext: encoded, credential: identity.credential.encoded)
    let session = EDHOCSession(
      role: .initiator, method: method, suite: suite, initiatorIdentifier: connectionIdentifier,
      responderIdentifier: peer.connectionIdentifier, peer: peer.peer, prk4e3m: prk4e3m, transcript4: transcript4)
    state =
      profile.message4 == .unused
      ? .completed(session)
      : .waiting4(session, EDHOCSealing.message4(prk4e3m, transcript: transcript4, suite: suite))
    return message
  }

  /// Verifies message_4, or takes in the error message that came in its place, and returns EAD_4 without its padding.
  @discardableResult
  public mutating func processMessage4(_ bytes: [UInt8]) throws(EDHOCFailure) -> [EDHOCEADItem] {
    guard case .waiting4(let session, let sealing) = state else { throw .outOfOrder }
    state = .failed
    let message: EDHOCMessage4 = try profile.parse(bytes, as: 4)
    guard let encoded = sealing.open(message.ciphertext) else { throw .refused(.edhocDecryptionFailed, message: 4) }
    do throws(ParseError) {
      let ead = try EDHOCPlaintext4(parsing: encoded).ead.checked(understood: profile.understoodEAD)
      state = .completed(session)
      return ead
    } catch { throw .refused(error.reason, message: 4) }
  }

  /// The keys, once the last step was done, or the last that is required.
  public var session: EDHOCSession? {
    switch state {
    case .completed(let session): session
    case .waiting4(let session, _) where profile.message4 == .optional: session
    default: nil
    }
  }

  /// Whether a step failed, so that nothing can follow.
  public var hasFailed: Bool { if case .failed = state { true } else { false } }

  public var description: String { "EDHOC Initiator \(connectionIdentifier)" }
  public var customMirror: Mirror { Mirror(self, children: []) }
}

extension P256.KeyAgreement.PublicKey {
  /// The x-coordinate, 32 bytes: G_X or G_Y.
  var xCoordinate: [UInt8] { [UInt8](rawRepresentation.prefix(EDHOCMessage2.ephemeralKeyLength)) }

  /// A point with this x-coordinate; `nil` if there is none on the curve. Which of the two it is does not matter: the
  /// shared secret is an x-coordinate too (RFC 9528, appendix B).
  init?(xCoordinate: [UInt8]) {
    guard xCoordinate.count == EDHOCMessage2.ephemeralKeyLength,
      let key = try? P256.KeyAgreement.PublicKey(compressedRepresentation: [2] + xCoordinate)
    else { return nil }
    self = key
  }
}
