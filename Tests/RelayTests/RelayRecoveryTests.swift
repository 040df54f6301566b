import CoAP
import CoreMetrics
import Envelope
import Logging
import NIOCore
import NIOPosix
import Queue
import Synchronization
import Testing
import Wire

@testable import Relay

/// A relay and its client find back by themselves: from peers that say nothing, and from a store that failed.
@Suite("Recovery of relay and client") struct RelayRecoveryTests {
  let home: DemoHome

  init() throws { home = try DemoHome() }

  @Test("A relay that takes a connection and says nothing is given up, over any port", arguments: TestRelay.schemes)
  func silentRelay(scheme: RelayURL.Scheme) async throws {
    let silence = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .bind(host: "127.0.0.1", port: 0).get()
    let url = RelayURL(scheme: scheme, host: "127.0.0.1", port: try #require(silence.localAddress?.port))
    let owner = try TestClient(
      home, "owner", relays: [.init(url: url, address: try home.address("relay"))], connectTime: .milliseconds(50))
    try await owner.wait("given up, twice") { $0.downs.count >= 2 }
    #expect(owner.now.ups == 0)
    #expect(
      owner.now.downs.allSatisfy { $0.contains("within") || $0.hasPrefix("cannot connect") }, "\(owner.now.downs)")
    await owner.client.stop()
    try await silence.close().get()
  }

  /// A clock that is set by hand.
  private final class Time: Sendable {
    let now = Mutex(DemoHome.start)
  }

  @Test("A store that failed makes the relay unready only until it works, though nobody sends anything")
  func readyAgain() throws {
    let (store, time) = (MemoryStore(), Time())
    let core = try home.relay(store)
    let session = try home.session(core, "owner")
    let command = try home.envelope("owner", to: ["lock"], 1)
    guard case .envelope(let admitted) = try core.members.admit(command.bytes, session: session) else {
      Issue.record("not admitted")
      return
    }
    let (inbox, metrics) = (RelayInbox(maximumBytes: 1 << 20), RelayMetrics(NOOPMetricsHandler.instance))
    let engine = RelayEngine(
      core, inbox: inbox, members: RelayMembers(core.members), registry: RelayRegistry(), metrics: metrics,
      limits: RelayServerLimits(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ) { time.now.withLock { $0 } }
    let peer = RelayPeer(id: 1, eventLoop: MultiThreadedEventLoopGroup.singleton.next()) { _ in }
    store.cutPower(afterWrites: 1)
    inbox.put(.submit(admitted, peer, RelayTicket(.token(.init(), noResponse: 0))))
    /// One turn of the engine.
    func round(after seconds: Int64) -> Bool {
      time.now.withLock { $0 = $0.advanced(by: .seconds(seconds)) }
      inbox.put(.status { _ in })
      engine.turn()
      return metrics.isReady
    }
    #expect(!round(after: 0))
    #expect(!round(after: 5), "the power is still off")
    store.restart()
    #expect(!round(after: 4), "not tried again so soon")
    #expect(round(after: 1))
  }
}
