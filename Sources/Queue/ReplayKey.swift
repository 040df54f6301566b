/// Where sequence numbers are checked: one store may see an envelope on its way up and again on its way down.
@frozen
public struct ReplayScope: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt8
  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// What a relay takes in.
  public static let relay = ReplayScope(rawValue: 1)
  /// What a gateway takes from its relay.
  public static let downlink = ReplayScope(rawValue: 2)
  /// What a gateway takes from its nodes.
  public static let uplink = ReplayScope(rawValue: 3)
}

/// What makes a message the same message: never a hash, since an ECDSA signature is malleable.
@frozen
public struct ReplayKey: Hashable, Sendable {
  public var scope: ReplayScope
  public var sender: Bytes32
  public var seq: UInt64

  @inlinable
  public init(_ scope: ReplayScope, sender: Bytes32, seq: UInt64) {
    self.scope = scope
    self.sender = sender
    self.seq = seq
  }
}

/// What is remembered of one sender.
@frozen
public struct HomeRecords: Hashable, Sendable {
  /// Records held.
  public var count: Int
  /// Highest sequence number that was pruned: anything up to it is too old to tell from a replay.
  public var floor: UInt64?

  @inlinable
  public init(count: Int = 0, floor: UInt64? = nil) {
    self.count = count
    self.floor = floor
  }
}
