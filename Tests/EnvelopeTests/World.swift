import COSE
import Crypto
import Envelope
import TestSupport
import Wire

/// Some identities, with the same keys in every run, and what they say.
struct World {
  static let now: UInt64 = 1_767_225_600
  // Made once: a certificate's signature, and with it the address, is another one each time.
  private static let identities = ["sender", "reader", "other", "oracle"].enumerated().map {
    World.identity($1, seed: UInt64($0))
  }

  let sender = World.identities[0]
  let reader = World.identities[1]
  let other = World.identities[2]
  let oracle = World.identities[3]

  static func identity(_ name: String, seed: UInt64) -> Identity {
    var random = SeededGenerator(seed: seed)
    guard
      let identity = try? Identity.new(name: name, validFrom: Instant(seconds: Int64(now)), using: &random)
    else {
      preconditionFailure("no identity from seed \(seed)")
    }
    return identity
  }

  static func recipient(_ identity: Identity) -> EnvelopeDraft.Recipient {
    EnvelopeDraft.Recipient(identity.address, agreementKey: identity.agreementKey.publicKey)
  }

  func draft(
    _ envelopeClass: EnvelopeClass, to recipients: [Identity]? = nil, form: EnvelopeDraft.AddressForm = .full,
    content: SignedEnvelope.Content = SignedEnvelope.Content(format: 112, bytes: Array("ten bytes.".utf8))
  ) -> EnvelopeDraft {
    EnvelopeDraft(
      class: envelopeClass, recipients: (recipients ?? [reader]).map(World.recipient), sequence: 7,
      issuedAt: World.now, lifetime: 3600, content: content, addressForm: form)
  }

  func make(_ draft: EnvelopeDraft, from identity: Identity? = nil) throws -> SignedEnvelope {
    var random = SystemRandomNumberGenerator()
    return try SignedEnvelope.make(draft, from: identity ?? sender, using: &random)
  }

  /// An envelope of any protected header and payload, well signed by ``sender``.
  func signed(_ protected: CBORValue, _ payload: [UInt8]) throws -> [UInt8] {
    try signed(protected: protected.encoded(), payload)
  }

  func signed(protected: [UInt8], _ payload: [UInt8]) throws -> [UInt8] {
    let digest = COSESign1.digest(protected: protected.rawSpan, payload: payload.rawSpan)
    let signature = [UInt8](try sender.signingKey.signature(for: digest).rawRepresentation)
    return try World.envelope(protected: protected, payload: payload, signature: signature)
  }

  static func envelope(
    protected: [UInt8], unprotected: CBORValue = [:], payload: [UInt8], signature: [UInt8]
  ) throws -> [UInt8] {
    try CBORValue.tag(18, .array([.bytes(protected), unprotected, .bytes(payload), .bytes(signature)]))
      .encoded()
  }

  /// The protected header of an envelope to ``reader``, as a value that tests change.
  func header(_ envelopeClass: UInt64 = 1, changed: [Int64: CBORValue?] = [:]) -> CBORValue {
    var pairs: [Int64: CBORValue] = [
      1: -7, 3: 112, 34: [-16, .bytes(sender.address.bytes)], -65537: block(envelopeClass),
    ]
    for (label, value) in changed { pairs[label] = value }
    return .map(pairs.map { CBORPair(.integer($0.key), $0.value) })
  }

  func block(_ envelopeClass: UInt64 = 1, changed: [Int: CBORValue] = [:], more: [CBORValue] = [])
    -> CBORValue
  {
    var items: [CBORValue] = [
      .unsigned(envelopeClass), [.bytes(reader.address.bytes)], 7, .unsigned(World.now), 3600, 0,
    ]
    for (index, value) in changed { items[index] = value }
    return .array(items + more)
  }
}

/// The reason for which `body` throws, or `nil`.
func reason(_ body: () throws -> Void) -> DropReason? {
  do {
    try body()
    return nil
  } catch let error as ParseError { return error.reason } catch { return nil }
}
