import Envelope
import Wire

/// What a node that signs for itself keeps in its flash: what must survive a reset.
///
/// A node writes it before it says or does what depends on it.
public struct EnvelopeMemory: Sendable, Hashable {
  /// Sequence numbers up to this one may have been used.
  public var sequenceLimit: UInt64 = 0
  /// The commands that were obeyed or refused, by commander.
  public var windows: [Address: ReplayWindow] = [:]
  /// Receipts that the gateway has not taken yet.
  public var owed: [OwedReceipt] = []
  /// Commands that wait for their echo, oldest first.
  public var challenges: [EchoChallenge] = []
  /// The keys that are shared with commanders (RFC 8613, B.1.1), encoded, by commander: secret.
  public var endToEnd: [Address: [UInt8]] = [:]
  /// The envelope of the peer record that is obeyed, if one came.
  public var record: [UInt8]?

  public init() {}
}

/// A command that was not obeyed yet, and what its commander is to send back first (RFC 9175 in spirit).
public struct EchoChallenge: Sendable, Hashable {
  public var commander: Address
  /// The sequence number of the command.
  public var sequence: UInt64
  /// Its ``SignedEnvelope/answerHash``.
  public var answerHash: UInt64
  /// Seconds in which it was to be obeyed.
  public var lifetime: UInt64
  /// SHA-256/128 of what it says: what comes back must say the same.
  public var content: ContentDigest
  /// ``EnvelopeExtensions/echoChallenge``: 8 random bytes.
  public var challenge: [UInt8]
  /// The gateway has the envelope that asks.
  public var isTaken = false
}

/// A receipt that is still to be given.
public struct OwedReceipt: Sendable, Hashable {
  public var commander: Address
  /// The sequence number of the command.
  public var sequence: UInt64
  /// Its ``SignedEnvelope/answerHash``.
  public var answerHash: UInt64
  public var receipt: Receipt
  /// What is said instead of a receipt, format 65004: the answer to a command end to end.
  public var answer: [UInt8]?

  /// What is to be said. Throws ``EmitError/notRepresentable``.
  var content: SignedEnvelope.Content {
    get throws(EmitError) {
      if let answer { return .init(format: ContentFormats.coapMessage, bytes: answer) }
      return .init(format: ContentFormats.receipt, bytes: try receipt.cbor())
    }
  }
}
