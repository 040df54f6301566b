import IEEE802154
import Wire

/// How a node joins by association (IEEE 802.15.4-2020, 6.4.1): it looks for the coordinator of its PAN, asks, and fetches the
/// answer.
struct NodeJoining: Sendable {
  enum Phase: Sendable, Equatable {
    /// The node does not associate, or has not begun.
    case none
    /// A beacon request is out.
    case scanning
    /// An association request is out.
    case asking
    case done
  }

  /// For how long beacons are waited for after a request.
  static let scanTime = Duration.seconds(1)
  /// For how long the answer is fetched (the coordinator keeps it for macTransactionPersistenceTime, 7.68 s).
  static let answerTime = Duration.seconds(6)
  /// Between an association request and the data request for its answer (macResponseWaitTime at 2.4 GHz: 492 ms).
  static let responseWait = Duration.milliseconds(500)
  /// The longest wait between two attempts.
  static let longestWait = Duration.seconds(60)

  private(set) var phase = Phase.none
  /// The coordinator that answered.
  var coordinator: MACAddress?
  /// When to go on.
  var due: Instant?
  private(set) var attempts = 0
  let isWanted: Bool

  init(_ configuration: NodeConfiguration) { isWanted = configuration.associates }

  /// Whether the receiver must be on for beacons.
  var isScanning: Bool { phase == .scanning }
  /// Whether an association response is to be fetched.
  var isWaiting: Bool { phase == .asking }

  mutating func begin(now: Instant) {
    guard isWanted else { return }
    phase = .scanning
    attempts = 0
    due = now
  }

  /// A beacon request went out.
  mutating func scanned(now: Instant) {
    attempts += 1
    let wait = min(Self.longestWait, Self.scanTime * (1 << min(attempts - 1, 8)))
    due = now.advanced(by: wait)
  }

  /// An association request went out.
  mutating func asked(now: Instant) {
    phase = .asking
    due = now.advanced(by: Self.answerTime)
  }

  /// The coordinator did not take the node in, or did not answer: looks for it again, after a while.
  mutating func failed(now: Instant) {
    phase = .scanning
    attempts += 1
    due = now.advanced(by: min(Self.longestWait, Self.scanTime * (1 << min(attempts, 8))))
  }

  mutating func finished() {
    phase = .done
    due = nil
  }
}

extension NodeStack {
  /// The time for an answer is over.
  mutating func continueJoining(now: Instant) {
    switch join.phase {
    case .none, .done: join.due = nil
    case .scanning:
      let request = MACHeader(
        type: .command, sequenceNumber: 0, destinationPAN: .broadcast, destination: .short(.broadcast))
      send(.beaconRequest, request)
      join.scanned(now: now)
    case .asking: join.failed(now: now)
    }
  }

  /// A beacon came: asks its sender, whether it permits joining or not, for it lets in again whom it knows.
  mutating func receive(_ beacon: Beacon, _ header: MACHeader, now: Instant) {
    guard join.isScanning, beacon.superframe.isPANCoordinator, header.effectiveSourcePAN == configuration.panID,
      header.source != .absent
    else { return }
    join.coordinator = header.source
    var capabilities: DeviceCapabilities = [.allocateAddress]
    if configuration.sleep == nil { capabilities.insert(.receiverOnWhenIdle) }
    let request = MACHeader(
      type: .command, sequenceNumber: 0, destinationPAN: configuration.panID, destination: header.source,
      sourcePAN: .broadcast, source: .extended(configuration.extendedAddress), acknowledgmentRequested: true)
    send(.associationRequest(capabilities), request)
    join.asked(now: now)
    polling.due = now.advanced(by: NodeJoining.responseWait)
  }

  mutating func receive(_ command: MACCommand, _ header: MACHeader, now: Instant) {
    guard case .associationResponse(let short, let status) = command else { return drop(.unsupported) }
    guard join.isWaiting, header.destination == .extended(configuration.extendedAddress) else { return }
    guard status == 0 || status == 0x80 else {
      events.append(.associationRefused(status))
      return join.failed(now: now)
    }
    join.finished()
    shortAddress = short == .unassigned ? nil : short
    events.append(.associated(shortAddress))
    solicit(now: now)
  }

  private mutating func send(_ command: MACCommand, _ header: MACHeader) {
    guard let payload = try? command.encoded(), mac.send([(header, payload)]) else { return drop(.macQueueFull) }
  }
}
