import Wire

/// A link-layer key: AES-128.
public struct LinkKey: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible {
  /// Octets of a key.
  public static let length = 16
  public let bytes: [UInt8]
  /// Whether frames of level 4 are taken under this key: encrypted, but without integrity code, so that anybody can alter
  /// them unnoticed. The edition of 2015 deprecates the level and that of 2020 reserves it; for old networks only.
  public let acceptsUnauthenticated: Bool

  /// `nil` unless there are 16 octets.
  public init?(_ bytes: [UInt8], acceptsUnauthenticated: Bool = false) {
    guard bytes.count == Self.length else { return nil }
    self.bytes = bytes
    self.acceptsUnauthenticated = acceptsUnauthenticated
  }

  /// Never the key itself: descriptions end up in logs.
  public var description: String { "LinkKey" }
  public var debugDescription: String { description }
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
