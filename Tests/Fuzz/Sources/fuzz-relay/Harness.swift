import CoAP
import CoreMetrics
import Envelope
import Foundation
import Logging
import NIOCore
import NIOPosix
import Queue
import Relay
import Synchronization
import Wire

/// One relay with its ports, for all inputs, and what is true of it whatever it is told.
final class Harness: @unchecked Sendable {
  static let shared = Harness()

  let home: Home
  let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  private let time = Mutex(Home.start)
  private let metrics = RelayMetrics(NOOPMetricsHandler.instance)
  private var server: RelayServer?
  private var ports: [Int] = []
  private var inputs = 0
  private var inputsOfServer = 0
  let listener = ListeningSocket()
  /// What a hostile relay says first, if it says what it should.
  let hello: [UInt8]

  private init() {
    do {
      home = try Home()
      guard let relay = RelayIdentity(home.relay) else { finding("no relay") }
      hello = try RelayHello(
        nonce: Array(repeating: 7, count: RelayHello.nonceLength), certificate: relay.public.certificate,
        time: UInt64(Home.start), envelopeSize: 65_536, window: 64
      ).signed(with: relay)
    } catch { finding("\(error)") }
    restart()
  }

  // MARK: Time

  /// Seconds since 1970.
  var now: Int64 { time.withLock { $0 } }

  func advance(_ seconds: Int64) { time.withLock { $0 += seconds } }

  var clock: @Sendable () -> Instant { { Instant(seconds: self.now) } }

  // MARK: The relay

  func port(_ framing: CoAPStreamFraming) -> Int { ports[framing == .tcp ? 0 : 1] }

  /// A new relay with an empty store in place of the old one.
  private func restart() {
    if let server { wait { await server.drain() } }
    var configuration = RelayServerConfiguration(
      listen: [.tcp, .webSocket].map { RelayURL(scheme: $0, host: "127.0.0.1", port: 0) })
    // Few of everything, so that all bounds are met. Nothing that an input does may wait for one of the times.
    configuration.limits.messageTime = .seconds(5)
    configuration.limits.handshakeTime = .seconds(20)
    configuration.limits.silentTime = .seconds(20)
    configuration.limits.waitingBytes = 64 << 10
    configuration.limits.waitingBytesOfAll = 256 << 10
    configuration.limits.envelopesInGroup = 8
    configuration.limits.envelopesInBurst = 100
    configuration.limits.envelopesPerSenderInBurst = 50
    configuration.limits.window = 8
    configuration.limits.windowBytes = 32 << 10
    configuration.limits.chunkWindow = 4
    configuration.limits.servedAddresses = 6
    configuration.limits.messageSize = 128 << 10
    let queues = QueueLimits(
      mailbox: Usage(messages: 24, bytes: 128 << 10), total: Usage(messages: 96, bytes: 1 << 20), replayRecords: 48)
    do {
      guard let identity = RelayIdentity(home.relay) else { finding("no relay") }
      var core = try RelayCore(
        identity, oracle: home.oracle.public, store: CheckingStore(home), queueLimits: queues,
        limits: RelayLimits(envelopeSize: 32 << 10, statusLifetime: 60))
      let list = home.accessList(epoch: 1)
      guard case .accepted = core.accept(accessList: list, now: Instant(seconds: now)) else {
        finding("no access list")
      }
      let server = try RelayServer(
        configuration, core: core, metrics: metrics,
        logger: Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }, group: group, clock: clock)
      ports = wait { (try? await server.start())?.map(\.port) ?? [] }
      self.server = server
    } catch { finding("\(error)") }
    inputsOfServer = 0
  }

  /// After each input: nothing of it is left, but what is held; and now and then, that others are served.
  func settle(restarting: Bool) {
    CheckingStore.failures.store(0, ordering: .relaxed)
    let deadline = Date().addingTimeInterval(Double(Socket.limit) / 1000)
    while metrics.connections > 0 {
      sched_yield()
      guard Date() < deadline else { finding("\(metrics.connections) connections are left") }
    }
    // What waited for the engine is done when it has told this. What has expired then goes.
    advance(3600)
    guard let first = status(), let then = status() else { finding("the engine has stopped") }
    precondition(first.sessions.isEmpty && metrics.sessions == 0, "a session without a connection")
    precondition(then.isReady, "the store works, but the relay does not know")
    precondition(then.heldMessages <= 96 && then.heldBytes <= 1 << 20)
    inputs += 1
    inputsOfServer += 1
    if restarting || then.heldMessages > 40 || inputsOfServer >= 4096 { restart() }
    if inputs % 64 == 0 { serveGoodClient(inputs / 64 % 2 == 0 ? .tcp : .webSocket) }
  }

  func status() -> RelayStatus? {
    guard let server else { return nil }
    return wait { await server.status() }
  }

  private func serveGoodClient(_ framing: CoAPStreamFraming) {
    let client = StreamPeer.client(self, framing)
    client.send(
      CoAPSignal.capabilities(CoAPCapabilities(maximumMessageSize: 65_536, supportsBlockwise: true)).message())
    guard let answer = client.response(to: client.request(.get, "hello")), answer.code == .content,
      (try? RelayHello(verifying: answer.payload, from: home.relay.address)) != nil
    else { finding("a good client gets no hello") }
    client.socket.finish()
  }

  // MARK: Threads

  /// Runs `body` elsewhere and waits for it.
  func wait<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) -> Value {
    let box = Box<Value>()
    let done = DispatchSemaphore(value: 0)
    Task.detached {
      let value = await body()
      box.set(value)
      done.signal()
    }
    guard done.wait(timeout: .now() + .milliseconds(Int(Socket.limit))) == .success, let value = box.take() else {
      finding("something does not end")
    }
    return value
  }

  /// Until the event loop has done what it was told before.
  func awaitLoop() {
    for _ in 0..<2 { try? group.next().submit {}.wait() }
  }
}

/// A value on its way between two threads.
private final class Box<Value: Sendable>: Sendable {
  private let value: Mutex<Value?>

  init() { value = Mutex(nil) }

  func set(_ new: Value) { value.withLock { $0 = new } }
  func take() -> Value? { value.withLock { $0 } }
}
