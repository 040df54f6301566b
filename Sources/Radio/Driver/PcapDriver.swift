import Foundation
import IEEE802154
import Synchronization
import Wire

/// A recording as a radio that only listens: `pcap:FILE`.
///
/// The frames come with the distances in time that they were recorded with, or as fast as they are read. They are read
/// when they are asked for, so none is ever dropped. All are given, whomever they are for; acknowledgments only in
/// promiscuous mode. The end of the recording is a failure of the kind ``RadioError/Kind/gone``.
public final class PcapDriver: RadioDriver {
  public enum Speed: Sendable, Hashable {
    /// So many times as fast as recorded; what is not above 0 is ``max``.
    case times(Double)
    /// Without waiting.
    case max

    /// As recorded.
    public static let real = Speed.times(1)
  }

  private struct State {
    var playback: Playback?
    var events = AsyncStream<RadioEvent> { $0.finish() }
  }

  public let url: RadioURL
  private let path: String
  private let speed: Speed
  private let startTimer: @Sendable () -> Playback.Wait
  private let now: @Sendable () -> Instant
  private let counters = Counters()
  private let state = Mutex(State())

  /// `clock` measures the waiting; `now` tells the time stamp of the first frame, when the recording is opened. Those of the
  /// others are as much later as they were in the recording.
  public init<C: Clock>(
    _ url: RadioURL, path: String, speed: Speed = .real, clock: C = ContinuousClock(),
    now: @escaping @Sendable () -> Instant = { .now }
  ) where C.Duration == Duration {
    self.url = url
    self.path = path
    self.speed = speed
    self.now = now
    startTimer = {
      let start = clock.now
      return { try await clock.sleep(until: start.advanced(by: $0), tolerance: nil) }
    }
  }

  /// Opens the file. Nothing of `settings` matters but whether it is promiscuous.
  public func open(_ settings: RadioSettings) async throws(RadioError) -> RadioDescription {
    await close()
    let recording = try Recording(path: path, radio: url, isPromiscuous: settings.isPromiscuous)
    let linkType = recording.linkType
    let playback = Playback(recording, speed: speed, start: now(), wait: startTimer(), counters: counters)
    state.withLock { state in
      state.playback = playback
      state.events = AsyncStream { await playback.next() }
    }
    return RadioDescription(
      capabilities: [.listensOnly, .promiscuous], name: "a recording of link type \(linkType.rawValue)")
  }

  public var events: AsyncStream<RadioEvent> { state.withLock { $0.events } }

  /// Nothing can be sent: ``TransmitOutcome/failed``.
  public func transmit(_ frame: [UInt8]) async -> TransmitOutcome {
    counters.count { $0.transmitErrors &+= 1 }
    return .failed
  }

  public func setSourceMatch(_ devices: SourceMatch) async throws(RadioError) {}

  public var statistics: RadioStatistics { counters.value }

  public func close() async {
    let playback = state.withLock { state in
      defer { state.playback = nil }
      return state.playback
    }
    await playback?.stop()
  }
}

/// Statistics that the driver and its playback share.
private final class Counters: Sendable {
  private let statistics = Mutex(RadioStatistics())

  var value: RadioStatistics { statistics.withLock { $0 } }

  func count(_ change: (inout RadioStatistics) -> Void) { statistics.withLock { change(&$0) } }
}

