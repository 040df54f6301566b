import COSE
import Crypto
import Envelope
import OSCORE
import Wire

/// One EDHOC session in which we are the Initiator, from message_1 on.
///
/// All that follows from it follows from what is in it, so it may be kept, secret as it is, until message_2 comes: also
/// over the end of a process. It is used once: whoever has the outcome forgets the handshake.
public struct MemberHandshake: Sendable, Hashable {
  /// With whom: message_2 of anybody else is refused.
  public let peer: Address
  /// How the parties authenticate.
  public let method: EDHOCMethod
  /// The suite that is selected.
  public let suite: EDHOCCipherSuite
  /// C_I.
  public let connectionIdentifier: EDHOCConnectionIdentifier
  /// The ephemeral private key, 32 bytes.
  let ephemeralKey: [UInt8]

  private func initiator() throws(EDHOCFailure) -> EDHOCInitiator {
    guard let key = try? P256.KeyAgreement.PrivateKey(rawRepresentation: ephemeralKey) else {
      throw EDHOCFailure(.edhocEphemeralKeyInvalid)
    }
    do {
      return try EDHOCInitiator(
        profile: MemberContexts.profile, method: method, selecting: suite,
        connectionIdentifier: connectionIdentifier, ephemeralKey: key)
    } catch { throw EDHOCFailure(error.reason) }
  }

  /// message_1, the same each time.
  func message1() throws(EDHOCFailure) -> [UInt8] {
    var initiator = try initiator()
    return try initiator.composeMessage1()
  }

  /// Takes message_2 and gives message_3 and the keys. Throws ``DropReason/edhocCredentialUnknown`` if the Responder claims to
  /// be another than `peer`, and the reasons of ``EDHOCInitiator``.
  func finish(
    _ message2: [UInt8], with peer: Member, as identity: Identity, _ configuration: OSCORESecurityContext.Configuration
  ) throws(EDHOCFailure) -> (message3: [UInt8], context: OSCORESecurityContext) {
    var initiator = try initiator()
    _ = try initiator.composeMessage1()
    let claim = try initiator.processMessage2(message2)
    let candidates = MemberRoster([peer]).candidates(for: claim.identifier)
    try initiator.authenticate(candidates.map(\.credential))
    guard let own = identity.edhocIdentity(signs: method.initiatorSigns) else {
      throw EDHOCFailure(.edhocCredentialInvalid)
    }
    let message3 = try initiator.composeMessage3(identity: own)
    guard let context = initiator.session.flatMap({ OSCORESecurityContext($0, configuration) }) else {
      throw EDHOCFailure(.edhocConnectionIdentifierInvalid)
    }
    return (message3, context)
  }
}

extension MemberContexts {
  /// Begins to agree on keys with a member. Nothing is kept here: the old context stays until the new one is proven.
  mutating func begin(
    with peer: Address, method: EDHOCMethod, suite: EDHOCCipherSuite = .suite2
  ) throws(EDHOCFailure) -> MemberHandshake {
    guard let key = ephemeralKey() else { throw EDHOCFailure(.edhocEphemeralKeyInvalid) }
    return MemberHandshake(
      peer: peer, method: method, suite: suite, connectionIdentifier: freeIdentifier(),
      ephemeralKey: [UInt8](key.rawRepresentation))
  }
}

/// `[peer, method, suite, C_I, ephemeral key]`.
extension MemberHandshake: CBORItem {
  /// Throws ``DropReason/lengthMismatch`` for an address or a key of another length, and the reasons of ``CBORReader``.
  @_lifetime(reader: copy reader)
  public init(reading reader: inout CBORReader) throws(ParseError) {
    try reader.array(count: 5)
    let start = reader.error(.lengthMismatch)
    guard let peer = Address(try reader.bytes().array()) else { throw start }
    self.peer = peer
    method = EDHOCMethod(rawValue: try reader.integer())
    suite = EDHOCCipherSuite(rawValue: try reader.integer())
    connectionIdentifier = EDHOCConnectionIdentifier(try reader.bytes().array())
    ephemeralKey = try reader.bytes(count: 32).array()
  }

  public func write(to writer: inout CBORWriter) throws(EmitError) {
    writer.array(5)
    writer.bytes(peer.bytes)
    writer.integer(method.rawValue)
    writer.integer(suite.rawValue)
    writer.bytes(connectionIdentifier.bytes)
    writer.bytes(ephemeralKey)
  }
}

/// Says with whom; never a key.
extension MemberHandshake: CustomStringConvertible, CustomReflectable {
  public var description: String { "EDHOC with \(peer.short), \(connectionIdentifier)" }
  public var customMirror: Mirror { Mirror(self, children: []) }
}
