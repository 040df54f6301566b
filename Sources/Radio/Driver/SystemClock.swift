import Foundation
import Synchronization
import Wire

extension Instant {
  /// The system's clock, now. The sans-I/O core never reads it: shells hand it in.
  ///
  /// Monotonic progress from the wall clock at the first call. It never goes back: a wall clock that is set back is not
  /// followed, one that is set forward, as on a box without a battery when the network's time arrives, is.
  public static var now: Instant { SystemClock.shared.now }
}

final class SystemClock: Sendable {
  static let shared = SystemClock()
  /// Microseconds between the two clocks that are put down to their different rates.
  private static let tolerance: Int64 = 2_000_000

  private let offset = Mutex<Int64?>(nil)

  var now: Instant {
    let (wall, monotonic) = (Self.microseconds(CLOCK_REALTIME), Self.microseconds(CLOCK_MONOTONIC))
    return offset.withLock { offset in
      let current = offset ?? wall &- monotonic
      let ahead = wall &- (monotonic &+ current)
      offset = ahead > Self.tolerance ? current &+ ahead : current
      return Instant(microseconds: monotonic &+ (offset ?? current))
    }
  }

  private static func microseconds(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    unsafe clock_gettime(clock, &time)
    return Int64(time.tv_sec) &* 1_000_000 &+ Int64(time.tv_nsec) / 1000
  }
}
