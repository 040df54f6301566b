import BorderRouter
import IEEE802154
import TestSupport
import Testing
import Wire

/// Whatever comes in whatever order, the rules are kept.
@Suite struct MACPropertyTests {
  /// A coordinator that anything may happen to, with what must hold.
  final class Trial {
    let coordinator: Coordinator
    var random: SeededGenerator
    let isSecured: Bool
    private let bounds: (queued: Int, queuedBytes: Int, indirect: Int, indirectBytes: Int)
    private var nextID: UInt64 = 0
    /// What was sent: to whom, how urgent.
    private var sent: [UInt64: (destination: MACAddress, priority: FramePriority)] = [:]
    private var tried: Set<UInt64> = []
    private var removed: Set<MACAddress> = []
    /// The last id that was tried, per destination and priority.
    private var last: [MACAddress: [FramePriority: UInt64]] = [:]
    private var highestCounter: UInt32?
    private var psdus: Set<[UInt8]> = []
    private var logged = 0
    private var current: UInt64?

    init(seed: UInt64) throws {
      random = SeededGenerator(seed: seed)
      let capabilities: [RadioCapabilities] = [
        Coordinator.hardware, [.acknowledges, .retransmits, .reportsAcknowledgment], [.acknowledges],
        [.acknowledges, .sourceMatch],
      ]
      isSecured = seed % 2 == 0
      bounds = (12, 600, 20, 900)
      let (queued, queuedBytes, indirect, indirectBytes) = bounds
      let keys = try MACSecurityTests.keys()
      coordinator = Coordinator(
        capabilities[Int(seed / 2) % capabilities.count], security: isSecured ? MACSecurityTests.security() : nil,
        keys: keys, seed: seed
      ) {
        $0.maximumQueuedFrames = queued
        $0.maximumQueuedBytes = queuedBytes
        $0.maximumQueuedFramesPerDestination = 5
        $0.maximumIndirectFrames = indirect
        $0.maximumIndirectBytes = indirectBytes
        $0.maximumIndirectFramesPerDevice = 6
        $0.maximumLearntSleepers = 3
        $0.maximumDevices = 4
        $0.maximumJoining = 3
        $0.transactionPersistence = .seconds(3)
        $0.queueTime = .seconds(2)
        $0.joiningPersistence = .seconds(1)
        $0.transmitTime = .seconds(1)
      }
      coordinator.act { $0.permitsJoining = true }
    }

    private func device() -> MACAddress {
      let number = UInt64.random(in: 1...6, using: &random)
      if random.oneIn(3) { return .short(ShortAddress(UInt16(number))) }
      return .node(number)
    }

    private func outcome() -> TransmitOutcome {
      switch Int.random(in: 0..<8, using: &random) {
      case 0: .noAcknowledgment
      case 1: .channelAccessFailure
      case 2: .failed
      case 3: .sent
      default: .acknowledged(framePending: random.oneIn(2))
      }
    }

    /// Something happens.
    func step() throws {
      switch Int.random(in: 0..<24, using: &random) {
      case 0..<7: send()
      case 7..<12: if coordinator.onAir != nil { coordinator.transmitted(outcome()) }
      case 12..<16:
        let framePending: [Bool?] = [nil, true, false]
        coordinator.poll(
          device(), isSecured: isSecured && !random.oneIn(8),
          framePending: framePending.randomElement(using: &random) ?? nil)
      case 16: coordinator.advance(.milliseconds(Int.random(in: 0..<1_500, using: &random)))
      case 17: if coordinator.nextTimeout != nil { try coordinator.timeout() }
      case 18:
        let (device, isSleepy) = (device(), Bool?.some(random.oneIn(2)))
        coordinator.act { $0.setSleepy(device, self.random.oneIn(3) ? nil : isSleepy, now: self.coordinator.now) }
      case 19:
        var capabilities = DeviceCapabilities(rawValue: UInt8.random(in: 0...255, using: &random))
        if random.oneIn(2) { capabilities.insert(.allocateAddress) }
        coordinator.receive(
          .associationRequest(capabilities), from: .node(UInt64.random(in: 1...6, using: &random)), isSecured: isSecured
        )
      case 20:
        coordinator.receive(
          random.oneIn(2) ? .orphanNotification : .disassociationNotification(reason: 2), from: device(),
          isSecured: isSecured && !random.oneIn(4))
      case 21: MACBeaconTests.scan(coordinator)
      case 22: restart()
      default:
        let device = UInt64.random(in: 1...6, using: &random)
        if random.oneIn(3) { coordinator.act { $0.remove(.node(device), now: self.coordinator.now) } }
      }
      try check()
    }

