import Wire

/// A store in memory, for tests, simulations and a replay that leaves nothing behind.
///
/// It models a loss of power: after ``cutPower(afterWrites:_:)`` the store fails in the middle of
/// what it is told to do, and after ``restart()`` it holds exactly what was committed.
public final class MemoryStore: MailboxStore {
  struct Body {
    var deposit: Deposit
    var references: Int
  }

  struct Entry {
    var number: UInt64
    var body: UInt64
  }

  struct Box {
    var entries: [Entry] = []
    var lastNumber: UInt64 = 0
    var usage = Usage()
  }

  struct Sender: Hashable {
    var scope: ReplayScope
    var address: Bytes32
  }

  struct Records {
    var digests: [UInt64: Bytes32] = [:]
    var floor: UInt64?
  }

  /// Everything that is stored.
  struct State {
    var boxes: [Mailbox: Box] = [:]
    var bodies: [UInt64: Body] = [:]
    var lastBody: UInt64 = 0
    var total = Usage()
    var records: [Sender: Records] = [:]
    var counters: [String: UInt64] = [:]
    var values: [String: [UInt8]] = [:]
    /// When the first held message expires, unless ``expiryIsStale``: then some time before it.
    var earliestExpiry: Instant?
    /// The message that expired first was removed.
    var expiryIsStale = false
  }

  var state = State()
  /// How to take back each write of the open transactions, in order.
  private var undo: [(inout State) -> Void] = []
  private var depth = 0
  private var writesUntilCut: Int?
  private var cutMoment = Moment.write
  private var isOff = false
  /// A write failed: the innermost transaction must be undone.
  private var failure: StoreError?
  public private(set) var undoneTransactions: UInt64 = 0

  public init() {}

  // MARK: Loss of power

  /// When in a transaction the power goes.
  public enum Moment: CaseIterable, Sendable {
    /// At a write: the transaction is lost.
    case write
    /// At the commit that follows the write: the transaction is lost.
    case beforeCommit
    /// Right after that commit: the transaction is kept, and its caller never learns it.
    case afterCommit
  }

  /// Cuts the power at the `count`-th write from now (1 is the next), or at the commit that follows it.
  public func cutPower(afterWrites count: Int, _ moment: Moment = .write) {
    writesUntilCut = count
    cutMoment = moment
  }

  /// True from the loss of power to ``restart()``: every call throws ``StoreError/Kind/closed``.
  public var isPowerCut: Bool { isOff }

  /// Power is back: what was not committed is lost. Must not be called inside a transaction.
  public func restart() {
    precondition(depth == 0)
    isOff = false
    writesUntilCut = nil
  }

  // MARK: Transactions

  public func transaction<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
    try check()
    let mark = undo.count
    depth += 1
    defer { depth -= 1 }
    do {
      let result = try body()
      // A body that swallowed a failure must not commit either.
      try check()
      if depth == 1 { try commit() }
      return result
    } catch {
      failure = nil
      while undo.count > mark { undo.removeLast()(&state) }
      undoneTransactions += 1
      throw error
    }
  }

  /// Throws while the power is off, and between a write that failed and the end of the transaction around it.
  func check() throws(StoreError) {
    if let failure { throw failure }
    if isOff { throw StoreError(.closed, detail: "power was cut") }
  }

  private func commit() throws(StoreError) {
    let isDue = writesUntilCut.map { $0 <= 0 } ?? false
    isOff = isDue && cutMoment == .beforeCommit
    try check()
    undo.removeAll(keepingCapacity: true)
    isOff = isDue
    try check()
  }

  /// One write, and how to take it back.
  func write(
    _ change: (inout State) -> Void, undo inverse: @escaping (inout State) -> Void
  ) throws(StoreError) {
    guard depth > 0 else {
      return try transaction { () throws(StoreError) in try write(change, undo: inverse) }
    }
    try check()
    if let left = writesUntilCut {
      writesUntilCut = left - 1
      isOff = left <= 1 && cutMoment == .write
      try check()
    }
    change(&state)
    undo.append(inverse)
  }

  // MARK: Counters and values

  public func counter(_ name: String) throws(StoreError) -> UInt64 {
    try check()
    return state.counters[name] ?? 0
  }

  public func setCounter(_ name: String, to value: UInt64) throws(StoreError) {
    let old = state.counters[name]
    try write {
      $0.counters[name] = value
    } undo: {
      $0.counters[name] = old
    }
  }

  public func value(_ name: String) throws(StoreError) -> [UInt8]? {
    try check()
    return state.values[name]
  }

  public func setValue(_ name: String, to value: [UInt8]?) throws(StoreError) {
    let old = state.values[name]
    try write {
      $0.values[name] = value
    } undo: {
      $0.values[name] = old
    }
  }

  public func values(withPrefix prefix: String) throws(StoreError) -> [(name: String, value: [UInt8])] {
    try check()
    return state.values.filter { $0.key.hasPrefix(prefix) }.sorted {
      $0.key.utf8.lexicographicallyPrecedes($1.key.utf8)
    }
    .map { ($0.key, $0.value) }
  }

  // MARK: Replay records

  public func digest(of key: ReplayKey) throws(StoreError) -> Bytes32? {
    try check()
    return state.records[Sender(scope: key.scope, address: key.sender)]?.digests[key.seq]
  }

  public func record(_ digest: Bytes32, for key: ReplayKey) throws(StoreError) {
    let sender = Sender(scope: key.scope, address: key.sender)
    guard state.records[sender]?.digests[key.seq] == nil else {
      let error = StoreError(.failed, detail: "a replay record is there already")
      if depth > 0 { failure = error }
      throw error
    }
    try write {
      $0.records[sender, default: Records()].digests[key.seq] = digest
    } undo: {
      $0.records[sender]?.digests[key.seq] = nil
    }
  }

  public func replayWindow(_ scope: ReplayScope, of sender: Bytes32) throws(StoreError) -> HomeRecords {
    try check()
    guard let records = state.records[Sender(scope: scope, address: sender)] else { return HomeRecords() }
    return HomeRecords(count: records.digests.count, floor: records.floor)
  }

  public func pruneReplay(_ scope: ReplayScope, of sender: Bytes32, keeping: Int) throws(StoreError) {
    let sender = Sender(scope: scope, address: sender)
    guard let old = state.records[sender], old.digests.count > keeping else { return }
    var new = old
    let pruned = old.digests.keys.sorted().dropLast(max(0, keeping))
    for seq in pruned { new.digests[seq] = nil }
    new.floor = max(old.floor ?? 0, pruned.last ?? 0)
    try write {
      $0.records[sender] = new
    } undo: {
      $0.records[sender] = old
    }
  }
}
