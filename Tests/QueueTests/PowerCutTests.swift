import Queue
import TestSupport
import Testing
import Wire

@Suite struct PowerCutTests {
  /// Everything that can be seen of a store.
  struct Image: Equatable {
    var messages: [HeldMessage] = []
    var total: Usage
    var counter: UInt64
    var value: [UInt8]?
    var window: HomeRecords

    init(_ store: MemoryStore) throws {
      for (mailbox, _) in try store.mailboxes() {
        messages += try store.list(in: mailbox, after: 0, limit: .max)
      }
      total = try store.totalUsage()
      counter = try store.counter("n")
      value = try store.value("v")
      window = try store.replayWindow(.relay, of: address(1))
    }
  }

  /// A transaction with a write of every kind.
  static func everything(_ boxes: inout Mailboxes<MemoryStore>, _ round: UInt64) throws {
    try boxes.transaction { (boxes) throws(StoreError) in
      try boxes.store.setCounter("n", to: round)
      _ = try boxes.put(
        deposit(round, topic: round % 2), in: [nodeQueue(1), nodeQueue(2)],
        deduplication: .init(.relay, digest: address(1)))
      _ = try boxes.put(deposit(round + 1000, protection: 0, expires: 5), in: nodeQueue(3))
      _ = try boxes.expire(now: Instant(seconds: 5), limit: 1)
      try boxes.confirm(round / 2, in: nodeQueue(1))
      try boxes.store.setValue("v", to: [UInt8(round)])
    }
  }

  @Test(arguments: MemoryStore.Moment.allCases)
  func afterALossOfPowerEverythingCommittedIsThereAndNothingElse(
    moment: MemoryStore.Moment
  ) throws {
    var cuts = 0
    var whole = Mailboxes(MemoryStore(), limits: QueueLimits(replayRecords: 2))
    for round in 1...7 as ClosedRange<UInt64> { try Self.everything(&whole, round) }
    let after = try Image(whole.store)
    for write in 1...40 {
      var boxes = Mailboxes(MemoryStore(), limits: QueueLimits(replayRecords: 2))
      for round in 1...6 as ClosedRange<UInt64> { try Self.everything(&boxes, round) }
      let before = try Image(boxes.store)
      boxes.store.cutPower(afterWrites: write, moment)
      let counted = boxes.counters
      do {
        try Self.everything(&boxes, 7)
        #expect(!boxes.store.isPowerCut)
        continue
      } catch { #expect((error as? StoreError)?.kind == .closed) }
      cuts += 1
      #expect(boxes.counters == counted)
      #expect(throws: StoreError.self) { try boxes.peek(nodeQueue(1)) }
      boxes.store.restart()
      #expect(try Image(boxes.store) == (moment == .afterCommit ? after : before))
      // The sender, who was told nothing, tries again.
      try Self.everything(&boxes, 7)
      #expect(try boxes.store.counter("n") == 7)
      #expect(try boxes.store.digest(of: ReplayKey(.relay, sender: address(1), seq: 7)) == address(1))
    }
    #expect(cuts >= 8)
  }

  @Test func whatIsAcknowledgedIsDeliveredOnceInEffectThroughAnyLossOfPower() throws {
    for seed in 1...40 as ClosedRange<UInt64> {
      var generator = SeededGenerator(seed: seed)
      var boxes = Mailboxes(MemoryStore(), limits: QueueLimits(replayRecords: 1000))
      var delivered: [UInt64] = []
      for seq in 1...60 as ClosedRange<UInt64> {
        // A sender repeats until it is told; a receiver takes a number once.
        while true {
          if generator.oneIn(3) {
            boxes.store.cutPower(
              afterWrites: Int.random(in: 1...6, using: &generator),
              MemoryStore.Moment.allCases.randomElement(using: &generator) ?? .write)
          }
          do {
            _ = try boxes.put(
              deposit(seq), in: nodeQueue(1), deduplication: .init(.relay, digest: address(1)))
            if let head = try boxes.peek(nodeQueue(1)), generator.oneIn(2) {
              if delivered.last != head.message.seq { delivered.append(head.message.seq) }
              try boxes.confirm(head.message.number, in: nodeQueue(1))
            }
            break
          } catch { boxes.store.restart() }
        }
      }
      boxes.store.restart()
      while let head = try boxes.peek(nodeQueue(1)) {
        if delivered.last != head.message.seq { delivered.append(head.message.seq) }
        try boxes.confirm(head.message.number, in: nodeQueue(1))
      }
      #expect(delivered == Array(1...60))
    }
  }
}

@Suite struct SequenceReserveTests {
  @Test func numbersRiseByOneFromOne() throws {
    var reserve = SequenceReserve("own", in: MemoryStore(), step: 3)
    for expected in 1...20 as ClosedRange<UInt64> { #expect(try reserve.next() == expected) }
  }

  @Test func aBlockIsOneWrite() throws {
    let store = MemoryStore()
    var reserve = SequenceReserve("own", in: store, step: 10)
    _ = try reserve.next()
    #expect(try store.counter("own") == 10)
    for _ in 0..<9 { _ = try reserve.next() }
    #expect(try store.counter("own") == 10)
    _ = try reserve.next()
    #expect(try store.counter("own") == 20)
  }

  @Test func noNumberIsGivenTwiceWhateverIsLost() throws {
    for seed in 1...60 as ClosedRange<UInt64> {
      var generator = SeededGenerator(seed: seed)
      let store = MemoryStore()
      var reserve = SequenceReserve("own", in: store, step: 4)
      var last: UInt64 = 0
      for _ in 0..<300 {
        if generator.oneIn(8) {
          store.cutPower(
            afterWrites: 1, MemoryStore.Moment.allCases.randomElement(using: &generator) ?? .write)
        }
        do {
          if generator.oneIn(3) {
            // What a transaction drew is sent when it has committed, and never otherwise.
            let number = try store.transaction { () throws(StoreError) -> UInt64 in
              let number = try reserve.next()
              if generator.oneIn(2) { throw StoreError.abandoned }
              return number
            }
            #expect(number > last)
            last = number
          } else {
            let number = try reserve.next()
            #expect(number > last)
            last = number
          }
        } catch {
          guard error.kind == .closed || generator.oneIn(4) else { continue }
          store.restart()
          reserve = SequenceReserve("own", in: store, step: 4)
        }
      }
      #expect(last > 100)
    }
  }

  @Test func aUsedUpSequenceIsAnError() throws {
    let store = MemoryStore()
    try store.setCounter("own", to: .max - 2)
    var reserve = SequenceReserve("own", in: store, step: 4)
    #expect(throws: StoreError.self) { try reserve.next() }
  }
}
