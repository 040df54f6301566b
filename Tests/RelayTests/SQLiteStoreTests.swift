import Foundation
import Queue
import Relay
import TestSupport
import Testing
import Wire

@Suite struct SQLiteStoreTests {
  let directory: TemporaryDirectory
  let box = Mailbox(.mailbox, address(1))

  init() throws { directory = try TemporaryDirectory() }

  func kind(_ body: () throws -> Void) -> StoreError.Kind? {
    do {
      try body()
      return nil
    } catch { return (error as? StoreError)?.kind }
  }

  @Test func everythingIsThereAfterReopening() throws {
    let path = directory.path + "/made/on/the/way"
    var store = try SQLiteStore(directory: path)
    _ = try store.put(deposit(1, topic: 4, size: 50, expires: 9), in: [box, Mailbox(.outbox, address(2))])
    try store.remove(try #require(store.put(deposit(2), in: [box]).first), in: box)
    try store.record(address(9), for: ReplayKey(.relay, sender: address(1), seq: 1))
    try store.setCounter("n", to: 9)
    let held = try store.list(in: box, after: 0, limit: 9)
    store.close()
    #expect(kind { _ = try store.counter("n") } == .closed)
    store = try SQLiteStore(directory: path)
    #expect(try store.list(in: box, after: 0, limit: 9) == held)
    #expect(try store.totalUsage() == Usage(messages: 2, bytes: 50))
    #expect(try store.digest(of: ReplayKey(.relay, sender: address(1), seq: 1)) == address(9))
    #expect(try store.counter("n") == 9)
    // Not reused, though the message with number 2 had left.
    #expect(try store.put(deposit(3), in: [box]) == [3])
    store.close()
  }

  @Test func aSecondProcessIsToldThatTheDirectoryIsInUse() throws {
    let store = try SQLiteStore(directory: directory.path)
    do {
      _ = try SQLiteStore(directory: directory.path)
      Issue.record("opened twice")
    } catch {
      #expect(error.kind == .inUse)
      #expect(error.description.contains("state directory in use by another process: \(directory.path)"))
    }
    store.close()
    #expect(kind { try SQLiteStore(directory: directory.path).close() } == nil)
  }

  @Test func filesAreForTheOwnerOnly() throws {
    let path = directory.path + "/state"
    let store = try SQLiteStore(directory: path)
    _ = try store.put(deposit(1), in: [box])
    let files = try FileManager.default.contentsOfDirectory(atPath: path)
    #expect(
      files.contains("pangate.sqlite") && files.contains("pangate.sqlite-wal") && files.contains("lock"))
    for file in files {
      let attributes = try FileManager.default.attributesOfItem(atPath: path + "/" + file)
      #expect(attributes[.posixPermissions] as? Int == 0o600)
    }
    #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o700)
    store.close()
  }

  @Test func aDirectoryThatCannotBeMadeIsATypedError() throws {
    let file = directory.path + "/file"
    #expect(FileManager.default.createFile(atPath: file, contents: nil))
    do {
      _ = try SQLiteStore(directory: file + "/state")
      Issue.record("opened below a file")
    } catch {
      #expect(error.kind == .notWritable)
      #expect(error.path == file + "/state")
      #expect(!error.remedy.isEmpty)
    }
  }

