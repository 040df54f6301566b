import IEEE802154

/// Which EUI-64 is behind a short address: needed to decrypt, because the nonce has the EUI-64 (IEEE 802.15.4-2020, 9.3.3.1).
///
/// Pairs are configured or learned. What was learned never replaces what was configured, and at most
/// ``capacity`` pairs are learned. A wrong pair opens nothing: the frame then fails to authenticate.
public struct AddressTable: Sendable, Equatable {
  private struct Key: Hashable {
    var pan: PANIdentifier
    var short: ShortAddress
  }

  private struct Entry: Equatable {
    var extended: ExtendedAddress
    var isConfigured: Bool
  }

  private var entries: [Key: Entry] = [:]
  /// Beyond so many pairs none is learned.
  public let capacity: Int

  public init(capacity: Int = 4_096) { self.capacity = capacity }

  /// Pairs known.
  public var count: Int { entries.count }

  /// The EUI-64 of the device that has `short` in `pan`, if known.
  public func extendedAddress(of short: ShortAddress, in pan: PANIdentifier) -> ExtendedAddress? {
    entries[Key(pan: pan, short: short)]?.extended
  }

  /// Sets a pair that nothing on the air changes.
  public mutating func configure(_ short: ShortAddress, in pan: PANIdentifier, as extended: ExtendedAddress) {
    entries[Key(pan: pan, short: short)] = Entry(extended: extended, isConfigured: true)
  }

  /// Takes note of a pair. The broadcast address and the one of devices without a short address are nobody's.
  public mutating func learn(_ short: ShortAddress, in pan: PANIdentifier, as extended: ExtendedAddress) {
    guard short != .broadcast, short != .unassigned else { return }
    let key = Key(pan: pan, short: short)
    if let known = entries[key] {
      guard !known.isConfigured, known.extended != extended else { return }
    } else if entries.count >= capacity {
      return
    }
    entries[key] = Entry(extended: extended, isConfigured: false)
  }

  /// Forgets a pair.
  public mutating func remove(_ short: ShortAddress, in pan: PANIdentifier) {
    entries[Key(pan: pan, short: short)] = nil
  }
}
