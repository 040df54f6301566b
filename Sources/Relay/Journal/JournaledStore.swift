import Queue
import Wire

/// A ``SQLiteStore`` that keeps up with a relay under load: each transaction is one row of a journal, and the tables are
/// written later, with what is still held by then.
///
/// Most messages are delivered and forgotten before they ever reach a table. What is in the journal is in memory too, and
/// bounded; opening the file as a ``SQLiteStore`` brings its tables up to date first. Used by one task at a time.
public final class JournaledStore: MailboxStore {
  let tables: SQLiteStore
  var unsettled: Unsettled
  /// Entries of the open transaction, as they will be written.
  var pending: [UInt8] = []
  /// Bytes of the journal on disk.
  private(set) var journaled = 0
  /// The tables are written when the journal has grown to this.
  let journalBytes: Int
  private var undo: [Undo] = []
  private var levels: [Level] = []
  public private(set) var undoneTransactions: UInt64 = 0

  /// A change in memory, with what is needed to take it back.
  enum Undo {
    case put
    case removed(Unsettled.Entry, Mailbox, Unsettled.Body)
    /// From the tables: what it took of its mailbox and of the total.
    case removedSettled(Mailbox, bytes: Int, shared: Bool)
    case recorded(Unsettled.Sender, UInt64)
    case forgot(Unsettled.Sender, Unsettled.Records)
    case settled(Unsettled, pending: [UInt8])
  }

  /// An open transaction.
  private struct Level {
    var undo: Int
    var pending: Int
    /// The tables' save point, if they were written inside; what they held then.
    var savepoint: Usage?
  }

  /// Opens the store of a state directory, which is made if there is none.
  ///
  /// `maximumBytes` bounds the file for what comes; what is delivered or expires may take half as much again, since even
  /// to forget needs room. `journalBytes` bounds the journal, and with it the memory. Throws ``StoreError`` with path and
  /// remedy.
  public convenience init(
    directory path: String, maximumBytes: Int? = nil, journalBytes: Int = 1 << 20
  ) throws(StoreError) {
    let backstop = maximumBytes.map { $0 + $0 / 2 + (1 << 20) }
    try self.init(
      SQLiteStore(directory: path, maximumBytes: backstop), maximumBytes: maximumBytes, journalBytes: journalBytes)
  }

  /// A store that nothing outlives.
  public static func inMemory(journalBytes: Int = 1 << 20) throws(StoreError) -> JournaledStore {
    try JournaledStore(try SQLiteStore.inMemory(), maximumBytes: nil, journalBytes: journalBytes)
  }

  private init(_ tables: SQLiteStore, maximumBytes: Int?, journalBytes: Int) throws(StoreError) {
    self.tables = tables
    self.maximumBytes = maximumBytes
    self.journalBytes = max(0, journalBytes)
    unsettled = Unsettled(total: try tables.totalUsage())
  }

  /// Bytes of the file from which on nothing new is taken.
  let maximumBytes: Int?
  /// Bytes of the file that were in use when they were last counted in the open transaction.
  private var fileBytes: Int?

  /// Closes the file and gives the directory up. Every later call throws.
  public func close() {
    try? settleNow()
    tables.close()
  }

  public func backup(to path: String) throws(StoreError) { try tables.backup(to: path) }

  // MARK: Transactions

