import Wire

/// A link-layer key: AES-128.
public struct LinkKey: Hashable, Sendable {
  /// Octets of a key.
  public static let length = 16
  public let bytes: [UInt8]

  /// `nil` unless there are 16 octets.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.length else { return nil }
    self.bytes = bytes
  }
}

/// Keys by the identifiers that frames carry (IEEE 802.15.4-2020, 9.2.4).
public struct KeyStore: Sendable {
  /// The key source that key identifier mode 1 stands for (macDefaultKeySource).
  public var defaultKeySource: UInt64
  private var keys: [KeyIdentifier: LinkKey] = [:]

  public init(defaultKeySource: UInt64 = 0) { self.defaultKeySource = defaultKeySource }

  public var isEmpty: Bool { keys.isEmpty }

  /// Adds or replaces a key.
  public mutating func add(_ key: LinkKey, for identifier: KeyIdentifier) { keys[identifier] = key }

  /// Removes a key; frames under it are refused from now on.
  public mutating func remove(_ identifier: KeyIdentifier) { keys[identifier] = nil }

  /// The key for a frame.
  ///
  /// An index alone also finds a key stored under the default key source, and the default key source finds a key stored
  /// under an index alone. Throws ``DropReason/macKeyUnknown``.
  public func key(for identifier: KeyIdentifier) throws(ParseError) -> LinkKey {
    if let key = keys[identifier] { return key }
    switch identifier {
    case .index(let index):
      if let key = keys[.longSource(defaultKeySource, index: index)] { return key }
    case .longSource(defaultKeySource, let index):
      if let key = keys[.index(index)] { return key }
    case .implicit, .shortSource, .longSource: break
    }
    throw ParseError(.macKeyUnknown)
  }
}

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
}
