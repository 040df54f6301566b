import Queue
import Relay
import TestSupport
import Testing
import Wire

/// What every ``MailboxStore`` must do.
@Suite struct StoreConformanceTests {
  let directory: TemporaryDirectory
  let a = Mailbox(.nodeQueue, address(1))
  let b = Mailbox(.mailbox, address(1))

  init() throws { directory = try TemporaryDirectory() }

  @Test(arguments: StoreKind.allCases) func everyFieldReadsBack(kind: StoreKind) throws {
    let store = try kind.open(directory)
    let deposits = [
      Deposit(
        sender: address(0xff), seq: .max, topic: .max, protectionClass: 255,
        accepted: Instant(microseconds: .min),
        expires: Instant(microseconds: .max), receiptWanted: true, bytes: [0, 255, 1]),
      Deposit(
        sender: address(0), seq: 0, topic: 0, protectionClass: 0, accepted: Instant(microseconds: 0),
        expires: Instant(microseconds: -1), receiptWanted: false, bytes: []),
      deposit(3, topic: 1 << 63, size: 100_000),
    ]
    for (index, deposit) in deposits.enumerated() {
      #expect(try store.put(deposit, in: [a]) == [UInt64(index + 1)])
    }
    #expect(
      try store.list(in: a, after: 0, limit: 10)
        == deposits.enumerated().map { HeldMessage(mailbox: a, number: UInt64($0 + 1), deposit: $1) })
    #expect(try store.first(topic: .max, of: address(0xff), in: a)?.number == 1)
    #expect(try store.first(topic: 0, of: address(0), in: a)?.number == 2)
    #expect(try store.first(topic: 0, of: address(0), in: b) == nil)
    #expect(try store.earliestExpiry() == Instant(microseconds: -1))
  }

  @Test(arguments: StoreKind.allCases) func theOrderIsThatOfNumbers(kind: StoreKind) throws {
    let store = try kind.open(directory)
    for seq in 1...10 as ClosedRange<UInt64> { _ = try store.put(deposit(100 - seq), in: [a]) }
    #expect(try store.remove(4, in: a))
    #expect(try !store.remove(4, in: a))
    #expect(try !store.remove(0, in: a))
    #expect(try !store.remove(.max, in: a))
    #expect(try !store.remove(1, in: b))
    #expect(try store.next(in: a, after: 0)?.number == 1)
    #expect(try store.next(in: a, after: 3)?.number == 5)
    #expect(try store.next(in: a, after: 10) == nil)
    #expect(try store.next(in: a, after: .max) == nil)
    #expect(try store.list(in: a, after: 2, limit: 3).map(\.number) == [3, 5, 6])
    #expect(try store.list(in: a, after: 0, limit: 0).isEmpty)
    #expect(try store.list(in: b, after: 0, limit: .max).isEmpty)
  }

  @Test(arguments: StoreKind.allCases) func numbersRiseThroughEmptiness(kind: StoreKind) throws {
    let store = try kind.open(directory)
    for number in 1...5 as ClosedRange<UInt64> {
      #expect(try store.put(deposit(1), in: [a]) == [number])
      #expect(try store.remove(number, in: a))
    }
    #expect(try store.put(deposit(1), in: [b, a]) == [1, 6])
    #expect(try store.put(deposit(1), in: []).isEmpty)
  }

  @Test(arguments: StoreKind.allCases) func usageCountsSharedBytesOnce(kind: StoreKind) throws {
    let store = try kind.open(directory)
    _ = try store.put(deposit(1, size: 70), in: [a, b])
    _ = try store.put(deposit(2, size: 5), in: [b])
    #expect(try store.usage(of: a) == Usage(messages: 1, bytes: 70))
    #expect(try store.usage(of: b) == Usage(messages: 2, bytes: 75))
    #expect(try store.totalUsage() == Usage(messages: 3, bytes: 75))
    #expect(try store.mailboxes().map(\.mailbox) == [a, b])
    #expect(try store.remove(1, in: a))
    #expect(try store.totalUsage() == Usage(messages: 2, bytes: 75))
    #expect(try store.next(in: b, after: 0)?.bytes.count == 70)
    #expect(try store.remove(1, in: b))
    #expect(try store.totalUsage() == Usage(messages: 1, bytes: 5))
    #expect(try store.mailboxes().map(\.mailbox) == [b])
    #expect(try store.mailboxes().map(\.usage) == [Usage(messages: 1, bytes: 5)])
    #expect(try store.usage(of: a) == Usage())
  }

  @Test(arguments: StoreKind.allCases) func selectionsByClassExpiryAndSender(kind: StoreKind) throws {
    let store = try kind.open(directory)
    #expect(try store.oldestNoConsequence(in: nil) == nil)
    #expect(try store.earliestExpiry() == nil)
    _ = try store.put(deposit(1, protection: 1, expires: 30), in: [a])
    _ = try store.put(deposit(2, from: 2, protection: 0, expires: 20), in: [b])
    _ = try store.put(deposit(3, protection: 0, expires: 10), in: [a, b])
    #expect(try store.oldestNoConsequence(in: nil)?.seq == 2)
    #expect(try store.oldestNoConsequence(in: a)?.number == 2)
    #expect(try store.expired(at: Instant(seconds: 9), limit: 10).isEmpty)
    let expired = try store.expired(at: Instant(seconds: 20), limit: 10)
    #expect(expired.map(\.seq) == [3, 3, 2])
    #expect(Set(expired.map(\.mailbox)) == [a, b])
    #expect(try store.expired(at: Instant(seconds: 99), limit: 2).map(\.seq) == [3, 3])
    #expect(try store.list(from: address(1), limit: 10).map(\.seq) == [1, 3, 3])
    #expect(try store.list(from: address(1), limit: 1).map(\.seq) == [1])
    #expect(try store.list(from: address(7), limit: 10).isEmpty)
    #expect(try store.remove(2, in: a) && store.remove(2, in: b))
    #expect(try store.earliestExpiry() == Instant(seconds: 20))
  }

  @Test(arguments: StoreKind.allCases) func aTransactionIsAllOrNothing(kind: StoreKind) throws {
    let store = try kind.open(directory)
    _ = try store.put(deposit(1, expires: 5), in: [a])
    let key = ReplayKey(.relay, sender: address(1), seq: 1)
    #expect(throws: StoreError.abandoned) {
      try store.transaction { () throws(StoreError) in
        _ = try store.put(deposit(2), in: [a, b])
        try store.remove(1, in: a)
        try store.record(address(9), for: key)
        try store.setCounter("n", to: 7)
        try store.setValue("v", to: [1])
        #expect(try store.list(in: a, after: 0, limit: 9).map(\.seq) == [2])
        throw StoreError.abandoned
      }
    }
    #expect(store.undoneTransactions > 0)
    #expect(try store.list(in: a, after: 0, limit: 9).map(\.seq) == [1])
    #expect(try store.totalUsage() == Usage(messages: 1, bytes: 10))
    #expect(try store.usage(of: b) == Usage())
    #expect(try store.digest(of: key) == nil)
    #expect(try store.replayWindow(.relay, of: address(1)) == HomeRecords())
    #expect(try store.counter("n") == 0)
    #expect(try store.value("v") == nil)
    #expect(try store.earliestExpiry() == Instant(seconds: 5))
    #expect(try store.put(deposit(3), in: [a, b]) == [2, 1])
  }

  @Test(arguments: StoreKind.allCases) func anInnerTransactionIsUndoneAlone(kind: StoreKind) throws {
    let store = try kind.open(directory)
    try store.transaction { () throws(StoreError) in
      _ = try store.put(deposit(1), in: [a])
      #expect(throws: StoreError.abandoned) {
        try store.transaction { () throws(StoreError) in
          try store.remove(1, in: a)
          _ = try store.put(deposit(2), in: [a])
          try store.transaction { () throws(StoreError) in _ = try store.put(deposit(3), in: [b]) }
          throw StoreError.abandoned
        }
      }
      #expect(try store.totalUsage() == Usage(messages: 1, bytes: 10))
      _ = try store.put(deposit(4), in: [a])
    }
    #expect(try store.list(in: a, after: 0, limit: 9).map(\.seq) == [1, 4])
    #expect(try store.list(in: a, after: 0, limit: 9).map(\.number) == [1, 2])
    #expect(try store.mailboxes().count == 1)
  }

  @Test(arguments: StoreKind.allCases) func aWriteThatFailsUndoesTheTransactionAroundIt(kind: StoreKind)
    throws
  {
    let store = try kind.open(directory)
    let key = ReplayKey(.relay, sender: address(1), seq: 1)
    try store.record(address(1), for: key)
    #expect(throws: StoreError.self) { try store.record(address(2), for: key) }
    #expect(try store.replayWindow(.relay, of: address(1)) == HomeRecords(count: 1, floor: nil))
    // Even if the body goes on, and only the innermost.
    try store.transaction { () throws(StoreError) in
      _ = try store.put(deposit(1), in: [a])
      #expect(throws: StoreError.self) {
        try store.transaction { () throws(StoreError) in
          _ = try store.put(deposit(2), in: [a])
          try? store.record(address(2), for: key)
          _ = try? store.put(deposit(3), in: [a])
        }
      }
      _ = try store.put(deposit(4), in: [b])
    }
    #expect(try store.list(in: a, after: 0, limit: 9).map(\.seq) == [1])
    #expect(try store.list(in: b, after: 0, limit: 9).map(\.seq) == [4])
    #expect(try store.digest(of: key) == address(1))
  }

  @Test(arguments: StoreKind.allCases) func replayRecordsKeepTheHighestNumbers(kind: StoreKind) throws {
    let store = try kind.open(directory)
    let numbers: [UInt64] = [.max, 5, 1 << 63, 3, 900, (1 << 63) - 1, 0]
    for seq in numbers {
      try store.record(address(UInt8(seq & 0x7f)), for: ReplayKey(.relay, sender: address(1), seq: seq))
    }
    try store.record(address(77), for: ReplayKey(.uplink, sender: address(1), seq: 5))
    for seq in numbers {
      #expect(
        try store.digest(of: ReplayKey(.relay, sender: address(1), seq: seq)) == address(UInt8(seq & 0x7f)))
    }
    #expect(try store.digest(of: ReplayKey(.relay, sender: address(2), seq: 5)) == nil)
    #expect(try store.replayWindow(.relay, of: address(1)) == HomeRecords(count: 7, floor: nil))
    try store.pruneReplay(.relay, of: address(1), keeping: 8)
    #expect(try store.replayWindow(.relay, of: address(1)) == HomeRecords(count: 7, floor: nil))
    try store.pruneReplay(.relay, of: address(1), keeping: 3)
    #expect(try store.replayWindow(.relay, of: address(1)) == HomeRecords(count: 3, floor: 900))
    #expect(try store.digest(of: ReplayKey(.relay, sender: address(1), seq: 900)) == nil)
    #expect(try store.digest(of: ReplayKey(.relay, sender: address(1), seq: 1 << 63)) != nil)
    try store.pruneReplay(.relay, of: address(1), keeping: 0)
    #expect(try store.replayWindow(.relay, of: address(1)) == HomeRecords(count: 0, floor: .max))
    #expect(try store.replayWindow(.uplink, of: address(1)) == HomeRecords(count: 1, floor: nil))
    try store.pruneReplay(.relay, of: address(3), keeping: 0)
    #expect(try store.replayWindow(.relay, of: address(3)) == HomeRecords())
  }

  @Test(arguments: StoreKind.allCases) func countersAndValues(kind: StoreKind) throws {
    let store = try kind.open(directory)
    #expect(try store.counter("x") == 0)
    for value in [1, .max, 1 << 63, 0] as [UInt64] {
      try store.setCounter("x", to: value)
      #expect(try store.counter("x") == value)
    }
    #expect(try store.counter("y") == 0)
    for value in [[1, 2], [], nil, [0]] as [[UInt8]?] {
      try store.setValue("x", to: value)
      #expect(try store.value("x") == value)
    }
    #expect(try store.value("y") == nil)
    for name in ["a%", "a.2", "a.1", "A.1", "b", "aé"] { try store.setValue(name, to: Array(name.utf8)) }
    #expect(try store.values(withPrefix: "a.").map(\.name) == ["a.1", "a.2"])
    #expect(try store.values(withPrefix: "a%").map(\.value) == [Array("a%".utf8)])
    #expect(try store.values(withPrefix: "aé").map(\.name) == ["aé"])
    #expect(try store.values(withPrefix: "").map(\.name) == ["A.1", "a%", "a.1", "a.2", "aé", "b", "x"])
    #expect(try store.values(withPrefix: "c").isEmpty)
  }
}
