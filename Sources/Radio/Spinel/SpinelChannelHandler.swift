import IEEE802154
import NIOCore
import Wire

/// What a driver keeps from one opening to the next.
struct SpinelRecord: Sendable {
  var statistics = RadioStatistics()
  var keys: SpinelMACKeys?
  /// The next frame counter for ``keys``, as far as is known.
  var frameCounter: UInt32 = 0
}

/// A host on a channel: bytes, timeouts and requests go in; events come out. Used on the channel's event loop only.
final class SpinelChannelHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private var host: SpinelHost
  private let line: SpinelLine
  private let now: @Sendable () -> Instant
  private let output: AsyncStream<RadioEvent>.Continuation
  /// Told of statistics and counters after everything that happens.
  private let report: @Sendable (SpinelHost) -> Void

  private var context: ChannelHandlerContext?
  private var timer: (instant: Instant, task: Scheduled<Void>)?
  private var opening: ((Result<RadioDescription, RadioError>) -> Void)?
  private var transmitting: ((TransmitOutcome) -> Void)?
  private var listWaiters: [(RadioError?) -> Void] = []
  private var keyWaiters: [(RadioError?) -> Void] = []
  /// Why nothing works any more.
  private var end: RadioError?

  init(
    host: SpinelHost, line: SpinelLine, output: AsyncStream<RadioEvent>.Continuation,
    now: @escaping @Sendable () -> Instant, report: @escaping @Sendable (SpinelHost) -> Void
  ) {
    self.host = host
    self.line = line
    self.output = output
    self.now = now
    self.report = report
  }

  // MARK: - From the driver

  /// Begins; `done` is told once how it went.
  func open(_ done: @escaping (Result<RadioDescription, RadioError>) -> Void) {
    if let end { return done(.failure(end)) }
    opening = done
    host.start(at: now())
    proceed()
  }

  func transmit(_ frame: [UInt8], _ done: @escaping (TransmitOutcome) -> Void) {
    guard end == nil, host.transmit(frame, at: now()) else {
      report(host)
      return done(.failed)
    }
    transmitting = done
    proceed()
  }

  func setSourceMatch(_ devices: SourceMatch, _ done: @escaping (RadioError?) -> Void) {
    if let end { return done(end) }
    listWaiters.append(done)
    host.setSourceMatch(devices, at: now())
    proceed()
  }

  func setKeys(_ keys: SpinelMACKeys, frameCounter: UInt32, _ done: @escaping (RadioError?) -> Void) {
    if let end { return done(end) }
    keyWaiters.append(done)
    host.setKeys(keys, frameCounter: frameCounter, at: now())
    proceed()
  }

  /// Quietens the co-processor; everything that waits has failed with `error`. The channel stays open for what was written to leave.
  func stop(_ error: RadioError) {
    guard end == nil else { return }
    host.stop(at: now())
    proceed()
    finish(error, isFailure: false)
  }

  /// Devices without a place in the source match lists.
  var sourceMatchLeftOut: Int { host.sourceMatchLeftOut }

  // MARK: - From the channel

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
    hungUp()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard end == nil else { return }
    let bytes = Array(Self.unwrapInboundIn(data).readableBytesView)
    host.receive(bytes.rawSpan, at: now())
    proceed()
  }

  func channelInactive(context: ChannelHandlerContext) { hungUp() }

  /// A read or write that failed: the device is not there any more.
  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    hungUp()
    context.close(promise: nil)
  }

  private func hungUp() {
    guard end == nil else { return }
    finish(line.gone(radio: host.radio), isFailure: true)
  }

  // MARK: - What the host wants

  private func proceed() {
    let bytes = host.takeOutput()
    let events = host.takeEvents()
    report(host)
    if !bytes.isEmpty, let context {
      context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }
    for event in events { handle(event) }
    reschedule()
  }

  private func handle(_ event: SpinelEvent) {
    switch event {
    case .ready(let description):
      opening?(.success(description))
      opening = nil
    case .frame(let frame): yield(.frame(frame))
    case .transmitted(let outcome):
      let done = transmitting
      transmitting = nil
      done?(outcome)
    case .sourceMatchSet: settle(\.listWaiters, nil)
    case .keysSet: settle(\.keyWaiters, nil)
    case .recovered: break
    case .failed(let error):
      finish(error, isFailure: true)
      // Closing must not wait for a device that takes nothing any more.
      line.discardOutput()
      context?.close(promise: nil)
    }
  }

  private func settle(
    _ list: ReferenceWritableKeyPath<SpinelChannelHandler, [(RadioError?) -> Void]>, _ error: RadioError?
  ) {
    let waiters = self[keyPath: list]
    self[keyPath: list] = []
    for done in waiters { done(error) }
  }

  private func yield(_ event: RadioEvent) {
    guard case .dropped = output.yield(event) else { return }
    host.statistics.overruns &+= 1
    report(host)
  }

  /// The end, once. `isFailure`: nobody asked for it.
  private func finish(_ error: RadioError, isFailure: Bool) {
    guard end == nil else { return }
    end = error
    timer?.task.cancel()
    timer = nil
    if let opening {
      self.opening = nil
      opening(.failure(error))
    } else if isFailure {
      yield(.failed(error))
    }
    let transmitting = transmitting
    self.transmitting = nil
    transmitting?(.failed)
    settle(\.listWaiters, error)
    settle(\.keyWaiters, error)
    output.finish()
  }

  private func reschedule() {
    guard end == nil, let context, let next = host.nextTimeout else {
      timer?.task.cancel()
      timer = nil
      return
    }
    guard timer?.instant != next else { return }
    timer?.task.cancel()
    let delay = max(0, now().duration(to: next).wholeMicroseconds)
    let loopBound = NIOLoopBound(self, eventLoop: context.eventLoop)
    let task = context.eventLoop.scheduleTask(in: .microseconds(delay)) { loopBound.value.timeout() }
    timer = (next, task)
  }

  private func timeout() {
    timer = nil
    guard end == nil else { return }
    host.timeout(at: now())
    proceed()
  }
}