    private func send() {
      let destination = random.oneIn(8) ? .short(.broadcast) : device()
      let priority: FramePriority = random.oneIn(4) ? .high : .normal
      sent[nextID] = (destination, priority)
      coordinator.send(
        nextID, to: destination, priority: priority, acknowledgmentRequested: !random.oneIn(4))
      nextID += 1
    }

    private func restart() {
      guard random.oneIn(3) else { return }
      coordinator.restartRadio()
    }

    /// What must hold after every step.
    private func check() throws {
      let statistics = coordinator.engine.statistics
      // One more is at the radio.
      #expect(statistics.queued <= bounds.queued + 1 && statistics.queuedBytes <= bounds.queuedBytes + 127)
      #expect(statistics.indirectPending <= bounds.indirect && statistics.indirectBytes <= bounds.indirectBytes)
      #expect((statistics.queued == 0) == (statistics.queuedBytes == 0))
      #expect((statistics.indirectPending == 0) == (statistics.indirectBytes == 0))
      #expect(coordinator.finishedTwice.isEmpty)
      if coordinator.engine.configuration.capabilities.contains(.sourceMatch) {
        #expect(coordinator.match.isEmpty == (statistics.indirectPending == 0))
      }
      let associations = coordinator.engine.associations
      #expect(associations.count <= 4)
      let shorts = associations.compactMap(\.short)
      #expect(Set(shorts).count == shorts.count)
      for action in coordinator.log[logged...] { try check(action) }
      logged = coordinator.log.count
    }

    private func check(_ action: MACAction) throws {
      switch action {
      case .transmit(let psdu): try check(psdu)
      case .finished(let id, let outcome):
        // Nothing is reported that was not sent, and nothing arrives that was not tried.
        #expect(sent[id] != nil)
        switch outcome {
        case .delivered, .sent, .noAcknowledgment, .channelAccessFailure, .failed: #expect(tried.contains(id))
        case .expired, .dropped: break
        }
      default: break
      }
    }

    private func check(_ psdu: [UInt8]) throws {
      let isNew = psdus.insert(psdu).inserted
      let sight = try Sight(psdu)
      var payload = sight.payload
      if sight.header.security != nil {
        let frame = try MACSecurityTests.open(psdu)
        payload = frame.payload
        let counter = try #require(frame.security.frameCounter)
        // A counter comes again in the same frame only.
        if isNew {
          #expect(highestCounter.map { counter > $0 } ?? true)
          highestCounter = counter
        }
        #expect(counter < coordinator.reservation ?? 0)
      }
      guard sight.header.control.type == .data, payload.count == 8 else { return }
      let id = payload.enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << (8 * UInt64($1.offset)) }
      let (destination, priority) = try #require(sent[id])
      #expect(sight.header.destination == destination)
      #expect((sight.header.security != nil) == isSecured)
      // Tries of what was sent first come first.
      if tried.insert(id).inserted {
        if let before = last[destination]?[priority] { #expect(before < id, "\(destination)") }
        last[destination, default: [:]][priority] = id
      }
    }

    /// Lets everything come to its end.
    func end() throws {
      while coordinator.nextTimeout != nil {
        let before = coordinator.now
        try coordinator.timeout()
        if coordinator.onAir != nil { coordinator.transmitted(outcome()) }
        try check()
        #expect(coordinator.nextTimeout.map { $0 > before } ?? true)
      }
      #expect(Set(coordinator.outcomes.keys) == Set(sent.keys))
      #expect(coordinator.engine.statistics.queued == 0 && coordinator.engine.statistics.indirectPending == 0)
      #expect(coordinator.match.isEmpty && coordinator.onAir == nil)
    }
  }

  @Test("One frame at the radio, order per device, bounds, every frame finished once", arguments: UInt64(0)..<32)
  func anything(seed: UInt64) throws {
    let trial = try Trial(seed: seed)
    for _ in 0..<1_500 { try trial.step() }
    try trial.end()
  }
}
