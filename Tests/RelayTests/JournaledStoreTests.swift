import Foundation
import Queue
import TestSupport
import Testing
import Wire

@testable import Relay

/// A journal in front of tables: beside ``StoreConformanceTests``, what is left behind and read again.
@Suite struct JournaledStoreTests {
  let directory: TemporaryDirectory
  let box = Mailbox(.mailbox, address(1))

  init() throws { directory = try TemporaryDirectory() }

  /// The files as a process leaves them that is killed now.
  private func killed() throws -> TemporaryDirectory {
    let copy = try TemporaryDirectory()
    for name in try FileManager.default.contentsOfDirectory(atPath: directory.path) {
      try FileManager.default.copyItem(atPath: directory.path + "/" + name, toPath: copy.path + "/" + name)
    }
    return copy
  }

  @Test("What only the journal has is in the tables when the file is opened again", arguments: [0, 300, 1 << 20])
  func leftBehind(journalBytes: Int) throws {
    let store = try JournaledStore(directory: directory.path, journalBytes: journalBytes)
    _ = try store.put(deposit(1, topic: 4, size: 50, expires: 9), in: [box, Mailbox(.outbox, address(2))])
    try store.remove(try #require(store.put(deposit(2), in: [box]).first), in: box)
    for seq in 1...9 as ClosedRange<UInt64> {
      try store.record(address(UInt8(seq)), for: ReplayKey(.relay, sender: address(1), seq: seq))
    }
    try store.pruneReplay(.relay, of: address(1), keeping: 3)
    let held = try store.list(in: box, after: 0, limit: 9)
    let left = try killed()
    for open in [
      { try SQLiteStore(directory: $0) as any MailboxStore }, { try JournaledStore(directory: $0) as any MailboxStore },
    ] {
      let copy = try open(left.path)
      #expect(try copy.list(in: box, after: 0, limit: 9) == held)
      #expect(try copy.totalUsage() == Usage(messages: 2, bytes: 50))
      #expect(try copy.replayWindow(.relay, of: address(1)) == HomeRecords(count: 3, floor: 6))
      #expect(try copy.digest(of: ReplayKey(.relay, sender: address(1), seq: 6)) == nil)
      #expect(try copy.digest(of: ReplayKey(.relay, sender: address(1), seq: 7)) == address(7))
      (copy as? SQLiteStore)?.close()
      (copy as? JournaledStore)?.close()
    }
    // Not reused, though the message with number 2 had left.
    #expect(try store.put(deposit(3), in: [box]) == [3])
    store.close()
  }

  /// Random operations, some in transactions, some given up, with the process killed between any two: the same as in
  /// memory.
  @Test(arguments: 1...8) func killedAtAnyPointItAgreesWithMemory(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let limits = QueueLimits(
      nodeQueue: Usage(messages: 4, bytes: 120), mailbox: Usage(messages: 6, bytes: 200),
      total: Usage(messages: 9, bytes: 300), replayRecords: 5)
    let journalBytes = [0, 200, 2000, 1 << 20][Int(seed % 4)]
    var expected = Mailboxes(MemoryStore(), limits: limits)
    var current = directory
    var actual = Mailboxes(
      try JournaledStore(directory: current.path, journalBytes: journalBytes), limits: limits)
    let boxes = [Mailbox(.nodeQueue, address(1)), box, Mailbox(.mailbox, address(2))]
    for step in 1...250 {
      if generator.oneIn(12) {
        let copy = try TemporaryDirectory()
        for name in ["pangate.sqlite", "pangate.sqlite-wal"] {
          try FileManager.default.copyItem(atPath: current.path + "/" + name, toPath: copy.path + "/" + name)
        }
        actual.store.close()
        current = copy
        actual = Mailboxes(
          try JournaledStore(directory: current.path, journalBytes: journalBytes), limits: limits)
      }
      let operations = generator.oneIn(3) ? 3 : 1
      let abandon = generator.oneIn(4)
      let seed = generator.next()
      let ours = try SQLiteStoreTests.run(&expected, boxes, operations, abandon, step, seed)
      let theirs = try SQLiteStoreTests.run(&actual, boxes, operations, abandon, step, seed)
      #expect(ours == theirs)
      for box in boxes { #expect(try expected.list(box) == actual.list(box)) }
      #expect(try expected.store.totalUsage() == actual.store.totalUsage())
      #expect(try expected.earliestExpiry() == actual.earliestExpiry())
      #expect(
        try expected.store.mailboxes().map(\.usage) == actual.store.mailboxes().map(\.usage))
      for sender in 1...2 as ClosedRange<UInt8> {
        #expect(
          try expected.store.replayWindow(.relay, of: address(sender))
            == actual.store.replayWindow(.relay, of: address(sender)))
      }
    }
    actual.store.close()
  }

