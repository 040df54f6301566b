import Wire

/// Refuses frames whose counter does not rise (9.2.6), per sender and key.
public struct ReplayGuard: Sendable {
  private struct Origin: Hashable {
    var source: ExtendedAddress
    var key: KeyIdentifier
  }

  private var lowest: [Origin: UInt32] = [:]
  private let capacity: Int

  /// Remembers at most `capacity` pairs of sender and key.
  public init(capacity: Int = 4096) { self.capacity = capacity }

  /// Takes the counter of an authentic frame. Throws ``DropReason/macReplay`` unless it is higher than all before, and
  /// for the last counter, which must never be used (9.2.3). A pair beyond the capacity is refused too: forgetting one
  /// would let its old frames in again.
  public mutating func accept(
    _ counter: UInt32, from source: ExtendedAddress, key: KeyIdentifier
  ) throws(ParseError) {
    let origin = Origin(source: source, key: key)
    guard counter != .max else { throw ParseError(.macReplay) }
    if let next = lowest[origin] {
      guard counter >= next else { throw ParseError(.macReplay) }
    } else if lowest.count >= capacity {
      throw ParseError(.macReplay)
    }
    lowest[origin] = counter + 1
  }

  /// Forgets all counters under a key that is used no more. Only after ``KeyStore/remove(_:)``: frames under it must not
  /// pass as authentic again.
  public mutating func forget(_ key: KeyIdentifier) {
    lowest = lowest.filter { $0.key.key != key }
  }
}
