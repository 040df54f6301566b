import Queue
import Wire

/// What a ``JournaledStore`` holds in memory: what only its journal has on disk, and what it remembers of the tables.
struct Unsettled {
  struct Body {
    var deposit: Deposit
    /// Where it is still held.
    var held: [MessageName]
  }

  struct Entry {
    var number: UInt64
    /// 0 for a message that was removed again.
    var body: UInt64
  }

  struct Box {
    /// Everything held, in the tables too.
    var usage: Usage
    /// The number given last.
    var last: UInt64
    /// Messages in the tables. Their numbers are lower than those of all entries.
    var settled: Int
    /// By number.
    var entries: [Entry] = []
    /// Before it all entries were removed.
    var first = 0

    /// Where the message with this number is, or the first with a higher one.
    func position(_ number: UInt64) -> Int {
      var (low, high) = (first, entries.count)
      while low < high {
        let middle = (low + high) / 2
        if entries[middle].number < number { low = middle + 1 } else { high = middle }
      }
      return low
    }
  }

  struct Sender: Hashable {
    var scope: ReplayScope
    var address: Bytes32
  }

  struct Records {
    /// Everything recorded, in the tables too.
    var count: Int
    var floor: UInt64?
    /// The highest sequence number in the tables; `nil` if they have none.
    var settled: UInt64?
    var digests: [UInt64: Bytes32] = [:]
    /// Records of the tables up to this one are to be deleted.
    var forgotten: UInt64?
  }

  struct Topic: Hashable {
    var mailbox: Mailbox
    var sender: Bytes32
    var topic: UInt64
  }

  var boxes: [Mailbox: Box] = [:]
  var bodies: [UInt64: Body] = [:]
  var lastBody: UInt64 = 0
  var records: [Sender: Records] = [:]
  /// The numbers of unsettled messages that have a topic, in order.
  var topics: [Topic: [UInt64]] = [:]
  /// How many unsettled bodies expire when.
  var expiries: [Instant: Int] = [:]
  var earliestExpiry: Instant?
  /// Everything held, in the tables too; shared bytes count once.
  var total: Usage

  init(total: Usage) { self.total = total }

  func message(_ entry: Entry, in mailbox: Mailbox) -> HeldMessage? {
    bodies[entry.body].map { HeldMessage(mailbox: mailbox, number: entry.number, deposit: $0.deposit) }
  }

  /// Unsettled messages with numbers over `number`, in order.
  func list(in mailbox: Mailbox, after number: UInt64, limit: Int) -> [HeldMessage] {
    guard let box = boxes[mailbox], number < .max else { return [] }
    var messages: [HeldMessage] = []
    for entry in box.entries[box.position(number + 1)...] {
      if messages.count >= limit { break }
      if let message = message(entry, in: mailbox) { messages.append(message) }
    }
    return messages
  }

  /// The unsettled message with this number.
  func entry(_ number: UInt64, in mailbox: Mailbox) -> Entry? {
    guard let box = boxes[mailbox] else { return nil }
    let position = box.position(number)
    guard position < box.entries.count, box.entries[position].number == number, box.entries[position].body != 0 else {
      return nil
    }
    return box.entries[position]
  }

  /// What is remembered once the tables say the same; if that is too much, it is read again when it is needed.
  func settled(remembering limit: Int = 8192) -> Unsettled {
    var after = Unsettled(total: total)
    after.lastBody = lastBody
    if boxes.count <= limit {
      after.boxes = boxes.mapValues { box in
        let live = box.entries.count { $0.body != 0 }
        return Box(usage: box.usage, last: box.last, settled: box.settled + live)
      }
    }
    if records.count <= limit {
      after.records = records.mapValues { records in
        let highest = records.digests.keys.max()
        return Records(
          count: records.count, floor: records.floor,
          settled: highest.map { max($0, records.settled ?? 0) } ?? records.settled)
      }
    }
    return after
  }

  // MARK: Changes, and how they are taken back

