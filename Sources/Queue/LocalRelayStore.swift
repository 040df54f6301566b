import Wire

/// What a relay keeps in a store of its own.
public final class LocalRelayStore<Store: MailboxStore>: RelayStore {
  /// The store itself, for whoever shares it.
  public let store: Store
  private var mailboxes: Mailboxes<Store>
  public var news: (@Sendable (RelayStoreNews) -> Void)?

  public init(_ store: Store, limits: QueueLimits = QueueLimits()) {
    self.store = store
    mailboxes = Mailboxes(store, limits: limits)
  }

  public var counters: DropCounters { mailboxes.counters }

  public func transaction<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
    let counted = mailboxes.counters
    do {
      return try store.transaction(body)
    } catch {
      mailboxes.counters = counted
      throw error
    }
  }

  public func put(_ group: [RelayDeposit]) throws(StoreError) -> [PutOutcome] {
    try transaction { () throws(StoreError) -> [PutOutcome] in
      var outcomes: [PutOutcome] = []
      outcomes.reserveCapacity(group.count)
      for item in group {
        outcomes.append(
          try mailboxes.put(item.deposit, in: item.mailboxes, deduplication: item.deduplication).outcome)
      }
      return outcomes
    }
  }

  public func replayed(
    _ sender: Bytes32, _ seq: UInt64, _ deduplication: Deduplication
  ) throws(StoreError) -> PutOutcome? {
    try mailboxes.replayed(sender, seq, deduplication)
  }

  public func list(in mailbox: Mailbox, after number: UInt64, limit: Int) throws(StoreError) -> [HeldMessage] {
    try store.list(in: mailbox, after: number, limit: limit)
  }

  public func holders() throws(StoreError) -> Set<Mailbox>? { Set(try store.mailboxes().map(\.mailbox)) }

  public func confirm(_ messages: [MessageName]) throws(StoreError) {
    try store.transaction { () throws(StoreError) in
      for message in messages { try store.remove(message.number, in: message.mailbox) }
    }
  }

  public func expire(
    now: Instant, limit: Int, report: (HeldMessage) throws(StoreError) -> RelayDeposit?
  ) throws(StoreError) -> [HeldMessage] {
    try transaction { () throws(StoreError) -> [HeldMessage] in
      let expired = try mailboxes.expire(now: now, limit: limit)
      for message in expired {
        if let answer = try report(message) { _ = try mailboxes.put(answer.deposit, in: answer.mailboxes) }
      }
      return expired
    }
  }

  public func nextExpiry() throws(StoreError) -> Instant? { try mailboxes.earliestExpiry() }

  public func remove(
    from sender: Bytes32, reason: DropReason, where condition: (HeldMessage) -> Bool
  ) throws(StoreError) -> [HeldMessage] {
    try mailboxes.remove(from: sender, reason: reason, where: condition)
  }

  public func removeAll(in mailbox: Mailbox, reason: DropReason) throws(StoreError) {
    _ = try mailboxes.removeAll(in: mailbox, reason: reason)
  }

  public func usage(of mailbox: Mailbox) throws(StoreError) -> Usage { try store.usage(of: mailbox) }
  public func totalUsage() throws(StoreError) -> Usage { try store.totalUsage() }

  public func advance(_ counter: String, by count: UInt64) throws(StoreError) -> UInt64 {
    try store.transaction { () throws(StoreError) -> UInt64 in
      let before = try store.counter(counter)
      let (after, overflow) = before.addingReportingOverflow(count)
      guard !overflow else { throw StoreError(.corrupt, detail: "counter \(counter) is used up") }
      try store.setCounter(counter, to: after)
      return before
    }
  }

  public func values(withPrefix prefix: String) throws(StoreError) -> [(name: String, value: [UInt8])] {
    try store.values(withPrefix: prefix)
  }

  public func setValue(_ name: String, to value: [UInt8]) throws(StoreError) { try store.setValue(name, to: value) }

  public func serve(_ mailbox: Mailbox) throws(StoreError) {}
  public func release(_ mailbox: Mailbox) throws(StoreError) {}

  public func backup(to path: String) throws(StoreError) { try store.backup(to: path) }
}
