import Logging
import ServiceLifecycle
import UnixSignals

/// What every long-running command does alike: logs to standard error, runs its services, and stops them all when one ends.
enum Daemon {
  static func logger(_ level: LogLevel) -> Logger {
    LoggingSystem.bootstrap { label in
      var handler = StreamLogHandler.standardError(label: label)
      handler.logLevel = level.level
      return handler
    }
    return Logger(label: "pangate")
  }

  /// Until SIGTERM or SIGINT, and then for `drainTime` at most.
  static func run(_ services: [any Service], drainTime: Duration, logger: Logger) async throws {
    var settings = ServiceGroupConfiguration(
      services: services.map {
        .init(
          service: $0, successTerminationBehavior: .gracefullyShutdownGroup,
          failureTerminationBehavior: .gracefullyShutdownGroup)
      },
      gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
    settings.maximumGracefulShutdownDuration = drainTime
    settings.maximumCancellationDuration = .seconds(1)
    try await ServiceGroup(configuration: settings).run()
  }
}
