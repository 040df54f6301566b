import Envelope

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

  public init() {}
}

/// A receipt that is still to be given.
public struct OwedReceipt: Sendable, Hashable {
  public var commander: Address
  /// The sequence number of the command.
  public var sequence: UInt64
  /// Its ``SignedEnvelope/answerHash``.
  public var answerHash: UInt64
  public var receipt: Receipt
}
