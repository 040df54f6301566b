import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle

/// `GET /metrics` on the loopback interface, and nothing else.
struct MetricsServer: Service {
  let port: Int
  let registry: PrometheusRegistry
  let group: any EventLoopGroup
  let logger: Logger

  func run() async throws {
    let registry = registry
    let channel: any Channel
    do {
      channel = try await ServerBootstrap(group: group)
        .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        .childChannelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
            try channel.pipeline.syncOperations.addHandler(MetricsHandler(registry: registry))
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

  init(registry: PrometheusRegistry) { self.registry = registry }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head): self.head = head
    case .body: break
    case .end: answer(context)
    }
  }

  private func answer(_ context: ChannelHandlerContext) {
    guard let head else { return }
    let isKnown = head.method == .GET && head.uri == "/metrics"
    let body = ByteBuffer(string: isKnown ? registry.text : "GET /metrics\n")
    var headers = HTTPHeaders()
    headers.add(name: "Content-Type", value: "text/plain; version=0.0.4; charset=utf-8")
    headers.add(name: "Content-Length", value: "\(body.readableBytes)")
    let response = HTTPResponseHead(version: head.version, status: isKnown ? .ok : .notFound, headers: headers)
    context.write(wrapOutboundOut(.head(response)), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    if !head.isKeepAlive { context.close(promise: nil) }
  }
}
