import ArgumentParser
import CoreMetrics
import Envelope
import Foundation
import Logging
import NIOCore
import NIOPosix
import Queue
import Radio
import Relay
import ServiceLifecycle
import UnixSignals
import Wire

/// `pangate relay`: the service in the middle.
struct RelayCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "relay",
    abstract: "Run the relay: verifies every envelope, holds mailboxes, reads nothing confidential.",
    discussion: """
      EXAMPLES
        pangate relay --config Config/relay.yaml --check-config
        pangate relay --config /etc/pangate/relay.yaml
        pangate relay status --config /etc/pangate/relay.yaml
        pangate relay backup --config /etc/pangate/relay.yaml /var/backups/relay.sqlite

      \(Exit.help)
      """,
    subcommands: [RelayRunCommand.self, RelayStatusCommand.self, RelayBackupCommand.self],
    defaultSubcommand: RelayRunCommand.self)
}

/// `pangate relay run`, or without the word.
struct RelayRunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run the relay until SIGTERM; SIGHUP reads the TLS certificate again.",
    discussion: """
      EXAMPLES
        pangate relay --config Config/relay.yaml

      \(Exit.help)
      """)

  @Option(help: "The relay's configuration; Config/relay.yaml explains every key.") var config: String
  @Option(help: "What to log: trace, debug, info, notice, warning, error or critical.")
  var logLevel: LogLevel = .info
  @Flag(help: "Check the configuration and what it names, and stop.") var checkConfig = false
  @Option(
    help: ArgumentHelp(
      "Begin with this time, in seconds since 1970, instead of now: for envelopes of a recording.", visibility: .hidden)
  )
  var startTime: Int64?

  func run() async throws {
    let configuration = try RelayConfigurationFile.load(config)
    let clock = ShiftedClock(start: startTime)
    if checkConfig {
      let core = try configuration.core(LocalRelayStore(MemoryStore()), now: clock.now)
      return print(
        "\(config): good; \(core.members.lists.map { "\($0.list.entries.count) members" }.joined(separator: ", "))")
    }
    let logger = Daemon.logger(logLevel)
    if var nats = configuration.nats {
      nats.limits = configuration.queues
      nats.window = configuration.server.limits.window
      let deadline = StartDeadline(after: nats.connectTimeout * 3, "\(config): the cluster")
      let store: NATSRelayStore
      do { store = try NATSRelayStore(nats) } catch { throw Failure.cannotStart(error.description) }
      let core = try await open(configuration, store, clock, patience: nats.connectTimeout)
      deadline.cancel()
      return try await run(configuration, core, clock: clock, logger: logger)
    }
    guard let state = configuration.state else { return }
    let store: JournaledStore
    do { store = try JournaledStore(directory: state, maximumBytes: configuration.maximumBytes) } catch {
      throw Failure.cannotStart(error.description)
    }
    let core = try configuration.core(LocalRelayStore(store, limits: configuration.queues), now: clock.now)
    try await run(configuration, core, clock: clock, logger: logger)
  }

  /// A cluster that is electing leaders answers nothing for a while.
  private func open(
    _ configuration: RelayConfigurationFile, _ store: NATSRelayStore, _ clock: ShiftedClock, patience: Duration
  ) async throws -> RelayCore<NATSRelayStore> {
    let deadline = ContinuousClock.now + patience
    while true {
      do { return try configuration.core(store, now: clock.now) } catch {
        guard ContinuousClock.now < deadline else { throw error }
        try await Task.sleep(for: .milliseconds(500))
      }
    }
  }

  private func run<Store: RelayStore>(
    _ configuration: RelayConfigurationFile, _ core: RelayCore<Store>, clock: ShiftedClock, logger: Logger
  ) async throws {
    let group = MultiThreadedEventLoopGroup.singleton
    let registry = PrometheusRegistry()
    let metrics = RelayMetrics(registry)
    let server: RelayServer
    do {
      server = try RelayServer(
        configuration.server, core: core, metrics: metrics, logger: logger, group: group, clock: { clock.now })
    } catch { throw Failure.cannotStart("\(config): \(error)") }
    var services: [any Service] = [RelayService(server: server, config: config)]
    if let path = configuration.control {
      services.append(ControlServer(path: path, group: group, logger: logger) { await Self.answer($0, server) })
    }
    if let port = configuration.metricsPort {
      services.append(
        MetricsServer(port: port, registry: registry, group: group, logger: logger, isReady: { metrics.isReady }))
    }
    try await Daemon.run(services, drainTime: .seconds(10), logger: logger)
  }

  private static func answer(_ request: ControlRequest, _ server: RelayServer) async -> ControlReply {
    switch request {
    case .relayStatus:
      guard let status = await server.status() else { return .error("the relay is stopping") }
      return .relayStatus(status)
    case .backup(let path):
      do {
        try await server.backup(to: path)
        return .done
      } catch { return .error("\(error)") }
    default: return .error("this is a relay: it knows no such request")
    }
  }
}

/// The relay's ports, from start to drain.
struct RelayService: Service {
  let server: RelayServer
  let config: String

  func run() async throws {
    do { _ = try await server.start() } catch { throw Failure.cannotStart("\(config): \(error)") }
    let hangups = await UnixSignalsSequence(trapping: .sighup)
    let (server, stop) = (server, AsyncStream<Void>.makeStream())
    await withTaskGroup(of: Void.self) { group in
      group.addTask { for await _ in hangups { server.reloadCertificate() } }
      group.addTask {
        // A certificate that is renewed by a script that knows nothing of signals.
        while !Task.isCancelled {
          try? await Task.sleep(for: .seconds(60))
          server.reloadCertificate()
        }
      }
      await withGracefulShutdownHandler {
        for await _ in stop.stream {}
      } onGracefulShutdown: {
        stop.continuation.finish()
      }
      group.cancelAll()
    }
    await server.drain()
  }
}

/// The time, or one that began elsewhere and passes alike.
struct ShiftedClock: Sendable {
  private let offset: Int64

  init(start: Int64?) { offset = start.map { $0 * 1_000_000 - Instant.now.microseconds } ?? 0 }

  var now: Instant { Instant(microseconds: Instant.now.microseconds + offset) }
}
