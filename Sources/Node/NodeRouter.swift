import IEEE802154
import IPv6
import Wire

/// The router of a node, as its advertisements say (RFC 4861, 6.3; RFC 6775, 5.4).
public struct NodeRouter: Sendable, Hashable {
  /// Its link-local address, from which it advertises.
  public var address: IPv6Address
  /// Its radio.
  public var radio: MACAddress
  /// Its global address: the one of the authoritative border router option.
  public var global: IPv6Address?
  /// When it is no longer a router, unless it says so anew.
  public var until: Instant
}

/// A global address of a node (RFC 6775, 5.5).
public struct NodeAddress: Sendable, Hashable {
  public var address: IPv6Address
  /// When its prefix is no longer valid.
  public var validUntil: Instant
  /// The end of its registration; `nil` if it has none yet.
  public internal(set) var registeredUntil: Instant?
  /// When it is registered, or registered anew.
  var due: Instant
  /// Solicitations since the last answer.
  var attempts = 0
  /// Refusals in a row because the router's neighbour cache was full.
  var refusals = 0
  /// It turned out to be another node's.
  public internal(set) var isDuplicate = false

  /// Whether packets may be sent from it.
  public func isUsable(at now: Instant) -> Bool { registeredUntil.map { $0 > now } ?? false }
}
