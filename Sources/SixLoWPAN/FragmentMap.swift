/// Which parts of a datagram have arrived, in units of 8 bytes: the hole map.
///
/// Fragments begin at multiples of 8 bytes, and all but the last end there, so that one bit for each of the at
/// most 256 units says everything. A second map of where fragments began tells copies from overlaps.
@usableFromInline
@frozen
struct FragmentMap: Sendable {
  @usableFromInline var received = InlineArray<4, UInt64>(repeating: 0)
  @usableFromInline var starts = InlineArray<4, UInt64>(repeating: 0)

  /// What a new fragment is to those before it.
  @usableFromInline
  @frozen
  enum Relation {
    case new
    /// It fills the very place of an earlier one.
    case duplicate
    case overlap
  }

  @inlinable init() {}

  /// The bits of `units` that fall into word `index`.
  @inlinable
  @inline(__always)
  static func mask(_ units: Range<Int>, word index: Int) -> UInt64 {
    let low = min(max(units.lowerBound &- index &* 64, 0), 64)
    let high = min(max(units.upperBound &- index &* 64, 0), 64)
    // Swift's smart shifts give zero for a count of 64.
    return (UInt64.max << UInt64(low)) & (UInt64.max >> UInt64(64 &- high))
  }

  @inlinable
  static func isSet(_ unit: Int, _ map: InlineArray<4, UInt64>) -> Bool {
    unit < 256 && map[unit >> 6] >> UInt64(unit & 63) & 1 == 1
  }

  /// How a fragment over `units`, not empty and within 0 to 256, relates to those that were inserted.
  @inlinable
  func relation(_ units: Range<Int>) -> Relation {
    var overlapping: UInt64 = 0
    var missing: UInt64 = 0
    var inner: UInt64 = 0
    for word in 0..<4 {
      let mask = Self.mask(units, word: word)
      overlapping |= mask & received[word]
      missing |= mask & ~received[word]
      inner |= Self.mask(units.lowerBound &+ 1..<units.upperBound, word: word) & starts[word]
    }
    if overlapping == 0 { return .new }
    let isWhole =
      missing == 0 && inner == 0 && Self.isSet(units.lowerBound, starts)
      && (!Self.isSet(units.upperBound, received) || Self.isSet(units.upperBound, starts))
    return isWhole ? .duplicate : .overlap
  }

  @inlinable
  mutating func insert(_ units: Range<Int>) {
    for word in units.lowerBound >> 6...(units.upperBound &- 1) >> 6 {
      received[word] |= Self.mask(units, word: word)
    }
    starts[units.lowerBound >> 6] |= 1 << UInt64(units.lowerBound & 63)
  }
}
