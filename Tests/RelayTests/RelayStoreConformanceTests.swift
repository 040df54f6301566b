import Queue
import Relay
import TestSupport
import Testing
import Wire

/// What every ``RelayStore`` must do.
@Suite struct RelayStoreConformanceTests {
  let a = Mailbox(.mailbox, address(0xa))
  let b = Mailbox(.mailbox, address(0xb))
  let c = Mailbox(.mailbox, address(0xc))

  @Test(arguments: RelayStoreKind.all) func messagesAreListedInOrderUntilConfirmed(kind: RelayStoreKind) throws {
    let tested = try TestedRelayStore(kind)
    let store = tested.store
    try store.serve(a)
    let deposits = [
      Deposit(
        sender: address(0xff), seq: .max, topic: .max, protectionClass: 255,
        accepted: Instant(microseconds: .min), expires: Instant(microseconds: .max), receiptWanted: true,
        bytes: [0, 255, 1]),
      Deposit(sender: address(0), seq: 0, protectionClass: 0, accepted: Instant(microseconds: 0), bytes: []),
      deposit(7, protection: 2, expires: 9),
    ]
    let outcomes = try store.put(deposits.map { .sent($0, to: a) })
    let held = try tested.list(a, count: 3)
    #expect(held.map(\.deposit) == deposits)
    #expect(held.allSatisfy { $0.mailbox == a && $0.number > 0 })
    let numbers = held.map(\.number)
    #expect(numbers == numbers.sorted() && Set(numbers).count == 3)
    #expect(outcomes == numbers.map { .held(numbers: [$0], refused: []) })
    #expect(try store.list(in: a, after: numbers[0], limit: 1).map(\.number) == [numbers[1]])
    #expect(try store.list(in: a, after: numbers[2], limit: 9).isEmpty)
    #expect(try store.list(in: a, after: 0, limit: 0).isEmpty)
    #expect(try store.usage(of: a).messages == 3)
    #expect(try store.usage(of: b).messages == 0)
    #expect(try store.totalUsage().messages == 3)
    #expect(try store.totalUsage().bytes >= 13)

    try store.confirm([MessageName(a, numbers[1])])
    #expect(try store.list(in: a, after: 0, limit: 9).map(\.number) == [numbers[0], numbers[2]])
    try store.confirm([])
    try store.confirm([MessageName(a, numbers[1]), MessageName(a, 1 << 40), MessageName(b, numbers[0])])
    #expect(try store.usage(of: a).messages == 2)
    try store.confirm([MessageName(a, numbers[0]), MessageName(a, numbers[2])])
    #expect(try store.list(in: a, after: 0, limit: 9).isEmpty)
    #expect(try store.totalUsage().messages == 0)

    _ = try store.put([.sent(deposit(8), to: a)])
    #expect(try tested.list(a, count: 1)[0].number > numbers[2])
  }

  @Test(arguments: RelayStoreKind.all) func eachRecipientHoldsItsOwn(kind: RelayStoreKind) throws {
    let tested = try TestedRelayStore(kind)
    let store = tested.store
    for mailbox in [a, b] { try store.serve(mailbox) }
    let outcome = try store.put([.sent(deposit(1), to: a, b, a, c)])[0]
    guard case .held(let numbers, let refused) = outcome else {
      Issue.record("not held: \(outcome)")
      return
    }
    #expect(refused.isEmpty)
    #expect(numbers.map { $0 == nil } == [false, false, true, false])
    let inA = try tested.list(a, count: 1)
    #expect(inA.map(\.number) == [numbers[0]])
    #expect(try tested.list(b, count: 1).map(\.number) == [numbers[1]])
    try store.confirm([MessageName(a, inA[0].number)])
    #expect(try store.list(in: a, after: 0, limit: 9).isEmpty)
    #expect(try store.list(in: b, after: 0, limit: 9).count == 1)
    // Whoever was not served finds it later.
    try store.serve(c)
    #expect(try tested.list(c, count: 1).map(\.deposit) == [deposit(1)])
    #expect(try store.put([RelayDeposit(deposit(2), in: [])]) == [.held(numbers: [], refused: [])])
  }

  @Test(arguments: RelayStoreKind.all) func aMessageIsTakenOnce(kind: RelayStoreKind) throws {
    let tested = try TestedRelayStore(kind)
    let store = tested.store
    try store.serve(a)
    let (one, two) = (deposit(1), deposit(2))
    #expect(try store.replayed(one.sender, 1, recognised(one)) == nil)
    let outcomes = try store.put([.sent(one, to: a), .sent(two, to: a), .sent(one, to: a)])
    #expect(outcomes[2] == .alreadyHeld)
    let held = try tested.list(a, count: 2)
    #expect(held.map(\.seq) == [1, 2])
    #expect(try store.put([.sent(two, to: a), .sent(two, to: a, b)]) == [.alreadyHeld, .alreadyHeld])
    // When it was confirmed as well.
    try store.confirm(held.map { MessageName(a, $0.number) })
    #expect(try store.put([.sent(one, to: a)]) == [.alreadyHeld])
    #expect(try store.replayed(one.sender, 1, recognised(one)) == .alreadyHeld)
    #expect(try store.totalUsage().messages == 0)
    #expect(store.counters[.envelopeReplay] == 4)
    // What is the relay's own is not compared with anything.
    _ = try store.put([RelayDeposit(one, in: [a]), RelayDeposit(one, in: [a])])
    #expect(try tested.list(a, count: 2).map(\.deposit) == [one, one])
  }

