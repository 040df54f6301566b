import CoAP
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
  /// How connections behave, over TCP and TLS, and over WebSockets.
  let tcp: CoAPStreamSettings
  let webSocket: CoAPStreamSettings

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
    tcp = Self.settings(.tcp, limits)
    webSocket = Self.settings(.webSocket, limits)
  }

  private static func settings(_ framing: CoAPStreamFraming, _ limits: RelayServerLimits) -> CoAPStreamSettings {
    var configuration = CoAPStreamConfiguration(framing: framing)
    configuration.maximumMessageSize = limits.messageSize
    configuration.requestTimeout = limits.silentTime
    configuration.pingInterval = limits.pingInterval
    configuration.blockwise.maximumRequestBody = limits.messageSize
    configuration.blockwise.assemblyBytes = limits.messageSize
    configuration.requestsInFlight = limits.window + limits.chunkWindow
    return CoAPStreamSettings(configuration)
  }
}
