import Foundation
import GRDB
import Queue
import Wire

/// A store in one SQLite file: write-ahead log, synced to disk at every commit.
///
/// `kill -9` and loss of power at any instant leave what was committed, all of it and nothing else. Used by
/// one task at a time.
public final class SQLiteStore: MailboxStore {
  private let queue: DatabaseQueue
  private let directory: StateDirectory?
  /// The connection, inside a transaction.
  private var database: Database?
  private var depth = 0
  /// A statement failed, perhaps half way through what belongs together: the innermost transaction must be undone.
  private var failure: StoreError?
  /// What is held, kept here since every put needs it.
  var total = Usage()
  public private(set) var undoneTransactions: UInt64 = 0

  /// Opens the store of a state directory, which is made if there is none.
  ///
  /// `maximumBytes` bounds the file; a full one fails as a full disk does. Throws ``StoreError`` with path
  /// and remedy.
  public convenience init(directory path: String, maximumBytes: Int? = nil) throws(StoreError) {
    let directory = try StateDirectory(path)
    try self.init(directory, maximumBytes: maximumBytes)
  }

  /// A store that nothing outlives.
  public static func inMemory() throws(StoreError) -> SQLiteStore { try SQLiteStore(nil, maximumBytes: nil) }

  private init(_ directory: StateDirectory?, maximumBytes: Int?) throws(StoreError) {
    self.directory = directory
    let path = directory?.databasePath
    do {
      var configuration = Configuration()
      configuration.foreignKeysEnabled = false
      configuration.label = "pangate.store"
      // The library lowers it to NORMAL in its WAL mode, which may lose the last transactions with the power.
      configuration.prepareDatabase { database in
        if path != nil {
          _ = try String.fetchOne(database, sql: "PRAGMA journal_mode = WAL")
          try database.execute(sql: "PRAGMA synchronous = FULL")
          // 16 MiB: checkpoints sync as well, and need not come with every few groups.
          _ = try Int.fetchOne(database, sql: "PRAGMA wal_autocheckpoint = 4096")
        }
        if let maximumBytes {
          let pageSize = try Int.fetchOne(database, sql: "PRAGMA page_size") ?? 4096
          _ = try Int.fetchOne(database, sql: "PRAGMA max_page_count = \(max(1, maximumBytes / pageSize))")
        }
      }
      queue =
        try path.map { try DatabaseQueue(path: $0, configuration: configuration) }
        ?? DatabaseQueue(configuration: configuration)
      total = try queue.inDatabase { database in
        try SQLiteSchema.migrate(database, path: path)
        try Self.replayJournal(database, path: path)
        return Usage(
          messages: try Int.fetchOne(database, sql: "SELECT coalesce(sum(messages), 0) FROM mailbox") ?? 0,
          bytes: try Int.fetchOne(database, sql: "SELECT coalesce(sum(length(bytes)), 0) FROM body") ?? 0)
      }
    } catch {
      throw StoreError(wrapping: error, path: path)
    }
  }

  /// Closes the file and gives the directory up. Every later call throws.
  public func close() {
    try? queue.close()
    directory?.release()
  }

  public func backup(to path: String) throws(StoreError) {
    guard !FileManager.default.fileExists(atPath: path) else {
      throw StoreError(.notWritable, path: path, detail: "is there already")
    }
    do {
      // The copy is made in this call: what is held then is in it, and nothing half.
      try queue.vacuum(into: path)
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    } catch { throw StoreError(wrapping: error, path: path) }
  }

  // MARK: Transactions

  public func transaction<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
    if let database { return try transaction(on: database, body) }
    let outcome = queue.inDatabase { database -> Swift.Result<Result, StoreError> in
      self.database = database
      defer {
        self.database = nil
        failure = nil
      }
      do throws(StoreError) {
        return .success(try transaction(on: database, body))
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }

  private func transaction<Result>(
    on database: Database, _ body: () throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    let level = depth
    let held = total
    try execute(level == 0 ? "BEGIN IMMEDIATE" : "SAVEPOINT level\(level)", on: database)
    depth += 1
    defer { depth = level }
    do throws(StoreError) {
      let result = try body()
      // Fails as well if the body swallowed a failure.
      try execute(level == 0 ? "COMMIT" : "RELEASE level\(level)", on: database)
      return result
    } catch {
      total = held
      undoneTransactions += 1
      // If SQLite has undone everything by itself, the outer levels must not go on as if it had not.
      if database.isInsideTransaction { try undo(level, on: database) }
      throw error
    }
  }

  private func undo(_ level: Int, on database: Database) throws(StoreError) {
    failure = nil
    if level == 0 { return try execute("ROLLBACK", on: database) }
    try execute("ROLLBACK TO level\(level)", on: database)
    try execute("RELEASE level\(level)", on: database)
  }

  // MARK: Save points, for whoever opens them only when something is written

  /// Throws between a statement that failed and the end of the transaction around it.
  func checkFailure() throws(StoreError) {
    if let failure { throw failure }
  }

  /// Fails the transaction that is open.
  func fail(_ error: StoreError) -> StoreError {
    if database != nil { failure = error }
    return error
  }

  func beginSavepoint() throws(StoreError) {
    guard let database else { return }
    try execute("SAVEPOINT level\(depth)", on: database)
    depth += 1
  }

  func endSavepoint() throws(StoreError) {
    guard let database else { return }
    try execute("RELEASE level\(depth - 1)", on: database)
    depth -= 1
  }

  /// Undoes what was written since the save point, if there is one, when the tables held `held` in all; and lets the
  /// transaction around it go on, if SQLite has not undone that too.
  func undoSavepoint(to held: Usage?) throws(StoreError) {
    guard let database, database.isInsideTransaction else { return }
    failure = nil
    guard let held else { return }
    total = held
    depth -= 1
    try undo(depth, on: database)
  }

  private func execute(_ sql: String, on database: Database) throws(StoreError) {
    try run { _ in try database.cachedStatement(sql: sql).execute() }
  }

  /// Runs statements that belong together in the open transaction, or in one of their own.
  func together<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
    database == nil ? try transaction(body) : try body()
  }

  /// Runs statements in the open transaction, or in one of their own.
  func run<Result>(_ body: (Database) throws -> Result) throws(StoreError) -> Result {
    guard let database else {
      return try transaction { () throws(StoreError) -> Result in try run(body) }
    }
    if let failure { throw failure }
    do {
      return try body(database)
    } catch {
      let failed = StoreError(wrapping: error, path: directory?.databasePath)
      failure = failed
      throw failed
    }
  }
}

extension StoreError {
  /// What SQLite's result code means to the operator.
  init(wrapping error: any Error, path: String?) {
    if let error = error as? StoreError {
      self = error
      return
    }
    guard let error = error as? DatabaseError else {
      self.init(.failed, path: path, detail: "\(error)")
      return
    }
    let kind: Kind =
      switch error.resultCode {
      case .SQLITE_FULL: .full
      case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_FORMAT: .corrupt
      case .SQLITE_CANTOPEN, .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_AUTH: .notWritable
      case .SQLITE_BUSY, .SQLITE_LOCKED: .inUse
      case .SQLITE_MISUSE: .closed
      default: .failed
      }
    self.init(kind, path: path, detail: error.message ?? "\(error.resultCode)")
  }
}
