/// One of the two lists of the source match: what it should have, what the co-processor has, and how much fits.
///
/// How many entries a co-processor takes is not asked but found out: 128 in OpenThread's simulation, 10 or 32 on some sticks. Those
/// that are in stay in when it is full; the others follow as places become free.
struct SpinelSourceMatchList<Address: Hashable & Comparable & Sendable>: Sendable {
  /// What the list should have.
  var wanted: Set<Address> = []
  /// What the co-processor has, in its order; `nil` if that is unknown.
  private(set) var applied: [Address]?
  /// Places are given to these first.
  private var incumbents: [Address] = []
  /// What is being applied.
  private var applying: [Address] = []
  /// So many are known to fit.
  private var fits = 0
  /// More than so many do not fit.
  private var ceiling = 128
  /// How many are tried.
  private var limit = 128

  /// Entries that were wanted and have no place.
  var leftOut: Int { applied.map { wanted.count - $0.count } ?? 0 }

  /// The list to set; `nil` if the co-processor has what it can have.
  mutating func next() -> [Address]? {
    let staying = incumbents.filter(wanted.contains)
    let target = Array((staying + wanted.subtracting(staying).sorted()).prefix(limit))
    if let applied, applied.count == target.count, Set(applied) == Set(target) { return nil }
    applying = target
    return target
  }

  /// The co-processor has all of the list.
  mutating func accepted(_ count: Int) {
    isApplied(count)
    fits = max(fits, count)
    // Somewhere between what fits and what does not: half way, as long as there is need to know.
    limit = fits < ceiling && wanted.count > fits && limit < ceiling ? (fits + ceiling + 1) / 2 : max(limit, fits)
  }

  /// The co-processor takes no list of so many.
  mutating func refused(_ count: Int) {
    applied = nil
    ceiling = max(0, min(ceiling, count - 1))
    fits = min(fits, ceiling)
    limit = (fits + ceiling + 1) / 2
  }

  /// The co-processor has the first `count` of the list and takes no more.
  mutating func isFull(at count: Int) {
    isApplied(count)
    fits = count
    ceiling = count
    limit = count
  }

  private mutating func isApplied(_ count: Int) {
    let list = Array(applying.prefix(count))
    applied = list
    incumbents = list
  }

  /// The co-processor was reset and has nothing.
  mutating func forget() { applied = nil }
}
