import Wire

/// The rules of holding messages, over any store.
///
/// A message leaves only when its receipt is confirmed, when it expires, when a newer one of its topic comes,
/// or, if it is of no consequence, when room is needed. Every call is one transaction; several become one
/// inside ``transaction(_:)``.
public struct Mailboxes<Store: MailboxStore> {
  public let store: Store
  public var limits: QueueLimits
  /// What was refused or dropped, by reason.
  public var counters = DropCounters()

  public init(_ store: Store, limits: QueueLimits = QueueLimits()) {
    self.store = store
    self.limits = limits
  }

  /// Runs `body`; what it does is on disk, all of it, when this returns, and nothing of it when this throws.
  public mutating func transaction<Result>(
    _ body: (inout Mailboxes) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    let counted = counters
    do {
      return try store.transaction { () throws(StoreError) -> Result in try body(&self) }
    } catch {
      counters = counted
      throw error
    }
  }

  /// The oldest message and how many wait behind it. Call ``expire(now:limit:)`` first.
  public func peek(_ mailbox: Mailbox) throws(StoreError) -> (message: HeldMessage, more: Int)? {
    guard let message = try store.next(in: mailbox, after: 0) else { return nil }
    return (message, try store.usage(of: mailbox).messages - 1)
  }

  /// The message after `number`: for windows of more than one message on their way.
  public func next(in mailbox: Mailbox, after number: UInt64) throws(StoreError) -> HeldMessage? {
    try store.next(in: mailbox, after: number)
  }

  /// Up to `limit` messages with numbers over `number`, in held order.
  public func list(_ mailbox: Mailbox, after number: UInt64 = 0, limit: Int = .max) throws(StoreError)
    -> [HeldMessage]
  {
    try store.list(in: mailbox, after: number, limit: limit)
  }

  /// What one mailbox holds.
  public func usage(of mailbox: Mailbox) throws(StoreError) -> Usage { try store.usage(of: mailbox) }

  /// The next hop has it: removes the message for good. False, and nothing else, if the number is unknown:
  /// confirmed before, expired or superseded in the meantime.
  @discardableResult
  public func confirm(_ number: UInt64, in mailbox: Mailbox) throws(StoreError) -> Bool {
    try store.remove(number, in: mailbox)
  }

  /// Removes up to `limit` messages that expire at `now` or before and returns them, so that the caller can
  /// report each to its sender in the same ``transaction(_:)``.
  public mutating func expire(now: Instant, limit: Int = 1000) throws(StoreError) -> [HeldMessage] {
    let expired = try removeAll { [store] () throws(StoreError) in try store.expired(at: now, limit: limit) }
    for _ in expired { counters.count(.envelopeExpired) }
    return expired
  }

  /// When the first held message expires, and with it when to call ``expire(now:limit:)``; `nil` if none ever
  /// does.
  public func earliestExpiry() throws(StoreError) -> Instant? { try store.earliestExpiry() }

  /// Removes what `sender` sent, as far as `condition` holds for it, and returns it; counted under `reason`.
  public mutating func remove(
    from sender: Bytes32, reason: DropReason, where condition: (HeldMessage) -> Bool = { _ in true }
  ) throws(StoreError) -> [HeldMessage] {
    let removed = try removeAll { [store] () throws(StoreError) in
      try store.list(from: sender, limit: .max).filter(condition)
    }
    for _ in removed { counters.count(reason) }
    return removed
  }

  /// Empties a mailbox and returns what it held; counted under `reason`.
  public mutating func removeAll(in mailbox: Mailbox, reason: DropReason) throws(StoreError) -> [HeldMessage] {
    let removed = try removeAll { [store] () throws(StoreError) in
      try store.list(in: mailbox, after: 0, limit: .max)
    }
    for _ in removed { counters.count(reason) }
    return removed
  }

  private func removeAll(
    _ select: () throws(StoreError) -> [HeldMessage]
  ) throws(StoreError) -> [HeldMessage] {
    try store.transaction { () throws(StoreError) -> [HeldMessage] in
      let messages = try select()
      for message in messages { try store.remove(message.number, in: message.mailbox) }
      return messages
    }
  }
}