  public func transaction<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
    if !levels.isEmpty { return try level(body) }
    try makeRoom()
    do throws(StoreError) {
      let result = try tables.transaction { () throws(StoreError) -> Result in
        fileBytes = nil
        let result = try level(body)
        if !pending.isEmpty { try tables.appendJournal(pending) }
        return result
      }
      journaled = journalLeft + pending.count
      undo.removeAll(keepingCapacity: true)
      pending.removeAll(keepingCapacity: true)
      return result
    } catch {
      takeBack(to: 0)
      pending.removeAll()
      throw error
    }
  }

  /// A transaction inside the tables' one.
  private func level<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
    // The outermost level needs no save point: the tables' transaction is one.
    levels.append(Level(undo: undo.count, pending: pending.count, savepoint: levels.isEmpty ? Usage() : nil))
    let isOutermost = levels.count == 1
    do throws(StoreError) {
      let result = try body()
      // A body that swallowed a failure must not commit either.
      try tables.checkFailure()
      if !isOutermost, levels.last?.savepoint != nil { try tables.endSavepoint() }
      levels.removeLast()
      return result
    } catch {
      let level = levels.removeLast()
      takeBack(to: level.undo)
      if pending.count > level.pending { pending.removeLast(pending.count - level.pending) }
      undoneTransactions += 1
      if !isOutermost { try tables.undoSavepoint(to: level.savepoint) }
      throw error
    }
  }

  /// Writes to the tables, inside the open transaction, or in one of their own.
  func write<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
    guard !levels.isEmpty else { return try transaction { () throws(StoreError) -> Result in try write(body) } }
    for index in levels.indices where levels[index].savepoint == nil {
      levels[index].savepoint = try tables.totalUsage()
      try tables.beginSavepoint()
    }
    return try body()
  }

  /// Notes a change that was made in memory.
  func note(_ change: Undo, _ entry: JournalEntry?) throws(StoreError) {
    undo.append(change)
    guard let entry else { return }
    do { pending += try entry.encoded() } catch {
      throw StoreError(.failed, detail: "a message that no journal can hold")
    }
  }

  /// Runs changes in the open transaction, or in one of their own.
  func together<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
    if levels.isEmpty { return try transaction(body) }
    try tables.checkFailure()
    return try body()
  }

  private func takeBack(to mark: Int) {
    while undo.count > mark { takeBack(undo.removeLast()) }
  }

  private func takeBack(_ change: Undo) {
    switch change {
    case .put: unsettled.takeBackPut()
    case .removed(let entry, let mailbox, let body): unsettled.takeBackRemove(entry, in: mailbox, body)
    case .removedSettled(let mailbox, let bytes, let shared):
      unsettled.boxes[mailbox]?.settled += 1
      unsettled.boxes[mailbox]?.usage.messages += 1
      unsettled.boxes[mailbox]?.usage.bytes += bytes
      unsettled.total = unsettled.total + Usage(messages: 1, bytes: shared ? 0 : bytes)
    case .recorded(let sender, let seq):
      unsettled.records[sender]?.digests[seq] = nil
      unsettled.records[sender]?.count -= 1
    case .forgot(let sender, let records): unsettled.records[sender] = records
    case .settled(let before, let bytes):
      unsettled = before
      pending = bytes
    }
  }

  // MARK: Settling

  /// Brings the tables up to date, in the open transaction, or in one of its own.
  func settle() throws(StoreError) {
    try write { () throws(StoreError) in
      try tables.settle(unsettled)
      try note(.settled(unsettled, pending: pending), nil)
      pending.removeAll()
      unsettled = unsettled.settled()
    }
  }

  /// The same between transactions.
  func settleNow() throws(StoreError) {
    if journaled > 0 { try settle() }
  }

  /// Bytes of the journal that are on disk and not settled in the open transaction.
  private var journalLeft: Int { undo.contains(where: \.isSettled) ? 0 : journaled }

  /// Throws ``StoreError/Kind/full`` unless `count` more bytes are within the bounds of the file.
  func makeRoom(for count: Int) throws(StoreError) {
    guard let maximumBytes else { return }
    // What is in the journal must fit into the tables some time, with their indexes.
    func isFull() throws(StoreError) -> Bool {
      let inUse = if let fileBytes { fileBytes } else { try tables.bytesInUse() }
      fileBytes = inUse
      let coming = inUse + 2 * (pending.count + count)
      return coming + journaled > maximumBytes && coming + journalLeft > maximumBytes
    }
    guard try isFull() else { return }
    if journalLeft + pending.count > 0 {
      // Much of it may be delivered by now.
      try settle()
      fileBytes = nil
      guard try isFull() else { return }
    }
    throw StoreError(.full, detail: "the store has reached its size of \(maximumBytes) bytes")
  }

  private func makeRoom() throws(StoreError) {
    guard journaled > journalBytes else { return }
    // Called from here, it comes back with a smaller journal, or not at all.
    let size = journaled
    journaled = 0
    do throws(StoreError) { try settle() } catch {
      journaled = size
      // Once more with the next transaction, as long as memory is bounded.
      if size > 2 * journalBytes { throw error }
    }
  }
}

extension JournaledStore.Undo {
  fileprivate var isSettled: Bool { if case .settled = self { true } else { false } }
}
