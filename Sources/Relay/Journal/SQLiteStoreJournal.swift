import Foundation
import GRDB
import Queue
import Wire

/// What a ``JournaledStore`` needs of the tables beside ``MailboxStore``.
extension SQLiteStore {
  // MARK: The journal

  func appendJournal(_ bytes: [UInt8]) throws(StoreError) {
    try run { database in
      var rows = try RowStatement(database, "INSERT INTO journal(bytes) VALUES(?)")
      rows.bind(bytes)
      try rows.run()
    }
  }

  /// Does what a journal says that was left behind, and clears it. Called before anything else.
  static func replayJournal(_ database: Database, path: String?) throws {
    guard try Bool.fetchOne(database, sql: "SELECT EXISTS(SELECT 1 FROM journal)") ?? false else { return }
    try database.inTransaction(.immediate) {
      let rows = try Data.fetchCursor(database, sql: "SELECT bytes FROM journal ORDER BY id")
      while let row = try rows.next() {
        let bytes = [UInt8](row)
        var reader = ByteReader(bytes.rawSpan)
        while !reader.isAtEnd {
          let entry: JournalEntry
          do { entry = try JournalEntry(parsing: &reader) } catch {
            throw StoreError(.corrupt, path: path, detail: "journal: \(error)")
          }
          try replay(entry, database)
        }
      }
      try database.execute(sql: "DELETE FROM journal")
      return .commit
    }
  }

  private static func replay(_ entry: JournalEntry, _ database: Database) throws {
    switch entry {
    case .put(let deposit, let names):
      var rows = try MessageRows(database)
      let body = try rows.insert(deposit, links: names.count)
      for name in names {
        let box = try settle(
          name.mailbox, last: name.number, Usage(messages: 1, bytes: deposit.bytes.count), database)
        try rows.hold(body, deposit, in: box, name.number)
      }
    case .remove(let name): _ = try take(name.number, in: name.mailbox, database)
    case .record(let digest, let key): try record(digest, for: key, database)
    case .forget(let scope, let sender, let floor): try forget(scope, of: sender, upTo: floor, database)
    }
  }

  /// Writes what is unsettled and clears the journal.
  func settle(_ unsettled: Unsettled) throws(StoreError) {
    try together { () throws(StoreError) in
      try run { database in
        // First of all: its pages are used again.
        try database.cachedStatement(sql: "DELETE FROM journal").execute()
        var boxes: [Mailbox: Int64] = [:]
        for (mailbox, box) in unsettled.boxes where !box.entries.isEmpty {
          let live = box.entries.filter { $0.body != 0 }.compactMap { unsettled.bodies[$0.body]?.deposit.bytes.count }
          boxes[mailbox] = try Self.settle(
            mailbox, last: box.last, Usage(messages: live.count, bytes: live.reduce(0, +)), database)
        }
        var rows = try MessageRows(database)
        for (_, body) in unsettled.bodies.sorted(by: { $0.key < $1.key }) {
          let id = try rows.insert(body.deposit, links: body.held.count)
          for name in body.held {
            guard let box = boxes[name.mailbox] else { throw StoreError(.failed, detail: "mailbox row missing") }
            try rows.hold(id, body.deposit, in: box, name.number)
          }
        }
        for (sender, records) in unsettled.records {
          if let floor = records.forgotten { try Self.forget(sender.scope, of: sender.address, upTo: floor, database) }
          try Self.record(records.digests, sender, database)
        }
      }
      total = unsettled.total
    }
  }

  // MARK: Rows

  /// Counts messages into a mailbox, which has given numbers up to `last`; its row.
  private static func settle(_ mailbox: Mailbox, last: UInt64, _ usage: Usage, _ database: Database) throws -> Int64 {
    let id = try Int64.fetchOne(
      database.cachedStatement(
        sql: """
          INSERT INTO mailbox(kind, address, last, messages, bytes) VALUES(?, ?, ?, ?, ?)
          ON CONFLICT DO UPDATE SET last = max(last, excluded.last), messages = messages + excluded.messages,
          bytes = bytes + excluded.bytes RETURNING id
          """),
      arguments: [
        Int64(mailbox.kind.rawValue), mailbox.address.data, last.bits, usage.messages, usage.bytes,
      ])
    guard let id else { throw StoreError(.failed, detail: "mailbox row missing") }
    return id
  }

