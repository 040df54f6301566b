import BorderRouter
import Bridge
import Foundation
import IEEE802154
import IPv6
import Logging
import Queue
import Radio
import Relay
import ServiceLifecycle
import Wire

/// The gateway as a daemon: one loop that owns the home, fed by the radio, by time, and by the control socket.
final class GatewayService: Service {
  /// What the loop takes, in order.
  enum Input: Sendable {
    case radio(RadioSupervisor.Report)
    case transmitted(TransmitOutcome)
    case time
    case relay(RelayClientEvent)
    case control(ControlRequest, reply: @Sendable (ControlReply) -> Void)
    case reload
    case drain
    case failed(RadioError)
  }

  private let file: String
  private let configuration: GatewayConfiguration
  private let driver: any RadioDriver
  private let logger: Logger
  private let metrics: GatewayMetrics
  private let inputs: AsyncStream<Input>
  private let input: AsyncStream<Input>.Continuation

  init(
    file: String, configuration: GatewayConfiguration, driver: any RadioDriver, metrics: GatewayMetrics,
    logger: Logger
  ) {
    self.file = file
    self.configuration = configuration
    self.driver = driver
    self.metrics = metrics
    self.logger = logger
    (inputs, input) = AsyncStream.makeStream()
  }

  /// Asks the loop something from outside.
  func ask(_ request: ControlRequest) async -> ControlReply {
    await withCheckedContinuation { continuation in
      let result = input.yield(.control(request) { continuation.resume(returning: $0) })
      if case .enqueued = result { return }
      continuation.resume(returning: .error("the gateway is stopping"))
    }
  }

  /// Reads the configuration again, as far as that can be done while running.
  func reload() { input.yield(.reload) }

  func run() async throws {
    let input = input
    let supervised = RadioSupervisor(driver, settings: try settings()) { input.yield(.radio($0)) }
    let radio = Task { [logger] in
      do throws(RadioError) { try await supervised.run() } catch {
        logger.critical("\(error)")
        input.yield(.failed(error))
      }
    }
    defer { radio.cancel() }
    try await withGracefulShutdownHandler {
      var loop = GatewayLoop(
        file: file, configuration: configuration, driver: driver, metrics: metrics, logger: logger, input: input)
      for await next in inputs {
        guard try loop.take(next) else { break }
      }
      loop.finish()
    } onGracefulShutdown: {
      input.yield(.drain)
    }
    input.finish()
    radio.cancel()
    await driver.close()
  }

  /// The radio's EUI-64 is asked for when there is none in the configuration: then the radio keeps its own.
  private func settings() throws -> RadioSettings {
    var settings = RadioSettings(
      channel: configuration.radio.channel ?? 11, panID: configuration.panID,
      extendedAddress: configuration.radio.extendedAddress ?? ExtendedAddress(0),
      shortAddress: configuration.radio.shortAddress)
    settings.page = configuration.radio.page
    settings.transmitPower = configuration.radio.power
    return settings
  }
}
