import Foundation
import IEEE802154
import NIOCore
import NIOPosix
import Synchronization
import Wire

/// A radio co-processor (OpenThread's RCP firmware) on a serial port, a pseudo-terminal, or run as a program.
public final class SpinelDriver: RadioDriver {
  public let url: RadioURL
  private let group: any EventLoopGroup
  private let timing: SpinelTiming
  private let now: @Sendable () -> Instant
  private let state = Mutex(State())

  private struct State {
    var record = SpinelRecord()
    var session: Session?
    var events = AsyncStream<RadioEvent> { $0.finish() }
    var wasOpen = false
  }

  /// An open channel.
  private struct Session: Sendable {
    var line: SpinelLine
    var channel: any Channel
    var handler: NIOLoopBound<SpinelChannelHandler>
  }

  /// Events that wait to be read.
  private static let buffer = 1024

  /// A driver for the co-processor that `url` names, on one event loop of `group`. `now` gives the time stamps of frames; it must not
  /// go back.
  public init(
    url: RadioURL, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
    timing: SpinelTiming = SpinelTiming(), now: @escaping @Sendable () -> Instant = { .now }
  ) {
    self.url = url
    self.group = group
    self.timing = timing
    self.now = now
  }

  public var events: AsyncStream<RadioEvent> { state.withLock { $0.events } }

  public var statistics: RadioStatistics { state.withLock { $0.record.statistics } }

  /// The next frame counter of a co-processor that secures frames; `nil` without ``setKeys(_:frameCounter:)``.
  public var frameCounter: UInt32? { state.withLock { $0.record.keys == nil ? nil : $0.record.frameCounter } }

  public func open(_ settings: RadioSettings) async throws(RadioError) -> RadioDescription {
    await close()
    let line = try SpinelLine.open(url)
    let (events, output) = AsyncStream.makeStream(
      of: RadioEvent.self, bufferingPolicy: .bufferingNewest(Self.buffer))
    let (record, wasOpen) = state.withLock { ($0.record, $0.wasOpen) }
    var host = SpinelHost(
      radio: url.description, settings: settings, timing: timing, statistics: record.statistics)
    if let keys = record.keys {
      // What the co-processor did last, nobody may have heard of.
      let passedOver = wasOpen ? SpinelSecurity.guardBand : 0
      let (counter, isOver) = record.frameCounter.addingReportingOverflow(passedOver)
      host.setKeys(keys, frameCounter: isOver ? .max : counter, at: now())
    }
    let session = try await connect(line, host, output)
    state.withLock {
      $0.session = session
      $0.events = events
      $0.wasOpen = true
    }
    let result: Result<RadioDescription, RadioError> = await withCheckedContinuation { continuation in
      session.channel.eventLoop.execute { session.handler.value.open { continuation.resume(returning: $0) } }
    }
    if case .failure = result { await close() }
    return try result.get()
  }

  /// Puts the line into a channel; it is released if that fails.
  private func connect(
    _ line: SpinelLine, _ host: SpinelHost, _ output: AsyncStream<RadioEvent>.Continuation
  ) async throws(RadioError) -> Session {
    let now = now
    let report: @Sendable (SpinelHost) -> Void = { [weak self] host in self?.take(host) }
    do {
      let descriptors = try line.channelDescriptors()
      let hasChannel = Flag()
      do {
        return try await NIOPipeBootstrap(group: group).takingOwnershipOfDescriptors(
          input: descriptors.input, output: descriptors.output
        ) { channel in
          hasChannel.isSet.store(true, ordering: .relaxed)
          return channel.eventLoop.makeCompletedFuture {
            let handler = SpinelChannelHandler(host: host, line: line, output: output, now: now, report: report)
            try channel.pipeline.syncOperations.addHandler(handler)
            return Session(
              line: line, channel: channel, handler: NIOLoopBound(handler, eventLoop: channel.eventLoop))
          }
        }
      } catch {
        // A channel that was made has closed them.
        if !hasChannel.isSet.load(ordering: .relaxed) {
          Terminal.close(descriptors.input)
          Terminal.close(descriptors.output)
        }
        throw error
      }
    } catch {
      await Self.release(line)
      throw RadioError(.failed, radio: url.description, detail: "the line cannot be used (\(error))")
    }
  }

  private final class Flag: Sendable {
    let isSet = Atomic(false)
  }

  private func take(_ host: SpinelHost) {
    state.withLock {
      $0.record.statistics = host.statistics
      if let counter = host.frameCounter { $0.record.frameCounter = counter }
    }
  }

  public func transmit(_ frame: [UInt8]) async -> TransmitOutcome {
    guard let session = state.withLock({ $0.session }) else { return .failed }
    return await withCheckedContinuation { continuation in
      session.channel.eventLoop.execute {
        session.handler.value.transmit(frame) { continuation.resume(returning: $0) }
      }
    }
  }

  public func setSourceMatch(_ devices: SourceMatch) async throws(RadioError) {
    try await ask { handler, done in handler.setSourceMatch(devices, done) }
  }

  /// Lets the co-processor secure frames of key identifier mode 1 with `keys`, and counters from `frameCounter` on: see
  /// ``SpinelHost/setKeys(_:frameCounter:at:)``. Before ``open(_:)`` they come with the configuration; they stay for later openings.
  ///
  /// Whoever ends the process keeps ``frameCounter`` and gives a higher one to the next.
  public func setKeys(_ keys: SpinelMACKeys, frameCounter: UInt32) async throws(RadioError) {
    let isOpen = state.withLock { state in
      if state.record.keys?.current != keys.current || state.record.frameCounter < frameCounter {
        state.record.frameCounter = frameCounter
      }
      state.record.keys = keys
      return state.session != nil
    }
    guard isOpen else { return }
    try await ask { handler, done in handler.setKeys(keys, frameCounter: frameCounter, done) }
  }

  /// Devices for whose addresses the co-processor has no room in its source match lists; 0 if it is not open.
  public var sourceMatchLeftOut: Int {
    get async {
      guard let session = state.withLock({ $0.session }) else { return 0 }
      let left = session.channel.eventLoop.submit { session.handler.value.sourceMatchLeftOut }
      return (try? await left.get()) ?? 0
    }
  }

  private func ask(
    _ request: @escaping @Sendable (SpinelChannelHandler, @escaping @Sendable (RadioError?) -> Void) -> Void
  ) async throws(RadioError) {
    guard let session = state.withLock({ $0.session }) else { throw closed }
    let error: RadioError? = await withCheckedContinuation { continuation in
      session.channel.eventLoop.execute {
        request(session.handler.value) { continuation.resume(returning: $0) }
      }
    }
    if let error { throw error }
  }

  private var closed: RadioError { RadioError(.gone, radio: url.description, detail: "the radio is closed") }

  public func close() async {
    guard let session = state.withLock({ state in state.session.take() }) else { return }
    let error = closed
    try? await session.channel.eventLoop.submit { session.handler.value.stop(error) }.get()
    // Closing waits for what was written; the device has a moment to take it.
    for _ in 0..<20 where session.channel.isActive && !session.line.isDrained {
      try? await Task.sleep(for: .milliseconds(10))
    }
    session.line.discardOutput()
    try? await session.channel.close().get()
    await Self.release(session.line)
  }

  /// Ends a program and waits for it, on a thread that may wait.
  private static func release(_ line: SpinelLine) async {
    try? await NIOThreadPool.singleton.runIfActive { line.release() }
  }
}
