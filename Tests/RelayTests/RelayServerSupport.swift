import CoreMetrics
import Envelope
import Foundation
import Logging
import NIOPosix
import Queue
import Synchronization
import Testing
import Wire

@testable import Relay

/// A relay with ports on loopback, in this process.
struct TestRelay {
  let server: RelayServer
  let urls: [RelayURL]
  let home: DemoHome

  static let schemes: [RelayURL.Scheme] = [.tcp, .tls, .webSocket, .secureWebSocket]
  /// Envelopes of the demo home are of its time.
  static let clock: @Sendable () -> Instant = { DemoHome.start }

  init<Store: MailboxStore>(
    _ home: DemoHome, store: Store, queues: QueueLimits = QueueLimits(),
    limits: RelayServerLimits = RelayServerLimits(), clock: @escaping @Sendable () -> Instant = TestRelay.clock
  ) async throws {
    self.home = home
    var configuration = RelayServerConfiguration(
      listen: TestRelay.schemes.map { RelayURL(scheme: $0, host: "127.0.0.1", port: 0) })
    configuration.limits = limits
    server = try RelayServer(
      configuration, core: try home.relay(store, limits: queues), metrics: RelayMetrics(NOOPMetricsHandler.instance),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, group: MultiThreadedEventLoopGroup.singleton,
      clock: clock)
    urls = try await server.start()
  }

  func url(_ scheme: RelayURL.Scheme) throws -> RelayURL { try #require(urls.first { $0.scheme == scheme }) }

  func client(
    _ name: String, _ scheme: RelayURL.Scheme = .tcp, serving nodes: [String] = [], others: [TestRelay] = []
  ) throws -> TestClient {
    let address = try home.address("relay")
    let relays = try ([self] + others).map {
      RelayClientConfiguration.Relay(url: try $0.url(scheme), address: address)
    }
    return try TestClient(home, name, relays: relays, serving: nodes)
  }
}

/// An endpoint that takes whatever comes, and remembers all that happens.
final class TestClient: Sendable {
  struct Record: Sendable {
    var ups = 0
    var downs: [String] = []
    var answers: [UInt64: RelayAnswer] = [:]
    var deliveries: [[UInt8]] = []
    var held: Int?
    var helds = 0
  }

  let client: RelayClient
  private let record: Record.Box

  init(
    _ home: DemoHome, _ name: String, relays: [RelayClientConfiguration.Relay], serving: [String] = [],
    answer: RelayDelivery.Answer = .taken, connectTime: Duration = .seconds(10)
  ) throws {
    var configuration = RelayClientConfiguration(
      relays: relays, identity: try home[name], serving: try serving.map { try home.address($0) })
    configuration.shortestWait = .milliseconds(20)
    configuration.longestWait = .milliseconds(200)
    configuration.answerTime = .seconds(2)
    configuration.connectTime = connectTime
    configuration.penalty = .seconds(1)
    let record = Record.Box()
    self.record = record
    client = RelayClient(
      configuration, group: MultiThreadedEventLoopGroup.singleton, clock: TestRelay.clock
    ) { event in
      record.state.withLock { state in
        switch event {
        case .up: state.ups += 1
        case .down(_, let reason): state.downs.append(reason)
        case .answered(let number, let answer): state.answers[number] = answer
        case .held(_, let count):
          state.held = count
          state.helds += 1
        case .delivery(let delivery): state.deliveries.append(delivery.bytes)
        }
      }
      if case .delivery(let delivery) = event { delivery.answer(answer) }
    }
    client.start()
  }

  var now: Record { record.state.withLock { $0 } }

  /// Waits until `condition` holds, a minute at most.
  func wait(
    _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation, until condition: (Record) -> Bool
  ) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while !condition(now) {
      guard ContinuousClock.now < deadline else {
        Issue.record("\(what) did not happen: \(now)", sourceLocation: sourceLocation)
        throw CancellationError()
      }
      try await Task.sleep(for: .milliseconds(2))
    }
  }
}

extension TestClient.Record {
  final class Box: Sendable {
    let state = Mutex(TestClient.Record())
  }
}
