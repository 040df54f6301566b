import Logging
import Wire

/// What all connections of a relay share.
final class RelayShared: Sendable {
  let identity: RelayIdentity
  let members: RelayMembers
  let registry: RelayRegistry
  let inbox: RelayInbox
  let metrics: RelayMetrics
  let limits: RelayServerLimits
  let logger: Logger
  let clock: @Sendable () -> Instant
  /// Whether other relays may serve whom this one does not.
  let isCluster: Bool

  init(
    identity: RelayIdentity, members: RelayMembers, registry: RelayRegistry, inbox: RelayInbox, metrics: RelayMetrics,
    limits: RelayServerLimits, logger: Logger, clock: @escaping @Sendable () -> Instant, isCluster: Bool
  ) {
    self.identity = identity
    self.members = members
    self.registry = registry
    self.inbox = inbox
    self.metrics = metrics
    self.limits = limits
    self.logger = logger
    self.clock = clock
    self.isCluster = isCluster
  }
}
