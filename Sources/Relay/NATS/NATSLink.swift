import Dispatch
import Queue
import Synchronization
import Wire

/// A connection on which many requests are under way at once, each with its own answer.
///
/// Requests block whoever makes them; any thread may.
final class NATSLink: Sendable {
  private let state = Mutex(State())
  private let inbox: String
  private let timeout: Duration
  /// Set once, right after the link was made.
  private let parts = Mutex<(connection: NATSConnection, replies: NATSSubscription)?>(nil)

  /// Requests that are sent together.
  private static let atOnce = 1000
  /// After how long a request that may come twice is sent again; doubled each time.
  private static let patience = Duration.milliseconds(500)

  private struct State {
    var last: UInt64 = 0
    var waiting: [UInt64: Batch] = [:]
  }

  /// Requests made together.
  private final class Batch: Sendable {
    let first: UInt64
    let done = DispatchSemaphore(value: 0)
    let answers: Mutex<(messages: [NATSMessage?], missing: Int)>
    /// Which requests can be sent again, if there is any.
    let repeatable: [Bool]

    init(first: UInt64, _ requests: [NATSRequest]) {
      self.first = first
      answers = Mutex(([NATSMessage?](repeating: nil, count: requests.count), requests.count))
      repeatable = requests.map(\.mayComeTwice)
    }

    /// True if the answer settles its request; one that says «not now» does not if the request can be sent again.
    func take(_ message: NATSMessage, for token: UInt64) -> Bool {
      let index = Int(token - first)
      let isFinal = !(repeatable[index] && message.isUnavailable)
      let isComplete = answers.withLock { answers in
        answers.messages[index] = message
        if isFinal { answers.missing -= 1 }
        return answers.missing == 0
      }
      if isComplete { done.signal() }
      return isFinal
    }
  }

  /// `changed` is told of the loss of the connection, when requests under way have been given up, and of its return.
  init(
    _ options: NATSConnectionOptions, name: String, timeout: Duration, changed: @escaping @Sendable (Bool) -> Void
  ) throws(StoreError) {
    self.timeout = timeout
    let inbox = "_INBOX.\(name)."
    self.inbox = inbox
    let connection = try NATSConnection(options) { [weak self] isUp in
      if !isUp { self?.giveUp() }
      changed(isUp)
    }
    let replies = try connection.subscribe(inbox + "*") { [weak self] in self?.answered($0) }
    parts.withLock { $0 = (connection, replies) }
  }

  var isConnected: Bool { connection?.isConnected ?? false }
  private var connection: NATSConnection? { parts.withLock { $0?.connection } }

  /// The connection if it is up; throws at once if it is not.
  private func connected() throws(StoreError) -> NATSConnection {
    guard let connection else { throw StoreError(.closed, detail: "the connection to NATS was closed") }
    guard connection.isConnected else { throw StoreError(.failed, detail: "not connected to NATS") }
    return connection
  }

  /// Ends the connection; what is under way is given up.
  func close() {
    let ended = parts.withLock { parts in
      defer { parts = nil }
      return parts
    }
    ended?.connection.close()
    giveUp()
  }

  // MARK: Requests

  /// Sends all of `requests` and waits for their answers; `nil` for what was not answered in time.
  ///
  /// A request to a stream that is electing its leader is lost: one that may come twice is sent again until somebody answers.
  func exchange(_ requests: [NATSRequest], timeout: Duration? = nil) throws(StoreError) -> [NATSMessage?] {
    guard !requests.isEmpty else { return [] }
    // A server that has too many requests waiting drops all of them.
    guard requests.count <= NATSLink.atOnce else {
      let answers = try exchange(Array(requests[..<NATSLink.atOnce]), timeout: timeout)
      return answers + (try exchange(Array(requests[NATSLink.atOnce...]), timeout: timeout))
    }
    let connection = try connected()
    let batch = state.withLock { state in
      let batch = Batch(first: state.last + 1, requests)
      for _ in requests {
        state.last += 1
        state.waiting[state.last] = batch
      }
      return batch
    }
    let wait = timeout ?? self.timeout
    let deadline = DispatchTime.now() + .microseconds(Int(wait.wholeMicroseconds))
    let tokens = batch.first..<batch.first + UInt64(requests.count)
    defer { state.withLock { state in for token in tokens { state.waiting[token] = nil } } }
    for (request, token) in zip(requests, tokens) { try connection.publish(request, reply: inbox + "\(token)") }
    // All in one piece: a system call for each message, and a wakening of the server, would take most of the time.
    try? connection.flush(wait)
    var pause = batch.repeatable.contains(true) ? NATSLink.patience : wait
    while batch.done.wait(timeout: min(deadline, .now() + .microseconds(Int(pause.wholeMicroseconds)))) == .timedOut,
      DispatchTime.now() < deadline, isConnected
    {
      pause *= 2
      let waiting = state.withLock { state in tokens.filter { state.waiting[$0] != nil } }
      for token in waiting where batch.repeatable[Int(token - batch.first)] {
        try connection.publish(requests[Int(token - batch.first)], reply: inbox + "\(token)")
      }
      try? connection.flush(min(wait, pause))
    }
    return batch.answers.withLock { $0.messages }
  }

  /// Sends one request; throws if it is not answered, or if nobody is there to answer.
  func request(_ request: NATSRequest, timeout: Duration? = nil) throws(StoreError) -> NATSMessage {
    try answer(to: request, in: try exchange([request], timeout: timeout).first ?? nil)
  }

  /// An answer that must have come.
  func answer(to request: NATSRequest, in message: NATSMessage?) throws(StoreError) -> NATSMessage {
    guard let message else { throw StoreError(.failed, detail: "NATS did not answer \(request.subject)") }
    guard message.status != 503 else { throw StoreError(.failed, detail: "nobody in NATS answers \(request.subject)") }
    return message
  }

  /// Sends what needs no answer, if there is a connection.
  func send(_ request: NATSRequest) throws(StoreError) { try connected().publish(request) }

  func subscribe(
    _ subject: String, _ handler: @escaping @Sendable (NATSMessage) -> Void
  ) throws(StoreError) -> NATSSubscription {
    try connected().subscribe(subject, handler)
  }

  /// Waits until the server knows the subscriptions.
  func flush() throws(StoreError) { try connected().flush(timeout) }

  private func answered(_ message: NATSMessage) {
    guard let token = UInt64(message.subject.dropFirst(inbox.count)) else { return }
    guard let batch = state.withLock({ $0.waiting[token] }), batch.take(message, for: token) else { return }
    state.withLock { $0.waiting[token] = nil }
  }

  /// Whoever waits for an answer goes on without.
  private func giveUp() {
    let batches = state.withLock { state in
      defer { state.waiting = [:] }
      return state.waiting.values.map { $0 }
    }
    for batch in batches { batch.done.signal() }
  }
}