  @Test func aFullStoreRefusesAndStillForgets() throws {
    var boxes = Mailboxes(try JournaledStore(directory: directory.path, maximumBytes: 400 << 10, journalBytes: 20_000))
    var taken: [UInt64] = []
    var refusal: StoreError?
    for seq in 1...1000 as ClosedRange<UInt64> {
      do {
        _ = try boxes.put(deposit(seq, size: 2000), in: box, deduplication: .init(.relay, digest: address(1)))
        taken.append(seq)
      } catch {
        refusal = error
        break
      }
    }
    #expect(refusal?.kind == .full)
    #expect(taken.count > 50)
    #expect(try boxes.list(box).map(\.seq) == taken)
    // In one transaction with what does not fit, as a relay does it: each for itself.
    try boxes.transaction { (boxes) throws(StoreError) in
      for number in 1...20 as ClosedRange<UInt64> { try boxes.confirm(number, in: box) }
      do throws(StoreError) {
        for seq in 2000...2200 as ClosedRange<UInt64> { _ = try boxes.put(deposit(seq, size: 20_000), in: box) }
        Issue.record("everything fits")
      } catch { #expect(error.kind == .full) }
    }
    #expect(try boxes.next(in: box, after: 0)?.number == 21)
    for number in 21...40 as ClosedRange<UInt64> { try boxes.confirm(number, in: box) }
    #expect(try boxes.put(deposit(5000), in: box).outcome != .refused(.queueFull))
    let held = try boxes.list(box)
    boxes.store.close()
    let again = try JournaledStore(directory: directory.path)
    #expect(try again.list(in: box, after: 0, limit: .max) == held)
    again.close()
  }

  @Test(arguments: 1...200) func entriesReadBack(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let name = MessageName(Mailbox(.mailbox, address(7)), generator.next())
    let bytes = (0..<Int.random(in: 0...300, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator)
    }
    let deposit = Deposit(
      sender: address(UInt8.random(in: 0...255, using: &generator)), seq: generator.next(),
      topic: generator.oneIn(2) ? generator.next() : nil, protectionClass: 2,
      accepted: Instant(microseconds: Int64(bitPattern: generator.next())),
      expires: generator.oneIn(2) ? Instant(microseconds: Int64(bitPattern: generator.next())) : nil,
      receiptWanted: generator.oneIn(2), bytes: bytes)
    let entries: [JournalEntry] = [
      .put(deposit, Array(repeating: name, count: Int.random(in: 0...32, using: &generator))), .remove(name),
      .record(address(3), ReplayKey(.uplink, sender: address(4), seq: generator.next())),
      .forget(.downlink, address(5), floor: generator.next()),
    ]
    for entry in entries {
      let encoded = try entry.encoded()
      #expect(encoded.count == entry.encodedLength)
      #expect(try JournalEntry(parsing: encoded) == entry)
      // A row that was cut short is an error, never a trap.
      for length in 0..<min(encoded.count, 40) {
        #expect(throws: ParseError.self) { _ = try JournalEntry(parsing: Array(encoded[..<length])) }
      }
    }
  }
}
