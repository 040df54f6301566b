import Wire

extension MemoryStore {
  public func put(_ deposit: Deposit, in mailboxes: [Mailbox]) throws(StoreError) -> [UInt64] {
    guard !mailboxes.isEmpty else { return [] }
    return try transaction { () throws(StoreError) -> [UInt64] in
      let body = state.lastBody + 1
      var numbers: [UInt64] = []
      for mailbox in mailboxes {
        numbers.append(try add(deposit, body: body, to: mailbox))
      }
      return numbers
    }
  }

  private func add(_ deposit: Deposit, body: UInt64, to mailbox: Mailbox) throws(StoreError) -> UInt64 {
    let number = (state.boxes[mailbox]?.lastNumber ?? 0) + 1
    try write {
      $0.link(number, in: mailbox, to: body, deposit)
      $0.boxes[mailbox]?.lastNumber = number
      $0.lastBody = body
    } undo: {
      $0.unlink(number, in: mailbox)
      $0.boxes[mailbox]?.lastNumber = number - 1
    }
    return number
  }

  public func next(in mailbox: Mailbox, after number: UInt64) throws(StoreError) -> HeldMessage? {
    try list(in: mailbox, after: number, limit: 1).first
  }

  public func list(in mailbox: Mailbox, after number: UInt64, limit: Int) throws(StoreError) -> [HeldMessage] {
    try check()
    guard let box = state.boxes[mailbox], number < .max else { return [] }
    return box.entries[box.index(of: number + 1)...].prefix(max(0, limit)).compactMap {
      state.message($0, in: mailbox)
    }
  }

  @discardableResult
  public func remove(_ number: UInt64, in mailbox: Mailbox) throws(StoreError) -> Bool {
    try check()
    guard let entry = state.boxes[mailbox]?.entry(number), let body = state.bodies[entry.body] else {
      return false
    }
    try write {
      $0.unlink(number, in: mailbox)
    } undo: {
      $0.link(number, in: mailbox, to: entry.body, body.deposit)
    }
    return true
  }

  public func usage(of mailbox: Mailbox) throws(StoreError) -> Usage {
    try check()
    return state.boxes[mailbox]?.usage ?? Usage()
  }

  public func totalUsage() throws(StoreError) -> Usage {
    try check()
    return state.total
  }

  public func mailboxes() throws(StoreError) -> [(mailbox: Mailbox, usage: Usage)] {
    try check()
    return state.boxes.filter { $0.value.usage.messages > 0 }.map { ($0.key, $0.value.usage) }
      .sorted { ($0.0.kind.rawValue, $0.0.address) < ($1.0.kind.rawValue, $1.0.address) }
  }

  public func first(topic: UInt64, of sender: Bytes32, in mailbox: Mailbox) throws(StoreError) -> HeldMessage? {
    try first(in: mailbox) { $0.topic == topic && $0.sender == sender }
  }

  public func oldestNoConsequence(in mailbox: Mailbox?) throws(StoreError) -> HeldMessage? {
    if let mailbox { return try first(in: mailbox) { $0.protectionClass == 0 } }
    try check()
    // Of one body in several mailboxes: the same order as a database gives.
    return state.entries { $0.deposit.protectionClass == 0 }.min { $0.order < $1.order }?.message
  }

  private func first(
    in mailbox: Mailbox, where matches: (Deposit) -> Bool
  ) throws(StoreError) -> HeldMessage? {
    try check()
    for entry in state.boxes[mailbox]?.entries ?? [] {
      if let message = state.message(entry, in: mailbox), matches(message.deposit) { return message }
    }
    return nil
  }

  public func expired(at instant: Instant, limit: Int) throws(StoreError) -> [HeldMessage] {
    try check()
    guard let earliest = try earliestExpiry(), earliest <= instant else { return [] }
    let found = state.entries { $0.deposit.expires.map { $0 <= instant } ?? false }
    return found.sorted { ($0.expires, $0.order) < ($1.expires, $1.order) }.prefix(max(0, limit)).map(
      \.message)
  }

  public func earliestExpiry() throws(StoreError) -> Instant? {
    try check()
    state.refreshExpiry()
    return state.earliestExpiry
  }

  public func list(from sender: Bytes32, limit: Int) throws(StoreError) -> [HeldMessage] {
    try check()
    return state.entries { $0.deposit.sender == sender }.sorted { $0.order < $1.order }.prefix(max(0, limit))
      .map(\.message)
  }
}

/// A message and its place in the order of arrival over all mailboxes.
private struct Ordered {
  struct Order: Comparable {
    var body: UInt64
    var kind: UInt8
    var address: Bytes32

    static func < (left: Order, right: Order) -> Bool {
      (left.body, left.kind, left.address) < (right.body, right.kind, right.address)
    }
  }

  var message: HeldMessage
  var order: Order
  var expires: Instant { message.expires ?? Instant(microseconds: .max) }
}

extension MemoryStore.Box {
  /// Where the first entry with this number or a higher one stands.
  func index(of number: UInt64) -> Int {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].number < number { low = middle + 1 } else { high = middle }
    }
    return low
  }

  func entry(_ number: UInt64) -> MemoryStore.Entry? {
    let index = index(of: number)
    return index < entries.count && entries[index].number == number ? entries[index] : nil
  }
}

extension MemoryStore.State {
  mutating func link(_ number: UInt64, in mailbox: Mailbox, to body: UInt64, _ deposit: Deposit) {
    boxes[mailbox, default: .init()].insert(.init(number: number, body: body), deposit.usage)
    if bodies[body] == nil { total.bytes += deposit.bytes.count }
    total.messages += 1
    bodies[body, default: .init(deposit: deposit, references: 0)].references += 1
    if let expires = deposit.expires { earliestExpiry = min(expires, earliestExpiry ?? expires) }
  }

  mutating func unlink(_ number: UInt64, in mailbox: Mailbox) {
    guard let entry = boxes[mailbox]?.entry(number), let body = bodies[entry.body] else { return }
    boxes[mailbox]?.remove(number, body.deposit.usage)
    total.messages -= 1
    if body.references > 1 {
      bodies[entry.body]?.references -= 1
    } else {
      total.bytes -= body.deposit.bytes.count
      bodies[entry.body] = nil
      if body.deposit.expires == earliestExpiry { expiryIsStale = true }
    }
  }

  mutating func refreshExpiry() {
    guard expiryIsStale else { return }
    earliestExpiry = bodies.values.lazy.compactMap(\.deposit.expires).min()
    expiryIsStale = false
  }

  func message(_ entry: MemoryStore.Entry, in mailbox: Mailbox) -> HeldMessage? {
    bodies[entry.body].map { HeldMessage(mailbox: mailbox, number: entry.number, deposit: $0.deposit) }
  }

  fileprivate func entries(where matches: (MemoryStore.Body) -> Bool) -> [Ordered] {
    var found: [Ordered] = []
    for (mailbox, box) in boxes {
      for entry in box.entries {
        guard let body = bodies[entry.body], matches(body) else { continue }
        found.append(
          Ordered(
            message: HeldMessage(mailbox: mailbox, number: entry.number, deposit: body.deposit),
            order: .init(body: entry.body, kind: mailbox.kind.rawValue, address: mailbox.address)))
      }
    }
    return found
  }
}

extension MemoryStore.Box {
  fileprivate mutating func insert(_ entry: MemoryStore.Entry, _ size: Usage) {
    entries.insert(entry, at: index(of: entry.number))
    usage = usage + size
  }

  fileprivate mutating func remove(_ number: UInt64, _ size: Usage) {
    entries.remove(at: index(of: number))
    usage = usage - size
  }
}