  /// The replay records of one sender, which are all new.
  static func record(_ digests: [UInt64: Bytes32], _ sender: Unsettled.Sender, _ database: Database) throws {
    guard !digests.isEmpty else { return }
    let window = try window(sender, adding: digests.count, database)
    var rows = try RowStatement(database, "INSERT INTO replay(window, seq, digest) VALUES(?, ?, ?)")
    for (seq, digest) in digests.sorted(by: { $0.key < $1.key }) {
      rows.bind(window)
      rows.bind(seq.ordered)
      rows.bind(digest)
      try rows.run()
    }
  }

  private static func forget(
    _ scope: ReplayScope, of sender: Bytes32, upTo floor: UInt64, _ database: Database
  ) throws {
    let window = try window(.init(scope: scope, address: sender), adding: 0, database)
    try database.cachedStatement(sql: "DELETE FROM replay WHERE window = ? AND seq <= ?")
      .execute(arguments: [window, floor.ordered])
    try database.cachedStatement(
      sql: "UPDATE replay_window SET records = records - ?, floor = max(coalesce(floor, ?2), ?2) WHERE id = ?3"
    ).execute(arguments: [database.changesCount, floor.ordered, window])
  }

  // MARK: What is remembered in memory

  /// What a mailbox holds, and the number it gave last.
  func box(_ mailbox: Mailbox) throws(StoreError) -> (usage: Usage, last: UInt64) {
    try run { database in
      let row = try Row.fetchOne(
        database.cachedStatement(sql: "SELECT messages, bytes, last FROM mailbox WHERE kind = ? AND address = ?"),
        arguments: [Int64(mailbox.kind.rawValue), mailbox.address.data])
      guard let row else { return (Usage(), 0) }
      return (Usage(messages: row[0], bytes: row[1]), UInt64(bitPattern: row[2]))
    }
  }

  /// The highest sequence number on record; `nil` for none.
  func highestRecord(_ scope: ReplayScope, of sender: Bytes32) throws(StoreError) -> UInt64? {
    try record(number: 0, of: sender, scope)
  }

  /// The sequence number on record with `number` higher ones; `nil` if there are not so many.
  func record(number: Int, of sender: Bytes32, _ scope: ReplayScope) throws(StoreError) -> UInt64? {
    try run { database in
      try Int64.fetchOne(
        database.cachedStatement(
          sql: """
            SELECT replay.seq FROM replay_window JOIN replay ON replay.window = replay_window.id
            WHERE replay_window.scope = ? AND replay_window.sender = ? ORDER BY replay.seq DESC LIMIT 1 OFFSET ?
            """),
        arguments: [Int64(scope.rawValue), sender.data, number])
    }.map { UInt64(ordered: $0) }
  }

  /// Bytes of the file that hold something.
  func bytesInUse() throws(StoreError) -> Int {
    try run { database in
      let size = try Int.fetchOne(database.cachedStatement(sql: "PRAGMA page_size")) ?? 4096
      let pages = try Int.fetchOne(database.cachedStatement(sql: "PRAGMA page_count")) ?? 0
      let free = try Int.fetchOne(database.cachedStatement(sql: "PRAGMA freelist_count")) ?? 0
      return size * (pages - free)
    }
  }
}

/// Writes messages and where they are held.
struct MessageRows {
  private let database: Database
  private var bodies: RowStatement
  private var held: RowStatement

  init(_ database: Database) throws {
    self.database = database
    bodies = try RowStatement(
      database,
      """
      INSERT INTO body(sender, seq, topic, class, accepted, expires, receipt, links, bytes)
      VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)
      """)
    held = try RowStatement(database, "INSERT INTO held(mailbox, number, body, class) VALUES(?, ?, ?, ?)")
  }

  /// A message; its row.
  mutating func insert(_ deposit: Deposit, links: Int) throws -> Int64 {
    bodies.bind(deposit.sender)
    bodies.bind(deposit.seq.bits)
    bodies.bind(deposit.topic?.bits)
    bodies.bind(Int64(deposit.protectionClass))
    bodies.bind(deposit.accepted.microseconds)
    bodies.bind(deposit.expires?.microseconds)
    bodies.bind(deposit.receiptWanted ? 1 : 0)
    bodies.bind(Int64(links))
    bodies.bind(deposit.bytes)
    try bodies.run()
    return database.lastInsertedRowID
  }

  /// The message `body` in the mailbox of a row.
  mutating func hold(_ body: Int64, _ deposit: Deposit, in box: Int64, _ number: UInt64) throws {
    held.bind(box)
    held.bind(number.bits)
    held.bind(body)
    held.bind(Int64(deposit.protectionClass))
    try held.run()
  }
}
