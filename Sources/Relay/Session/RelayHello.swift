import COSE
import Crypto
import Envelope
import Wire

/// What a relay says first: the answer to `GET /hello`, a COSE_Sign1 of the relay (Docs/envelope.cddl, `hello`).
///
/// The certificate in it is no authority: the client compares its SHA-256 with the address that its peer record names.
public struct RelayHello: Hashable, Sendable {
  /// What the client signs, once: 16 random bytes.
  public var nonce: [UInt8]
  /// The relay's certificate in DER.
  public var certificate: [UInt8]
  /// The relay's clock, in seconds since 1970.
  public var time: UInt64
  /// Bytes of an envelope that the relay takes.
  public var envelopeSize: UInt64
  /// Envelopes that it delivers before the first is answered.
  public var window: UInt64

  /// Bytes of a nonce.
  public static let nonceLength = 16

  public init(nonce: [UInt8], certificate: [UInt8], time: UInt64, envelopeSize: UInt64, window: UInt64) {
    self.nonce = nonce
    self.certificate = certificate
    self.time = time
    self.envelopeSize = envelopeSize
    self.window = window
  }

  /// The signed message. Throws ``EmitError``.
  public func signed(with identity: RelayIdentity) throws(EmitError) -> [UInt8] {
    var writer = CBORWriter()
    writer.map(5)
    writer.unsigned(1)
    writer.bytes(nonce)
    writer.unsigned(2)
    writer.bytes(certificate)
    writer.unsigned(3)
    writer.unsigned(time)
    writer.unsigned(4)
    writer.unsigned(envelopeSize)
    writer.unsigned(5)
    writer.unsigned(window)
    return try SessionSignature.sign(writer.bytes, from: identity.address, with: identity.signingKey)
  }

  /// Reads a signed message and checks that it is from `relay`.
  ///
  /// Throws ``DropReason/envelopeSenderUnknown`` if it is from another, ``DropReason/coseSignatureInvalid``,
  /// ``DropReason/envelopeStructure`` and the reasons of CBOR and COSE.
  public init(verifying bytes: [UInt8], from relay: Address) throws(ParseError) {
    let view = try COSESign1View(bytes.rawSpan)
    guard try SessionSignature.sender(of: view) == relay else { throw ParseError(.envelopeSenderUnknown) }
    var reader = CBORReader(view.payload)
    var fields = SessionFields()
    try fields.read(&reader)
    guard let nonce = fields.bytes[1], nonce.count == RelayHello.nonceLength, let certificate = fields.bytes[2],
      let time = fields.numbers[3], let size = fields.numbers[4], let window = fields.numbers[5]
    else { throw ParseError(.envelopeStructure) }
    let identity = try PublicIdentity(certificate: certificate)
    guard identity.address == relay else { throw ParseError(.envelopeSenderUnknown) }
    try view.verify(with: identity.signingKey)
    self.init(nonce: nonce, certificate: certificate, time: time, envelopeSize: size, window: window)
  }
}

/// What a client asks for: the body of `POST /session`, a COSE_Sign1 of the client (Docs/envelope.cddl, `session`).
public struct SessionRequest: Hashable, Sendable {
  public var client: Address
  /// The nonce of the relay's hello on this connection.
  public var nonce: [UInt8]
  /// The relay it is meant for, so that no other can use it.
  public var relay: Address
  /// The nodes whose mailboxes a gateway wants served besides its own.
  public var serving: [Address]

  public init(client: Address, nonce: [UInt8], relay: Address, serving: [Address]) {
    self.client = client
    self.nonce = nonce
    self.relay = relay
    self.serving = serving
  }

  /// The signed message. Throws ``EmitError``.
  public func signed(with identity: Identity) throws(EmitError) -> [UInt8] {
    var writer = CBORWriter()
    writer.map(3)
    writer.unsigned(1)
    writer.bytes(nonce)
    writer.unsigned(2)
    writer.bytes(relay.bytes)
    writer.unsigned(3)
    writer.array(serving.count)
    for address in serving { writer.bytes(address.bytes) }
    return try SessionSignature.sign(writer.bytes, from: identity.address, with: identity.signingKey)
  }

