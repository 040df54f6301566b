import IEEE802154

/// Which frames go first.
@frozen
public enum FramePriority: Int, CaseIterable, Sendable, Hashable {
  /// In front of others, though never so that these starve: what somebody waits for.
  case high
  case normal
}

/// A frame that a ``MACEngine`` is to send.
public struct OutgoingFrame: Sendable, Hashable {
  /// The caller's name for it, that ``MACAction/finished(_:_:)`` says again.
  public var id: UInt64
  /// Addresses, version, and whether an acknowledgment is asked for. The engine replaces the sequence number, unless it is
  /// suppressed, the security and the frame pending bit.
  public var header: MACHeader
  /// The MAC payload in the clear.
  public var payload: [UInt8]
  public var priority: FramePriority
  /// Under link security, if that is configured. False for devices that have no key yet.
  public var isSecured: Bool

  public init(
    id: UInt64, header: MACHeader, payload: [UInt8], priority: FramePriority = .normal, isSecured: Bool = true
  ) {
    self.id = id
    self.header = header
    self.payload = payload
    self.priority = priority
    self.isSecured = isSecured
  }
}
