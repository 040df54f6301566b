import CNetlink
import Dispatch
import Foundation
import Synchronization

/// What the process may do, limited before it has a second thread.
public enum Privileges {
  /// A user that cannot be become, in one line.
  public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String
  }

  /// Gives up all capabilities, and the user root if `user` names another.
  ///
  /// With `keepsNetwork`, one thread keeps CAP_NET_RAW and CAP_NET_ADMIN, and does nothing but open and configure wpan
  /// interfaces, now and when one comes back: see ``LinuxDriver``. To be called while there is one thread only, since
  /// capabilities belong to threads.
  public static func limit(keepsNetwork: Bool, user: String?) throws(Failure) {
    if keepsNetwork { PrivilegedThread.shared.start() }
    if let user {
      let result = unsafe pangate_become(user)
      guard result == 0 else {
        throw Failure(
          description: result == ENOENT
            ? "there is no user '\(user)'" : "cannot become the user '\(user)': \(LinuxError(code: result))")
      }
    }
    if keepsNetwork { PrivilegedThread.shared.run { _ = pangate_limit_capabilities(1) } }
    let result = pangate_limit_capabilities(0)
    guard result == 0 else { throw Failure(description: "cannot give up capabilities: \(LinuxError(code: result))") }
  }
}

/// A thread that may do what the others may not.
final class PrivilegedThread: Sendable {
  static let shared = PrivilegedThread()

  private let jobs = Mutex<[@Sendable () -> Void]>([])
  private let isStarted = Mutex(false)
  private let wakeUp = DispatchSemaphore(value: 0)

  func start() {
    let isFirst = isStarted.withLock { started in
      defer { started = true }
      return !started
    }
    guard isFirst else { return }
    let thread = Thread { [self] in
      _ = pangate_keep_capabilities()
      while true {
        wakeUp.wait()
        let job = jobs.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        job?()
      }
    }
    thread.name = "privileged"
    thread.start()
    run {}
  }

  /// Runs `job` on the thread and waits for it; without such a thread, here.
  func run(_ job: @escaping @Sendable () -> Void) {
    guard isStarted.withLock({ $0 }) else { return job() }
    let done = DispatchSemaphore(value: 0)
    jobs.withLock { jobs in
      jobs.append {
        job()
        done.signal()
      }
    }
    wakeUp.signal()
    done.wait()
  }

  /// The same for what gives a result or fails.
  func run<Value: Sendable, Failure: Error>(
    _ job: @escaping @Sendable () throws(Failure) -> Value
  ) throws(Failure) -> Value {
    let result = Mutex<Result<Value, Failure>?>(nil)
    let box = Box(result)
    run {
      let value: Result<Value, Failure>
      do throws(Failure) { value = .success(try job()) } catch { value = .failure(error) }
      box.result.withLock { $0 = value }
    }
    guard let value = box.result.withLock({ $0 }) else { return try job() }
    return try value.get()
  }

  private final class Box<Value: Sendable>: Sendable {
    let result: Mutex<Value?>
    init(_ result: consuming Mutex<Value?>) { self.result = result }
  }
}
