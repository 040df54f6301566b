import Queue
import Wire

/// Bytes as a list of things that happen to a store: what is held must always add up, and what is committed must survive.
struct Script {
  var reader: ScriptBytes
  var mailboxes = Mailboxes(
    MemoryStore(),
    limits: QueueLimits(
      nodeQueue: Usage(messages: 3, bytes: 40), outbox: Usage(messages: 4, bytes: 50),
      mailbox: Usage(messages: 5, bytes: 60), total: Usage(messages: 8, bytes: 100), replayRecords: 4))
  var reserve: SequenceReserve<MemoryStore>
  var last: UInt64 = 0
  /// The highest number given in each mailbox.
  var numbers: [Mailbox: UInt64] = [:]

  init(_ bytes: [UInt8]) {
    reader = ScriptBytes(bytes)
    reserve = SequenceReserve("fuzz", in: mailboxes.store, step: 3)
  }

  mutating func run() {
    while let operation = reader.next() {
      do throws(StoreError) {
        try step(operation)
      } catch {
        precondition(error.kind == .closed || error.kind == .abandoned, "\(error)")
        mailboxes.store.restart()
        if error.kind == .closed { reserve = SequenceReserve("fuzz", in: mailboxes.store, step: 3) }
      }
      check()
    }
  }

  mutating func step(_ operation: UInt8) throws(StoreError) {
    switch operation % 8 {
    case 0, 1, 2: try put()
    case 3:
      let mailbox = reader.mailbox()
      guard let head = try mailboxes.peek(mailbox) else { return }
      let wasThere = try mailboxes.confirm(head.message.number, in: mailbox)
      precondition(wasThere)
      let isThere = try mailboxes.confirm(head.message.number, in: mailbox)
      precondition(!isThere)
    case 4: _ = try mailboxes.expire(now: Instant(seconds: Int64(reader.byte())))
    case 5:
      mailboxes.store.cutPower(
        afterWrites: Int(reader.byte() % 8) + 1,
        MemoryStore.Moment.allCases[Int(reader.byte()) % MemoryStore.Moment.allCases.count])
    case 6:
      let number = try reserve.next()
      precondition(number > last)
      last = number
    default:
      let before = try held()
      do throws(StoreError) {
        try mailboxes.transaction { (boxes) throws(StoreError) in
          _ = try boxes.remove(from: .zero, reason: .senderRevoked)
          throw StoreError.abandoned
        }
      } catch { guard error.kind == .abandoned else { throw error } }
      let after = try held()
      precondition(before == after)
    }
  }

  mutating func put() throws(StoreError) {
    let flags = reader.byte()
    let deposit = Deposit(
      sender: .zero, seq: UInt64(reader.byte()), topic: flags & 1 == 0 ? nil : UInt64(reader.byte() % 3),
      protectionClass: flags >> 1 & 3, accepted: Instant(seconds: 0),
      expires: flags & 8 == 0 ? nil : Instant(seconds: Int64(reader.byte())),
      bytes: [UInt8](repeating: flags, count: Int(reader.byte() % 50)))
    let targets = flags & 16 == 0 ? [reader.mailbox()] : [reader.mailbox(), Mailbox(.outbox, .zero)]
    let result = try mailboxes.put(
      deposit, in: targets, deduplication: flags & 32 == 0 ? nil : Deduplication(.relay, digest: .zero))
    guard case .held(let given, _) = result.outcome else { return }
    for (mailbox, number) in zip(targets, given) {
      guard let number else { continue }
      precondition(number > numbers[mailbox] ?? 0)
      numbers[mailbox] = number
    }
  }

  func held() throws(StoreError) -> [HeldMessage] {
    var messages: [HeldMessage] = []
    for (mailbox, _) in try mailboxes.store.mailboxes() { messages += try mailboxes.list(mailbox) }
    return messages
  }

  /// The sums are those of what is listed, and no limit is passed.
  func check() {
    guard let total = try? mailboxes.store.totalUsage(), let boxes = try? mailboxes.store.mailboxes() else {
      return
    }
    precondition(total.fits(mailboxes.limits.total))
    var messages = 0
    for (mailbox, usage) in boxes {
      guard let list = try? mailboxes.list(mailbox) else { return }
      precondition(usage == list.reduce(Usage()) { $0 + $1.deposit.usage })
      precondition(usage.fits(mailboxes.limits[mailbox.kind]))
      precondition(zip(list, list.dropFirst()).allSatisfy { $0.number < $1.number })
      messages += list.count
    }
    precondition(messages == total.messages)
  }
}

/// The script's bytes, one after another.
struct ScriptBytes {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  mutating func next() -> UInt8? { rest.popFirst() }

  /// The next byte; 0 after the end.
  mutating func byte() -> UInt8 { next() ?? 0 }

  mutating func mailbox() -> Mailbox {
    let byte = byte()
    return Mailbox(Mailbox.Kind.allCases[Int(byte) % Mailbox.Kind.allCases.count], .zero)
  }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  var script = Script([UInt8](UnsafeBufferPointer(start: data, count: count)))
  script.run()
  return 0
}
