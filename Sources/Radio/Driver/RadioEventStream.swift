import IEEE802154
import Synchronization

/// What a driver passes on, with a bound, and what it counts: shared between the thread that reads the device and whoever
/// reads the events.
final class RadioEventStream: Sendable {
  /// Events that may wait to be read.
  static let capacity = 1024

  private struct State: Sendable {
    var stream: AsyncStream<RadioEvent>
    var continuation: AsyncStream<RadioEvent>.Continuation
    var statistics = RadioStatistics()
  }

  private let state: Mutex<State>

  init() {
    let (stream, continuation) = Self.makeStream()
    continuation.finish()
    state = Mutex(State(stream: stream, continuation: continuation))
  }

  private static func makeStream() -> (AsyncStream<RadioEvent>, AsyncStream<RadioEvent>.Continuation) {
    AsyncStream.makeStream(of: RadioEvent.self, bufferingPolicy: .bufferingNewest(capacity))
  }

  var events: AsyncStream<RadioEvent> { state.withLock { $0.stream } }
  var statistics: RadioStatistics { state.withLock { $0.statistics } }

  func count(_ change: @Sendable (inout RadioStatistics) -> Void) { state.withLock { change(&$0.statistics) } }

  /// A new stream, when the device is opened.
  func restart() {
    let (stream, continuation) = Self.makeStream()
    let old = state.withLock { state in
      defer { (state.stream, state.continuation) = (stream, continuation) }
      return state.continuation
    }
    old.finish()
  }

  func yield(_ frame: CapturedFrame) {
    let continuation = state.withLock { state in
      state.statistics.received &+= 1
      return state.continuation
    }
    if case .dropped = continuation.yield(.frame(frame)) { count { $0.overruns &+= 1 } }
  }

  /// The device is lost: the last event, and the end.
  func fail(_ error: RadioError) {
    let continuation = state.withLock { $0.continuation }
    continuation.yield(.failed(error))
    continuation.finish()
  }

  func finish() { state.withLock { $0.continuation }.finish() }

  /// Counts what became of a transmission.
  func count(_ outcome: TransmitOutcome) {
    count { statistics in
      switch outcome {
      case .acknowledged, .sent: statistics.transmitted &+= 1
      case .noAcknowledgment: statistics.noAcknowledgment &+= 1
      case .channelAccessFailure: statistics.channelAccessFailures &+= 1
      case .failed: statistics.transmitErrors &+= 1
      }
    }
  }
}
