// The only file of the tables that holds `unsafe`: the calls of SQLite that bind values and run a statement.

import GRDB
import GRDBSQLite
import Queue

/// A prepared statement that is run for many rows. Values are bound as they are, without an object for each.
///
/// Used inside the database's own queue, and by nobody else meanwhile.
@safe
struct RowStatement {
  private let statement: Statement
  /// Values of the next row that were bound.
  private var bound: Int32 = 0
  private var failure = SQLITE_OK

  init(_ database: Database, _ sql: String) throws {
    statement = try database.cachedStatement(sql: sql)
    // GRDB leaves it as it was when its last row was written, and nothing can be bound then.
    _ = unsafe sqlite3_reset(statement.sqliteStatement)
  }

  mutating func bind(_ value: Int64?) {
    bound += 1
    if let value {
      note(unsafe sqlite3_bind_int64(statement.sqliteStatement, bound, value))
    } else {
      note(unsafe sqlite3_bind_null(statement.sqliteStatement, bound))
    }
  }

  mutating func bind(_ bytes: [UInt8]) {
    // An empty array has no address, which would bind NULL.
    if bytes.isEmpty {
      bound += 1
      note(unsafe sqlite3_bind_zeroblob(statement.sqliteStatement, bound, 0))
    } else {
      unsafe bytes.withUnsafeBytes { unsafe bind($0) }
    }
  }

  mutating func bind(_ value: Bytes32) { unsafe withUnsafeBytes(of: value.bigEndian) { unsafe bind($0) } }

  private mutating func bind(_ buffer: UnsafeRawBufferPointer) {
    bound += 1
    note(
      unsafe sqlite3_bind_blob(
        statement.sqliteStatement, bound, buffer.baseAddress, Int32(clamping: buffer.count), copiedBySQLite))
  }

  /// Remembers the first failure; the row is not written then.
  private mutating func note(_ code: Int32) { if failure == SQLITE_OK { failure = code } }

  /// Writes the row. Throws ``GRDB/DatabaseError`` as GRDB would.
  mutating func run() throws {
    defer {
      (bound, failure) = (0, SQLITE_OK)
      // What was bound would stay in memory.
      unsafe sqlite3_clear_bindings(statement.sqliteStatement)
    }
    var code = failure
    if code == SQLITE_OK {
      let status = unsafe sqlite3_step(statement.sqliteStatement)
      // Says the same as the step if that failed, in full.
      code = unsafe sqlite3_reset(statement.sqliteStatement)
      if code == SQLITE_OK, status != SQLITE_DONE { code = status }
    }
    guard code == SQLITE_OK else {
      let message = unsafe String(cString: sqlite3_errmsg(sqlite3_db_handle(statement.sqliteStatement)))
      throw DatabaseError(resultCode: ResultCode(rawValue: code), message: message)
    }
  }
}

/// SQLITE_TRANSIENT, a macro that Swift does not see.
private var copiedBySQLite: sqlite3_destructor_type? {
  unsafe unsafeBitCast(OpaquePointer(bitPattern: -1), to: sqlite3_destructor_type?.self)
}
