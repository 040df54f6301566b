import Envelope
import MemberSecurity

/// Bounds and habits of a gateway beside those of its queues.
public struct GatewayLimits: Sendable, Equatable {
  /// Bytes of one envelope.
  public var maximumEnvelope = SignedEnvelope.defaultMaximumSize
  /// Seconds that a sender's clock may be ahead.
  public var clockSkew: UInt64 = 120
  /// Lifetime, in seconds, of the envelopes that the gateway makes of plain readings.
  public var readingLifetime: UInt64 = 86_400
  /// Lifetime of the receipts that the gateway signs itself, seconds.
  public var receiptLifetime: UInt64 = 604_800
  /// Held messages that one call of ``Gateway/expire(now:)`` takes out.
  public var expiredAtOnce = 256

  /// Keys that are shared with nodes.
  public var security = MemberSecurityLimits()

  public init() {}
}
