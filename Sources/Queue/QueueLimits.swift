/// How much may be held. The defaults fit a gateway with 40 MiB of memory and a small relay.
public struct QueueLimits: Hashable, Sendable {
  /// Of the queue of one node.
  public var nodeQueue: Usage
  /// Of an outbox.
  public var outbox: Usage
  /// Of the mailbox of one recipient.
  public var mailbox: Usage
  /// Of everything in one store.
  public var total: Usage
  /// Replay records of one sender; older sequence numbers are refused.
  public var replayRecords: Int

  public init(
    nodeQueue: Usage = Usage(messages: 256, bytes: 256 << 10),
    outbox: Usage = Usage(messages: 50_000, bytes: 64 << 20),
    mailbox: Usage = Usage(messages: 10_000, bytes: 16 << 20),
    total: Usage = Usage(messages: 200_000, bytes: 256 << 20),
    replayRecords: Int = 1024
  ) {
    self.nodeQueue = nodeQueue
    self.outbox = outbox
    self.mailbox = mailbox
    self.total = total
    self.replayRecords = max(1, replayRecords)
  }

  /// The limit of one mailbox of this kind.
  public subscript(kind: Mailbox.Kind) -> Usage {
    switch kind {
    case .nodeQueue: nodeQueue
    case .outbox: outbox
    case .mailbox: mailbox
    }
  }
}
