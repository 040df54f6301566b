/// The name of one queue: what it is for and whose it is.
@frozen
public struct Mailbox: Hashable, Sendable, CustomStringConvertible {
  /// What a queue is for. Raw values are stored and never change.
  @frozen
  public enum Kind: UInt8, Sendable, Hashable, CaseIterable {
    /// Commands that a gateway holds for one of its nodes; the address is the node's.
    case nodeQueue = 1
    /// What a gateway or an endpoint holds for its relay; the address is the relay's.
    case outbox = 2
    /// What a relay holds for a recipient; the address is the recipient's.
    case mailbox = 3
  }

  public var kind: Kind
  public var address: Bytes32

  @inlinable
  public init(_ kind: Kind, _ address: Bytes32) {
    self.kind = kind
    self.address = address
  }

  public var description: String { "\(kind) \(address)" }
}

/// How much is held: an amount, or the limit of one.
@frozen
public struct Usage: Hashable, Sendable {
  public var messages: Int
  /// Bytes of envelopes, without what the store needs around them.
  public var bytes: Int

  @inlinable
  public init(messages: Int = 0, bytes: Int = 0) {
    self.messages = messages
    self.bytes = bytes
  }

  @inlinable
  public static func + (left: Usage, right: Usage) -> Usage {
    Usage(messages: left.messages &+ right.messages, bytes: left.bytes &+ right.bytes)
  }

  @inlinable
  public static func - (left: Usage, right: Usage) -> Usage {
    Usage(messages: left.messages &- right.messages, bytes: left.bytes &- right.bytes)
  }

  /// True if neither the messages nor the bytes pass `limit`.
  @inlinable
  public func fits(_ limit: Usage) -> Bool { messages <= limit.messages && bytes <= limit.bytes }
}
