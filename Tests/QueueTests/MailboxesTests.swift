import Queue
import TestSupport
import Testing
import Wire

@Suite struct MailboxesTests {
  var boxes = Mailboxes(
    MemoryStore(),
    limits: QueueLimits(
      nodeQueue: Usage(messages: 3, bytes: 100), outbox: Usage(messages: 5, bytes: 1000),
      mailbox: Usage(messages: 4, bytes: 1000), total: Usage(messages: 6, bytes: 500), replayRecords: 8))
  let node = nodeQueue(9)

  @Test mutating func messagesLeaveInHeldOrderAndOnlyWhenConfirmed() throws {
    for seq in [5, 3, 4] as [UInt64] { _ = try boxes.put(deposit(seq), in: node) }
    for _ in 0..<3 {
      let head = try #require(try boxes.peek(node))
      #expect(head.message.seq == 5 && head.message.number == 1 && head.more == 2)
    }
    #expect(try boxes.next(in: node, after: 1)?.seq == 3)
    #expect(try boxes.confirm(1, in: node))
    #expect(try boxes.peek(node)?.message.seq == 3)
    #expect(try boxes.list(node).map(\.seq) == [3, 4])
  }

  @Test mutating func confirmingAnUnknownNumberIsHarmless() throws {
    _ = try boxes.put(deposit(1), in: node)
    for number in [0, 2, 77, .max] as [UInt64] { #expect(try !boxes.confirm(number, in: node)) }
    #expect(try !boxes.confirm(1, in: nodeQueue(8)))
    #expect(try boxes.confirm(1, in: node))
    #expect(try !boxes.confirm(1, in: node))
    #expect(try boxes.peek(node) == nil)
  }

  @Test mutating func numbersStartAtOneAndAreNeverReused() throws {
    var last: UInt64 = 0
    for seq in 1...20 as ClosedRange<UInt64> {
      let number = try #require(try boxes.put(deposit(seq), in: node).number)
      #expect(number == last + 1)
      last = number
      try boxes.confirm(number, in: node)
    }
    #expect(try boxes.put(deposit(1), in: nodeQueue(8)).number == 1)
  }

  @Test mutating func aFullQueueRefusesWhatIsOfConsequence() throws {
    for seq in 1...3 as ClosedRange<UInt64> { _ = try boxes.put(deposit(seq), in: node) }
    for protection in [0, 1, 2] as [UInt8] {
      #expect(try boxes.put(deposit(4, protection: protection), in: node).outcome == .refused(.queueNodeFull))
    }
    #expect(boxes.counters[.queueNodeFull] == 3)
    #expect(try boxes.list(node).map(\.seq) == [1, 2, 3])
  }

  @Test mutating func aFullQueueDropsItsOldestNoConsequenceMessage() throws {
    _ = try boxes.put(deposit(1, protection: 1), in: node)
    _ = try boxes.put(deposit(2, protection: 0), in: node)
    _ = try boxes.put(deposit(3, protection: 0), in: node)
    let result = try boxes.put(deposit(4, protection: 0), in: node)
    #expect(result.displaced.map(\.message.seq) == [2])
    #expect(result.displaced.map(\.reason) == [.queueOldestDropped])
    // What matters takes the place of what does not.
    #expect(try boxes.put(deposit(5, protection: 2), in: node).displaced.map(\.message.seq) == [3])
    #expect(try boxes.list(node).map(\.seq) == [1, 4, 5])
    #expect(boxes.counters[.queueOldestDropped] == 2)
  }

  @Test mutating func bytesAreLimitedTooAndNothingIsDroppedInVain() throws {
    _ = try boxes.put(deposit(1, protection: 0, size: 40), in: node)
    _ = try boxes.put(deposit(2, protection: 1, size: 40), in: node)
    // 61 do not fit even if the 40 of no consequence go.
    #expect(try boxes.put(deposit(3, size: 61), in: node).outcome == .refused(.queueNodeFull))
    #expect(try boxes.list(node).map(\.seq) == [1, 2])
    #expect(try boxes.put(deposit(4, size: 60), in: node).number == 3)
    #expect(try boxes.put(deposit(5, size: 101), in: nodeQueue(8)).outcome == .refused(.queueNodeFull))
    #expect(try boxes.usage(of: node) == Usage(messages: 2, bytes: 100))
  }

  @Test mutating func theTotalIsLimited() throws {
    for index in 0..<6 as Range<UInt8> {
      _ = try boxes.put(deposit(UInt64(index), protection: index == 4 ? 0 : 1), in: nodeQueue(index))
    }
    let result = try boxes.put(deposit(10), in: node)
    #expect(result.displaced.map(\.message.mailbox) == [nodeQueue(4)])
    #expect(try boxes.put(deposit(11), in: node).outcome == .refused(.queueFull))
    #expect(boxes.counters[.queueFull] == 1)
  }

  @Test mutating func ofOneTopicOnlyTheNewestIsKept() throws {
    _ = try boxes.put(deposit(1, topic: 7), in: node)
    _ = try boxes.put(deposit(2, topic: 8), in: node)
    _ = try boxes.put(deposit(3, from: 2, topic: 7), in: node)
    // A full queue has room for a message that takes the place of an older one.
    let result = try boxes.put(deposit(4, topic: 7), in: node)
    #expect(result.displaced.map(\.message.seq) == [1])
    #expect(result.number == 4)
    #expect(try boxes.list(node).map(\.seq) == [2, 3, 4])
    #expect(boxes.counters[.queueSuperseded] == 1)
    #expect(try !boxes.confirm(1, in: node))
  }

  @Test mutating func anOlderMessageOfATopicThatComesLateIsNotHeld() throws {
    _ = try boxes.put(deposit(5, topic: 7), in: node)
    let result = try boxes.put(deposit(4, topic: 7), in: node)
    #expect(result.outcome == .held(numbers: [nil], refused: []))
    #expect(try boxes.list(node).map(\.seq) == [5])
    #expect(boxes.counters[.queueSuperseded] == 1)
  }

  @Test mutating func expiryRemovesAndReturns() throws {
    _ = try boxes.put(deposit(1, expires: 20), in: node)
    _ = try boxes.put(deposit(2, expires: 10), in: node)
    _ = try boxes.put(deposit(3), in: node)
    #expect(try boxes.earliestExpiry() == Instant(seconds: 10))
    #expect(try boxes.expire(now: Instant(seconds: 9)).isEmpty)
    #expect(try boxes.expire(now: Instant(seconds: 10)).map(\.seq) == [2])
    #expect(try boxes.earliestExpiry() == Instant(seconds: 20))
    #expect(try boxes.expire(now: Instant(seconds: 100)).map(\.seq) == [1])
    #expect(try boxes.earliestExpiry() == nil)
    #expect(try boxes.list(node).map(\.seq) == [3])
    #expect(boxes.counters[.envelopeExpired] == 2)
  }

  @Test mutating func aRemovalAndTheReportOfItAreOneTransaction() throws {
    _ = try boxes.put(deposit(1, expires: 10), in: node)
    #expect(throws: StoreError.abandoned) {
      try boxes.transaction { (boxes) throws(StoreError) in
        for message in try boxes.expire(now: Instant(seconds: 11)) {
          _ = try boxes.put(deposit(message.seq + 100), in: Mailbox(.outbox, message.sender))
        }
        throw StoreError.abandoned
      }
    }
    #expect(try boxes.list(node).map(\.seq) == [1])
    #expect(try boxes.usage(of: Mailbox(.outbox, address(1))) == Usage())
    #expect(boxes.counters.total == 0)
  }

