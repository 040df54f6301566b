import GRDB
import Queue

/// The tables of a store and how older files are brought to them.
///
/// Unsigned 64-bit numbers are stored with the top bit flipped where their order matters, and bit for bit
/// elsewhere.
enum SQLiteSchema {
  /// Says in the file's header that it is ours: "PANG".
  static let applicationID = 0x5041_4e47

  /// One entry for each version; the last one's index plus 1 is the current version. Never change one that
  /// was released.
  static let migrations = [
    """
    CREATE TABLE mailbox(
      id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, address BLOB NOT NULL, last INTEGER NOT NULL,
      messages INTEGER NOT NULL, bytes INTEGER NOT NULL, UNIQUE(kind, address)) STRICT;
    CREATE TABLE body(
      id INTEGER PRIMARY KEY, sender BLOB NOT NULL, seq INTEGER NOT NULL, topic INTEGER,
      class INTEGER NOT NULL, accepted INTEGER NOT NULL, expires INTEGER, receipt INTEGER NOT NULL, links INTEGER NOT NULL,
      bytes BLOB NOT NULL) STRICT;
    CREATE INDEX body_topic ON body(sender, topic) WHERE topic IS NOT NULL;
    CREATE INDEX body_expires ON body(expires) WHERE expires IS NOT NULL;
    CREATE INDEX body_spare ON body(id) WHERE class = 0;
    CREATE TABLE held(
      mailbox INTEGER NOT NULL, number INTEGER NOT NULL, body INTEGER NOT NULL, class INTEGER NOT NULL,
      PRIMARY KEY(mailbox, number)) STRICT, WITHOUT ROWID;
    CREATE INDEX held_body ON held(body, mailbox);
    CREATE INDEX held_spare ON held(mailbox, number) WHERE class = 0;
    CREATE TABLE replay_window(
      id INTEGER PRIMARY KEY, scope INTEGER NOT NULL, sender BLOB NOT NULL, floor INTEGER,
      records INTEGER NOT NULL, UNIQUE(scope, sender)) STRICT;
    CREATE TABLE replay(
      window INTEGER NOT NULL, seq INTEGER NOT NULL, digest BLOB NOT NULL,
      PRIMARY KEY(window, seq)) STRICT, WITHOUT ROWID;
    CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE setting(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
    """,
    // What was promised and is not in the tables yet; each row a sequence of JournalEntry.
    "CREATE TABLE journal(id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;",
  ]

  /// Checks that the file is ours and creates what is missing.
  static func migrate(_ database: Database, path: String?) throws {
    let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
    let application = try Int.fetchOne(database, sql: "PRAGMA application_id") ?? 0
    let tables = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master") ?? 0
    guard application == applicationID || (application == 0 && version == 0 && tables == 0) else {
      throw StoreError(.corrupt, path: path, detail: "not a state file of Pangate")
    }
    guard version >= 0, version <= migrations.count else {
      throw StoreError(
        .newerSchema, path: path, detail: "version \(version), known are up to \(migrations.count)")
    }
    guard version < migrations.count else { return }
    try database.inTransaction(.immediate) {
      for migration in migrations[version...] { try database.execute(sql: migration) }
      try database.execute(sql: "PRAGMA application_id = \(applicationID)")
      try database.execute(sql: "PRAGMA user_version = \(migrations.count)")
      return .commit
    }
  }
}
