import COSE
import Crypto
import Wire

/// An envelope as it travels: COSE_Sign1 (RFC 9052) in the form of Docs/envelope.cddl, kept byte for byte.
///
/// Parsing checks every rule of structure and no signature: the sender must be looked up first, and that is
/// ``PeerDirectory``'s or ``AccessDirectory``'s. Nothing in it is to be believed before ``verify(with:)``.
///
/// The parts are slices of ``bytes``: an envelope is parsed, verified, stored and sent on without a copy.
public struct SignedEnvelope: Sendable {
  /// The whole envelope.
  public let bytes: [UInt8]
  public let header: EnvelopeHeader
  /// The encrypted payload, when the class is confidential.
  public let sealed: SealedContent?
  private let protectedRange: Range<Int>
  private let payloadRange: Range<Int>

  /// The largest envelope accepted unless told otherwise, in bytes.
  public static let defaultMaximumSize = 65_536
  /// Bytes that a peer record or an access list may have when it is read from a file: some thousand members.
  public static let maximumRecordSize = 4 << 20
  /// Bytes of a signature: r and s of P-256.
  public static let signatureLength = 64

  /// Reads all of `bytes`.
  ///
  /// Throws ``DropReason/envelopeTooLarge`` above `maximumSize`, ``DropReason/envelopeNotConfidential`` if the class
  /// says confidential and the payload is readable, ``DropReason/envelopeStructure`` if it is sealed for others than
  /// the header names, and the reasons of ``COSESign1View``, ``EnvelopeHeader`` and ``SealedContent``.
  public init(parsing bytes: [UInt8], maximumSize: Int = defaultMaximumSize) throws(ParseError) {
    guard bytes.count <= maximumSize else { throw ParseError(.envelopeTooLarge, at: max(0, maximumSize)) }
    let view = try COSESign1View(bytes.rawSpan)
    guard view.signature.byteCount == SignedEnvelope.signatureLength else { throw ParseError(.coseStructure) }
    var reader = view.protectedReader
    let protectedStart = reader.offset
    header = try EnvelopeHeader(reading: &reader)
    try reader.expectEnd()
    protectedRange = protectedStart..<protectedStart + view.protected.byteCount
    // The signature ends the envelope, with a head of two bytes.
    let payloadEnd = bytes.count - SignedEnvelope.signatureLength - 2
    payloadRange = payloadEnd - view.payload.byteCount..<payloadEnd
    self.bytes = bytes
    guard header.class == .confidential else {
      sealed = nil
      return
    }
    let sealed = try SealedContent(parsing: view.payload.array())
    guard sealed.isFor(header.recipients) else {
      throw ParseError(.envelopeStructure, at: payloadRange.lowerBound)
    }
    self.sealed = sealed
  }

  /// The protected header as it is signed.
  public var protectedHeader: ArraySlice<UInt8> { bytes[protectedRange] }
  /// The payload: readable by everyone, or encrypted.
  public var payload: ArraySlice<UInt8> { bytes[payloadRange] }
  /// r and s.
  public var signature: ArraySlice<UInt8> { bytes.suffix(SignedEnvelope.signatureLength) }

  /// Tells this envelope from others under its sequence number; see ``ReplayWindow``.
  public var contentDigest: ContentDigest { ContentDigest(protected: protectedHeader, payload: payload) }

  /// SHA-256/64 over the protected header and the payload: what an answer carries in
  /// ``EnvelopeExtensions/answerHash``.
  public var answerHash: UInt64 { contentDigest.answerHash }

  /// Checks the signature with the sender's key. Throws ``DropReason/coseSignatureInvalid``.
  public func verify(with key: P256.Signing.PublicKey) throws(ParseError) {
    let whole = bytes.rawSpan
    let digest = COSESign1.digest(
      protected: whole.extracting(protectedRange), payload: whole.extracting(payloadRange))
    guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signature),
      key.isValidSignature(signature, for: digest)
    else { throw ParseError(.coseSignatureInvalid, at: payloadRange.upperBound) }
  }

  /// Who can read the payload.
  public enum Readers: Hashable, Sendable {
    /// Every hop.
    case everyone
    /// Only these.
    case recipients([AddressReference])
    /// Whoever was given the key when the stream was opened.
    case holdersOfStreamKey
  }

  /// Who could read it, wherever it is found.
  public var readers: Readers {
    switch header.class {
    case .noConsequence, .authOnly: .everyone
    case .confidential: .recipients(header.recipients)
    case .stream: .holdersOfStreamKey
    }
  }

  /// What an envelope says, and in which content format, if that is stated.
  public struct Content: Hashable, Sendable {
    public var format: UInt64?
    public var bytes: [UInt8]

    public init(format: UInt64?, bytes: [UInt8]) {
      self.format = format
      self.bytes = bytes
    }
  }

  /// The content, if everyone can read it: `nil` of a confidential envelope. A chunk of a stream is still sealed.
  public var readableContent: Content? {
    sealed == nil ? Content(format: header.contentFormat, bytes: Array(payload)) : nil
  }

  /// The content, for one of the recipients.
  ///
  /// Throws ``DropReason/envelopeNotForUs``, and ``DropReason/coseDecryptionFailed`` or another reason of COSE if it
  /// was sealed wrongly. The signature is not checked here.
  public func open(with identity: Identity) throws(ParseError) -> Content {
    guard let index = header.recipients.firstIndex(where: { $0.matches(identity.address) }) else {
      throw ParseError(.envelopeNotForUs)
    }
    // The outer header is authenticated with the ciphertext, so that nobody can cut out a ciphertext and sign it as
    // his own.
    let aad = bytes.rawSpan.extracting(protectedRange)
    switch sealed {
    case .one(let message):
      return Content(
        format: message.contentFormat, bytes: try message.open(with: identity.agreementKey, externalAAD: aad))
    case .several(let message):
      return Content(
        format: message.contentFormat,
        bytes: try message.open(at: index, with: identity.agreementKey, externalAAD: aad))
    case nil: return Content(format: header.contentFormat, bytes: Array(payload))
    }
  }
}

extension SignedEnvelope: Hashable {
  public static func == (left: SignedEnvelope, right: SignedEnvelope) -> Bool { left.bytes == right.bytes }
  public func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
}
