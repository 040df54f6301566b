import BorderRouter
import IEEE802154
import TestSupport
import Testing
import Wire

/// How devices join and leave (IEEE 802.15.4-2020, 6.4).
@Suite struct MACAssociationTests {
  static func open(_ change: (inout MACConfiguration) -> Void = { _ in }) -> Coordinator {
    let coordinator = Coordinator(Coordinator.hardware, change)
    coordinator.act { $0.permitsJoining = true }
    return coordinator
  }

  @Test("A device gets its short address when it asks for its answer, and has joined when that has arrived")
  func join() throws {
    let coordinator = Self.open { $0.shortAddresses = 0x0b00...0x0bff }
    coordinator.receive(.associationRequest([.allocateAddress, .receiverOnWhenIdle]), from: .node(1))
    #expect(coordinator.onAir == nil)
    #expect(coordinator.match.extended == [.node(1)])
    coordinator.poll(.node(1))
    let answer = try coordinator.onAirSight()
    #expect(try answer.command() == .associationResponse(ShortAddress(0x0b00), status: 0))
    #expect(answer.header.destination == .node(1) && answer.header.source == .extended(Coordinator.extended))
    #expect(answer.header.control.isAcknowledgmentRequested && answer.header.control.isPANIdentifierCompressed)
    #expect(coordinator.engine.associations.isEmpty)
    coordinator.transmitted()
    #expect(coordinator.log.contains(.associated(.node(1), ShortAddress(0x0b00))))
    let association = Association(
      device: .node(1), short: ShortAddress(0x0b00), capabilities: [.allocateAddress, .receiverOnWhenIdle])
    #expect(coordinator.engine.associations == [association])
    #expect(coordinator.engine.statistics.associations == 1)
    #expect(coordinator.match.isEmpty && coordinator.nextTimeout == nil)
    // It asked because it joined, not because it sleeps.
    #expect(!coordinator.isSleepy(.node(1)))
  }

  @Test("Whether a device sleeps is what it says when it joins, by either of its addresses")
  func sleepiness() throws {
    let coordinator = Self.open()
    let sleeper = try coordinator.join(.node(1)).short
    let listener = try coordinator.join(.node(2), [.allocateAddress, .receiverOnWhenIdle]).short
    #expect(coordinator.isSleepy(.node(1)) && coordinator.isSleepy(.short(sleeper)))
    #expect(!coordinator.isSleepy(.node(2)) && !coordinator.isSleepy(.short(listener)))
    coordinator.poll(.short(listener))
    #expect(!coordinator.isSleepy(.short(listener)))
    coordinator.send(1, to: .short(sleeper))
    #expect(coordinator.onAir == nil)
    coordinator.poll(.short(sleeper))
    #expect(coordinator.drain().count == 1)
  }

