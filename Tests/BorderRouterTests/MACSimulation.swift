import BorderRouter
import IEEE802154
import TestSupport
import Testing
import Wire

/// A device of a simulated PAN: it joins, and hears only for a moment after it has asked for its frames if it sleeps.
struct SimulatedNode {
  enum Phase {
    case idle
    /// It has asked to join.
    case requested
    /// Its request has arrived; it asks for the answer next.
    case waiting
    /// It has asked for the answer.
    case asked
    case joined
  }

  let device: ExtendedAddress
  let sleeps: Bool
  let key: LinkKey?
  var radio: SoftwareRadio
  var phase = Phase.idle
  /// When it does something by itself next.
  var wakes: Instant
  /// Until when it hears.
  var hearsUntil = Instant(seconds: 0)
  /// Ids of the frames that came, copies left out.
  var received: [UInt64] = []
  var emptyFrames = 0
  private var replays = ReplayGuard()
  private var lastNumber: UInt8?
  private var counter: UInt32 = 0
  private var number: UInt8

  init(_ number: UInt64, sleeps: Bool, key: LinkKey?, starts: Instant) {
    device = .node(number)
    self.sleeps = sleeps
    self.key = key
    wakes = starts
    self.number = UInt8(truncatingIfNeeded: number &* 37)
    radio = SoftwareRadio(settings: RadioSettings(channel: 15, panID: Coordinator.pan, extendedAddress: device))
  }

  func hears(at now: Instant) -> Bool { !sleeps && phase != .idle || now <= hearsUntil || radio.isTransmitting }

  private mutating func send(_ command: MACCommand, now: Instant) throws {
    guard !radio.isTransmitting else { return }
    let source = radio.settings.shortAddress.map { MACAddress.short($0) } ?? .extended(device)
    number &+= 1
    var header = MACHeader(
      type: .command, sequenceNumber: number, destinationPAN: Coordinator.pan, destination: .short(Coordinator.short),
      source: source, acknowledgmentRequested: true, panIdentifierCompressed: true)
    var frame = MACFrame(header: header, payload: try command.encoded())
    if let key {
      header.security = AuxiliarySecurityHeader(level: .encMIC32, keyIdentifier: .index(1), frameCounter: counter)
      header.control.isSecured = true
      frame.header = header
      counter += 1
      frame = try FrameSecurity.secure(frame, key: key, source: device)
    }
    _ = radio.transmit(try frame.encoded(withFCS: false), now: now)
  }

  /// What it does when its time has come.
  mutating func wake(now: Instant) throws {
    switch phase {
    case .idle, .requested, .asked:
      phase = .requested
      try send(.associationRequest(sleeps ? [.allocateAddress] : [.allocateAddress, .receiverOnWhenIdle]), now: now)
      wakes = now.advanced(by: .seconds(2))
    case .waiting:
      // If it gets no answer, it begins anew.
      try send(.dataRequest, now: now)
      phase = .asked
      wakes = now.advanced(by: .seconds(2))
    case .joined:
      try send(.dataRequest, now: now)
      wakes = now.advanced(by: .milliseconds(700))
    }
  }

  mutating func finished(_ outcome: TransmitOutcome, now: Instant) {
    guard case .acknowledged(let framePending) = outcome else { return }
    if phase != .requested, framePending { hearsUntil = now.advanced(by: .milliseconds(300)) }
    if phase == .requested {
      phase = .waiting
      wakes = now.advanced(by: .milliseconds(500))
    }
  }

  mutating func receive(_ captured: CapturedFrame) throws {
    let bytes = captured.bytes
    let now = captured.metadata.timestamp
    let view = try MACFrameView(bytes.rawSpan, metadata: captured.metadata)
    var payload = view.payload.array()
    if let key, view.header.control.type != .beacon {
      let psdu = bytes.rawSpan.extracting(droppingLast: FCS.length)
      payload = try FrameSecurity.unsecure(view, bytes: psdu, key: key, source: Coordinator.extended)
      let security = try #require(view.header.security)
      do throws(ParseError) {
        try replays.accept(security.frameCounter ?? .max, from: Coordinator.extended, key: security.keyIdentifier)
      } catch { return }
    }
    let isCopy = view.header.sequenceNumber == lastNumber && !view.header.destination.isBroadcast
    if !view.header.destination.isBroadcast { lastNumber = view.header.sequenceNumber }
    switch view.header.control.type {
    case .command:
      guard case .associationResponse(let short, 0) = try MACCommand(parsing: payload) else { return }
      radio.settings.shortAddress = short
      phase = .joined
      wakes = now.advanced(by: sleeps ? .milliseconds(700) : .seconds(1_000_000))
    case .data where payload.isEmpty: emptyFrames += 1
    case .data:
      let id = payload.enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << (8 * UInt64($1.offset)) }
      if !isCopy { received.append(id) }
      if view.header.control.isFramePending { wakes = now.advanced(by: .milliseconds(5)) }
    default: break
    }
    // It has what it waited for.
    hearsUntil = now.advanced(by: .milliseconds(2))
  }
}

/// A PAN in which a coordinator and its devices all have software radios, over a medium that loses frames.
final class SimulatedPAN {
  private struct Arrival {
    var at: Instant
    /// The index of the sender; -1 for the coordinator.
    var sender: Int
    var psdu: [UInt8]
  }

  let coordinator: Coordinator
  private(set) var radio: SoftwareRadio
  private(set) var nodes: [SimulatedNode] = []
  private var arrivals: [Arrival] = []
  private var random: SeededGenerator
  private let keys: KeyStore
  /// One of so many is lost; 0 for none.
  var lossOneIn: Int
  /// Failures of the coordinator's frames.
  private(set) var failures = 0