/// A recording that is being played.
private actor Playback {
  /// Waits until so much time has passed since the start.
  typealias Wait = @Sendable (Duration) async throws -> Void

  private var recording: Recording
  private let speed: PcapDriver.Speed
  private let start: Instant
  private let wait: Wait
  private let counters: Counters
  private var first: Int64?
  private var isOver = false
  private var waiting: Task<Void, any Error>?

  init(
    _ recording: consuming sending Recording, speed: PcapDriver.Speed, start: Instant, wait: @escaping Wait,
    counters: Counters
  ) {
    self.recording = recording
    self.speed = speed
    self.start = start
    self.wait = wait
    self.counters = counters
  }

  /// The next event, when it is time for it; `nil` behind the last, and when the task is cancelled.
  func next() async -> RadioEvent? {
    while !isOver {
      switch recording.next() {
      case .malformed: counters.count { $0.malformed &+= 1 }
      case .over(let error):
        isOver = true
        return .failed(error)
      case .frame(var frame, let nanoseconds):
        let begin = first ?? nanoseconds
        first = begin
        // Time stamps of a file may be any number and need not rise.
        let offset = max(0, nanoseconds &- begin)
        guard await hasCome(offset), !isOver else { return nil }
        frame.metadata.timestamp = start.advanced(by: .nanoseconds(offset))
        counters.count { $0.received &+= 1 }
        return .frame(frame)
      }
    }
    return nil
  }

  /// Ends the waiting and the events.
  func stop() {
    isOver = true
    waiting?.cancel()
  }

  /// Waits for a time; false if the waiting was cancelled.
  private func hasCome(_ offset: Int64) async -> Bool {
    guard case .times(let factor) = speed, factor > 0 else { return true }
    let wait = wait
    // Nobody waits longer than a century, and so much can be calculated with.
    let due = Duration.seconds(min(Double(offset) / 1e9 / factor, 3e9))
    let task = Task { try await wait(due) }
    waiting = task
    let result = await withTaskCancellationHandler {
      await task.result
    } onCancel: {
      task.cancel()
    }
    waiting = nil
    return (try? result.get()) != nil
  }
}

/// The frames of a file, with the file's end as an error of the radio.
private struct Recording: ~Copyable {
  enum Step {
    case frame(CapturedFrame, nanoseconds: Int64)
    /// A record that holds no frame.
    case malformed
    case over(RadioError)
  }

  private var reader: CaptureReader
  private let radio: String
  private let isPromiscuous: Bool

  var linkType: LinkType { reader.linkType }

  init(path: String, radio: RadioURL, isPromiscuous: Bool) throws(RadioError) {
    self.radio = radio.description
    self.isPromiscuous = isPromiscuous
    do throws(CaptureError) { reader = try CaptureReader(path: path) } catch {
      throw Self.error(error, path: path, radio: radio.description)
    }
  }

  private static func error(_ error: CaptureError, path: String, radio: String) -> RadioError {
    switch error.kind {
    case .cannotOpen where !FileManager.default.fileExists(atPath: path):
      RadioError(.notFound, radio: radio, detail: error.detail, remedy: "give a pcap or pcapng file")
    case .cannotOpen:
      RadioError(.noPermission, radio: radio, detail: error.detail, remedy: "make the file readable")
    case .notACapture:
      RadioError(
        .notSupported, radio: radio, detail: "not a capture: \(error.detail)", remedy: "give a pcap or pcapng file")
    case .linkTypeUnsupported(let type):
      RadioError(
        .notSupported, radio: radio, detail: "link type \(type.rawValue) (\(error.detail)) is not supported",
        remedy: "give 802.15.4 (195, 215, 230, 283), or Ethernet or raw IP that carries ZEP")
    case .damagedRecord, .cannotWrite: RadioError(.failed, radio: radio, detail: error.description)
    }
  }

  mutating func next() -> Step {
    while true {
      let step: Step
      do throws(CaptureError) {
        guard let record = try reader.next() else {
          return .over(RadioError(.gone, radio: radio, detail: "the recording is over"))
        }
        step =
          switch record.ownedFrame() {
          case .success(let frame): .frame(frame, nanoseconds: record.nanoseconds)
          case .failure: .malformed
          }
      } catch {
        return .over(RadioError(.failed, radio: radio, detail: error.description))
      }
      if case .frame(let frame, _) = step, !isPromiscuous, frame.isAcknowledgment { continue }
      return step
    }
  }
}

extension CapturedFrame {
  /// Whether the frame control says so.
  fileprivate var isAcknowledgment: Bool {
    bytes.first.map { FrameType(rawValue: $0 & 7) == .acknowledgment } ?? false
  }
}
