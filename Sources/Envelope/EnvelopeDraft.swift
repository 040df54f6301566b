import COSE
import Crypto
import Wire

/// An envelope to be written: what to say, to whom, and how.
public struct EnvelopeDraft: Sendable {
  /// How the parties are named.
  public enum AddressForm: Sendable, Hashable {
    /// By whole addresses: to and from relays.
    case full
    /// By the first 8 bytes: on the PAN, inside one group.
    case short
  }

  /// Someone to send to.
  public struct Recipient: Sendable {
    public var address: Address
    /// Needed for confidential envelopes only.
    public var agreementKey: P256.KeyAgreement.PublicKey?

    public init(_ address: Address, agreementKey: P256.KeyAgreement.PublicKey? = nil) {
      self.address = address
      self.agreementKey = agreementKey
    }

    public init(_ member: Member) { self.init(member.address, agreementKey: member.agreementKey) }
  }

  public var `class`: EnvelopeClass
  /// 1...32.
  public var recipients: [Recipient]
  /// Higher than all before from this sender, also after a restart.
  public var sequence: UInt64
  /// Seconds since 1970, or `nil` without a clock.
  public var issuedAt: UInt64?
  /// Seconds.
  public var lifetime: UInt64
  public var flags: EnvelopeFlags
  public var extensions: EnvelopeExtensions
  public var content: SignedEnvelope.Content
  public var addressForm: AddressForm

  public init(
    class: EnvelopeClass, recipients: [Recipient], sequence: UInt64, issuedAt: UInt64?, lifetime: UInt64,
    flags: EnvelopeFlags = [], extensions: EnvelopeExtensions = EnvelopeExtensions(),
    content: SignedEnvelope.Content, addressForm: AddressForm = .full
  ) {
    self.class = `class`
    self.recipients = recipients
    self.sequence = sequence
    self.issuedAt = issuedAt
    self.lifetime = lifetime
    self.flags = flags
    self.extensions = extensions
    self.content = content
    self.addressForm = addressForm
  }

  /// The header it gets. The content format of a confidential envelope goes inside.
  func header(from sender: Address) -> EnvelopeHeader {
    func reference(_ address: Address) -> AddressReference {
      addressForm == .full ? .full(address) : .short(address.short)
    }
    return EnvelopeHeader(
      contentFormat: `class` == .confidential ? nil : content.format, sender: reference(sender),
      class: `class`,
      recipients: recipients.map { reference($0.address) }, sequence: sequence, issuedAt: issuedAt,
      lifetime: lifetime, flags: flags, extensions: extensions)
  }
}

extension SignedEnvelope {
  /// Writes, seals and signs an envelope.
  ///
  /// A confidential one is sealed by HPKE-0 for one recipient, by A128GCM and HPKE-0-KE for several. `generator` makes
  /// the content key of the latter: hand in one that is fit for keys, as `SystemRandomNumberGenerator` is.
  ///
  /// Throws ``EmitError/notRepresentable`` for no or too many recipients, a recipient without a key-agreement key in a
  /// confidential envelope, a challenge of a wrong length, and more than `maximumSize` bytes.
  public static func make(
    _ draft: EnvelopeDraft, from sender: Identity, maximumSize: Int = defaultMaximumSize,
    using generator: inout some RandomNumberGenerator
  ) throws(EmitError) -> SignedEnvelope {
    let protected = try draft.header(from: sender.address).cbor()
    var payload = draft.content.bytes
    if draft.class == .confidential {
      payload = try seal(draft, protected: protected, using: &generator)
    }
    let digest = COSESign1.digest(protected: protected.rawSpan, payload: payload.rawSpan)
    guard let signature = try? sender.signingKey.signature(for: digest) else { throw .notRepresentable }
    var writer = CBORWriter(capacity: protected.count + payload.count + 80)
    writer.tag(COSETag.sign1)
    writer.array(4)
    writer.bytes(protected)
    writer.map(0)
    writer.bytes(payload)
    writer.bytes([UInt8](signature.rawRepresentation))
    // Reading it again costs little beside the signature, and nothing leaves that others would refuse.
    do throws(ParseError) {
      return try SignedEnvelope(parsing: writer.bytes, maximumSize: maximumSize)
    } catch { throw .notRepresentable }
  }

  private static func seal(
    _ draft: EnvelopeDraft, protected: [UInt8], using generator: inout some RandomNumberGenerator
  ) throws(EmitError) -> [UInt8] {
    var keys: [COSERecipientKey] = []
    for recipient in draft.recipients {
      guard let key = recipient.agreementKey else { throw .notRepresentable }
      keys.append(COSERecipientKey(key, keyID: recipient.address.short.bytes))
    }
    if keys.count == 1 {
      return try COSEEncrypt0.seal(
        draft.content.bytes, to: keys[0].publicKey, contentFormat: draft.content.format,
        externalAAD: protected.rawSpan
      ).encoded()
    }
    return try COSEEncrypt.seal(
      draft.content.bytes, to: keys, contentFormat: draft.content.format, externalAAD: protected.rawSpan,
      using: &generator
    ).encoded()
  }
}