  init(nodes count: UInt64, seed: UInt64, lossOneIn: Int, isSecured: Bool, capabilities: RadioCapabilities) throws {
    random = SeededGenerator(seed: seed)
    self.lossOneIn = lossOneIn
    keys = try MACSecurityTests.keys()
    coordinator = Coordinator(
      capabilities, security: isSecured ? MACSecurityTests.security() : nil, keys: keys, seed: seed)
    var configuration = SoftwareRadioConfiguration()
    configuration.isPANCoordinator = true
    radio = SoftwareRadio(settings: coordinator.engine.configuration.radio, configuration: configuration)
    let key = isSecured ? LinkKey([UInt8](repeating: 1, count: 16)) : nil
    for number in 1...count {
      let start = coordinator.now.advanced(by: .milliseconds(Int.random(in: 0..<2_000, using: &random)))
      nodes.append(SimulatedNode(number, sleeps: number % 3 != 0, key: key, starts: start))
    }
    coordinator.act { $0.permitsJoining = true }
  }

  /// Lets time pass, and everything happen that does.
  func run(for duration: Duration) throws {
    let end = coordinator.now.advanced(by: duration)
    while true {
      try exchange()
      var times = arrivals.map(\.at) + nodes.map(\.wakes) + nodes.compactMap(\.radio.nextTimeout)
      times += [radio.nextTimeout, coordinator.nextTimeout].compactMap { $0 }
      guard let next = times.min(), next <= end else { break }
      coordinator.now = max(coordinator.now, next)
      try happen(at: coordinator.now)
    }
    coordinator.now = end
  }

  private func happen(at now: Instant) throws {
    let due = arrivals.filter { $0.at <= now }
    arrivals.removeAll { $0.at <= now }
    for arrival in due {
      let metadata = FrameMetadata(timestamp: now, fcsPresent: true)
      if arrival.sender >= 0, !isLost() { radio.receive(arrival.psdu.rawSpan, metadata: metadata) }
      for index in nodes.indices where index != arrival.sender && nodes[index].hears(at: now) && !isLost() {
        nodes[index].radio.receive(arrival.psdu.rawSpan, metadata: metadata)
      }
      try exchange()
    }
    radio.timeout(at: now)
    if coordinator.nextTimeout.map({ $0 <= now }) ?? false { coordinator.advance(.zero) }
    for index in nodes.indices {
      nodes[index].radio.timeout(at: now)
      if nodes[index].wakes <= now { try nodes[index].wake(now: now) }
    }
  }

  private var knowsSourceMatch: Bool { coordinator.engine.configuration.capabilities.contains(.sourceMatch) }
  /// What a radio answers that tells everybody that a frame waits.
  private var everybody: SourceMatch {
    SourceMatch(short: Set(nodes.compactMap(\.radio.settings.shortAddress)), extended: Set(nodes.map(\.device)))
  }

  private func isLost() -> Bool { lossOneIn > 0 && random.oneIn(lossOneIn) }

  private func put(_ psdu: [UInt8], from sender: Int) {
    arrivals.append(Arrival(at: coordinator.now.advanced(by: .milliseconds(1)), sender: sender, psdu: psdu))
  }

  /// Carries out what all of them want, until they want nothing.
  private func exchange() throws {
    var isBusy = true
    while isBusy {
      isBusy = false
      radio.sourceMatch = knowsSourceMatch ? coordinator.match : everybody
      for action in radio.takeActions() {
        isBusy = true
        switch action {
        case .send(let psdu): put(psdu, from: -1)
        case .deliver(let frame): try hand(frame)
        case .finished(let outcome):
          if !outcome.isSuccess { failures += 1 }
          coordinator.transmitted(outcome)
        case .dropped: break
        }
      }
      for index in nodes.indices {
        for action in nodes[index].radio.takeActions() {
          isBusy = true
          switch action {
          case .send(let psdu): put(psdu, from: index)
          case .deliver(let frame): try nodes[index].receive(frame)
          case .finished(let outcome): nodes[index].finished(outcome, now: coordinator.now)
          case .dropped: break
          }
        }
      }
      // What is on the air is over for the coordinator by now, if it is for the radio.
      if !radio.isTransmitting, let psdu = coordinator.onAir, radio.transmit(psdu, now: coordinator.now) {
        isBusy = true
      }
    }
  }

  /// Hands a command to the coordinator, as the layer does that decodes.
  private func hand(_ captured: CapturedFrame) throws {
    let bytes = captured.bytes
    let view = try MACFrameView(bytes.rawSpan, metadata: captured.metadata)
    let header = view.header
    guard header.control.type == .command else { return }
    var payload = view.payload.array()
    if let security = header.security {
      var source = ExtendedAddress(0)
      switch header.source {
      case .extended(let address): source = address
      case .short(let short): source = try #require(node(with: short))
      case .absent: break
      }
      payload = try FrameSecurity.unsecure(
        view, bytes: bytes.rawSpan.extracting(droppingLast: FCS.length), key: keys.key(for: security.keyIdentifier),
        source: source)
    }
    let command = try MACCommand(parsing: payload)
    coordinator.act {
      $0.receive(command, header: header, isSecured: header.security != nil, now: self.coordinator.now)
    }
  }

  private func node(with short: ShortAddress) -> ExtendedAddress? {
    nodes.first { $0.radio.settings.shortAddress == short }?.device
  }
}
