import Wire

/// What became of a put.
public enum PutOutcome: Hashable, Sendable {
  /// Custody is taken: on disk for every mailbox but those that were `refused`. A number is `nil` where it
  /// was refused, or where a newer message of its topic was held already.
  case held(numbers: [UInt64?], refused: [Refusal])
  /// The same message was taken before (``DropReason/envelopeReplay``): custody stands, nothing was stored.
  case alreadyHeld
  /// Nothing was stored.
  case refused(DropReason)

  /// A mailbox that did not take the message, though others did: its sender must be told.
  public struct Refusal: Hashable, Sendable {
    public var mailbox: Mailbox
    public var reason: DropReason

    public init(mailbox: Mailbox, reason: DropReason) {
      self.mailbox = mailbox
      self.reason = reason
    }
  }
}

/// The outcome of a put and what it removed.
public struct PutResult: Hashable, Sendable {
  public var outcome: PutOutcome
  /// Older messages of the same topic (``DropReason/queueSuperseded``) and no-consequence messages that made
  /// room (``DropReason/queueOldestDropped``).
  public var displaced: [Displaced]

  public struct Displaced: Hashable, Sendable {
    public var message: HeldMessage
    public var reason: DropReason
  }
}

/// How a put recognises a message that was taken before.
@frozen
public struct Deduplication: Hashable, Sendable {
  public var scope: ReplayScope
  /// SHA-256 of what is signed; not of the signature, which is malleable.
  public var digest: Bytes32

  @inlinable
  public init(_ scope: ReplayScope, digest: Bytes32) {
    self.scope = scope
    self.digest = digest
  }
}

extension Mailboxes {
  /// Takes custody of `deposit` for each of `mailboxes`, in one transaction with its replay record.
  ///
  /// Room is made, whoever comes, by dropping the oldest no-consequence messages; a mailbox that is full
  /// without any refuses. If one mailbox of several refuses, the others take it: a recipient that is away for
  /// months must not silence an alarm for the rest. A mailbox that is named twice takes it once.
  /// `deduplication` is `nil` for a message of one's own making.
  public mutating func put(
    _ deposit: Deposit, in mailboxes: [Mailbox], deduplication: Deduplication? = nil
  ) throws(StoreError) -> PutResult {
    let result = try transaction { (self) throws(StoreError) -> PutResult in
      if let deduplication, let verdict = try self.replayed(deposit.sender, deposit.seq, deduplication) {
        return PutResult(outcome: verdict, displaced: [])
      }
      let result = try self.place(deposit, in: mailboxes)
      if case .held = result.outcome, let deduplication { try self.remember(deposit, deduplication) }
      return result
    }
    count(result)
    return result
  }

  /// Takes custody of `deposit` for one mailbox.
  public mutating func put(
    _ deposit: Deposit, in mailbox: Mailbox, deduplication: Deduplication? = nil
  ) throws(StoreError) -> PutResult {
    try put(deposit, in: [mailbox], deduplication: deduplication)
  }

  /// Whether a message was taken before, as ``put(_:in:deduplication:)`` finds it; `nil` if it is new.
  public func replayed(
    _ sender: Bytes32, _ seq: UInt64, _ deduplication: Deduplication
  ) throws(StoreError) -> PutOutcome? {
    let key = ReplayKey(deduplication.scope, sender: sender, seq: seq)
    if let digest = try store.digest(of: key) {
      return digest == deduplication.digest ? .alreadyHeld : .refused(.envelopeReplayOtherBytes)
    }
    let window = try store.replayWindow(key.scope, of: key.sender)
    // Too old to tell: to call it held might promise custody of what never came.
    if let floor = window.floor, key.seq <= floor { return .refused(.envelopeReplayOtherBytes) }
    return nil
  }

  private func remember(_ deposit: Deposit, _ deduplication: Deduplication) throws(StoreError) {
    let key = ReplayKey(deduplication.scope, sender: deposit.sender, seq: deposit.seq)
    try store.record(deduplication.digest, for: key)
    let window = try store.replayWindow(key.scope, of: key.sender)
    // Some slack, so that not every put prunes one record.
    if window.count > limits.replayRecords + limits.replayRecords / 4 {
      try store.pruneReplay(key.scope, of: key.sender, keeping: limits.replayRecords)
    }
  }

