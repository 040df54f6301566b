import CoAP
import NIOCore
import NIOHTTP1
import NIOSSL
import NIOWebSocket

/// The handlers below a ``RelayChannelHandler``.
enum RelayPipeline {
  /// The path of CoAP over WebSockets (RFC 8323, 8.3 and 8.4) and the name of its subprotocol.
  static let path = "/.well-known/coap"
  static let subprotocol = "coap"
  /// Bytes of all fragments of one WebSocket message, beside those of the CoAP message.
  private static let margin = 1024

  /// Frames of WebSockets, upgraded from HTTP/1.1.
  static func addWebSocket(to channel: any Channel, shared: RelayShared) throws {
    let limit = shared.limits.messageSize + margin
    let upgrader = NIOWebSocketServerUpgrader(
      maxFrameSize: limit, automaticErrorHandling: true,
      shouldUpgrade: { channel, head in
        let offered = head.headers[canonicalForm: "Sec-WebSocket-Protocol"]
        guard head.uri == path, offered.contains(where: { $0 == subprotocol }) else {
          return channel.eventLoop.makeSucceededFuture(nil)
        }
        return channel.eventLoop.makeSucceededFuture(["Sec-WebSocket-Protocol": subprotocol])
      },
      upgradePipelineHandler: { channel, _ in
        channel.eventLoop.makeCompletedFuture {
          let operations = channel.pipeline.syncOperations
          try operations.addHandler(WebSocketMasks(isServer: true))
          try operations.addHandler(
            NIOWebSocketFrameAggregator(
              minNonFinalFragmentSize: 1, maxAccumulatedFrameCount: 1024, maxAccumulatedFrameSize: limit))
          let progress = try? operations.handler(type: WebSocketProgress.self)
          try operations.addHandler(WebSocketMessages(isServer: true, progress: progress))
          try operations.addHandler(RelayChannelHandler(shared, framing: .webSocket))
        }
      })
    try channel.pipeline.syncOperations.addHandler(WebSocketProgress(limit: shared.limits.messageTime))
    try channel.pipeline.syncOperations.configureHTTPServerPipeline(
      withServerUpgrade: (
        upgraders: [upgrader],
        completionHandler: { context in
          let operations = context.pipeline.syncOperations
          if let refusal = try? operations.context(handlerType: HTTPRefusal.self) {
            operations.removeHandler(context: refusal, promise: nil)
          }
        }
      ), withErrorHandling: true)
    try channel.pipeline.syncOperations.addHandler(HTTPRefusal())
    // Whoever asks for nothing within the time is cut off.
    channel.eventLoop.scheduleTask(in: .nanoseconds(shared.limits.handshakeTime.nanoseconds)) {
      if (try? channel.pipeline.syncOperations.handler(type: HTTPRefusal.self)) != nil { channel.close(promise: nil) }
    }
  }
}

/// What is no upgrade to CoAP over WebSockets gets 404, and the connection ends.
private final class HTTPRefusal: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard case .end = unwrapInboundIn(data) else { return }
    var headers = HTTPHeaders()
    headers.add(name: "Content-Length", value: "0")
    headers.add(name: "Connection", value: "close")
    context.write(
      wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .notFound, headers: headers))), promise: nil)
    let channel = context.channel
    context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in channel.close(promise: nil) }
  }
}

/// WebSocket frames as the messages in them: each binary message is one CoAP message.
final class WebSocketMessages: ChannelDuplexHandler {
  typealias InboundIn = WebSocketFrame
  typealias InboundOut = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = WebSocketFrame

  /// A client masks what it sends (RFC 6455, 5.3).
  private let isServer: Bool
  private let progress: WebSocketProgress?
  private var isClosing = false

  init(isServer: Bool, progress: WebSocketProgress? = nil) {
    self.isServer = isServer
    self.progress = progress
  }

  private var mask: WebSocketMaskingKey? { isServer ? nil : .random() }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let frame = unwrapInboundIn(data)
    progress?.completed()
    switch frame.opcode {
    case .binary: context.fireChannelRead(wrapInboundOut(frame.unmaskedData))
    case .ping:
      context.writeAndFlush(
        wrapOutboundOut(WebSocketFrame(fin: true, opcode: .pong, maskKey: mask, data: frame.unmaskedData)), promise: nil
      )
    case .pong, .continuation: break
    case .connectionClose: close(context, .normalClosure)
    // RFC 8323, 4.2: CoAP messages are binary.
    default: close(context, .unacceptableData)
    }
  }

  private func close(_ context: ChannelHandlerContext, _ code: WebSocketErrorCode) {
    guard !isClosing else { return }
    isClosing = true
    var data = context.channel.allocator.buffer(capacity: 2)
    data.write(webSocketErrorCode: code)
    let channel = context.channel
    context.writeAndFlush(
      wrapOutboundOut(WebSocketFrame(fin: true, opcode: .connectionClose, maskKey: mask, data: data))
    ).whenComplete { _ in channel.close(promise: nil) }
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let frame = WebSocketFrame(fin: true, opcode: .binary, maskKey: mask, data: unwrapOutboundIn(data))
    context.write(wrapOutboundOut(frame), promise: promise)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// Sees to it that a WebSocket message that begins also ends. Stands before everything that knows of messages.
final class WebSocketProgress: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let limit: Duration
  /// When the first byte came after the last whole message.
  private var begun: NIODeadline?
  private var timer: Scheduled<Void>?

  init(limit: Duration) { self.limit = limit }

  /// A whole message has come.
  func completed() { begun = nil }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if begun == nil {
      let now = NIODeadline.now()
      begun = now
      if timer == nil { setTimer(now, context.channel) }
    }
    context.fireChannelRead(data)
  }

  /// One for all messages, however fast they come.
  private func setTimer(_ begun: NIODeadline, _ channel: any Channel) {
    let bound = NIOLoopBound((self, channel), eventLoop: channel.eventLoop)
    timer = channel.eventLoop.scheduleTask(deadline: begun + .nanoseconds(limit.nanoseconds)) {
      let (handler, channel) = bound.value
      handler.timer = nil
      guard let since = handler.begun else { return }
      if since == begun { channel.close(promise: nil) } else { handler.setTimer(since, channel) }
    }
  }

  func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }
}

/// Ends a connection whose frames are not masked as they must be (RFC 6455, 5.1): a client's are, a server's are not. Stands
/// before the fragments are put together.
final class WebSocketMasks: ChannelInboundHandler {
  typealias InboundIn = WebSocketFrame

  private let isServer: Bool

  init(isServer: Bool) { self.isServer = isServer }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard (unwrapInboundIn(data).maskKey != nil) == isServer else { return context.close(promise: nil) }
    context.fireChannelRead(data)
  }
}
