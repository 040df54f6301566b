import Wire

/// The protected header of an envelope (`phdr` of Docs/envelope.cddl): who says what kind of thing to whom, and when.
public struct EnvelopeHeader: Hashable, Sendable {
  /// How it is signed. ES256 is emitted; ESP256, the fully specified name of the same algorithm, is accepted too.
  public var algorithm: SignatureAlgorithm
  /// What the payload is (a CoAP content format); absent when the payload is encrypted, whose inner header says it.
  public var contentFormat: UInt64?
  /// Who signed it.
  public var sender: AddressReference
  /// What protection it has.
  public var `class`: EnvelopeClass
  /// To whom it is: 1...32, in the order of the recipients of the encryption.
  public var recipients: [AddressReference]
  /// Rises strictly with each envelope of a sender, with gaps.
  public var sequence: UInt64
  /// Seconds since 1970; `nil` from a sender without a clock.
  public var issuedAt: UInt64?
  /// Seconds from ``issuedAt``, or from arrival at the first hop with a clock, in which it is to be obeyed.
  public var lifetime: UInt64
  /// What the sender wants.
  public var flags: EnvelopeFlags
  /// Everything that is rarely there.
  public var extensions: EnvelopeExtensions

  /// How many recipients an envelope may name.
  public static let recipientCounts = 1...32

  public init(
    algorithm: SignatureAlgorithm = .es256, contentFormat: UInt64? = nil, sender: AddressReference,
    class: EnvelopeClass, recipients: [AddressReference], sequence: UInt64, issuedAt: UInt64?,
    lifetime: UInt64,
    flags: EnvelopeFlags = [], extensions: EnvelopeExtensions = EnvelopeExtensions()
  ) {
    self.algorithm = algorithm
    self.contentFormat = contentFormat
    self.sender = sender
    self.class = `class`
    self.recipients = recipients
    self.sequence = sequence
    self.issuedAt = issuedAt
    self.lifetime = lifetime
    self.flags = flags
    self.extensions = extensions
  }
}

/// ECDSA on P-256 with SHA-256, under either of its COSE names.
@frozen
public enum SignatureAlgorithm: Int8, Sendable, Hashable {
  /// RFC 9053, 2.1.
  case es256 = -7
  /// RFC 9864, 2.1.
  case esp256 = -9
}

/// The flags of an envelope. Unknown bits are kept: they are signed, and mean nothing here.
@frozen
public struct EnvelopeFlags: OptionSet, Hashable, Sendable {
  public var rawValue: UInt8
  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// The sender wants a receipt from each recipient.
  public static let receiptWanted = EnvelopeFlags(rawValue: 1)
}

/// The rarely needed part of an envelope's header (`sac-ext`).
public struct EnvelopeExtensions: Hashable, Sendable {
  /// 1: the sequence number of the envelope that this answers.
  public var inReplyTo: UInt64?
  /// 2: SHA-256/64 of what is answered: its protected header and payload (``SignedEnvelope/answerHash``).
  public var answerHash: UInt64?
  /// 3: a challenge, 8...16 bytes, to be sent back in ``echoResponse``.
  public var echoChallenge: [UInt8]?
  /// 4: the challenge that the recipient asked to have back, 8...16 bytes.
  public var echoResponse: [UInt8]?
  /// 5: the node for which a gateway vouches.
  public var onBehalfOf: AddressReference?
  /// 6: where a chunk of a stream belongs.
  public var stream: StreamPosition?
  /// 7: of held envelopes with one topic only the newest is kept.
  public var topic: UInt64?

  /// Lengths that challenges and responses may have.
  public static let echoLengths = 8...16

  public init(
    inReplyTo: UInt64? = nil, answerHash: UInt64? = nil, echoChallenge: [UInt8]? = nil,
    echoResponse: [UInt8]? = nil,
    onBehalfOf: AddressReference? = nil, stream: StreamPosition? = nil, topic: UInt64? = nil
  ) {
    self.inReplyTo = inReplyTo
    self.answerHash = answerHash
    self.echoChallenge = echoChallenge
    self.echoResponse = echoResponse
    self.onBehalfOf = onBehalfOf
    self.stream = stream
    self.topic = topic
  }

  /// Whether there is nothing in it: then it is not written.
  public var isEmpty: Bool { self == EnvelopeExtensions() }
}

/// A stream and the number of a chunk in it.
@frozen
public struct StreamPosition: Hashable, Sendable {
  public var stream: UInt64
  public var chunk: UInt64

  @inlinable
  public init(stream: UInt64, chunk: UInt64) {
    self.stream = stream
    self.chunk = chunk
  }
}
