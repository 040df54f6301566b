import BorderRouter
import IEEE802154
import Testing
import Wire

/// What a device learns that looks for a coordinator (IEEE 802.15.4-2020, 7.3.1 and 7.5).
@Suite struct MACBeaconTests {
  static func scan(_ coordinator: Coordinator, version: FrameVersion = .v2003) {
    coordinator.receive(.beaconRequest, from: .absent, to: .short(.broadcast), in: .broadcast, version: version)
  }

  @Test("A beacon request is answered by the beacon of a PAN without periodic ones")
  func beacon() throws {
    for permitsJoining in [false, true] {
      let coordinator = Coordinator { $0.beaconPayload = [0xca, 0xfe] }
      coordinator.act { $0.permitsJoining = permitsJoining }
      Self.scan(coordinator)
      let sent = try coordinator.sight(.sent)
      #expect(sent.header.control.type == .beacon && sent.header.control.version == .v2003)
      #expect(sent.header.sourcePAN == Coordinator.pan && sent.header.source == .short(Coordinator.short))
      #expect(sent.header.destination == .absent && !sent.header.control.isAcknowledgmentRequested)
      let beacon = try Beacon(parsing: sent.payload)
      #expect(beacon.superframe.beaconOrder == 15 && beacon.superframe.superframeOrder == 15)
      #expect(beacon.superframe.isPANCoordinator)
      #expect(beacon.superframe.permitsAssociation == permitsJoining)
      #expect(beacon.payload == [0xca, 0xfe] && beacon.slots.isEmpty && !beacon.permitsGTS)
      #expect(coordinator.engine.statistics.beacons == 1 && coordinator.outcomes.isEmpty)
    }
  }

  @Test("Without a short address the coordinator's EUI-64 is the beacon's source")
  func extendedSource() throws {
    for short in [nil, ShortAddress.unassigned] {
      let coordinator = Coordinator { $0.radio.shortAddress = short }
      Self.scan(coordinator)
      #expect(try coordinator.onAirSight().header.source == .extended(Coordinator.extended))
    }
  }

  @Test("Beacons have sequence numbers of their own")
  func sequenceNumbers() throws {
    let coordinator = Coordinator()
    coordinator.send(1, to: .node(1))
    let data = try #require(coordinator.sight().header.sequenceNumber)
    var beacons: [UInt8] = []
    for _ in 0..<3 {
      Self.scan(coordinator)
      beacons.append(try #require(coordinator.sight(.sent).header.sequenceNumber))
    }
    #expect(beacons[1] == beacons[0] &+ 1 && beacons[2] == beacons[1] &+ 1)
    coordinator.send(2, to: .node(1))
    #expect(try coordinator.sight().header.sequenceNumber == data &+ 1)
  }

  @Test("Beacons are limited in number")
  func rateLimit() {
    let coordinator = Coordinator()
    for _ in 0..<1_000 { Self.scan(coordinator) }
    #expect(coordinator.drain(.sent).count == 5)
    #expect(coordinator.engine.drops[.macRateLimited] == 995)
    coordinator.advance(.seconds(1))
    Self.scan(coordinator)
    #expect(coordinator.drain(.sent).count == 1)
  }

  @Test("Requests for enhanced beacons, and for those of other PANs, have no answer")
  func foreignRequests() {
    let coordinator = Coordinator()
    Self.scan(coordinator, version: .v2015)
    coordinator.receive(.beaconRequest, from: .absent, to: .short(.broadcast), in: PANIdentifier(1), version: .v2003)
    #expect(coordinator.drops == [.unsupported, .macNotForUs])
    #expect(coordinator.onAir == nil)
  }

  @Test("An orphan that has joined before is told where it is, at once")
  func realignment() throws {
    let device = Association(device: .node(1), short: ShortAddress(0x0b02), capabilities: [])
    for page in [UInt8(0), 2] {
      let coordinator = Coordinator(associations: [device]) { $0.radio.page = page }
      coordinator.receive(.orphanNotification, from: .node(1), to: .short(.broadcast), in: .broadcast)
      let sent = try coordinator.sight()
      #expect(
        try sent.command()
          == .coordinatorRealignment(
            pan: Coordinator.pan, coordinator: Coordinator.short, channel: 15, device: ShortAddress(0x0b02),
            page: page == 0 ? nil : page))
      #expect(sent.header.destinationPAN == .broadcast && sent.header.destination == .node(1))
      #expect(sent.header.sourcePAN == Coordinator.pan && sent.header.source == .extended(Coordinator.extended))
      #expect(sent.header.control.isAcknowledgmentRequested)
      coordinator.receive(.orphanNotification, from: .node(2), to: .short(.broadcast), in: .broadcast)
      #expect(coordinator.onAir == nil && coordinator.drops == [.macDeviceUnknown])
      for _ in 0..<100 {
        coordinator.receive(.orphanNotification, from: .node(1), to: .short(.broadcast), in: .broadcast)
      }
      #expect(coordinator.drain().count == 4)
    }
  }
}
