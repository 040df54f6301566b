import Envelope
import NIOCore
import NIOPosix
import NIOSSL
import Wire

/// The connection to one relay, made again whenever it ends. On one event loop.
final class RelayLink {
  let relay: RelayClientConfiguration.Relay
  /// Others are taken first until then.
  var penalisedUntil: Instant?
  private(set) var isUp = false
  private(set) var isStandby = false
  private let configuration: RelayClientConfiguration
  private let eventLoop: any EventLoop
  private let clock: @Sendable () -> Instant
  private let report: (RelayClientHandler.Report) -> Void
  private var handler: RelayClientHandler?
  private var channel: (any Channel)?
  private var reconnect: Scheduled<Void>?
  private var wait: Duration
  private var isRunning = false
  private var context: NIOSSLContext?

  init(
    _ configuration: RelayClientConfiguration, _ relay: RelayClientConfiguration.Relay, _ eventLoop: any EventLoop,
    _ clock: @escaping @Sendable () -> Instant, report: @escaping (RelayClientHandler.Report) -> Void
  ) {
    self.configuration = configuration
    self.relay = relay
    self.eventLoop = eventLoop
    self.clock = clock
    self.report = report
    wait = configuration.shortestWait
  }

  var isWritable: Bool { handler?.isWritable ?? false }

  func submit(_ bytes: [UInt8], number: UInt64, noResponse: Bool = false) {
    guard isUp, let handler else { return report(.failed(number)) }
    handler.submit(bytes, number: number, noResponse: noResponse)
  }

  func askHeld() { if isUp { handler?.askHeld() } }

  func start() {
    guard !isRunning else { return }
    isRunning = true
    connect()
  }

  func stop() {
    isRunning = false
    reconnect?.cancel()
    isUp = false
    channel?.close(promise: nil)
    channel = nil
    handler = nil
  }

  /// Waits for ``resume()``: the relay shares its store with another one, which serves this client now.
  func standBy() {
    guard isRunning, !isUp else { return }
    isStandby = true
    reconnect?.cancel()
    reconnect = nil
  }

  /// Connects again, if it stood by.
  func resume() {
    guard isStandby else { return }
    isStandby = false
    if isRunning, channel == nil, reconnect == nil { connect() }
  }

  private func connect() {
    guard isRunning else { return }
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    let context: NIOSSLContext?
    do { context = try relay.url.scheme.isSecure ? tls() : nil } catch {
      return lost("TLS cannot be set up: \(error)")
    }
    let relay = relay
    let (trust, host) = (configuration.trust, relay.url.host)
    ClientBootstrap(group: eventLoop)
      .connectTimeout(.nanoseconds(configuration.connectTime.nanoseconds))
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.socketOption(.so_keepalive), value: 1)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          if let context {
            try channel.pipeline.syncOperations.addHandler(
              Self.tlsHandler(context, host: host, trust: trust, address: relay.address))
          }
          let link = bound.value
          let handler = RelayClientHandler(link.configuration, relay: relay, clock: link.clock) { report in
            bound.value.take(report)
          }
          link.handler = handler
          if relay.url.scheme.isWebSocket {
            try RelayPipeline.addWebSocketClient(to: channel, host: host, link.configuration, handler)
          } else {
            try channel.pipeline.syncOperations.addHandler(handler)
          }
        }
      }
      .connect(host: host, port: relay.url.port)
      .hop(to: eventLoop)
      .whenComplete { result in
        let link = bound.value
        switch result {
        case .success(let channel):
          if link.isRunning { link.channel = channel } else { channel.close(promise: nil) }
        case .failure(let error): link.lost("cannot connect: \(error)")
        }
      }
  }

  private func take(_ report: RelayClientHandler.Report) {
    guard isRunning else { return }
    switch report {
    case .up:
      isUp = true
      wait = configuration.shortestWait
      self.report(report)
    case .down(let reason): lost(reason)
    default: self.report(report)
    }
  }

  private func lost(_ reason: String) {
    // A connection that could not be made may say so twice.
    guard isRunning, reconnect == nil else { return }
    isUp = false
    handler = nil
    channel = nil
    // Between half and all of it, so that the clients of a relay that was gone do not come back at once.
    let next = wait * Double.random(in: 0.5...1)
    wait = min(wait * 2, configuration.longestWait)
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    reconnect = eventLoop.scheduleTask(in: .nanoseconds(next.nanoseconds)) {
      bound.value.reconnect = nil
      bound.value.connect()
    }
    report(.down(reason))
  }

  // MARK: TLS

  private func tls() throws -> NIOSSLContext {
    if let context { return context }
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.minimumTLSVersion = .tlsv13
    configuration.applicationProtocols = relay.url.scheme == .tls ? ["coap"] : ["http/1.1"]
    switch self.configuration.trust {
    // The certificate itself is known, whatever name is in it.
    case .identity: configuration.certificateVerification = .noHostnameVerification
    case .file(let file): configuration.trustRoots = .file(file)
    case .system: break
    }
    let made = try NIOSSLContext(configuration: configuration)
    context = made
    return made
  }

  private static func tlsHandler(
    _ context: NIOSSLContext, host: String, trust: RelayClientConfiguration.Trust, address: Address
  ) throws -> NIOSSLClientHandler {
    let name = (try? SocketAddress(ipAddress: host, port: 0)) == nil ? host : nil
    guard trust == .identity else { return try NIOSSLClientHandler(context: context, serverHostname: name) }
    return try NIOSSLClientHandler(
      context: context, serverHostname: name,
      customVerificationCallback: { chain, promise in
        // SHA-256 of the certificate is what the oracle has signed: nobody else can show it and prove its key.
        let isIt = chain.first.flatMap { try? $0.toDERBytes() }.map { Address(ofCertificate: $0) == address } ?? false
        promise.succeed(isIt ? .certificateVerified : .failed)
      })
  }
}
