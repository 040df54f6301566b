import Wire

/// Sequence numbers that are never given twice, at one write for a block of them (RFC 8613 appendix B.1.1 in
/// spirit).
///
/// The end of the block is on disk before its first number is given; after a crash the rest of the block is
/// skipped.
public struct SequenceReserve<Store: MailboxStore> {
  private let store: Store
  private let name: String
  private let step: UInt64
  private var upcoming: UInt64 = 1
  private var limit: UInt64 = 0
  private var undoneTransactions: UInt64 = 0

  /// Numbers counted under `name`, from 1; `step` of them are reserved at a time (at least 1).
  public init(_ name: String, in store: Store, step: UInt64 = 64) {
    self.store = store
    self.name = name
    self.step = max(1, step)
  }

  /// The next number.
  ///
  /// Drawn inside a transaction, it may be sent when the transaction has committed, as everything else that
  /// is done inside one; if the transaction is undone, the number must not have left.
  ///
  /// Throws ``StoreError`` if a new block is needed and cannot be stored; no number is lost then.
  public mutating func next() throws(StoreError) -> UInt64 {
    // A reservation made inside a transaction that was undone is not on disk: make it again.
    if upcoming > limit || store.undoneTransactions != undoneTransactions { try reserve() }
    defer { upcoming += 1 }
    return upcoming
  }

  private mutating func reserve() throws(StoreError) {
    let (store, name, step, floor) = (store, name, step, upcoming)
    let block = try store.transaction { () throws(StoreError) -> (UInt64, UInt64) in
      let first = max(try store.counter(name), floor - 1)
      let (last, overflow) = first.addingReportingOverflow(step)
      // 2^64 numbers do not run out; a damaged counter may say so.
      guard !overflow, last < .max else { throw StoreError(.corrupt, detail: "sequence \(name) is used up") }
      try store.setCounter(name, to: last)
      return (first + 1, last)
    }
    (upcoming, limit) = block
    undoneTransactions = store.undoneTransactions
  }
}
