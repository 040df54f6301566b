import OSCORE

/// Bounds of what a member keeps of its security with others.
public struct MemberSecurityLimits: Sendable, Hashable {
  /// Members with whom there are keys.
  public var contexts = 1_024
  /// EDHOC sessions whose initiator has not proven itself yet: anybody may begin one.
  public var halfOpen = 16
  /// For how long such a session waits for message_3. A CoAP exchange and its retransmissions fit (RFC 7252, 4.8.2).
  public var halfOpenLifetime: Duration = .seconds(247)
  /// Replay window, and numbers reserved at once.
  public var context = OSCORESecurityContext.Configuration()

  public init() {}
}
