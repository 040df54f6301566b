import Wire

/// A store in memory, for tests, simulations and a replay that leaves nothing behind.
///
/// It models a loss of power: after ``cutPower(afterWrites:beforeCommit:)`` the store fails in the middle of
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
  private var cutBeforeCommit = false
  private var isOff = false
  public private(set) var undoneTransactions: UInt64 = 0

  public init() {}

  // MARK: Loss of power

  /// Cuts the power at the `count`-th write from now (1 is the next), or, with `beforeCommit`, at the commit
  /// that follows it, so that the caller never learns whether its transaction was kept: it was not.
  public func cutPower(afterWrites count: Int, beforeCommit: Bool = false) {
    writesUntilCut = count
    cutBeforeCommit = beforeCommit
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
    try checkPower()
    let mark = undo.count
    depth += 1
    defer { depth -= 1 }
    do {
      let result = try body()
      if depth == 1, let left = writesUntilCut, left <= 0, cutBeforeCommit { isOff = true }
      // A body that swallowed the loss of power must not commit either.
      try checkPower()
      if depth == 1 { undo.removeAll(keepingCapacity: true) }
      return result
    } catch {
      while undo.count > mark { undo.removeLast()(&state) }
      undoneTransactions += 1
      throw error
    }
  }

  func checkPower() throws(StoreError) {
    if isOff { throw StoreError(.closed, detail: "power was cut") }
  }

  /// One write, and how to take it back.
  func write(
    _ change: (inout State) -> Void, undo inverse: @escaping (inout State) -> Void
  ) throws(StoreError) {
    try checkPower()
    if let left = writesUntilCut {
      writesUntilCut = left - 1
      if left <= 1 && !cutBeforeCommit { isOff = true }
    }
    if isOff {
      // Outside a transaction the write was lost as well.
      throw StoreError(.closed, detail: "power was cut")
    }
    if depth == 0, let left = writesUntilCut, left <= 0, cutBeforeCommit {
      isOff = true
      try checkPower()
    }
    change(&state)
    if depth > 0 { undo.append(inverse) }
  }

  // MARK: Counters and values

  public func counter(_ name: String) throws(StoreError) -> UInt64 {
    try checkPower()
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
    try checkPower()
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

  // MARK: Replay records

  public func digest(of key: ReplayKey) throws(StoreError) -> Bytes32? {
    try checkPower()
    return state.records[Sender(scope: key.scope, address: key.sender)]?.digests[key.seq]
  }

  public func record(_ digest: Bytes32, for key: ReplayKey) throws(StoreError) {
    let sender = Sender(scope: key.scope, address: key.sender)
    try write {
      $0.records[sender, default: Records()].digests[key.seq] = digest
    } undo: {
      $0.records[sender]?.digests[key.seq] = nil
    }
  }

  public func replayWindow(_ scope: ReplayScope, of sender: Bytes32) throws(StoreError) -> ReplayRecords {
    try checkPower()
    guard let records = state.records[Sender(scope: scope, address: sender)] else { return ReplayRecords() }
    return ReplayRecords(count: records.digests.count, floor: records.floor)
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
