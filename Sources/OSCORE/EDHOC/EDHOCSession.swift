import COSE
import Crypto
public import Wire

/// Which of the two parties an endpoint is. Either may be the CoAP client.
public enum EDHOCRole: Sendable, Hashable {
  case initiator
  case responder
}

/// What a completed EDHOC session leaves: keys for the application (RFC 9528, 4.2).
///
/// Nothing here says that the peer may do anything: the caller trusts ``peer`` or does not.
public struct EDHOCSession: Sendable, CustomStringConvertible, CustomReflectable {
  public let role: EDHOCRole
  public let method: EDHOCMethod
  public let suite: EDHOCCipherSuite
  /// C_I.
  public let initiatorIdentifier: EDHOCConnectionIdentifier
  /// C_R.
  public let responderIdentifier: EDHOCConnectionIdentifier
  /// The credential that the peer proved to own.
  public let peer: EDHOCCredential
  private var prkOut: SymmetricKey

  init(
    role: EDHOCRole, method: EDHOCMethod, suite: EDHOCCipherSuite, initiatorIdentifier: EDHOCConnectionIdentifier,
    responderIdentifier: EDHOCConnectionIdentifier, peer: EDHOCCredential, prk4e3m: SymmetricKey, transcript4: [UInt8]
  ) {
    self.role = role
    self.method = method
    self.suite = suite
    self.initiatorIdentifier = initiatorIdentifier
    self.responderIdentifier = responderIdentifier
    self.peer = peer
    prkOut = EDHOCKeySchedule.key(prk4e3m, .prkOut, context: transcript4)
  }

  /// EDHOC_Exporter (RFC 9528, 4.2.1): `length` bytes for one purpose, named by `label` (IANA "EDHOC Exporter Labels") and
  /// `context`. Throws ``EmitError/notRepresentable`` for a negative length and one over 8,160.
  public func export(label: UInt64, context: [UInt8] = [], length: Int) throws(EmitError) -> [UInt8] {
    guard (0...EDHOCKeySchedule.maximumOutputLength).contains(length) else { throw .notRepresentable }
    let prkExporter = EDHOCKeySchedule.key(prkOut, .prkExporter, context: [])
    return EDHOCKeySchedule.kdf(prkExporter, label, context: context, length: length)
  }

  /// EDHOC_KeyUpdate (RFC 9528, appendix H): forgets the key and goes on with one derived from it and from `context`, on
  /// which both parties agree.
  public mutating func updateKey(context: [UInt8]) {
    prkOut = EDHOCKeySchedule.key(prkOut, .keyUpdate, context: context)
  }

  /// The parameters of an OSCORE security context (RFC 9528, appendix A.1).
  ///
  /// Throws ``DropReason/edhocConnectionIdentifierInvalid`` for identifiers that OSCORE cannot use.
  public func oscoreParameters() throws(ParseError) -> EDHOCOSCOREParameters {
    let (initiator, responder) = (initiatorIdentifier.bytes, responderIdentifier.bytes)
    guard initiator != responder,
      max(initiator.count, responder.count) <= EDHOCConnectionIdentifier.maximumOSCORELength,
      let secret = try? export(label: 0, length: AESCCM.keyLength), let salt = try? export(label: 1, length: 8)
    else { throw ParseError(.edhocConnectionIdentifierInvalid) }
    return EDHOCOSCOREParameters(
      masterSecret: secret, masterSalt: salt, senderID: role == .initiator ? responder : initiator,
      recipientID: role == .initiator ? initiator : responder)
  }

  public var description: String { "EDHOC session \(initiatorIdentifier), \(responderIdentifier)" }
  public var customMirror: Mirror { Mirror(self, children: []) }
}

/// What RFC 8613, 3.2 wants for a security context with AES-CCM-16-64-128 and HKDF with SHA-256, without an ID Context.
///
/// The identifiers depend on who was the Initiator and not on who is the CoAP client: each party receives under the
/// identifier that it chose.
public struct EDHOCOSCOREParameters: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
  /// 16 bytes.
  public var masterSecret: [UInt8]
  /// 8 bytes.
  public var masterSalt: [UInt8]
  public var senderID: [UInt8]
  public var recipientID: [UInt8]

  public init(masterSecret: [UInt8], masterSalt: [UInt8], senderID: [UInt8], recipientID: [UInt8]) {
    self.masterSecret = masterSecret
    self.masterSalt = masterSalt
    self.senderID = senderID
    self.recipientID = recipientID
  }

  public var description: String { "OSCORE parameters, sender \(senderID.hex), recipient \(recipientID.hex)" }
  public var customMirror: Mirror {
    Mirror(self, children: ["senderID": senderID, "recipientID": recipientID])
  }
}
