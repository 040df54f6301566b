/// Outgoing frame counters, of which only those may be used that are stored as used already, so that none is ever used
/// twice, whatever is lost in a crash (IEEE 802.15.4-2020, 9.2.2).
struct FrameCounterReserve: Sendable {
  /// The next to be used.
  private(set) var next: UInt32
  /// Those below may be used.
  private(set) var limit: UInt32
  private let step: UInt32
  private var requested: UInt32?

  /// Begins with `start`, below which counters may have been used before.
  init(from start: UInt32, step: UInt32) {
    next = start
    limit = start
    self.step = max(1, step)
  }

  /// The last counter is never used: there are no more.
  var isExhausted: Bool { next == .max }
  /// Whether ``take()`` gives one.
  var isAvailable: Bool { next < limit }

  /// A counter, used herewith.
  mutating func take() -> UInt32? {
    guard isAvailable else { return nil }
    defer { next += 1 }
    return next
  }

  /// What to reserve up to, if it is time to ask: while half a step is left, so that frames need not wait.
  mutating func request() -> UInt32? {
    guard requested == nil, limit < .max, limit - next <= step / 2 else { return nil }
    let (sum, overflow) = next.addingReportingOverflow(step)
    let wanted = max(limit, overflow ? .max : sum)
    guard wanted > limit else { return nil }
    requested = wanted
    return wanted
  }

  /// Counters below `limit` are stored as used.
  mutating func reserved(upTo limit: UInt32) {
    self.limit = max(self.limit, limit)
    requested = nil
  }
}
