import Crypto
import Envelope
import Queue
import Wire

/// Who the relay is: its certificate and its signing key, and nothing that opens what is sealed.
///
/// There is no place here for a key-agreement key, so whatever the relay's program does, it cannot read a
/// confidential envelope, not even one that was sealed for the relay itself.
public struct RelayIdentity: Sendable {
  public let `public`: PublicIdentity
  /// Signs with the certificate's key. The key-agreement key in it belongs to nobody: it was made up at the
  /// start, and its public half is known to no one.
  private let signer: Identity

  public var address: Address { self.public.address }

  /// Signs what the relay says of itself.
  var signingKey: P256.Signing.PrivateKey { signer.signingKey }

  /// `nil` if the signing key is not the certificate's.
  public init?(_ identity: PublicIdentity, signingKey: P256.Signing.PrivateKey) {
    guard
      let signer = Identity(identity, signingKey: signingKey, agreementKey: P256.KeyAgreement.PrivateKey())
    else {
      return nil
    }
    self.public = identity
    self.signer = signer
  }

  /// Takes the certificate and the signing key of `identity` and leaves its key-agreement key.
  public init?(_ identity: Identity) { self.init(identity.public, signingKey: identity.signingKey) }

  /// A signed answer to the sender of an envelope: what became of it.
  ///
  /// - Parameters:
  ///   - envelope: what is answered.
  ///   - recipient: its sender.
  ///   - lifetime: seconds for which the answer is held.
  /// - Throws: ``EmitError`` if the answer cannot be written, which a drop reason's name never causes.
  func status(
    _ receipt: Receipt, of envelope: SignedEnvelope, to recipient: Address, sequence: UInt64, now: Instant,
    lifetime: UInt64
  ) throws(EmitError) -> SignedEnvelope {
    var generator = SystemRandomNumberGenerator()
    let draft = EnvelopeDraft(
      class: .authOnly, recipients: [EnvelopeDraft.Recipient(recipient)], sequence: sequence,
      issuedAt: UInt64(max(0, now.seconds)), lifetime: lifetime,
      extensions: EnvelopeExtensions(
        inReplyTo: envelope.header.sequence, answerHash: envelope.contentDigest.answerHash),
      content: SignedEnvelope.Content(format: ContentFormats.receipt, bytes: try receipt.cbor()))
    return try SignedEnvelope.make(draft, from: signer, using: &generator)
  }
}

extension Address {
  /// The address as the queues know it.
  var opaque: Bytes32 { Bytes32(bytes) ?? .zero }

  init?(_ opaque: Bytes32) { self.init(opaque.bytes) }

  /// Where a relay holds what is sent to this address.
  var mailbox: Mailbox { Mailbox(.mailbox, opaque) }
}

extension ContentDigest {
  /// The 16 bytes of the digest, and 16 zeros.
  var opaque: Bytes32 { (try? encoded()).flatMap { Bytes32($0 + [UInt8](repeating: 0, count: 16)) } ?? .zero }
}
