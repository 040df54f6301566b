/// Dropped inputs counted by ``DropReason``: what metrics, the `status` command and the summaries read.
public struct DropCounters: Sendable, Equatable {
  private var counts = [UInt64](repeating: 0, count: DropReason.allCases.count)

  public init() {}

  /// Counts one more.
  public mutating func count(_ reason: DropReason) { counts[Int(reason.rawValue)] &+= 1 }

  /// Counts `times` more.
  public mutating func count(_ reason: DropReason, times: UInt64) { counts[Int(reason.rawValue)] &+= times }

  public subscript(reason: DropReason) -> UInt64 { counts[Int(reason.rawValue)] }

  /// All together.
  public var total: UInt64 { counts.reduce(0, &+) }

  /// The reasons that occurred, most frequent first, then in order of declaration.
  public var nonZero: [(reason: DropReason, count: UInt64)] {
    DropReason.allCases.filter { self[$0] > 0 }.map { ($0, self[$0]) }
      .sorted { ($0.count, $1.reason.rawValue) > ($1.count, $0.reason.rawValue) }
  }

  /// Adds another set of counts.
  public mutating func add(_ other: DropCounters) {
    for index in counts.indices { counts[index] &+= other.counts[index] }
  }
}
