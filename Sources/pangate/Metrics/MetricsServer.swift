import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle

/// `GET /metrics`, `/healthz` (alive) and `/readyz` (does its work) on the loopback interface, and nothing else.
struct MetricsServer: Service {
  let port: Int
  let registry: PrometheusRegistry
  let group: any EventLoopGroup
  let logger: Logger
  var isReady: @Sendable () -> Bool = { true }

  func run() async throws {
    let (registry, isReady) = (registry, isReady)
    let channel: any Channel
    do {
      channel = try await ServerBootstrap(group: group)
        .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        .childChannelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
            try channel.pipeline.syncOperations.addHandler(MetricsHandler(registry: registry, isReady: isReady))
          }
        }
        .bind(host: "127.0.0.1", port: port).get()
    } catch {
      throw Failure.cannotStart("'metrics-port': cannot listen on 127.0.0.1:\(port): \(error)")
    }
    logger.info("metrics", metadata: ["url": "http://127.0.0.1:\(channel.localAddress?.port ?? port)/metrics"])
    try await withGracefulShutdownHandler {
      try await channel.closeFuture.get()
    } onGracefulShutdown: {
      channel.close(promise: nil)
    }
  }
}

private final class MetricsHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let registry: PrometheusRegistry
  private var head: HTTPRequestHead?

  private let isReady: @Sendable () -> Bool

  init(registry: PrometheusRegistry, isReady: @escaping @Sendable () -> Bool) {
    self.registry = registry
    self.isReady = isReady
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head): self.head = head
    case .body: break
    case .end: answer(context)
    }
  }

  private func answer(_ context: ChannelHandlerContext) {
    guard let head else { return }
    let (status, text): (HTTPResponseStatus, String) =
      switch (head.method, head.uri) {
      case (.GET, "/metrics"): (.ok, registry.text)
      case (.GET, "/healthz"): (.ok, "alive\n")
      case (.GET, "/readyz"): isReady() ? (.ok, "ready\n") : (.serviceUnavailable, "not ready\n")
      default: (.notFound, "GET /metrics, /healthz or /readyz\n")
      }
    let body = ByteBuffer(string: text)
    var headers = HTTPHeaders()
    headers.add(name: "Content-Type", value: "text/plain; version=0.0.4; charset=utf-8")
    headers.add(name: "Content-Length", value: "\(body.readableBytes)")
    let response = HTTPResponseHead(version: head.version, status: status, headers: headers)
    context.write(wrapOutboundOut(.head(response)), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    if !head.isKeepAlive { context.close(promise: nil) }
  }
}
