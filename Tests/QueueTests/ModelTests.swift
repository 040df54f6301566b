import Queue
import TestSupport
import Testing
import Wire

/// What ``Mailboxes`` must do, as plain arrays and nothing else.
struct Model {
  struct Held: Hashable {
    var mailbox: Mailbox
    var number: UInt64
    var deposit: Deposit
    var order: Int
  }

  var held: [Held] = []
  var last: [Mailbox: UInt64] = [:]
  var taken: [ReplayKey: Bytes32] = [:]
  var arrivals = 0

  func list(_ mailbox: Mailbox) -> [Held] {
    held.filter { $0.mailbox == mailbox }.sorted { $0.number < $1.number }
  }

  func usage(_ mailbox: Mailbox) -> Usage { list(mailbox).reduce(Usage()) { $0 + $1.deposit.usage } }

  mutating func put(_ deposit: Deposit, in mailbox: Mailbox, digest: Bytes32, limits: QueueLimits)
    -> PutOutcome
  {
    let key = ReplayKey(.relay, sender: deposit.sender, seq: deposit.seq)
    if let known = taken[key] { return known == digest ? .alreadyHeld : .refused(.envelopeReplayOtherBytes) }
    let before = held
    if let topic = deposit.topic {
      let rivals = list(mailbox).filter { $0.deposit.topic == topic && $0.deposit.sender == deposit.sender }
      if rivals.contains(where: { $0.deposit.seq > deposit.seq }) {
        taken[key] = digest
        return .held(numbers: [nil], refused: [])
      }
      held.removeAll { rivals.contains($0) }
    }
    while !(usage(mailbox) + deposit.usage).fits(limits[mailbox.kind]) {
      guard let oldest = list(mailbox).first(where: { $0.deposit.protectionClass == 0 }) else {
        held = before
        return .refused(.queueNodeFull)
      }
      held.removeAll { $0 == oldest }
    }
    while !(held.reduce(Usage()) { $0 + $1.deposit.usage } + deposit.usage).fits(limits.total) {
      guard let oldest = held.filter({ $0.deposit.protectionClass == 0 }).min(by: { $0.order < $1.order })
      else {
        held = before
        return .refused(.queueFull)
      }
      held.removeAll { $0 == oldest }
    }
    arrivals += 1
    last[mailbox, default: 0] += 1
    let number = last[mailbox] ?? 0
    held.append(Held(mailbox: mailbox, number: number, deposit: deposit, order: arrivals))
    taken[key] = digest
    return .held(numbers: [number], refused: [])
  }
}

@Suite struct ModelTests {
  @Test(arguments: 1...12) func randomOperationsAgreeWithArrays(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let limits = QueueLimits(
      nodeQueue: Usage(messages: 4, bytes: 120), outbox: Usage(messages: 6, bytes: 200),
      mailbox: Usage(messages: 5, bytes: 150), total: Usage(messages: 14, bytes: 420), replayRecords: 100_000)
    var boxes = Mailboxes(MemoryStore(), limits: limits)
    var model = Model()
    let mailboxes = Mailbox.Kind.allCases.flatMap { kind in (1...2).map { Mailbox(kind, address($0)) } }
    for step in 1...600 {
      let mailbox = try #require(mailboxes.randomElement(using: &generator))
      switch Int.random(in: 0..<10, using: &generator) {
      case 0..<6:
        let new = deposit(
          UInt64.random(in: 1...200, using: &generator), from: UInt8.random(in: 1...3, using: &generator),
          topic: generator.oneIn(2) ? UInt64.random(in: 1...3, using: &generator) : nil,
          protection: UInt8.random(in: 0...2, using: &generator),
          size: Int.random(in: 1...60, using: &generator),
          expires: generator.oneIn(2) ? Int64(step + Int.random(in: 1...40, using: &generator)) : nil)
        let digest = address(UInt8.random(in: 1...2, using: &generator))
        let expected = model.put(new, in: mailbox, digest: digest, limits: limits)
        #expect(
          try boxes.put(new, in: mailbox, deduplication: .init(.relay, digest: digest)).outcome == expected)
      case 6, 7:
        let number = UInt64.random(in: 0...((model.last[mailbox] ?? 0) + 1), using: &generator)
        let known = model.held.contains { $0.mailbox == mailbox && $0.number == number }
        model.held.removeAll { $0.mailbox == mailbox && $0.number == number }
        #expect(try boxes.confirm(number, in: mailbox) == known)
      case 8:
        let now = Instant(seconds: Int64(step))
        let due = model.held.filter { $0.deposit.expires.map { $0 <= now } ?? false }
        model.held.removeAll { due.contains($0) }
        let expired = try boxes.expire(now: now)
        #expect(
          Set(expired)
            == Set(due.map { HeldMessage(mailbox: $0.mailbox, number: $0.number, deposit: $0.deposit) }))
        #expect(expired.count == due.count)
      default:
        #expect(try boxes.earliestExpiry() == model.held.compactMap(\.deposit.expires).min())
      }
      for mailbox in mailboxes {
        let expected = model.list(mailbox)
        #expect(try boxes.list(mailbox).map(\.deposit) == expected.map(\.deposit))
        #expect(try boxes.list(mailbox).map(\.number) == expected.map(\.number))
        #expect(try boxes.usage(of: mailbox) == model.usage(mailbox))
        #expect(try boxes.peek(mailbox)?.more == (expected.isEmpty ? nil : expected.count - 1))
      }
      #expect(try boxes.store.totalUsage() == model.held.reduce(Usage()) { $0 + $1.deposit.usage })
    }
  }
}
