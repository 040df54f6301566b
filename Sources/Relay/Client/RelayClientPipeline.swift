import NIOCore
import NIOHTTP1
import NIOWebSocket

extension RelayPipeline {
  /// The upgrade from HTTP/1.1 (RFC 8323, 8.1).
  static func addWebSocketClient(
    to channel: any Channel, host: String, _ configuration: RelayClientConfiguration, _ handler: RelayClientHandler
  ) throws {
    let limit = configuration.messageSize + 1024
    let bound = NIOLoopBound(handler, eventLoop: channel.eventLoop)
    let upgrader = NIOWebSocketClientUpgrader(
      maxFrameSize: limit,
      upgradePipelineHandler: { channel, _ in
        channel.eventLoop.makeCompletedFuture {
          let operations = channel.pipeline.syncOperations
          try operations.addHandler(WebSocketMasks(isServer: false))
          try operations.addHandler(
            NIOWebSocketFrameAggregator(
              minNonFinalFragmentSize: 1, maxAccumulatedFrameCount: 1024, maxAccumulatedFrameSize: limit))
          try operations.addHandler(WebSocketMessages(isServer: false))
          try operations.addHandler(bound.value)
        }
      })
    let upgrade: NIOHTTPClientUpgradeConfiguration = (
      upgraders: [upgrader],
      completionHandler: { context in
        let operations = context.pipeline.syncOperations
        if let request = try? operations.context(handlerType: HTTPUpgradeRequest.self) {
          operations.removeHandler(context: request, promise: nil)
        }
      }
    )
    try channel.pipeline.syncOperations.addHTTPClientHandlers(
      // The relay's first message may come with the response.
      leftOverBytesStrategy: .forwardBytes, withClientUpgrade: upgrade)
    try channel.pipeline.syncOperations.addHandler(
      HTTPUpgradeRequest(host: host, limit: configuration.connectTime) { bound.value.over($0) })
  }
}

/// Asks for the upgrade when the connection is open, and says why it did not come.
private final class HTTPUpgradeRequest: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart

  private let host: String
  private let limit: Duration
  private let refused: (String) -> Void
  private var isUpgraded = false
  private var lastError: String?
  private var timeout: Scheduled<Void>?

  init(host: String, limit: Duration, refused: @escaping (String) -> Void) {
    self.host = host
    self.limit = limit
    self.refused = refused
  }

  /// The handler that watches the rest of the way to a session comes with the upgrade.
  func handlerAdded(context: ChannelHandlerContext) {
    let bound = NIOLoopBound((self, context.channel), eventLoop: context.eventLoop)
    timeout = context.eventLoop.scheduleTask(in: .nanoseconds(limit.nanoseconds)) {
      let (handler, channel) = bound.value
      handler.refused("no WebSocket within \(handler.limit)")
      channel.close(promise: nil)
    }
  }

  func channelActive(context: ChannelHandlerContext) {
    var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: RelayPipeline.path)
    head.headers.add(name: "Host", value: host)
    head.headers.add(name: "Sec-WebSocket-Protocol", value: RelayPipeline.subprotocol)
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    context.fireChannelActive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if case .head(let head) = unwrapInboundIn(data) {
      refused("no WebSocket for CoAP there: \(head.status)")
      context.close(promise: nil)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    lastError = "\(error)"
    context.close(promise: nil)
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    isUpgraded = true
    timeout?.cancel()
  }

  func channelInactive(context: ChannelHandlerContext) {
    if !isUpgraded { refused(lastError ?? "the connection closed before the WebSocket was open") }
    context.fireChannelInactive()
  }
}