  @Test mutating func theSameMessageIsHeldOnceAndAcknowledgedAgain() throws {
    let (mine, other) = (
      Deduplication(.relay, digest: address(50)), Deduplication(.relay, digest: address(51))
    )
    #expect(try boxes.put(deposit(1), in: node, deduplication: mine).number == 1)
    #expect(try boxes.put(deposit(1), in: node, deduplication: mine).outcome == .alreadyHeld)
    #expect(
      try boxes.put(deposit(1), in: node, deduplication: other).outcome == .refused(.envelopeReplayOtherBytes)
    )
    #expect(try boxes.put(deposit(1, from: 2), in: node, deduplication: other).number == 2)
    // It stays known when it has left.
    try boxes.confirm(1, in: node)
    #expect(try boxes.put(deposit(1), in: node, deduplication: mine).outcome == .alreadyHeld)
    // Another scope is another matter.
    let downlink = Deduplication(.downlink, digest: address(51))
    #expect(try boxes.put(deposit(1), in: node, deduplication: downlink).number == 3)
    #expect(boxes.counters[.envelopeReplay] == 2)
    #expect(boxes.counters[.envelopeReplayOtherBytes] == 1)
  }

  @Test mutating func aRefusedMessageMayComeAgain() throws {
    for seq in 1...3 as ClosedRange<UInt64> { _ = try boxes.put(deposit(seq), in: node) }
    let mark = Deduplication(.relay, digest: address(50))
    #expect(try boxes.put(deposit(4), in: node, deduplication: mark).outcome == .refused(.queueNodeFull))
    try boxes.confirm(2, in: node)
    #expect(try boxes.put(deposit(4), in: node, deduplication: mark).number == 4)
  }

  @Test mutating func whatIsTooOldToTellIsRefused() throws {
    for seq in stride(from: 10, through: 400, by: 10) as StrideThrough<UInt64> {
      let number = try boxes.put(deposit(seq), in: node, deduplication: .init(.relay, digest: address(1)))
        .number
      try boxes.confirm(try #require(number), in: node)
    }
    let window = try boxes.store.replayWindow(.relay, of: address(1))
    #expect(window.count >= 8 && window.count <= 10)
    let floor = try #require(window.floor)
    for seq in [1, 15, floor] {
      let result = try boxes.put(deposit(seq), in: node, deduplication: .init(.relay, digest: address(1)))
      #expect(result.outcome == .refused(.envelopeReplayOtherBytes))
    }
    // A gap above the floor is new: hops reorder.
    #expect(
      try boxes.put(deposit(395), in: node, deduplication: .init(.relay, digest: address(1))).number != nil)
  }

  @Test mutating func severalRecipientsShareTheBytes() throws {
    let all = [nodeQueue(1), nodeQueue(2), nodeQueue(3)]
    #expect(
      try boxes.put(deposit(1, size: 90), in: all).outcome == .held(numbers: [1, 1, 1], refused: []))
    #expect(try boxes.store.totalUsage() == Usage(messages: 3, bytes: 90))
    try boxes.confirm(1, in: all[0])
    try boxes.confirm(1, in: all[2])
    #expect(try boxes.peek(all[1])?.message.bytes.count == 90)
    #expect(try boxes.store.totalUsage() == Usage(messages: 1, bytes: 90))
    try boxes.confirm(1, in: all[1])
    #expect(try boxes.store.totalUsage() == Usage())
  }

  @Test mutating func aFullMailboxDoesNotSilenceTheOtherRecipients() throws {
    for seq in 1...3 as ClosedRange<UInt64> { _ = try boxes.put(deposit(seq), in: node) }
    let result = try boxes.put(deposit(4), in: [node, nodeQueue(2)])
    #expect(
      result.outcome == .held(numbers: [nil, 1], refused: [.init(mailbox: node, reason: .queueNodeFull)]))
    #expect(boxes.counters[.queueNodeFull] == 1)
  }

  @Test mutating func aMailboxThatIsNamedTwiceTakesItOnce() throws {
    #expect(
      try boxes.put(deposit(1), in: [node, nodeQueue(2), node]).outcome
        == .held(numbers: [1, 1, nil], refused: []))
    #expect(try boxes.usage(of: node).messages == 1)
  }

  @Test mutating func removalBySenderAndByMailbox() throws {
    _ = try boxes.put(deposit(1, from: 1), in: [node, nodeQueue(2)])
    _ = try boxes.put(deposit(2, from: 2), in: node)
    #expect(try boxes.remove(from: address(1), reason: .senderRevoked).count == 2)
    #expect(try boxes.list(node).map(\.seq) == [2])
    #expect(try boxes.removeAll(in: node, reason: .senderRevoked).map(\.seq) == [2])
    #expect(boxes.counters[.senderRevoked] == 3)
    #expect(try boxes.store.mailboxes().isEmpty)
  }
}

@Suite struct Bytes32Tests {
  @Test func bytesReadBack() throws {
    var generator = SeededGenerator(seed: 4)
    for _ in 0..<100 {
      let bytes = generator.bytes(32)
      let value = try #require(Bytes32(bytes))
      #expect(value.bytes == bytes)
      #expect(try value.encoded() == bytes)
      #expect(value.description == bytes.hex)
      let other = generator.bytes(32)
      #expect((value < Bytes32(other) ?? .zero) == bytes.lexicographicallyPrecedes(other))
    }
    for count in [0, 1, 31, 33] { #expect(Bytes32([UInt8](repeating: 0, count: count)) == nil) }
  }
}