  @Test func whatIsNotOurDatabaseIsATypedError() throws {
    let path = directory.path + "/pangate.sqlite"
    try Data("this is not a database, and long enough to be seen as none".utf8).write(
      to: URL(fileURLWithPath: path))
    do {
      _ = try SQLiteStore(directory: directory.path)
      Issue.record("opened a text file")
    } catch {
      #expect(error.kind == .corrupt)
      #expect(error.path == path)
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)).starts(with: "this is not".utf8))
  }

  @Test func aDamagedDatabaseIsATypedErrorAndNeverATrap() throws {
    var generator = SeededGenerator(seed: 6)
    let store = try SQLiteStore(directory: directory.path)
    for seq in 1...50 as ClosedRange<UInt64> { _ = try store.put(deposit(seq, size: 300), in: [box]) }
    store.close()
    let url = URL(fileURLWithPath: directory.path + "/pangate.sqlite")
    let good = try Data(contentsOf: url)
    var failures = 0
    for _ in 0..<30 {
      var bad = good
      for _ in 0..<400 {
        bad[Int.random(in: 0..<bad.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: url.path + suffix) }
      try bad.write(to: url)
      do {
        let store = try SQLiteStore(directory: directory.path)
        defer { store.close() }
        for message in try store.list(in: box, after: 0, limit: .max) {
          try store.remove(message.number, in: box)
        }
        _ = try store.put(deposit(1), in: [box])
      } catch {
        #expect(error.kind != .abandoned)
        failures += 1
      }
    }
    #expect(failures > 20)
  }

  @Test func aNewerSchemaIsLeftAlone() throws {
    try SQLiteStore(directory: directory.path).close()
    // The version is at offset 60 of the header (SQLite file format, 1.3).
    let url = URL(fileURLWithPath: directory.path + "/pangate.sqlite")
    var file = try Data(contentsOf: url)
    file.replaceSubrange(60..<64, with: [0, 0, 0, 99])
    try file.write(to: url)
    #expect(kind { _ = try SQLiteStore(directory: directory.path) } == .newerSchema)
    // Another program's database.
    file.replaceSubrange(68..<72, with: [0, 0, 0, 1])
    try file.write(to: url)
    #expect(kind { _ = try SQLiteStore(directory: directory.path) } == .corrupt)
  }

  @Test func aFullDiskRefusesAndLosesNothing() throws {
    var boxes = Mailboxes(try SQLiteStore(directory: directory.path, maximumBytes: 400 << 10))
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
    #expect(refusal?.reason == .queueUnavailable)
    #expect(taken.count > 50)
    #expect(try boxes.list(box).map(\.seq) == taken)
    #expect(try boxes.usage(of: box) == boxes.store.totalUsage())
    // What goes on regardless of a failure inside is kept as a whole or not at all.
    var kept = true
    do {
      try Self.confirmAndOverfill(&boxes, box)
    } catch { kept = false }
    #expect(try boxes.next(in: box, after: 0)?.number == (kept ? 2 : 1))
    let held = try boxes.list(box)
    #expect(try boxes.store.totalUsage() == Usage(messages: held.count, bytes: held.count * 2000))
    for number in 1...20 as ClosedRange<UInt64> { try boxes.confirm(number, in: box) }
    #expect(try boxes.put(deposit(5000), in: box).outcome != .refused(.queueFull))
    boxes.store.close()
  }

  static func confirmAndOverfill(_ boxes: inout Mailboxes<SQLiteStore>, _ box: Mailbox) throws {
    try boxes.transaction { (boxes) throws(StoreError) in
      try boxes.confirm(1, in: box)
      for seq in 2000...2200 as ClosedRange<UInt64> { _ = try? boxes.put(deposit(seq, size: 2000), in: box) }
    }
  }

  /// Random operations, some in transactions, some given up, with the file closed and opened between any two:
  /// the same as in memory.
  @Test(arguments: 1...6) func reopenedAtAnyPointItAgreesWithMemory(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let limits = QueueLimits(
      nodeQueue: Usage(messages: 4, bytes: 120), mailbox: Usage(messages: 6, bytes: 200),
      total: Usage(messages: 9, bytes: 300), replayRecords: 5)
    var expected = Mailboxes(MemoryStore(), limits: limits)
    var actual = Mailboxes(try SQLiteStore(directory: directory.path), limits: limits)
    let boxes = [Mailbox(.nodeQueue, address(1)), box, Mailbox(.mailbox, address(2))]
    for step in 1...250 {
      if generator.oneIn(12) {
        actual.store.close()
        actual = Mailboxes(try SQLiteStore(directory: directory.path), limits: limits)
      }
      let operations = generator.oneIn(3) ? 3 : 1
      let abandon = generator.oneIn(4)
      let seed = generator.next()
      let ours = try Self.run(&expected, boxes, operations, abandon, step, seed)
      let theirs = try Self.run(&actual, boxes, operations, abandon, step, seed)
      #expect(ours == theirs)
      for box in boxes { #expect(try expected.list(box) == actual.list(box)) }
      #expect(try expected.store.totalUsage() == actual.store.totalUsage())
      #expect(try expected.earliestExpiry() == actual.earliestExpiry())
      for sender in 1...2 as ClosedRange<UInt8> {
        #expect(
          try expected.store.replayWindow(.relay, of: address(sender))
            == actual.store.replayWindow(.relay, of: address(sender)))
      }
    }
    actual.store.close()
  }

  /// Some operations, the same for the same seed; what they answered.
  static func run<Store>(
    _ mailboxes: inout Mailboxes<Store>, _ boxes: [Mailbox], _ operations: Int, _ abandon: Bool, _ step: Int,
    _ seed: UInt64
  ) throws -> [String] {
    var answers: [String] = []
    do throws(StoreError) {
      try mailboxes.transaction { (mailboxes) throws(StoreError) in
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<operations { answers.append(try operation(&mailboxes, boxes, step, &generator)) }
        if abandon { throw StoreError.abandoned }
      }
    } catch {
      guard error == .abandoned else { throw error }
    }
    return answers
  }

  /// One operation and what it answered.
  static func operation<Store>(
    _ mailboxes: inout Mailboxes<Store>, _ boxes: [Mailbox], _ step: Int, _ generator: inout SeededGenerator
  ) throws(StoreError) -> String {
    let first = boxes[Int.random(in: 0..<boxes.count, using: &generator)]
    switch Int.random(in: 0..<8, using: &generator) {
    case 0..<5:
      let new = deposit(
        UInt64.random(in: 1...60, using: &generator), from: UInt8.random(in: 1...2, using: &generator),
        topic: generator.oneIn(3) ? 5 : nil, protection: UInt8.random(in: 0...2, using: &generator),
        size: Int.random(in: 0...60, using: &generator),
        expires: generator.oneIn(2) ? Int64(step + Int.random(in: 0...30, using: &generator)) : nil)
      let digest = address(UInt8.random(in: 1...2, using: &generator))
      let to = generator.oneIn(3) ? boxes : [first]
      let result = try mailboxes.put(new, in: to, deduplication: .init(.relay, digest: digest))
      return "\(result.outcome) \(result.displaced.map(\.message.seq))"
    case 5, 6:
      return "\(try mailboxes.confirm(UInt64.random(in: 1...40, using: &generator), in: first))"
    default:
      let expired = try mailboxes.expire(now: Instant(seconds: Int64(step)))
      return "\(expired.map { "\($0.mailbox) \($0.number)" }.sorted())"
    }
  }
}
