public import Crypto
import FoundationEssentials
import Wire

/// The Responder of one EDHOC session (RFC 9528, 5), as a value without input and output.
///
/// The steps, in this order: ``processMessage1(_:)``, ``composeMessage2(identity:connectionIdentifier:ephemeralKey:ead:)``,
/// ``processMessage3(_:)``, ``authenticate(_:)`` and, as the profile has it, ``composeMessage4(ead:)``. Then ``session``
/// holds the keys. A step out of order throws and changes nothing; a step that fails ends the session, and every later
/// one throws. A value is used for one session and not copied.
public struct EDHOCResponder: Sendable, CustomStringConvertible, CustomReflectable {
  private enum State {
    case start
    /// message_1 was accepted.
    case accepted(Accepted)
    /// message_2 was sent.
    case waiting3(Waiting3)
    /// message_3 was decrypted; its sender was not authenticated.
    case claimed(Waiting3, encodedPlaintext: [UInt8], EDHOCPlaintext3)
    /// The Initiator proved who it is, and message_4 is to be sent.
    case authenticated(EDHOCSession, EDHOCSealing)
    case completed(EDHOCSession)
    case failed
  }

  private struct Accepted {
    var encoded: [UInt8]
    var message: EDHOCMessage1
    var suite: EDHOCCipherSuite
    var peerKey: P256.KeyAgreement.PublicKey
  }

  private struct Waiting3 {
    var method: EDHOCMethod
    var suite: EDHOCCipherSuite
    var initiatorIdentifier: EDHOCConnectionIdentifier
    var responderIdentifier: EDHOCConnectionIdentifier
    var ephemeralKey: P256.KeyAgreement.PrivateKey
    var transcript: [UInt8]
    var prk3e2m: SymmetricKey
  }

  private let profile: EDHOCProfile
  private var state: State = .start

  /// A session with the methods and suites of `profile`.
  public init(profile: EDHOCProfile) { self.profile = profile }

  /// Takes in message_1: its EAD_1, without protection and here without its padding, may say whether to go on.
  ///
  /// Refuses other methods and, with the suites that are supported, a selected suite that is not supported or not the
  /// first supported one that the Initiator prefers (RFC 9528, 6.3).
  @discardableResult
  public mutating func processMessage1(_ bytes: [UInt8]) throws(EDHOCFailure) -> EDHOCMessage1 {
    guard case .start = state else { throw .outOfOrder }
    state = .failed
    var message: EDHOCMessage1 = try profile.parse(bytes, as: 1)
    guard message.method.isSupported, profile.methods.contains(message.method) else {
      throw .refused(.edhocMethodUnsupported, message: 1)
    }
    let suite = try negotiated(message.suites)
    guard let peerKey = P256.KeyAgreement.PublicKey(xCoordinate: message.ephemeralKey) else {
      throw .refused(.edhocEphemeralKeyInvalid, message: 1)
    }
    do throws(ParseError) { message.ead = try message.ead.checked(understood: profile.understoodEAD) } catch {
      throw .refused(error.reason, message: 1)
    }
    state = .accepted(Accepted(encoded: bytes, message: message, suite: suite, peerKey: peerKey))
    return message
  }

  private func negotiated(_ suites: [EDHOCCipherSuite]) throws(EDHOCFailure) -> EDHOCCipherSuite {
    let supported = profile.suites.filter(\.isSupported)
    let first = suites.first(where: supported.contains)
    guard let first, first == suites.last else {
      let offered = first.map { [$0] } ?? supported
      throw EDHOCFailure(
        .edhocSuiteUnsupported,
        reply: offered.isEmpty ? .unspecified("No cipher suite") : .wrongSelectedCipherSuite(offered))
    }
    return first
  }

