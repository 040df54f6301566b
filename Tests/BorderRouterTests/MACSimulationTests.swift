import BorderRouter
import IEEE802154
import Testing
import Wire

/// The coordinator's MAC and software radios on both ends.
@Suite struct MACSimulationTests {
  /// Lets devices join, sends each of them `frames`, and waits until all is over.
  static func simulate(
    seed: UInt64, lossOneIn: Int, isSecured: Bool, capabilities: RadioCapabilities = Coordinator.hardware,
    frames: UInt64
  ) throws -> SimulatedPAN {
    let pan = try SimulatedPAN(
      nodes: 6, seed: seed, lossOneIn: lossOneIn, isSecured: isSecured, capabilities: capabilities)
    try pan.run(for: .seconds(30))
    for id in 0..<frames {
      for node in pan.nodes {
        let number = node.device.value & 0xff
        let short = node.radio.settings.shortAddress.map { MACAddress.short($0) } ?? .extended(node.device)
        pan.coordinator.send(number << 32 | id, to: id % 2 == 0 ? short : .extended(node.device))
      }
      if id % 5 == 4 { pan.coordinator.send(0xff << 32 | id, to: .short(.broadcast)) }
      try pan.run(for: .seconds(2))
    }
    try pan.run(for: .seconds(32))
    return pan
  }

  static func expectAllJoined(_ pan: SimulatedPAN) {
    let associations = pan.coordinator.engine.associations
    #expect(associations.map(\.device) == pan.nodes.map(\.device))
    #expect(associations.map(\.short) == pan.nodes.map(\.radio.settings.shortAddress))
    for node in pan.nodes { #expect(pan.coordinator.isSleepy(.extended(node.device)) == node.sleeps) }
  }

  @Test("Without loss all join and get everything, in order, once", arguments: [false, true])
  func lossless(isSecured: Bool) throws {
    let pan = try Self.simulate(seed: 3, lossOneIn: 0, isSecured: isSecured, frames: 20)
    Self.expectAllJoined(pan)
    for node in pan.nodes {
      let number = node.device.value & 0xff
      let own = node.received.filter { $0 >> 32 == number }
      #expect(own == (0..<20).map { number << 32 | $0 })
      // Who sleeps misses what is said to all.
      if !node.sleeps { #expect(node.received.count == 24) }
      #expect(node.emptyFrames == 0)
    }
    #expect(pan.failures == 0 && pan.coordinator.engine.drops.total == 0)
    #expect(pan.coordinator.outcomes.count == 124 && pan.coordinator.outcomes.values.allSatisfy(\.isSuccess))
  }

  @Test("Over a bad medium, what is reported as delivered has arrived, in order", arguments: UInt64(0)..<8)
  func lossy(seed: UInt64) throws {
    let pan = try Self.simulate(seed: seed, lossOneIn: 4, isSecured: seed % 2 == 0, frames: 25)
    Self.expectAllJoined(pan)
    var delivered = 0
    for node in pan.nodes {
      let number = node.device.value & 0xff
      let own = node.received.filter { $0 >> 32 == number }
      #expect(own == own.sorted() && Set(own).count == own.count)
      for id in (UInt64(0)..<25).map({ number << 32 | $0 }) where pan.coordinator.outcomes[id] == .delivered {
        #expect(own.contains(id), "\(id & 0xff) of \(number)")
        delivered += 1
      }
    }
    #expect(pan.coordinator.outcomes.count == 155)
    // Three in four get through, of frames and of acknowledgments, and there are four tries at least.
    #expect(delivered > 120 && pan.failures > 0)
    #expect(pan.coordinator.engine.statistics.indirectPending == 0 && pan.coordinator.onAir == nil)
  }

  @Test("Without source match, devices are served all the same, and told when nothing waits")
  func withoutSourceMatch() throws {
    let capabilities: RadioCapabilities = [.acknowledges, .retransmits, .reportsAcknowledgment]
    let pan = try Self.simulate(seed: 5, lossOneIn: 0, isSecured: false, capabilities: capabilities, frames: 5)
    // This radio says that a frame waits whenever it is asked.
    Self.expectAllJoined(pan)
    for node in pan.nodes {
      let number = node.device.value & 0xff
      #expect(node.received.filter { $0 >> 32 == number } == (0..<5).map { number << 32 | $0 })
      #expect((node.emptyFrames > 0) == node.sleeps)
    }
    #expect(pan.coordinator.match.isEmpty && pan.failures == 0)
  }
}
