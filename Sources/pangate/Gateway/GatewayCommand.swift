import ArgumentParser
import Bridge
import CoreMetrics
import Envelope
import Foundation
import Logging
import NIOPosix
import Radio
import ServiceLifecycle
import UnixSignals

/// `pangate gateway`: the daemon.
struct GatewayCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "gateway",
    abstract: "Run the gateway on a radio: the border router of the PAN.",
    discussion: """
      Runs until SIGTERM or SIGINT, then sends what is on its way and stops within 5 seconds. SIGHUP reads limits and
      joining anew. A radio that is unplugged or wedged is reset and opened again, for ever. Logs go to standard error.

      EXAMPLES
        pangate gateway --config /etc/pangate/gateway.yaml --check-config
        pangate gateway --config /etc/pangate/gateway.yaml
        pangate gateway --config Config/gateway.yaml --radio zep://127.0.0.1:17754 --log-level debug

      \(Exit.help)
      """)

  @Option(help: "The gateway's configuration; Config/gateway.yaml explains every key.") var config: String
  @Option(help: "Use this radio instead of the configuration's 'radio.url'.") var radio: String?
  @Option(help: "What to log: trace, debug, info, notice, warning, error or critical.")
  var logLevel: LogLevel = .info
  @Flag(help: "Check the configuration and what it names, and stop.") var checkConfig = false

  func load() throws -> (GatewayConfiguration, RadioURL) {
    var configuration = try GatewayConfiguration.load(config)
    if let radio {
      do { configuration.radio.url = try RadioURL(radio) } catch { throw Failure.usage("--radio \(error)") }
    }
    guard let url = configuration.radio.url else {
      throw Failure.cannotStart(
        "\(config): 'radio.url' is missing: write, for example, url: linux:wpan0; "
          + "'pangate radio list' shows what there is")
    }
    return (configuration, url)
  }

  /// Gives up what the gateway does not need, before there are other threads.
  func prepare() throws {
    let (configuration, url) = try load()
    guard !checkConfig else { return }
    ProcessMemory.limitArenas()
    var keepsNetwork = false
    if case .linux = url.target { keepsNetwork = true }
    do { try Privileges.limit(keepsNetwork: keepsNetwork, user: configuration.service.user) } catch {
      throw Failure.cannotStart("\(config): 'user': \(error)")
    }
  }

  func run() async throws {
    let (configuration, url) = try load()
    if checkConfig { return try check(configuration) }
    let logger = Daemon.logger(logLevel)
    let group = MultiThreadedEventLoopGroup.singleton
    let registry = PrometheusRegistry()
    var driver = RadioDrivers.make(url, group: group)
    if let capture = configuration.service.capture {
      let ring = CaptureRing(
        path: capture.path, maximumBytes: capture.maximumBytes, files: capture.files,
        encoder: PcapngEncoder(radio: url.description)
      ) { logger.error("\($0); the gateway goes on without") }
      driver = MirroringDriver(driver, to: ring)
    }
    let service = GatewayService(
      file: config, configuration: configuration, driver: driver, metrics: GatewayMetrics(registry), logger: logger)
    var services: [any Service] = [service, ReloadService(gateway: service), TrimmingService()]
    if let path = configuration.service.control {
      services.append(ControlServer(path: path, group: group, logger: logger) { await service.ask($0) })
    }
    if let port = configuration.service.metricsPort {
      services.append(MetricsServer(port: port, registry: registry, group: group, logger: logger))
    }
    try await Daemon.run(services, drainTime: .seconds(5), logger: logger)
  }

  private func check(_ configuration: GatewayConfiguration) throws {
    var configuration = configuration
    // Whatever only the radio or the state directory can tell is taken as given.
    if configuration.prefix == .generated { configuration.prefix = .given(KeptPrefix.generate(0)) }
    let pan = try configuration.pan(hardwareAddress: GatewayConfiguration.randomAddress())
    let home = try Home(
      configuration, pan: pan, mac: configuration.mac(pan, capabilities: []), state: nil,
      random: SystemRandomNumberGenerator(), now: .now)
    print(
      "\(config): good; \(home.gateway.gateway.nodes.count) nodes, peer record of epoch "
        + "\(home.directory.record.version.epoch)")
  }
}

/// The levels of swift-log as words of the command line.
enum LogLevel: String, ExpressibleByArgument, CaseIterable {
  case trace
  case debug
  case info
  case notice
  case warning
  case error
  case critical

  var level: Logger.Level { Logger.Level(rawValue: rawValue) ?? .info }
}

/// SIGHUP.
struct ReloadService: Service {
  let gateway: GatewayService

  func run() async throws {
    let signals = await UnixSignalsSequence(trapping: .sighup)
    for await _ in signals.cancelOnGracefulShutdown() { gateway.reload() }
  }
}

/// Gives memory that was needed once back to the system, soon after the start and then once a minute.
struct TrimmingService: Service {
  func run() async throws {
    await cancelWhenGracefulShutdown {
      try? await Task.sleep(for: .seconds(5))
      while !Task.isCancelled {
        ProcessMemory.trim(above: 2 << 20)
        ProcessMemory.forgetCode()
        try? await Task.sleep(for: .seconds(60))
      }
    }
  }
}
