import CoAP
import Logging
import NIOCore
import Wire

/// One CoAP connection over TCP, TLS or WebSockets (RFC 8323) in a channel: frames in, frames out, timers. What the messages
/// mean is for its subclasses.
///
/// Takes and gives `ByteBuffer`s: the bytes of a TCP or TLS connection, or one WebSocket message each.
class StreamChannelHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  let framing: CoAPStreamFraming
  let clock: @Sendable () -> Instant
  /// From the first to the last byte of one message.
  let messageTime: Duration
  /// For which the other end may leave what it was sent unread.
  let silentTime: Duration
  var connection: CoAPStreamConnection
  private(set) var context: ChannelHandlerContext?
  private(set) var isClosing = false
  private var isStarted = false
  private var buffer: ByteBuffer?
  private var partialSince: NIODeadline?
  private var partialTimer: Scheduled<Void>?
  private var timer: Scheduled<Void>?
  private var timerDue: Instant?

  init(
    _ settings: CoAPStreamSettings, messageTime: Duration, silentTime: Duration,
    clock: @escaping @Sendable () -> Instant
  ) {
    framing = settings.configuration.framing
    self.clock = clock
    self.messageTime = messageTime
    self.silentTime = silentTime
    connection = CoAPStreamConnection(settings, random: SystemRandomNumberGenerator())
  }

  var now: Instant { clock() }

  // MARK: For subclasses

  /// The channel is open.
  func started(_ context: ChannelHandlerContext) {}
  /// The channel is gone; called once.
  func ended(_ reason: DropReason?) {}
  /// The other end has said what it can.
  func ready() {}
  func handle(_ request: CoAPRequest, _ exchange: CoAPStreamConnection.ExchangeID) {}
  func handle(_ response: CoAPResponse, to id: CoAPStreamConnection.RequestID) {}
  func handle(_ failure: RequestFailure, of id: CoAPStreamConnection.RequestID) {}
  /// The other end wants no new requests.
  func released() {}
  func count(_ reason: DropReason) {}
  /// Takes a frame without the connection; false to let it do so.
  func intercept(_ frame: RawSpan) -> Bool { false }
  /// Bytes of a message that is taken now.
  var maximumFrame: Int { connection.configuration.maximumMessageSize }
  /// After everything that came at once was handled.
  func settled() {}

  // MARK: The channel

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    if context.channel.isActive { start(context) }
  }

  func channelActive(context: ChannelHandlerContext) {
    start(context)
    context.fireChannelActive()
  }

  private func start(_ context: ChannelHandlerContext) {
    guard !isStarted else { return }
    isStarted = true
    started(context)
    connection.start(at: now)
    act()
    context.flush()
  }

  func channelInactive(context: ChannelHandlerContext) {
    gone(nil)
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    gone(nil)
    self.context = nil
  }

  private var isGone = false

  private func gone(_ reason: DropReason?) {
    guard isStarted, !isGone else { return }
    isGone = true
    isClosing = true
    timer?.cancel()
    // A timer holds this handler, and with it what has come of a message.
    partialTimer?.cancel()
    buffer = nil
    connection.close(at: now)
    for output in connection.takeOutputs() {
      if case .failed(let id, let failure) = output { handle(failure, of: id) }
    }
    ended(reason)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    failed("\(error)")
    context.close(promise: nil)
  }

  /// The channel reports an error.
  func failed(_ text: String) {}

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isClosing else { return }
    var bytes = unwrapInboundIn(data)
    guard framing == .tcp else { return receive(bytes.readableBytesSpan) }
    if buffer != nil { buffer?.writeBuffer(&bytes) } else { buffer = bytes }
    readFrames()
  }

  private func readFrames() {
    guard var bytes = buffer else { return }
    buffer = nil
    let maximum = maximumFrame
    while !isClosing, bytes.readableBytes > 0 {
      do throws(ParseError) {
        guard let length = try CoAPStreamFrame.length(of: bytes.readableBytesSpan, maximum: maximum),
          length <= bytes.readableBytes
        else { break }
        receive(bytes.readableBytesSpan.extracting(first: length))
        bytes.moveReaderIndex(forwardBy: length)
        partialSince = nil
      } catch {
        end(error.reason)
      }
    }
    guard !isClosing, bytes.readableBytes > 0 else {
      partialSince = nil
      return
    }
    if partialSince == nil { watchPartial() }
    bytes.discardReadBytes()
    buffer = bytes
  }

  /// A message that begins has to end. One timer for all of them, however fast they come.
  private func watchPartial() {
    let begun = NIODeadline.now()
    partialSince = begun
    if partialTimer == nil { setPartialTimer(begun) }
  }

  private func setPartialTimer(_ begun: NIODeadline) {
    guard let context else { return }
    let limit = TimeAmount.nanoseconds(messageTime.nanoseconds)
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    partialTimer = context.eventLoop.scheduleTask(deadline: begun + limit) {
      let handler = bound.value
      handler.partialTimer = nil
      guard let since = handler.partialSince else { return }
      if since == begun { handler.end(.connectionTooSlow) } else { handler.setPartialTimer(since) }
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    act()
    context.flush()
    settled()
    context.fireChannelReadComplete()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if !context.channel.isWritable {
      let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
      context.eventLoop.scheduleTask(in: .nanoseconds(silentTime.nanoseconds)) {
        let handler = bound.value
        // Not once in all that time has it read enough: a consumer that slow has no room in memory.
        if let context = handler.context, !context.channel.isWritable { handler.end(.connectionTooSlow) }
      }
    }
    context.fireChannelWritabilityChanged()
  }

  // MARK: Frames

  private func receive(_ frame: RawSpan) {
    if intercept(frame) {
      connection.noteTraffic(at: now)
      return
    }
    connection.receive(frame, at: now)
    act()
  }

  /// Does what the connection wants done. Nothing is flushed.
  func act() {
    for output in connection.takeOutputs() {
      switch output {
      case .transmit(let bytes): write(bytes)
      case .ready: ready()
      case .released: released()
      case .request(let exchange, let request): handle(request, exchange)
      case .response(let id, let response): handle(response, to: id)
      case .failed(let id, let failure): handle(failure, of: id)
      case .dropped(let reason): count(reason)
      case .close(let reason):
        if let reason { count(reason) }
        isClosing = true
        context?.flush()
        context?.close(promise: nil)
      }
    }
    setTimer()
  }

  func write(_ bytes: [UInt8]) {
    guard let context else { return }
    context.write(wrapOutboundOut(context.channel.allocator.buffer(bytes: bytes)), promise: nil)
  }

  func respond(_ exchange: CoAPStreamConnection.ExchangeID, _ response: CoAPResponse) {
    connection.respond(to: exchange, with: response, at: now)
    act()
  }

  /// Tells the other end why, and closes.
  func end(_ reason: DropReason) {
    guard !isClosing else { return }
    count(reason)
    connection.abort(reason, at: now)
    act()
    context?.flush()
    guard !isClosing else { return }
    isClosing = true
    context?.close(promise: nil)
  }

  private func setTimer() {
    guard !isClosing, let context, let due = connection.nextTimeout else { return }
    if let timerDue, timerDue <= due { return }
    timer?.cancel()
    timerDue = due
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    let wait = max(0, due.microseconds - now.microseconds)
    timer = context.eventLoop.scheduleTask(in: .microseconds(wait)) {
      let handler = bound.value
      handler.timerDue = nil
      handler.connection.timeout(at: handler.now)
      handler.act()
      handler.context?.flush()
    }
  }
}

extension Duration {
  /// Whole nanoseconds, as NIO counts.
  var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
