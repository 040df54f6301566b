import Dispatch
import Metrics
import Queue
import Synchronization
import Wire

/// What a relay tells Prometheus, and whoever asks whether it is ready. No label names a member.
public final class RelayMetrics: Sendable {
  private let accepted: Counter
  private let duplicates: Counter
  private let refused: [Counter]
  private let verifyTime: Timer
  private let commitTime: Timer
  private let commitSize: Recorder
  private let delivered: Counter
  private let deliveryTime: Timer
  private let deliveriesRefused: Counter
  private let chunks: Counter
  private let chunksDropped: Counter
  private let connectionGauge: Meter
  private let sessionGauge: Meter
  private let heldMessages: Meter
  private let heldBytes: Meter
  private let isReadyFlag = Atomic<Bool>(true)
  private let openConnections = Atomic<Int>(0)
  private let openSessions = Atomic<Int>(0)

  public init(_ factory: any MetricsFactory) {
    func counter(_ name: String, _ labels: [(String, String)] = []) -> Counter {
      Counter(label: "pangate_relay_" + name, dimensions: labels, factory: factory)
    }
    accepted = counter("envelopes_total", [("result", "accepted")])
    duplicates = counter("envelopes_total", [("result", "duplicate")])
    refused = DropReason.allCases.map { counter("refused_total", [("reason", $0.name)]) }
    verifyTime = Timer(label: "pangate_relay_verify_seconds", factory: factory)
    commitTime = Timer(label: "pangate_relay_commit_seconds", factory: factory)
    commitSize = Recorder(label: "pangate_relay_commit_envelopes", factory: factory)
    delivered = counter("deliveries_total", [("result", "delivered")])
    deliveriesRefused = counter("deliveries_total", [("result", "refused")])
    deliveryTime = Timer(label: "pangate_relay_held_seconds", factory: factory)
    chunks = counter("chunks_total", [("result", "forwarded")])
    chunksDropped = counter("chunks_total", [("result", "dropped")])
    connectionGauge = Meter(label: "pangate_relay_connections", factory: factory)
    sessionGauge = Meter(label: "pangate_relay_sessions", factory: factory)
    heldMessages = Meter(label: "pangate_relay_held_messages", factory: factory)
    heldBytes = Meter(label: "pangate_relay_held_bytes", factory: factory)
  }

  // MARK: What is so

  /// Whether the store takes envelopes.
  public var isReady: Bool { isReadyFlag.load(ordering: .relaxed) }
  public var connections: Int { openConnections.load(ordering: .relaxed) }
  public var sessions: Int { openSessions.load(ordering: .relaxed) }

  func set(ready: Bool) { isReadyFlag.store(ready, ordering: .relaxed) }

  func set(sessions: Int) {
    openSessions.store(sessions, ordering: .relaxed)
    sessionGauge.set(Int64(sessions))
  }

  /// Counts a connection that came (1) or went (-1); how many there are then.
  @discardableResult
  func change(connections: Int) -> Int {
    let count = openConnections.add(connections, ordering: .relaxed).newValue
    connectionGauge.set(Int64(count))
    return count
  }

  func held(_ usage: Usage) {
    heldMessages.set(Int64(usage.messages))
    heldBytes.set(Int64(usage.bytes))
  }

  // MARK: What happened

  func count(_ outcome: SubmitOutcome) {
    switch outcome {
    case .accepted: accepted.increment()
    case .alreadyInCustody: duplicates.increment()
    case .refused(let reason, _): count(reason)
    }
  }

  func count(_ reason: DropReason) { refused[Int(reason.rawValue)].increment() }

  func verified(nanoseconds: UInt64) { verifyTime.recordNanoseconds(Int64(nanoseconds)) }

  func committed(_ envelopes: Int, since begun: DispatchTime) {
    guard envelopes > 0 else { return }
    commitSize.record(envelopes)
    commitTime.recordNanoseconds(Int64(DispatchTime.now().uptimeNanoseconds - begun.uptimeNanoseconds))
  }

  func delivered(after accepted: Instant, at now: Instant) {
    delivered.increment()
    deliveryTime.recordNanoseconds(max(0, now.microseconds - accepted.microseconds) * 1000)
  }

  func rejected(_ reason: DropReason) { deliveriesRefused.increment() }

  func chunk(forwarded: Bool) { (forwarded ? chunks : chunksDropped).increment() }
}
