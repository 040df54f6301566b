import Dispatch
import Foundation
import Queue
import Synchronization
import Wire

/// The thread that looks after what the servers may forget: consumers, after a loss of the connection or of a server.
final class NATSCaretaker: Sendable {
  private struct State {
    var isStarted = false
    var isStopped = false
    var isLost = false
    var isBack = false
    /// How often the connection was lost or came back.
    var changes = 0
  }

  private let interval: Duration
  private let events: NATSEvents
  private let restore: @Sendable (_ all: Bool) throws(StoreError) -> Void
  private let state = Mutex(State())
  private let wake = DispatchSemaphore(value: 0)
  private let ended = DispatchSemaphore(value: 0)

  /// `restore` makes sure of what may be gone, of everything after the connection was lost.
  init(
    every interval: Duration, events: NATSEvents, restore: @escaping @Sendable (_ all: Bool) throws(StoreError) -> Void
  ) {
    self.interval = interval
    self.events = events
    self.restore = restore
  }

  func start() {
    state.withLock { $0.isStarted = true }
    let thread = Thread { [self] in
      run()
      ended.signal()
    }
    thread.name = "pangate-nats"
    thread.start()
  }

  /// Returns when the thread has ended, if it ever began.
  func stop() {
    let isStarted = state.withLock { state in
      state.isStopped = true
      return state.isStarted
    }
    wake.signal()
    if isStarted { ended.wait() }
  }

  /// Called when the connection is lost and when it is back.
  func connectionChanged(_ isUp: Bool) {
    let isNews = state.withLock { state in
      defer {
        state.isLost = true
        state.isBack = isUp
        state.changes += 1
      }
      return !isUp && !state.isLost
    }
    if isNews { events.news(.availability(false)) }
    wake.signal()
  }

  /// Looks at once.
  func look() { wake.signal() }

  private func run() {
    while true {
      _ = wake.wait(timeout: .now() + .microseconds(Int(interval.wholeMicroseconds)))
      let now = state.withLock { $0 }
      if now.isStopped { return }
      guard !now.isLost || now.isBack else { continue }
      do {
        try restore(now.isLost)
      } catch {
        // The servers may still be electing leaders; the next turn tries again.
        continue
      }
      guard now.isLost else { continue }
      let isAvailable = state.withLock { state in
        guard state.changes == now.changes else { return false }
        state.isLost = false
        return true
      }
      if isAvailable { events.news(.availability(true)) }
    }
  }
}