  /// A message in each of the boxes, which must be loaded; its body's number.
  mutating func put(_ deposit: Deposit, in mailboxes: [Mailbox]) -> UInt64 {
    lastBody += 1
    var held: [MessageName] = []
    held.reserveCapacity(mailboxes.count)
    for mailbox in mailboxes {
      let number = boxes[mailbox]?.append(lastBody, deposit.usage) ?? 0
      held.append(MessageName(mailbox, number))
      if let topic = deposit.topic {
        topics[Topic(mailbox: mailbox, sender: deposit.sender, topic: topic), default: []].append(number)
      }
    }
    bodies[lastBody] = Body(deposit: deposit, held: held)
    add(expiry: deposit.expires)
    total = total + Usage(messages: mailboxes.count, bytes: deposit.bytes.count)
    return lastBody
  }

  mutating func takeBackPut() {
    guard let body = bodies.removeValue(forKey: lastBody) else { return }
    for name in body.held.reversed() {
      boxes[name.mailbox]?.takeBackAppend(body.deposit.usage)
      forgetTopic(of: body.deposit, name)
    }
    remove(expiry: body.deposit.expires)
    total = total - Usage(messages: body.held.count, bytes: body.deposit.bytes.count)
    lastBody -= 1
  }

  /// Removes an unsettled message; the body with all that held it before.
  mutating func remove(_ entry: Entry, in mailbox: Mailbox) -> Body? {
    guard let body = bodies[entry.body] else { return nil }
    boxes[mailbox]?.remove(entry.number, body.deposit.usage)
    forgetTopic(of: body.deposit, MessageName(mailbox, entry.number))
    if body.held.count == 1 {
      bodies[entry.body] = nil
      remove(expiry: body.deposit.expires)
    } else {
      bodies[entry.body]?.held.removeAll { $0.mailbox == mailbox }
    }
    total = total - Usage(messages: 1, bytes: body.held.count == 1 ? body.deposit.bytes.count : 0)
    return body
  }

  mutating func takeBackRemove(_ entry: Entry, in mailbox: Mailbox, _ body: Body) {
    boxes[mailbox]?.takeBackRemove(entry, body.deposit.usage)
    if let topic = body.deposit.topic {
      let topic = Topic(mailbox: mailbox, sender: body.deposit.sender, topic: topic)
      topics[topic, default: []].append(entry.number)
      topics[topic]?.sort()
    }
    if body.held.count == 1 { add(expiry: body.deposit.expires) }
    bodies[entry.body] = body
    total = total + Usage(messages: 1, bytes: body.held.count == 1 ? body.deposit.bytes.count : 0)
  }

  private mutating func forgetTopic(of deposit: Deposit, _ name: MessageName) {
    guard let topic = deposit.topic else { return }
    let key = Topic(mailbox: name.mailbox, sender: deposit.sender, topic: topic)
    topics[key]?.removeAll { $0 == name.number }
    if topics[key]?.isEmpty ?? false { topics[key] = nil }
  }

  private mutating func add(expiry: Instant?) {
    guard let expiry else { return }
    expiries[expiry, default: 0] += 1
    earliestExpiry = min(earliestExpiry ?? expiry, expiry)
  }

  private mutating func remove(expiry: Instant?) {
    guard let expiry, let count = expiries[expiry] else { return }
    expiries[expiry] = count > 1 ? count - 1 : nil
    // They are whole seconds: there are few.
    if count == 1, earliestExpiry == expiry { earliestExpiry = expiries.keys.min() }
  }
}

extension Unsettled.Box {
  /// A new message; its number.
  mutating func append(_ body: UInt64, _ size: Usage) -> UInt64 {
    last += 1
    entries.append(.init(number: last, body: body))
    usage = usage + size
    return last
  }

  mutating func takeBackAppend(_ size: Usage) {
    last -= 1
    entries.removeLast()
    first = min(first, entries.count)
    usage = usage - size
  }

  mutating func remove(_ number: UInt64, _ size: Usage) {
    entries[position(number)].body = 0
    while first < entries.count, entries[first].body == 0 { first += 1 }
    usage = usage - size
  }

  mutating func takeBackRemove(_ entry: Unsettled.Entry, _ size: Usage) {
    // What was removed may stand before the first.
    first = 0
    entries[position(entry.number)] = entry
    while first < entries.count, entries[first].body == 0 { first += 1 }
    usage = usage + size
  }
}
