import Envelope
import Wire

/// Whom a connection speaks for: its own identity and, for a gateway, the nodes it hosts.
///
/// Made by ``RelayCore/openSession(client:serving:)`` after the client's signature was checked. What it may
/// do is asked of the access list each time, so that a removed client loses it at once.
public struct RelaySession: Hashable, Sendable {
  /// Who signed for the connection.
  public let client: Address
  /// Whose mailboxes it collects, in this order.
  public let served: [Address]
}

/// The limits of a relay.
public struct RelayLimits: Hashable, Sendable {
  /// Bytes of one envelope.
  public var envelopeSize: Int
  /// Seconds for which the relay's own answers are held.
  public var statusLifetime: UInt64
  /// How many removed members are remembered, so that they are told apart from strangers.
  public var removedMembers: Int
  /// How far a sender's clock may be ahead.
  public var freshness: Freshness
  /// Numbers reserved for the reports that a new access list may cause.
  var reportsAtOnce: Int { 64 }

  public init(
    envelopeSize: Int = SignedEnvelope.defaultMaximumSize, statusLifetime: UInt64 = 30 * 86_400,
    removedMembers: Int = 1024, freshness: Freshness = Freshness()
  ) {
    self.envelopeSize = envelopeSize
    self.statusLifetime = statusLifetime
    self.removedMembers = removedMembers
    self.freshness = freshness
  }
}
