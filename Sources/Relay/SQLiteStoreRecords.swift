import Foundation
import GRDB
import Queue

extension SQLiteStore {
  // MARK: Replay records

  public func digest(of key: ReplayKey) throws(StoreError) -> Bytes32? {
    try run { database in
      let data = try Data.fetchOne(
        database.cachedStatement(
          sql: """
            SELECT replay.digest FROM replay_window JOIN replay ON replay.window = replay_window.id
            WHERE replay_window.scope = ? AND replay_window.sender = ? AND replay.seq = ?
            """),
        arguments: [Int64(key.scope.rawValue), key.sender.data, key.seq.ordered])
      guard let data else { return nil }
      guard let digest = Bytes32(column: data) else {
        throw StoreError(.corrupt, detail: "digest of a replay record")
      }
      return digest
    }
  }

  public func record(_ digest: Bytes32, for key: ReplayKey) throws(StoreError) {
    try together { () throws(StoreError) in try run { database in try Self.record(digest, for: key, database) } }
  }

  static func record(_ digest: Bytes32, for key: ReplayKey, _ database: Database) throws {
    try record([key.seq: digest], .init(scope: key.scope, address: key.sender), database)
  }

  /// Counts records to a sender's; the row of his.
  static func window(_ sender: Unsettled.Sender, adding records: Int, _ database: Database) throws -> Int64 {
    let window = try Int64.fetchOne(
      database.cachedStatement(
        sql: """
          INSERT INTO replay_window(scope, sender, records) VALUES(?, ?, ?)
          ON CONFLICT DO UPDATE SET records = records + excluded.records RETURNING id
          """),
      arguments: [Int64(sender.scope.rawValue), sender.address.data, records])
    guard let window else { throw StoreError(.failed, detail: "replay window row missing") }
    return window
  }

  public func replayWindow(_ scope: ReplayScope, of sender: Bytes32) throws(StoreError) -> HomeRecords {
    try run { database in
      let row = try Row.fetchOne(
        database.cachedStatement(
          sql: "SELECT records, floor FROM replay_window WHERE scope = ? AND sender = ?"),
        arguments: [Int64(scope.rawValue), sender.data])
      guard let row else { return HomeRecords() }
      let floor: Int64? = row[1]
      return HomeRecords(count: row[0], floor: floor.map { UInt64(ordered: $0) })
    }
  }

  public func pruneReplay(_ scope: ReplayScope, of sender: Bytes32, keeping: Int) throws(StoreError) {
    try together { () throws(StoreError) in
      try run { database in
        let row = try Row.fetchOne(
          database.cachedStatement(
            sql: "SELECT id, records FROM replay_window WHERE scope = ? AND sender = ?"),
          arguments: [Int64(scope.rawValue), sender.data])
        guard let row else { return }
        let (window, records): (Int64, Int) = (row[0], row[1])
        guard records > keeping else { return }
        // The highest of those that go.
        let floor = try Int64.fetchOne(
          database.cachedStatement(
            sql: "SELECT seq FROM replay WHERE window = ? ORDER BY seq DESC LIMIT 1 OFFSET ?"),
          arguments: [window, max(0, keeping)])
        guard let floor else { return }
        try database.cachedStatement(sql: "DELETE FROM replay WHERE window = ? AND seq <= ?")
          .execute(arguments: [window, floor])
        try database.cachedStatement(
          sql:
            "UPDATE replay_window SET records = records - ?, floor = max(coalesce(floor, ?), ?) WHERE id = ?"
        ).execute(arguments: [records - max(0, keeping), floor, floor, window])
      }
    }
  }

  // MARK: Counters and values

  public func counter(_ name: String) throws(StoreError) -> UInt64 {
    try run { database in
      try Int64.fetchOne(
        database.cachedStatement(sql: "SELECT value FROM counter WHERE name = ?"), arguments: [name])
    }.map { UInt64(bitPattern: $0) } ?? 0
  }

  public func setCounter(_ name: String, to value: UInt64) throws(StoreError) {
    try run { database in
      try database.cachedStatement(sql: "INSERT OR REPLACE INTO counter(name, value) VALUES(?, ?)")
        .execute(arguments: [name, value.bits])
    }
  }

  public func value(_ name: String) throws(StoreError) -> [UInt8]? {
    try run { database in
      try Data.fetchOne(
        database.cachedStatement(sql: "SELECT value FROM setting WHERE name = ?"), arguments: [name])
    }.map { [UInt8]($0) }
  }

  public func setValue(_ name: String, to value: [UInt8]?) throws(StoreError) {
    try run { database in
      if let value {
        try database.cachedStatement(sql: "INSERT OR REPLACE INTO setting(name, value) VALUES(?, ?)")
          .execute(arguments: [name, Data(value)])
      } else {
        try database.cachedStatement(sql: "DELETE FROM setting WHERE name = ?").execute(arguments: [name])
      }
    }
  }

  public func values(withPrefix prefix: String) throws(StoreError) -> [(name: String, value: [UInt8])] {
    try run { database in
      // Compared as bytes: LIKE would fold case, and has wild cards.
      try Row.fetchAll(
        database.cachedStatement(
          sql: "SELECT name, value FROM setting WHERE substr(CAST(name AS BLOB), 1, ?) = CAST(? AS BLOB) ORDER BY name"),
        arguments: [prefix.utf8.count, prefix]
      ).map { row in (name: row[0] as String, value: [UInt8](row[1] as Data)) }
    }
  }
}