  @Test("The same device gets the same address; others get others; the coordinator's own is nobody's")
  func sameAddress() throws {
    let coordinator = Self.open { $0.shortAddresses = 0x0000...0x0020 }
    var given: [ExtendedAddress: ShortAddress] = [:]
    for node in UInt64(0)..<16 { given[.node(node)] = try coordinator.join(.node(node)).short }
    #expect(Set(given.values).count == 16 && !given.values.contains(Coordinator.short))
    coordinator.act { $0.permitsJoining = false }
    for (device, short) in given { #expect(try coordinator.join(device) == (short, 0)) }
    // After a restart too.
    let next = Coordinator(associations: coordinator.engine.associations)
    #expect(next.engine.associations == coordinator.engine.associations)
    for (device, short) in given { #expect(try next.join(device) == (short, 0)) }
    next.act { $0.permitsJoining = true }
    #expect(try !given.values.contains(next.join(.node(99)).short))
  }

  @Test("A device that wants no short address gets 0xfffe, and has joined all the same")
  func withoutShortAddress() throws {
    let coordinator = Self.open()
    #expect(try coordinator.join(.node(1), []) == (.unassigned, 0))
    #expect(coordinator.engine.associations.map(\.short) == [nil])
    #expect(coordinator.log.contains(.associated(.node(1), .unassigned)))
    // Later it wants one.
    #expect(try coordinator.join(.node(1)).short == ShortAddress(1))
    #expect(coordinator.engine.associations.map(\.short) == [ShortAddress(1)])
  }

  @Test("Who is not to join is told so: joining is closed, it is not on the list, the PAN is full")
  func refusals() throws {
    let coordinator = Coordinator { $0.maximumDevices = 2 }
    #expect(try coordinator.join(.node(1)) == (.broadcast, 2))
    coordinator.act {
      $0.permitsJoining = true
      $0.admitted = [.node(1), .node(2), .node(3)]
    }
    #expect(try coordinator.join(.node(4)) == (.broadcast, 2))
    #expect(try coordinator.join(.node(1)).status == 0)
    #expect(try coordinator.join(.node(2)).status == 0)
    #expect(try coordinator.join(.node(3)) == (.broadcast, 1))
    #expect(coordinator.engine.statistics.associationsRefused == 3)
    #expect(coordinator.engine.associations.map(\.device) == [.node(1), .node(2)])
    // Taken off the list, a device that has joined may not come again.
    coordinator.act { $0.admitted = [.node(3)] }
    #expect(try coordinator.join(.node(1)).status == 2)
    coordinator.act { $0.remove(.node(1), now: coordinator.now) }
    #expect(try coordinator.join(.node(3)).status == 0)
    // No addresses left is no room either.
    let narrow = Self.open { $0.shortAddresses = 0x0000...0x0001 }
    #expect(try narrow.join(.node(1)).short == ShortAddress(1))
    #expect(try narrow.join(.node(2)) == (.broadcast, 1))
    #expect(try narrow.join(.node(2), []).status == 0)
  }

  @Test("Who does not ask for its answer has not joined, and its address is free again")
  func unfinished() throws {
    let coordinator = Self.open { $0.shortAddresses = 1...1 }
    coordinator.receive(.associationRequest([.allocateAddress]), from: .node(1))
    coordinator.poll(.node(1))
    coordinator.transmitted(.channelAccessFailure)
    #expect(try coordinator.join(.node(2)).status == 1)
    #expect(coordinator.nextTimeout == coordinator.now.advanced(by: .microseconds(7_680_000)))
    try coordinator.timeout()
    #expect(coordinator.engine.associations.isEmpty && coordinator.match.isEmpty)
    #expect(try coordinator.join(.node(2)) == (ShortAddress(1), 0))
  }

  @Test("If an answer is not acknowledged, its device is presumed to have it, until somebody else needs the place")
  func presumed() throws {
    let signs: [((Coordinator) -> Void)?] = [
      nil, { $0.poll(.short(ShortAddress(1))) },
      { coordinator in coordinator.act { $0.heard(from: .short(ShortAddress(1))) } },
    ]
    for sign in signs {
      let isHeardFrom = sign != nil
      let coordinator = Self.open {
        $0.shortAddresses = 1...1
        $0.maximumDevices = 1
      }
      coordinator.receive(.associationRequest([.allocateAddress]), from: .node(1))
      coordinator.poll(.node(1))
      coordinator.transmitted(.noAcknowledgment)
      #expect(coordinator.engine.associations.map(\.device) == [.node(1)])
      #expect(coordinator.log.contains(.associated(.node(1), ShortAddress(1))))
      try coordinator.timeout()
      #expect(coordinator.engine.associations.map(\.device) == [.node(1)] && coordinator.isSleepy(.node(1)))
      sign?(coordinator)
      #expect(try coordinator.join(.node(2)).status == (isHeardFrom ? 1 : 0))
      #expect(coordinator.engine.associations.map(\.device) == [.node(isHeardFrom ? 1 : 2)])
      #expect(coordinator.log.contains(.disassociated(.node(1))) == !isHeardFrom)
      #expect(coordinator.engine.statistics.associations == (isHeardFrom ? 1 : 2))
    }
    // If the answer arrives after all, it is said once.
    let coordinator = Self.open()
    coordinator.receive(.associationRequest([.allocateAddress]), from: .node(1))
    for outcome in [TransmitOutcome.noAcknowledgment, .acknowledged(framePending: false)] {
      coordinator.poll(.node(1))
      coordinator.transmitted(outcome)
    }
    #expect(coordinator.log.count { $0 == .associated(.node(1), ShortAddress(1)) } == 1)
    #expect(coordinator.engine.statistics.indirectPending == 0)
  }

  @Test("A request that comes again has one answer, the last")
  func repeatedRequest() throws {
    let coordinator = Self.open()
    for _ in 0..<3 {
      coordinator.receive(.associationRequest([.allocateAddress]), from: .node(1))
      coordinator.advance(.seconds(4))
    }
    #expect(coordinator.engine.statistics.indirectPending == 1)
    coordinator.poll(.node(1))
    // While the answer is on the air, too.
    coordinator.receive(.associationRequest([.allocateAddress]), from: .node(1))
    coordinator.transmitted()
    #expect(coordinator.engine.statistics.associations == 1 && coordinator.onAir == nil)
    #expect(coordinator.engine.statistics.indirectPending == 0)
  }

  @Test("Fast association is answered at once")
  func fast() throws {
    let coordinator = Self.open()
    for _ in 0..<3 {
      coordinator.receive(.associationRequest([.allocateAddress, .fastAssociation]), from: .node(1))
    }
    let answer = try coordinator.sight()
    #expect(try answer.command() == .associationResponse(ShortAddress(1), status: 0x80))
    #expect(coordinator.onAir == nil && coordinator.engine.associations.count == 1)
    coordinator.receive(.associationRequest([.allocateAddress, .fastAssociation]), from: .node(2))
    coordinator.transmitted(.channelAccessFailure)
    for _ in 0..<3 {
      try coordinator.timeout()
      coordinator.transmitted(.channelAccessFailure)
    }
    #expect(coordinator.engine.associations.count == 1)
  }

  @Test("Frames that waited for a device while it was joining find it by its new address")
  func framesOfAJoiner() throws {
    let coordinator = Self.open()
    coordinator.act { $0.setSleepy(.short(ShortAddress(1)), true, now: coordinator.now) }
    coordinator.send(1, to: .short(ShortAddress(1)))
    #expect(try coordinator.join(.node(1)).short == ShortAddress(1))
    coordinator.send(2, to: .node(1))
    #expect(coordinator.match == SourceMatch(short: [ShortAddress(1)], extended: [.node(1)]))
    coordinator.poll(.node(1))
    coordinator.poll(.node(1))
    #expect(try coordinator.drain().ids() == [1, 2])
  }

  @Test("A device that joins again gets its answer before what waited for it")
  func rejoin() throws {
    let coordinator = Self.open()
    _ = try coordinator.join(.node(1))
    coordinator.send(1, to: .node(1))
    coordinator.poll(.node(1))
    coordinator.transmitted(.noAcknowledgment)
    #expect(try coordinator.join(.node(1)).status == 0)
    coordinator.poll(.node(1))
    #expect(try coordinator.drain().ids() == [1])
  }

  @Test("A device that leaves is forgotten with its frames")
  func disassociation() throws {
    let coordinator = Self.open()
    let short = try coordinator.join(.node(1)).short
    coordinator.send(1, to: .short(short))
    coordinator.send(2, to: .node(1))
    coordinator.poll(.node(1))
    coordinator.receive(.disassociationNotification(reason: 2), from: .node(1))
    #expect(coordinator.engine.associations.isEmpty)
    #expect(coordinator.log.contains(.disassociated(.node(1))))
    #expect(coordinator.match.isEmpty)
    #expect(coordinator.outcomes == [2: .dropped(.macDeviceUnknown)])
    coordinator.transmitted(.noAcknowledgment)
    #expect(coordinator.outcomes == [1: .noAcknowledgment, 2: .dropped(.macDeviceUnknown)])
    #expect(!coordinator.isSleepy(.node(1)) && !coordinator.isSleepy(.short(short)))
    coordinator.receive(.disassociationNotification(reason: 2), from: .node(1))
    #expect(coordinator.drops.last == .macDeviceUnknown)
    // A short address is not given away at once.
    #expect(try coordinator.join(.node(2)).short != short)
  }

  @Test("An answer that arrives at a device that was removed meanwhile changes nothing")
  func removedWhileJoining() throws {
    let coordinator = Self.open()
    coordinator.receive(.associationRequest([.allocateAddress]), from: .node(1))
    coordinator.poll(.node(1))
    coordinator.act { $0.remove(.node(1), now: coordinator.now) }
    coordinator.transmitted()
    #expect(coordinator.engine.associations.isEmpty)
    #expect(!coordinator.log.contains { if case .associated = $0 { true } else { false } })
  }

  @Test("Without an EUI-64, or to everybody, nobody can ask to join")
  func misaddressed() {
    let coordinator = Self.open()
    coordinator.receive(.associationRequest([]), from: .short(ShortAddress(3)))
    coordinator.receive(.associationRequest([]), from: .node(1), to: .short(.broadcast))
    #expect(coordinator.drops == [.macAddressingInvalid, .macAddressingInvalid])
    coordinator.receive(.associationResponse(ShortAddress(1), status: 0), from: .node(1))
    coordinator.receive(.gtsRequest(characteristics: 1), from: .node(1))
    coordinator.receive(.panIdentifierConflict, from: .node(1))
    #expect(coordinator.drops.suffix(3) == [.unsupported, .unsupported, .unsupported])
  }

  @Test("A flood of association requests is contained, and what others send goes on")
  func flood() throws {
    var random = SeededGenerator(seed: 7)
    let coordinator = Self.open { $0.maximumDevices = 100 }
    let short = try coordinator.join(.node(1)).short
    for attempt in UInt64(0)..<10_000 {
      coordinator.receive(.associationRequest([.allocateAddress]), from: .node(1_000 + attempt))
      #expect(coordinator.engine.statistics.indirectPending <= 33)
      // Some of them even ask for their answers.
      if random.oneIn(3) { coordinator.poll(.node(1_000 + attempt)) }
      if coordinator.onAir != nil { coordinator.transmitted(random.oneIn(2) ? .noAcknowledgment : .sent) }
      if attempt % 100 == 0 {
        coordinator.send(attempt, to: .short(short))
        coordinator.poll(.short(short))
        #expect(try coordinator.onAirSight().id == attempt)
        coordinator.transmitted()
      }
      coordinator.advance(.milliseconds(40))
    }
    #expect(coordinator.engine.associations.count == 100)
    #expect(Set(coordinator.engine.associations.map(\.short)).count == 100)
    #expect(coordinator.outcomes.count == 100 && coordinator.outcomes.values.allSatisfy { $0 == .delivered })
    #expect(coordinator.engine.drops[.macQueueFull] > 1_000)
    #expect(coordinator.engine.statistics.associationsRefused > 100)
    coordinator.advance(.seconds(8))
    #expect(coordinator.engine.statistics.indirectPending == 0)
  }

  @Test("Refusals leave half of the places to those that may join")
  func refusalsLeaveRoom() throws {
    let coordinator = Self.open()
    coordinator.act { $0.admitted = [.node(1)] }
    for node in UInt64(100)..<200 { coordinator.receive(.associationRequest([.allocateAddress]), from: .node(node)) }
    #expect(coordinator.engine.statistics.indirectPending == 16)
    #expect(try coordinator.join(.node(1)).status == 0)
  }
}
