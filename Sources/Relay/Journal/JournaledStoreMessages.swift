import Queue
import Wire

extension JournaledStore {
  /// Sees to it that a mailbox is known in memory.
  private func load(_ mailbox: Mailbox) throws(StoreError) {
    guard unsettled.boxes[mailbox] == nil else { return }
    let row = try tables.box(mailbox)
    unsettled.boxes[mailbox] = .init(usage: row.usage, last: row.last, settled: row.usage.messages)
  }

  private func hasSettled(_ mailbox: Mailbox) throws(StoreError) -> Bool {
    try load(mailbox)
    return unsettled.boxes[mailbox].map { $0.settled > 0 } ?? false
  }

  public func put(_ deposit: Deposit, in mailboxes: [Mailbox]) throws(StoreError) -> [UInt64] {
    guard !mailboxes.isEmpty else { return [] }
    return try together { () throws(StoreError) -> [UInt64] in
      try makeRoom(for: deposit.bytes.count)
      for mailbox in mailboxes { try load(mailbox) }
      let held = unsettled.bodies[unsettled.put(deposit, in: mailboxes)]?.held ?? []
      try note(.put, .put(deposit, held))
      return held.map(\.number)
    }
  }

  @discardableResult
  public func remove(_ number: UInt64, in mailbox: Mailbox) throws(StoreError) -> Bool {
    try together { () throws(StoreError) -> Bool in
      try load(mailbox)
      if let entry = unsettled.entry(number, in: mailbox) {
        guard let body = unsettled.remove(entry, in: mailbox) else { return false }
        try note(.removed(entry, mailbox, body), .remove(MessageName(mailbox, number)))
        return true
      }
      guard try hasSettled(mailbox),
        let removed = try write({ () throws(StoreError) in try tables.take(number, in: mailbox) })
      else { return false }
      unsettled.boxes[mailbox]?.settled -= 1
      unsettled.boxes[mailbox]?.usage.messages -= 1
      unsettled.boxes[mailbox]?.usage.bytes -= removed.bytes
      unsettled.total = unsettled.total - Usage(messages: 1, bytes: removed.isLast ? removed.bytes : 0)
      try note(.removedSettled(mailbox, bytes: removed.bytes, shared: !removed.isLast), nil)
      return true
    }
  }

  public func next(in mailbox: Mailbox, after number: UInt64) throws(StoreError) -> HeldMessage? {
    try list(in: mailbox, after: number, limit: 1).first
  }

  public func list(in mailbox: Mailbox, after number: UInt64, limit: Int) throws(StoreError) -> [HeldMessage] {
    try tables.checkFailure()
    let settled = try hasSettled(mailbox) ? try tables.list(in: mailbox, after: number, limit: limit) : []
    let rest = max(0, limit) - settled.count
    return rest > 0 ? settled + unsettled.list(in: mailbox, after: number, limit: rest) : settled
  }

  public func usage(of mailbox: Mailbox) throws(StoreError) -> Usage {
    try tables.checkFailure()
    try load(mailbox)
    return unsettled.boxes[mailbox]?.usage ?? Usage()
  }

  public func totalUsage() throws(StoreError) -> Usage {
    // Also tells whether the store can still be used.
    _ = try tables.totalUsage()
    return unsettled.total
  }

  public func mailboxes() throws(StoreError) -> [(mailbox: Mailbox, usage: Usage)] {
    var boxes = Dictionary(uniqueKeysWithValues: try tables.mailboxes().map { ($0.mailbox, $0.usage) })
    for (mailbox, box) in unsettled.boxes { boxes[mailbox] = box.usage.messages > 0 ? box.usage : nil }
    return boxes.map { ($0.key, $0.value) }
      .sorted { ($0.0.kind.rawValue, $0.0.address) < ($1.0.kind.rawValue, $1.0.address) }
  }

  public func first(topic: UInt64, of sender: Bytes32, in mailbox: Mailbox) throws(StoreError) -> HeldMessage? {
    try tables.checkFailure()
    if try hasSettled(mailbox), let message = try tables.first(topic: topic, of: sender, in: mailbox) { return message }
    guard
      let number = unsettled.topics[.init(mailbox: mailbox, sender: sender, topic: topic)]?.first,
      let entry = unsettled.entry(number, in: mailbox)
    else { return nil }
    return unsettled.message(entry, in: mailbox)
  }

  // What is asked seldom is asked of the tables, once they are up to date.

  public func oldestNoConsequence(in mailbox: Mailbox?) throws(StoreError) -> HeldMessage? {
    // What is in the tables is older than what is not.
    if let settled = try tables.oldestNoConsequence(in: mailbox) { return settled }
    guard !unsettled.bodies.isEmpty else { return nil }
    return try together { () throws(StoreError) in
      try settle()
      return try tables.oldestNoConsequence(in: mailbox)
    }
  }

  public func expired(at instant: Instant, limit: Int) throws(StoreError) -> [HeldMessage] {
    guard let earliest = unsettled.earliestExpiry, earliest <= instant else {
      return try tables.expired(at: instant, limit: limit)
    }
    return try together { () throws(StoreError) in
      try settle()
      return try tables.expired(at: instant, limit: limit)
    }
  }

  public func earliestExpiry() throws(StoreError) -> Instant? {
    guard let settled = try tables.earliestExpiry() else { return unsettled.earliestExpiry }
    return min(settled, unsettled.earliestExpiry ?? settled)
  }

  public func list(from sender: Bytes32, limit: Int) throws(StoreError) -> [HeldMessage] {
    try together { () throws(StoreError) in
      if !unsettled.bodies.isEmpty { try settle() }
      return try tables.list(from: sender, limit: limit)
    }
  }
}