  /// message_2, encoded, by which `identity` authenticates. EAD_2 can be read by whoever sent message_1.
  ///
  /// `ephemeralKey` is fresh for every session. The peer will address message_3 and OSCORE messages to
  /// `connectionIdentifier`, which must not be the Initiator's own; else
  /// ``DropReason/edhocConnectionIdentifierInvalid``. The key of `identity` must be of the kind that the method wants;
  /// else ``DropReason/edhocCredentialInvalid``.
  public mutating func composeMessage2(
    identity: EDHOCIdentity, connectionIdentifier: EDHOCConnectionIdentifier,
    ephemeralKey: P256.KeyAgreement.PrivateKey, ead: [EDHOCEADItem] = []
  ) throws(EDHOCFailure) -> [UInt8] {
    guard case .accepted(let accepted) = state else { throw .outOfOrder }
    state = .failed
    let (method, suite) = (accepted.message.method, accepted.suite)
    guard connectionIdentifier != accepted.message.connectionIdentifier else {
      throw .refused(.edhocConnectionIdentifierInvalid, message: 1)
    }
    guard let secret = try? ephemeralKey.sharedSecretFromKeyAgreement(with: accepted.peerKey) else {
      throw .refused(.edhocEphemeralKeyInvalid, message: 1)
    }
    let ownKey = ephemeralKey.publicKey.xCoordinate
    let transcript = EDHOCKeySchedule.transcript2(ephemeralKey: ownKey, message1: accepted.encoded)
    let prk2e = EDHOCKeySchedule.extract(salt: transcript, secret)
    var staticSecret: SharedSecret?
    if case .staticDH(let key) = identity.key {
      guard let shared = try? key.sharedSecretFromKeyAgreement(with: accepted.peerKey) else {
        throw .refused(.edhocEphemeralKeyInvalid, message: 1)
      }
      staticSecret = shared
    }
    let prk3e2m = EDHOCKeySchedule.mix(prk2e, salt: .salt3e2m, transcript: transcript, staticSecret)
    guard let headerMap = try? identity.identifier.headerMap(), let encodedEAD = try? ead.sequence() else {
      throw .refused(.edhocMalformed, message: 1)
    }
    let proof = EDHOCProof(
      label: .mac2, prk: prk3e2m, suite: suite, connectionIdentifier: connectionIdentifier.encoding,
      transcript: transcript, headerMap: headerMap, credential: identity.credential.encoded, ead: encodedEAD,
      signs: method.responderSigns)
    guard let signatureOrMAC = proof.make(with: identity.key) else {
      throw .refused(.edhocCredentialInvalid, message: 1)
    }
    let plaintext = EDHOCPlaintext2(
      connectionIdentifier: connectionIdentifier,
      proof: EDHOCPlaintext3(identifier: identity.identifier, signatureOrMAC: signatureOrMAC, ead: ead))
    guard let encoded = try? plaintext.encoded(),
      let ciphertext = EDHOCKeySchedule.applyKeystream2(encoded, key: prk2e, transcript: transcript),
      let message = try? EDHOCMessage2(ephemeralKey: ownKey, ciphertext: ciphertext).encoded()
    else { throw .refused(.tooLong, message: 1) }
    let transcript3 = EDHOCKeySchedule.transcript(
      after: transcript, plaintext: encoded, credential: identity.credential.encoded)
    state = .waiting3(
      Waiting3(
        method: method, suite: suite, initiatorIdentifier: accepted.message.connectionIdentifier,
        responderIdentifier: connectionIdentifier, ephemeralKey: ephemeralKey, transcript: transcript3,
        prk3e2m: prk3e2m))
    return message
  }

  /// Decrypts message_3, or takes in the error message that came in its place, and says who the Initiator claims to be.
  public mutating func processMessage3(_ bytes: [UInt8]) throws(EDHOCFailure) -> EDHOCPeerClaim {
    guard case .waiting3(let waiting) = state else { throw .outOfOrder }
    state = .failed
    let message: EDHOCMessage3 = try profile.parse(bytes, as: 3)
    let sealing = EDHOCSealing.message3(waiting.prk3e2m, transcript: waiting.transcript, suite: waiting.suite)
    guard let encoded = sealing.open(message.ciphertext) else { throw .refused(.edhocDecryptionFailed, message: 3) }
    do throws(ParseError) {
      let plaintext = try EDHOCPlaintext3(parsing: encoded)
      let ead = try plaintext.ead.checked(understood: profile.understoodEAD)
      state = .claimed(waiting, encodedPlaintext: encoded, plaintext)
      return EDHOCPeerClaim(identifier: plaintext.identifier, ead: ead)
    } catch { throw .refused(error.reason, message: 3) }
  }

