import Foundation
import Synchronization
import Wire

/// Ends the process if it has not started in time, though every step of it had a time limit of its own: whoever supervises
/// it starts it again, and a cluster may have other leaders by then.
final class StartDeadline: Sendable {
  private let isOver = Mutex(false)

  init(after time: Duration, _ what: String) {
    DispatchQueue.global().asyncAfter(deadline: .now() + .microseconds(Int(time.components.seconds) * 1_000_000)) {
      guard self.isOver.withLock({ !$0 }) else { return }
      note("pangate: \(what): not ready within \(time.components.seconds) seconds; start it again")
      Foundation.exit(Exit.cannotStart)
    }
  }

  /// It has started.
  func cancel() { isOver.withLock { $0 = true } }
}
