import CoAP
import IEEE802154
import Wire

/// How a sleeping node fetches its frames (IEEE 802.15.4-2020, 6.7.3).
struct NodePolling: Sendable {
  /// When the next data request goes out.
  var due: Instant?
  /// A data request goes out as soon as the radio is free.
  var isWanted = false
  /// Until then the receiver is on.
  var listenUntil: Instant?
  /// The coordinator said that a frame waits, and it has not come.
  var isFrameKnown = false
  /// Until then the node asks often.
  var lingerUntil: Instant?
  /// Data requests in a row that nobody acknowledged: who is not there is asked less often.
  var failures = 0
}

extension NodeStack {
  /// Whether something is to come from the router.
  private func isExpecting(at now: Instant) -> Bool {
    join.isWaiting || router == nil || solicitation.attempts > 0 || polling.isFrameKnown
      || coap.openState.operations > 0 || addresses.contains { $0.attempts > 0 }
      || (polling.lingerUntil.map { $0 > now } ?? false)
  }

  /// Something was exchanged: there may be more.
  mutating func linger(now: Instant) {
    guard let sleep = configuration.sleep else { return }
    polling.lingerUntil = now.advanced(by: sleep.lingering)
  }

  /// An acknowledgment came: of a data request, or of another frame.
  mutating func noteAcknowledgment(framePending: Bool, ofDataRequest: Bool, now: Instant) {
    guard let sleep = configuration.sleep else { return }
    polling.failures = 0
    polling.isFrameKnown = framePending
    guard framePending else { return }
    if ofDataRequest {
      polling.listenUntil = now.advanced(by: sleep.listeningTime)
    } else {
      polling.isWanted = true
    }
  }

  /// A frame came from the coordinator; its header says whether more wait.
  mutating func noteFrame(framePending: Bool, now: Instant) {
    guard configuration.sleep != nil else { return }
    polling.isFrameKnown = framePending
    polling.listenUntil = framePending ? polling.listenUntil : nil
    if framePending { polling.isWanted = true }
  }

  /// Says when to ask next.
  mutating func schedulePolling(now: Instant) {
    guard let interval = pollInterval(at: now) else {
      polling.due = nil
      polling.isWanted = false
      return
    }
    if let due = polling.due, due <= now {
      polling.isWanted = true
      polling.due = nil
    }
    guard !polling.isWanted, !mac.isPolling else { return }
    let next = now.advanced(by: interval)
    polling.due = min(polling.due ?? next, next)
  }

  private static var maximumDoublings: Int { 5 }

  /// Between data requests; `nil` while the node needs none.
  private func pollInterval(at now: Instant) -> Duration? {
    guard !join.isScanning else { return nil }
    // The answer to an association request waits to be fetched, also for nodes that listen all the time.
    if join.isWaiting { return NodeJoining.responseWait }
    guard let sleep = configuration.sleep else { return nil }
    guard isExpecting(at: now) else { return sleep.pollInterval }
    return min(sleep.pollInterval, sleep.expectingInterval * (1 << min(polling.failures, Self.maximumDoublings)))
  }

  /// A data request, if one is to go out. Without a known coordinator it has no destination, which stands for the PAN's.
  mutating func takeDataRequest() -> MACHeader? {
    guard polling.isWanted, !mac.isBusy else { return nil }
    polling.isWanted = false
    let coordinator = join.coordinator ?? router?.radio ?? .absent
    // The response to an association request waits under the EUI-64.
    let source = join.isWaiting ? .extended(configuration.extendedAddress) : ownRadio
    guard coordinator != .absent else {
      return MACHeader(
        type: .command, sequenceNumber: 0, sourcePAN: configuration.panID, source: source, acknowledgmentRequested: true
      )
    }
    return MACHeader(
      type: .command, sequenceNumber: 0, destinationPAN: configuration.panID, destination: coordinator, source: source,
      acknowledgmentRequested: true, panIdentifierCompressed: true)
  }

  /// The address that the node sends from.
  var ownRadio: MACAddress {
    shortAddress.map { .short($0) } ?? .extended(configuration.extendedAddress)
  }
}