  /// Reads a signed message; `key` finds the key of a client, or throws why there is none.
  ///
  /// Throws what `key` throws, ``DropReason/coseSignatureInvalid``, ``DropReason/envelopeStructure`` and the reasons of CBOR
  /// and COSE.
  public init(
    verifying bytes: [UInt8], key: (Address) throws(ParseError) -> P256.Signing.PublicKey
  ) throws(ParseError) {
    let view = try COSESign1View(bytes.rawSpan)
    let client = try SessionSignature.sender(of: view)
    try view.verify(with: try key(client))
    var reader = CBORReader(view.payload)
    var fields = SessionFields()
    try fields.read(&reader)
    guard let nonce = fields.bytes[1], let relay = fields.bytes[2].flatMap(Address.init),
      let serving = fields.addresses[3]
    else { throw ParseError(.envelopeStructure) }
    self.init(client: client, nonce: nonce, relay: relay, serving: serving)
  }
}

/// How a session does: the answer to `GET /session` (Docs/envelope.cddl, `session-state`).
public struct SessionState: Hashable, Sendable {
  /// Envelopes that the relay holds for the mailboxes of the session, those on their way included.
  public var held: UInt64

  public init(held: UInt64) { self.held = held }

  /// Throws ``DropReason/envelopeStructure`` and the reasons of CBOR.
  public init(parsing bytes: [UInt8]) throws(ParseError) {
    var reader = CBORReader(bytes.rawSpan)
    var fields = SessionFields()
    try fields.read(&reader)
    guard let held = fields.numbers[1] else { throw ParseError(.envelopeStructure) }
    self.held = held
  }

  public var encoded: [UInt8] {
    var writer = CBORWriter()
    writer.map(1)
    writer.unsigned(1)
    writer.unsigned(held)
    return writer.bytes
  }
}

/// The fields of both messages, by key.
private struct SessionFields {
  var bytes: [UInt64: [UInt8]] = [:]
  var numbers: [UInt64: UInt64] = [:]
  var addresses: [UInt64: [Address]] = [:]

  mutating func read(_ reader: inout CBORReader) throws(ParseError) {
    var map = try reader.map()
    while try reader.nextKey(in: &map) {
      let position = reader.error(.envelopeStructure)
      let key = try reader.unsigned()
      switch try reader.peekKind() {
      case .bytes: bytes[key] = try reader.bytes().array()
      case .unsigned: numbers[key] = try reader.unsigned()
      case .array:
        var list: [Address] = []
        for _ in 0..<(try reader.array()) {
          guard let address = Address(try reader.bytes().array()) else { throw position }
          list.append(address)
        }
        addresses[key] = list
      default: throw position
      }
    }
    try reader.expectEnd()
  }
}

/// The COSE around both messages: protected header {1: -7, 34: [-16, address]}.
enum SessionSignature {
  private static let thumbprint: UInt64 = 34

  static func sign(
    _ payload: [UInt8], from sender: Address, with key: P256.Signing.PrivateKey
  ) throws(EmitError) -> [UInt8] {
    let headers = try COSEHeaders(protected: [1: -7, 34: [-16, .bytes(sender.bytes)]])
    return try COSESign1(signing: payload, headers: headers, with: key).encoded()
  }

  static func sender(of view: borrowing COSESign1View) throws(ParseError) -> Address {
    var reader = view.protectedReader
    var map = try reader.map()
    while try reader.nextKey(in: &map) {
      guard try reader.peekKind() == .unsigned, try reader.unsigned() == thumbprint else {
        try reader.skip()
        continue
      }
      try reader.array(count: 2)
      guard try reader.integer() == -16, let address = Address(try reader.bytes().array()) else {
        throw reader.error(.envelopeStructure)
      }
      return address
    }
    throw reader.error(.coseHeaderMissing)
  }
}