  private func place(_ deposit: Deposit, in mailboxes: [Mailbox]) throws(StoreError) -> PutResult {
    var takers: [(index: Int, mailbox: Mailbox)] = []
    var numbers = [UInt64?](repeating: nil, count: mailboxes.count)
    var refused: [PutOutcome.Refusal] = []
    var displaced: [PutResult.Displaced] = []
    var superseded = 0
    for (index, mailbox) in mailboxes.enumerated() where !mailboxes[..<index].contains(mailbox) {
      // What the bytes take of the total counts once for all mailboxes.
      let total = Usage(messages: takers.count + 1, bytes: deposit.bytes.count)
      var removed: [PutResult.Displaced] = []
      var reason = DropReason.queueNodeFull
      do {
        if deposit.topic == nil, try hasRoom(for: deposit, in: mailbox, total: total) {
          takers.append((index, mailbox))
          continue
        }
        let newest = try store.transaction { () throws(StoreError) -> Bool in
          guard try supersede(deposit, in: mailbox, &removed) else { return false }
          try makeRoom(for: deposit, in: mailbox, total: total, &removed, &reason)
          return true
        }
        displaced += removed
        if newest { takers.append((index, mailbox)) } else { superseded += 1 }
      } catch {
        guard error.kind == .abandoned else { throw error }
        refused.append(.init(mailbox: mailbox, reason: reason))
      }
    }
    if takers.isEmpty && superseded == 0, let first = refused.first {
      return PutResult(outcome: .refused(first.reason), displaced: displaced)
    }
    if !takers.isEmpty {
      for (taker, number) in zip(takers, try store.put(deposit, in: takers.map(\.mailbox))) {
        numbers[taker.index] = number
      }
    }
    return PutResult(outcome: .held(numbers: numbers, refused: refused), displaced: displaced)
  }

  private func hasRoom(
    for deposit: Deposit, in mailbox: Mailbox, total: Usage
  ) throws(StoreError) -> Bool {
    guard try (store.usage(of: mailbox) + deposit.usage).fits(limits[mailbox.kind]) else { return false }
    return try (store.totalUsage() + total).fits(limits.total)
  }

  /// Removes older messages of the topic. False if a newer one is held: then `deposit` itself is superseded.
  private func supersede(
    _ deposit: Deposit, in mailbox: Mailbox, _ removed: inout [PutResult.Displaced]
  ) throws(StoreError) -> Bool {
    guard let topic = deposit.topic else { return true }
    while let older = try store.first(topic: topic, of: deposit.sender, in: mailbox) {
      guard older.seq <= deposit.seq else {
        removed.append(
          .init(message: HeldMessage(mailbox: mailbox, number: 0, deposit: deposit), reason: .queueSuperseded)
        )
        return false
      }
      try store.remove(older.number, in: mailbox)
      removed.append(.init(message: older, reason: .queueSuperseded))
    }
    return true
  }

  /// Drops no-consequence messages until `deposit` fits. Throws ``StoreError/abandoned``, which undoes the
  /// drops, if it does not fit then; `reason` says what is full.
  private func makeRoom(
    for deposit: Deposit, in mailbox: Mailbox, total: Usage, _ removed: inout [PutResult.Displaced],
    _ reason: inout DropReason
  ) throws(StoreError) {
    while try !(store.usage(of: mailbox) + deposit.usage).fits(limits[mailbox.kind]) {
      try dropOldest(in: mailbox, &removed)
    }
    reason = .queueFull
    while try !(store.totalUsage() + total).fits(limits.total) { try dropOldest(in: nil, &removed) }
  }

  private func dropOldest(
    in mailbox: Mailbox?, _ removed: inout [PutResult.Displaced]
  ) throws(StoreError) {
    guard let oldest = try store.oldestNoConsequence(in: mailbox) else { throw .abandoned }
    try store.remove(oldest.number, in: oldest.mailbox)
    removed.append(.init(message: oldest, reason: .queueOldestDropped))
  }

  private mutating func count(_ result: PutResult) {
    for displaced in result.displaced { counters.count(displaced.reason) }
    switch result.outcome {
    case .alreadyHeld: counters.count(.envelopeReplay)
    case .refused(let reason): counters.count(reason)
    case .held(_, let refused): for refusal in refused { counters.count(refusal.reason) }
    }
  }
}