  /// Verifies that the Initiator owns one of `candidates`, the trusted credentials that its claim may mean, and returns
  /// it. With no candidate the Initiator is to be told that its credential is unknown.
  @discardableResult
  public mutating func authenticate(_ candidates: [EDHOCCredential]) throws(EDHOCFailure) -> EDHOCCredential {
    guard case .claimed(let waiting, let encoded, let plaintext) = state else { throw .outOfOrder }
    state = .failed
    guard !candidates.isEmpty else { throw .refused(.edhocCredentialUnknown, message: 3) }
    for candidate in candidates {
      guard let prk4e3m = prk4e3m(waiting, candidate), isProof(plaintext, of: candidate, waiting, prk4e3m) else {
        continue
      }
      let transcript4 = EDHOCKeySchedule.transcript(
        after: waiting.transcript, plaintext: encoded, credential: candidate.encoded)
      let session = EDHOCSession(
        role: .responder, method: waiting.method, suite: waiting.suite,
        initiatorIdentifier: waiting.initiatorIdentifier, responderIdentifier: waiting.responderIdentifier,
        peer: candidate, prk4e3m: prk4e3m, transcript4: transcript4)
      state =
        profile.message4 == .unused
        ? .completed(session)
        : .authenticated(session, EDHOCSealing.message4(prk4e3m, transcript: transcript4, suite: waiting.suite))
      return candidate
    }
    throw .refused(.edhocAuthenticationFailed, message: 3)
  }

  private func prk4e3m(_ waiting: Waiting3, _ candidate: EDHOCCredential) -> SymmetricKey? {
    guard !waiting.method.initiatorSigns else { return waiting.prk3e2m }
    guard let key = candidate.agreementKey,
      let secret = try? waiting.ephemeralKey.sharedSecretFromKeyAgreement(with: key)
    else { return nil }
    return EDHOCKeySchedule.mix(waiting.prk3e2m, salt: .salt4e3m, transcript: waiting.transcript, secret)
  }

  private func isProof(
    _ sent: EDHOCPlaintext3, of candidate: EDHOCCredential, _ waiting: Waiting3, _ prk4e3m: SymmetricKey
  ) -> Bool {
    guard let headerMap = try? sent.identifier.headerMap(), let ead = try? sent.ead.sequence() else { return false }
    let proof = EDHOCProof(
      label: .mac3, prk: prk4e3m, suite: waiting.suite, connectionIdentifier: [], transcript: waiting.transcript,
      headerMap: headerMap, credential: candidate.encoded, ead: ead, signs: waiting.method.initiatorSigns)
    return proof.isValid(sent.signatureOrMAC, from: candidate)
  }

  /// message_4, encoded, by which the Initiator knows that the keys agree. EAD_4 is protected.
  public mutating func composeMessage4(ead: [EDHOCEADItem] = []) throws(EDHOCFailure) -> [UInt8] {
    guard case .authenticated(let session, let sealing) = state else { throw .outOfOrder }
    state = .failed
    guard let encoded = try? EDHOCPlaintext4(ead: ead).encoded(), let ciphertext = sealing.seal(encoded),
      let message = try? EDHOCMessage4(ciphertext: ciphertext).encoded()
    else { throw .refused(.edhocMalformed, message: 3) }
    state = .completed(session)
    return message
  }

  /// The keys, once the last step was done, or the last that is required.
  public var session: EDHOCSession? {
    switch state {
    case .completed(let session): session
    case .authenticated(let session, _) where profile.message4 == .optional: session
    default: nil
    }
  }

  /// C_R, once message_2 was sent: what an incoming message_3 is to be recognised by.
  public var connectionIdentifier: EDHOCConnectionIdentifier? {
    switch state {
    case .waiting3(let waiting), .claimed(let waiting, _, _): waiting.responderIdentifier
    case .authenticated(let session, _), .completed(let session): session.responderIdentifier
    case .start, .accepted, .failed: nil
    }
  }

  /// Whether a step failed, so that nothing can follow.
  public var hasFailed: Bool { if case .failed = state { true } else { false } }

  public var description: String { "EDHOC Responder \(connectionIdentifier?.description ?? "")" }
  public var customMirror: Mirror { Mirror(self, children: []) }
}
