import CoAP
import Envelope
import Foundation
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Queue
import Synchronization
import Wire

/// What a relay listens on, and its bounds.
public struct RelayServerConfiguration: Sendable {
  public var listen: [RelayURL]
  /// Files in PEM, for the secure ports; without them the relay's identity is shown.
  public var certificateFile: String?
  public var keyFile: String?
  public var limits = RelayServerLimits()

  public init(listen: [RelayURL]) { self.listen = listen }
}

/// A relay with its ports: sessions, envelopes, deliveries and streams over CoAP (RFC 8323).
///
/// Connections run on the event loops and check signatures there; one engine stores what they admit.
public final class RelayServer: Sendable {
  private let configuration: RelayServerConfiguration
  private let shared: RelayShared
  private let group: any EventLoopGroup
  private let certificate: TLSCertificate
  private let connections = RelayConnections()
  private let listeners = Mutex<[any Channel]>([])
  private let engineEnd: EventLoopPromise<Void>

  /// A relay over `core`, which belongs to it from now on. Throws ``RelayServerError`` for a certificate.
  public init<Store: RelayStore>(
    _ configuration: RelayServerConfiguration, core: RelayCore<Store>, metrics: RelayMetrics, logger: Logger,
    group: any EventLoopGroup, clock: @escaping @Sendable () -> Instant
  ) throws(RelayServerError) {
    self.configuration = configuration
    self.group = group
    if let file = configuration.certificateFile, let key = configuration.keyFile {
      certificate = try TLSCertificate(certificateFile: file, keyFile: key)
    } else {
      certificate = try TLSCertificate(core.identity)
    }
    shared = RelayShared(
      identity: core.identity, members: RelayMembers(core.members), registry: RelayRegistry(),
      inbox: RelayInbox(maximumBytes: configuration.limits.waitingBytesOfAll), metrics: metrics,
      limits: configuration.limits, logger: logger, clock: clock, isCluster: core.store.isShared)
    engineEnd = group.any().makePromise(of: Void.self)
    let engine = RelayEngine(
      core, inbox: shared.inbox, members: shared.members, registry: shared.registry, metrics: metrics,
      limits: configuration.limits, logger: logger, clock: clock)
    let end = engineEnd
    let thread = UncheckedTransfer {
      engine.run()
      end.succeed(())
    }
    Thread.detachNewThread { thread.value() }
  }

  /// Opens the ports; what they are, as port 0 stands for any free one. Throws ``RelayServerError/listen(_:detail:)``.
  public func start() async throws -> [RelayURL] {
    var bound: [RelayURL] = []
    for url in configuration.listen {
      let (shared, certificate, connections) = (shared, certificate, connections)
      let limits = configuration.limits
      let bootstrap = ServerBootstrap(group: group)
        .serverChannelOption(.backlog, value: 1024)
        .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        .childChannelOption(.socketOption(.so_keepalive), value: 1)
        .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
        .childChannelOption(.writeBufferWaterMark, value: .init(low: 64 << 10, high: 512 << 10))
        .childChannelOption(.maxMessagesPerRead, value: 4)
        // A channel keeps its buffer while it is idle; one that says much gets larger ones.
        .childChannelOption(
          .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 64, initial: 256, maximum: 65_536)
        )
        .childChannelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            guard connections.admit(channel, limits: limits, metrics: shared.metrics) else {
              shared.metrics.count(.connectionLimit)
              throw ChannelError.ioOnClosedChannel
            }
            if url.scheme.isSecure {
              try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: certificate.context))
            }
            if url.scheme.isWebSocket {
              try RelayPipeline.addWebSocket(to: channel, shared: shared)
            } else {
              try channel.pipeline.syncOperations.addHandler(RelayChannelHandler(shared, framing: .tcp))
            }
          }
        }
      do {
        let channel = try await bootstrap.bind(host: url.host, port: url.port).get()
        listeners.withLock { $0.append(channel) }
        var actual = url
        actual.port = channel.localAddress?.port ?? url.port
        bound.append(actual)
        shared.logger.notice("listening", metadata: ["url": "\(actual)"])
      } catch {
        throw RelayServerError.listen(url, detail: "\(error)")
      }
    }
    return bound
  }

  /// Reads the certificate's files again if they have changed.
  public func reloadCertificate() {
    do throws(RelayServerError) {
      if try certificate.reload() { shared.logger.notice("certificate read again") }
    } catch { shared.logger.error("\(error); the old one stays in use") }
  }

  /// Stops: no new connections, what has come is stored and answered, and all closes.
  public func drain() async {
    for channel in listeners.withLock({ $0 }) { try? await channel.close().get() }
    shared.inbox.put(.stop)
    try? await engineEnd.futureResult.get()
    shared.inbox.close()
    // Everything that was answered is in the channels before their loops take the next task.
    for channel in connections.all { channel.eventLoop.execute { channel.close(promise: nil) } }
    await connections.untilEmpty(deadline: .seconds(2))
  }

  /// How it does; `nil` once it has stopped.
  public func status() async -> RelayStatus? {
    await withCheckedContinuation { continuation in
      if !shared.inbox.put(.status { continuation.resume(returning: $0) }) { continuation.resume(returning: nil) }
    }
  }

  /// Writes a copy of the store. Throws ``StoreError``.
  public func backup(to path: String) async throws {
    let error = await withCheckedContinuation { (continuation: CheckedContinuation<StoreError?, Never>) in
      let isTaken = shared.inbox.put(.backup(path) { continuation.resume(returning: $0) })
      if !isTaken { continuation.resume(returning: StoreError(.closed)) }
    }
    if let error { throw error }
  }
}

/// The open connections, counted in all and by address.
final class RelayConnections: Sendable {
  private struct State {
    var channels: [ObjectIdentifier: any Channel] = [:]
    var addresses: [String: Int] = [:]
  }

  private let state = Mutex(State())

  var all: [any Channel] { state.withLock { Array($0.channels.values) } }

  /// False if there are too many.
  func admit(_ channel: any Channel, limits: RelayServerLimits, metrics: RelayMetrics) -> Bool {
    let address = channel.remoteAddress?.ipAddress ?? ""
    let isAdmitted = state.withLock { state in
      guard state.channels.count < limits.connections,
        state.addresses[address, default: 0] < limits.connectionsPerAddress
      else { return false }
      state.channels[ObjectIdentifier(channel)] = channel
      state.addresses[address, default: 0] += 1
      return true
    }
    guard isAdmitted else { return false }
    metrics.change(connections: 1)
    channel.closeFuture.whenComplete { [self] _ in
      metrics.change(connections: -1)
      state.withLock { state in
        state.channels[ObjectIdentifier(channel)] = nil
        if let count = state.addresses[address] { state.addresses[address] = count > 1 ? count - 1 : nil }
      }
    }
    return true
  }

  /// Waits until all are closed, or for so long.
  func untilEmpty(deadline: Duration) async {
    let channels = all
    await withTaskGroup(of: Void.self) { group in
      group.addTask { for channel in channels { try? await channel.closeFuture.get() } }
      group.addTask { try? await Task.sleep(for: deadline) }
      await group.next()
      group.cancelAll()
    }
  }
}