  @Test(arguments: RelayStoreKind.all) func otherBytesUnderANumberAreRefused(kind: RelayStoreKind) throws {
    let tested = try TestedRelayStore(kind)
    let store = tested.store
    try store.serve(a)
    var other = deposit(1)
    other.bytes = [99]
    let outcomes = try store.put([.sent(deposit(1), to: a), .sent(other, to: a)])
    #expect(outcomes[1] == .refused(.envelopeReplayOtherBytes))
    #expect(try store.put([.sent(other, to: a)]) == [.refused(.envelopeReplayOtherBytes)])
    #expect(try store.replayed(other.sender, 1, recognised(other)) == .refused(.envelopeReplayOtherBytes))
    #expect(try tested.list(a, count: 1).map(\.deposit) == [deposit(1)])
    #expect(try store.totalUsage().messages == 1)
    #expect(store.counters[.envelopeReplayOtherBytes] == 2)
    // Another sender's numbers, and another scope's, are its own.
    let fromAnother = RelayDeposit(deposit(1, from: 2), in: [a], deduplication: recognised(other))
    let elsewhere = RelayDeposit(other, in: [a], deduplication: Deduplication(.downlink, digest: address(99)))
    _ = try store.put([fromAnother, elsewhere])
    #expect(try tested.list(a, count: 3).count == 3)
  }

  @Test(arguments: RelayStoreKind.all) func aFullMailboxRefusesForItself(kind: RelayStoreKind) throws {
    let limits = QueueLimits(mailbox: Usage(messages: 3, bytes: 1 << 20))
    let tested = try TestedRelayStore(kind, limits: limits)
    let store = tested.store
    try store.serve(a)
    try store.serve(b)
    _ = try store.put((1...3).map { .sent(deposit($0), to: a) })
    #expect(try store.put([.sent(deposit(4), to: a)]) == [.refused(.queueNodeFull)])
    let both = try store.put([.sent(deposit(5), to: a, b)])[0]
    let inB = try tested.list(b, count: 1)
    #expect(both == .held(numbers: [nil, inB[0].number], refused: [.init(mailbox: a, reason: .queueNodeFull)]))
    #expect(store.counters[.queueNodeFull] == 2)
    let held = try tested.list(a, count: 3)
    #expect(held.map(\.seq) == [1, 2, 3])
    // What was refused everywhere was not taken, and is when there is room.
    try store.confirm([MessageName(a, held[0].number)])
    let again = try store.put([.sent(deposit(4), to: a)])[0]
    #expect(try tested.list(a, count: 3).map(\.seq) == [2, 3, 4])
    guard case .held = again else {
      Issue.record("not held: \(again)")
      return
    }
  }

  @Test(arguments: RelayStoreKind.all) func theOldestOfNoConsequenceGivesWay(kind: RelayStoreKind) throws {
    let limits = QueueLimits(mailbox: Usage(messages: 3, bytes: 1 << 20))
    let tested = try TestedRelayStore(kind, limits: limits)
    let store = tested.store
    try store.serve(a)
    for seq in 1...5 as ClosedRange<UInt64> { _ = try store.put([.sent(deposit(seq, protection: 0), to: a)]) }
    try eventually("the newest are listed") {
      try store.list(in: a, after: 0, limit: 9).map(\.seq) == [3, 4, 5]
    }
    #expect(try store.usage(of: a).messages == 3)
    #expect(store.counters[.queueOldestDropped] == 2)
  }

  @Test(arguments: RelayStoreKind.all) func ofOneTopicTheNewestIsListed(kind: RelayStoreKind) throws {
    let tested = try TestedRelayStore(kind)
    let store = tested.store
    try store.serve(a)
    let deposits = [
      deposit(1, topic: 1), deposit(2, topic: 2), deposit(3, topic: 1), deposit(4), deposit(5, from: 2, topic: 1),
      deposit(6, topic: 1),
    ]
    for deposit in deposits { _ = try store.put([.sent(deposit, to: a)]) }
    try eventually("the newest are listed") {
      try store.list(in: a, after: 0, limit: 9).map(\.seq) == [2, 4, 5, 6]
    }
    #expect(try store.usage(of: a).messages == 4)
    #expect(store.counters[.queueSuperseded] == 2)
  }
}
