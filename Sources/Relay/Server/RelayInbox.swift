import CoAP
import Envelope
import Foundation
import Queue
import Synchronization
import Wire

/// What the engine of a relay is told, by connections, by its store and by its operator.
enum RelayWork: Sendable {
  /// An admitted envelope, to be answered when it is stored.
  case submit(RelayDirectory.Admitted, RelayPeer, RelayTicket)
  /// An access list; anybody who has a session may hand it in.
  case accessList(SignedEnvelope, RelayPeer, RelayTicket)
  case open(RelaySession, RelayPeer)
  case closed(RelayPeer)
  /// The client asks what is held for it.
  case held(RelayPeer, CoAPStreamConnection.ExchangeID)
  /// The client has custody.
  case taken(MessageName, RelayPeer)
  /// The client refuses for good.
  case rejected(MessageName, DropReason, RelayPeer)
  case news(RelayStoreNews)
  /// A chunk for addresses that other relays of the cluster may serve.
  case chunk(RelayChunk, [Address])
  case status(@Sendable (RelayStatus) -> Void)
  case backup(String, @Sendable (StoreError?) -> Void)
  case stop
}

/// Which request of a connection an answer belongs to.
struct RelayTicket: Sendable {
  enum Request: Sendable {
    case exchange(CoAPStreamConnection.ExchangeID)
    /// A request that the connection answers by itself: its token, and the classes of responses that are not wanted.
    case token(CoAPToken, noResponse: UInt8)
  }

  var request: Request
  /// Bytes of the envelope, as far as they wait with the engine.
  var size = 0

  init(_ request: Request) { self.request = request }
}

/// What a connection is told, in order.
enum RelayReply: Sendable {
  case answer(RelayTicket, SubmitOutcome)
  /// The session counts from now on.
  case opened
  case deliver(HeldMessage)
  case held(CoAPStreamConnection.ExchangeID, Int?)
  /// A chunk of a stream; whether its sender waits for credit.
  case chunk(RelayChunk)
  /// Why the session is over; the connection ends.
  case end(DropReason)
}

/// The queue between connections and the engine: many put, one takes all there is.
final class RelayInbox: Sendable {
  private struct State {
    var work: [RelayWork] = []
    var bytes = 0
    var isClosed = false
  }

  private let state = Mutex(State())
  private let signal = DispatchSemaphore(value: 0)
  /// Bytes of envelopes that may wait; more are refused with 5.03.
  let maximumBytes: Int

  init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

  /// False if there is no room for another `bytes`, or nobody takes any more.
  @discardableResult
  func put(_ work: RelayWork, bytes: Int = 0) -> Bool {
    let (isTaken, isFirst) = state.withLock { state -> (Bool, Bool) in
      guard !state.isClosed, bytes == 0 || state.bytes + bytes <= maximumBytes else { return (false, false) }
      state.work.append(work)
      state.bytes += bytes
      return (true, state.work.count == 1)
    }
    if isFirst { signal.signal() }
    return isTaken
  }

  /// Waits until there is work or `timeout` has passed, and takes all of it.
  func take(timeout: DispatchTime) -> [RelayWork] {
    if let work = takeNow() { return work }
    _ = signal.wait(timeout: timeout)
    return takeNow() ?? []
  }

  private func takeNow() -> [RelayWork]? {
    state.withLock { state in
      guard !state.work.isEmpty else { return nil }
      defer {
        state.work = []
        state.bytes = 0
      }
      return state.work
    }
  }

  /// Nothing is taken any more.
  func close() { state.withLock { $0.isClosed = true } }
}

/// The newest access lists, for whoever checks envelopes.
final class RelayMembers: Sendable {
  private let state: Mutex<RelayDirectory>

  init(_ members: RelayDirectory) { state = Mutex(members) }

  var current: RelayDirectory { state.withLock { $0 } }
  func replace(_ members: RelayDirectory) { state.withLock { $0 = members } }
}
