import BorderRouter
import IEEE802154
import Testing
import Wire

/// Frames that wait until their devices ask for them (IEEE 802.15.4-2020, 6.7.3).
@Suite struct MACIndirectTests {
  /// A coordinator with a device that sleeps, configured as such.
  static func sleeping(
    _ capabilities: RadioCapabilities = Coordinator.hardware, _ change: (inout MACConfiguration) -> Void = { _ in }
  ) -> Coordinator {
    let coordinator = Coordinator(capabilities, change)
    coordinator.act { $0.setSleepy(.node(1), true, now: coordinator.now) }
    return coordinator
  }

  @Test("Each data request releases one frame, which says whether more wait")
  func release() throws {
    let coordinator = Self.sleeping()
    for id in UInt64(0)..<3 { coordinator.send(id, to: .node(1)) }
    #expect(coordinator.onAir == nil && coordinator.engine.statistics.indirectPending == 3)
    for id in UInt64(0)..<3 {
      coordinator.poll(.node(1))
      let sent = try coordinator.sight()
      #expect(sent.id == id)
      #expect(sent.header.control.isFramePending == (id < 2))
      #expect(coordinator.outcomes.count == Int(id) + 1 && coordinator.outcomes[id] == .delivered)
      #expect(coordinator.onAir == nil)
    }
    #expect(coordinator.engine.statistics.polls == 3 && coordinator.engine.statistics.indirectPending == 0)
    #expect(coordinator.engine.statistics.indirectBytes == 0)
    #expect(coordinator.nextTimeout == nil)
  }

  @Test("The radio is told for whom frames wait, when that changes, by all addresses of a device")
  func sourceMatch() throws {
    let device = Association(device: .node(2), short: ShortAddress(0x22), capabilities: [])
    let coordinator = Coordinator(associations: [device])
    coordinator.act { $0.setSleepy(.short(ShortAddress(5)), true, now: coordinator.now) }
    coordinator.send(1, to: .node(2))
    #expect(coordinator.match == SourceMatch(short: [ShortAddress(0x22)], extended: [.node(2)]))
    coordinator.send(2, to: .short(ShortAddress(0x22)))
    coordinator.send(3, to: .short(ShortAddress(5)))
    let both = SourceMatch(short: [ShortAddress(0x22), ShortAddress(5)], extended: [.node(2)])
    #expect(coordinator.match == both)
    // Both of its addresses are one device.
    coordinator.poll(.short(ShortAddress(0x22)))
    #expect(coordinator.match == both)
    #expect(try coordinator.sight().header.control.isFramePending)
    coordinator.poll(.node(2))
    coordinator.transmitted()
    #expect(coordinator.match == SourceMatch(short: [ShortAddress(5)]))
    coordinator.poll(.short(ShortAddress(5)))
    coordinator.transmitted()
    #expect(coordinator.match.isEmpty)
    let changes = coordinator.log.count { if case .sourceMatch = $0 { true } else { false } }
    #expect(changes == 4)
    #expect(coordinator.outcomes == [1: .delivered, 2: .delivered, 3: .delivered])
  }

  @Test("Radios without source match are not told, and their devices are served all the same")
  func withoutSourceMatch() throws {
    let coordinator = Self.sleeping([.acknowledges, .retransmits, .reportsAcknowledgment])
    coordinator.send(1, to: .node(1))
    coordinator.poll(.node(1))
    #expect(try coordinator.sight().id == 1)
    #expect(!coordinator.log.contains { if case .sourceMatch = $0 { true } else { false } })
  }

  @Test("Who was told that a frame waits, and none does, gets an empty one to sleep again at once")
  func emptyAnswer() throws {
    for (capabilities, acknowledged, isAnswered) in [
      (Coordinator.hardware, nil as Bool?, false), (Coordinator.hardware, true, true),
      (Coordinator.hardware, false, false), ([.acknowledges], nil, true), ([.acknowledges], false, false),
    ] {
      let coordinator = Self.sleeping(capabilities)
      coordinator.poll(.node(1), framePending: acknowledged)
      #expect((coordinator.onAir != nil) == isAnswered)
      guard isAnswered else { continue }
      let sent = try coordinator.sight(.sent)
      #expect(sent.header.control.type == .data && sent.payload.isEmpty)
      #expect(sent.header.destination == .node(1) && sent.header.source == .extended(Coordinator.extended))
      #expect(!sent.header.control.isAcknowledgmentRequested && !sent.header.control.isFramePending)
      #expect(coordinator.engine.statistics.emptyAnswers == 1)
      #expect(coordinator.outcomes.isEmpty)
    }
  }

  @Test("Empty answers are limited, and of no use after a while")
  func emptyAnswerLimits() throws {
    let coordinator = Coordinator([.acknowledges]) { $0.emptyAnswersPerSecond = 5 }
    for node in UInt64(0)..<8 { coordinator.poll(.node(node)) }
    #expect(coordinator.engine.statistics.emptyAnswers == 5)
    #expect(coordinator.drops == [.macRateLimited, .macRateLimited, .macRateLimited])
    // The first is at the radio; the others are given up.
    coordinator.advance(.milliseconds(200))
    #expect(coordinator.engine.statistics.queued == 1 && coordinator.engine.statistics.expired == 4)
  }

  @Test("A frame waits for its device for a time, and is then reported as expired")
  func expiry() throws {
    let coordinator = Self.sleeping { $0.transactionPersistence = .seconds(20) }
    coordinator.send(1, to: .node(1))
    coordinator.advance(.seconds(7))
    coordinator.send(2, to: .node(1))
    #expect(coordinator.nextTimeout == coordinator.now.advanced(by: .seconds(13)))
    try coordinator.timeout()
    #expect(coordinator.outcomes == [1: .expired])
    #expect(coordinator.match == SourceMatch(extended: [.node(1)]))
    coordinator.poll(.node(1))
    #expect(try coordinator.sight().id == 2)
    #expect(coordinator.match.isEmpty)
    #expect(coordinator.engine.statistics.expired == 1)
  }

  @Test("What fails waits for the next data request, with the same sequence number, until its time is over")
  func failure() throws {
    let outcomes: [TransmitOutcome] = [.noAcknowledgment, .channelAccessFailure, .failed]
    let coordinator = Self.sleeping {
      $0.transactionPersistence = .seconds(20)
      $0.transmitTime = .seconds(100)
    }
    coordinator.send(1, to: .node(1))
    coordinator.send(2, to: .node(1))
    var attempts: Set<[UInt8]> = []
    for outcome in outcomes {
      coordinator.poll(.node(1))
      attempts.insert(try #require(coordinator.transmitted(outcome)))
      #expect(coordinator.onAir == nil && coordinator.outcomes.isEmpty)
      #expect(coordinator.match == SourceMatch(extended: [.node(1)]))
      coordinator.advance(.seconds(1))
      #expect(coordinator.onAir == nil)
    }
    #expect(attempts.count == 1)
    coordinator.poll(.node(1))
    coordinator.advance(.seconds(18))
    // Its time is over while the radio has it, so this is its last chance.
    #expect(coordinator.outcomes == [2: .expired])
    coordinator.transmitted(.noAcknowledgment)
    #expect(coordinator.outcomes == [1: .expired, 2: .expired])
    #expect(coordinator.engine.statistics.failed == 4)
    #expect(coordinator.match.isEmpty)
  }

  @Test("A data request during a transmission counts when that is over")
  func pollDuringTransmission() throws {
    let coordinator = Self.sleeping()
    for id in UInt64(0)..<3 { coordinator.send(id, to: .node(1)) }
    coordinator.poll(.node(1))
    coordinator.poll(.node(1))
    coordinator.poll(.node(1))
    #expect(try coordinator.sight().id == 0)
    #expect(try coordinator.sight().id == 1)
    #expect(coordinator.onAir == nil)
    // Nothing is left: no empty frame either, for the device has got one.
    let bare = Self.sleeping([.acknowledges, .reportsAcknowledgment])
    bare.send(1, to: .node(1))
    bare.poll(.node(1))
    bare.poll(.node(1))
    bare.transmitted()
    #expect(bare.onAir == nil)
  }

  @Test("Who was told that nothing waits sleeps, and gets its frame next time")
  func frameThatCameTooLate() throws {
    let coordinator = Self.sleeping()
    coordinator.send(1, to: .node(1))
    coordinator.poll(.node(1), framePending: false)
    #expect(coordinator.onAir == nil)
    coordinator.poll(.node(1), framePending: true)
    #expect(coordinator.onAir != nil)
  }

  @Test("Who asks is awake for a moment only, and so served before all others")
  func pollsGoFirst() throws {
    let coordinator = Self.sleeping()
    for id in UInt64(10)..<20 { coordinator.send(id, to: .node(2), priority: .high) }
    coordinator.send(1, to: .node(1))
    coordinator.poll(.node(1))
    coordinator.transmitted()
    #expect(try coordinator.onAirSight().id == 1)
  }

  @Test("Indirect frames are bounded per device and in total")
  func bounds() throws {
    let coordinator = Self.sleeping {
      $0.maximumIndirectFramesPerDevice = 3
      $0.maximumIndirectFrames = 5
    }
    coordinator.act { for node in UInt64(2)..<5 { $0.setSleepy(.node(node), true, now: coordinator.now) } }
    for id in UInt64(0)..<4 { coordinator.send(id, to: .node(1)) }
    #expect(coordinator.outcomes == [3: .dropped(.macQueueFull)])
    for id in UInt64(10)..<13 { coordinator.send(id, to: .node(id - 8)) }
    #expect(coordinator.outcomes[12] == .dropped(.macQueueFull))
    #expect(coordinator.engine.statistics.indirectPending == 5)
    // Others are not concerned.
    coordinator.send(20, to: .node(9))
    #expect(coordinator.drain().count == 1)
    let small = Self.sleeping { $0.maximumIndirectBytes = 100 }
    for id in UInt64(0)..<4 { small.send(id, to: .node(1), [UInt8](repeating: 1, count: 30)) }
    #expect(small.engine.statistics.indirectPending == 1 && small.engine.statistics.indirectBytes == 51)
  }

  @Test("High priority goes first, but not before a frame that was tried")
  func priority() throws {
    let coordinator = Self.sleeping()
    coordinator.send(1, to: .node(1))
    coordinator.send(2, to: .node(1))
    coordinator.send(10, to: .node(1), priority: .high)
    coordinator.poll(.node(1))
    #expect(try coordinator.sight(.noAcknowledgment).id == 10)
    coordinator.send(11, to: .node(1), priority: .high)
    var ids: [UInt64] = []
    for _ in 0..<4 {
      coordinator.poll(.node(1))
      ids.append(try coordinator.sight().id)
    }
    #expect(ids == [10, 11, 1, 2])
  }

  @Test("A frame that was tried stays in front, whatever is more urgent")
  func triedFirst() throws {
    let coordinator = Self.sleeping()
    coordinator.send(1, to: .node(1))
    coordinator.poll(.node(1))
    coordinator.transmitted(.noAcknowledgment)
    coordinator.send(2, to: .node(1), priority: .high)
    coordinator.poll(.node(1))
    #expect(try coordinator.sight().id == 1)
  }

  @Test("A frame that fails while its device turns out to be awake is sent at once")
  func awakeMeanwhile() throws {
    let coordinator = Self.sleeping()
    coordinator.send(1, to: .node(1))
    coordinator.poll(.node(1))
    coordinator.act { $0.setSleepy(.node(1), false, now: coordinator.now) }
    coordinator.transmitted(.noAcknowledgment)
    #expect(coordinator.outcomes.isEmpty && coordinator.match.isEmpty)
    #expect(try coordinator.sight().id == 1)
    #expect(coordinator.outcomes == [1: .delivered])
  }

  // MARK: Who sleeps

  @Test("A device that asks for its frames sleeps; what waited for the radio waits for it then")
  func learnt() throws {
    let coordinator = Coordinator()
    coordinator.send(1, to: .node(2))
    for id in UInt64(2)..<5 { coordinator.send(id, to: .node(1)) }
    #expect(!coordinator.isSleepy(.node(1)))
    coordinator.poll(.node(1))
    #expect(coordinator.isSleepy(.node(1)))
    #expect(coordinator.engine.statistics.indirectPending == 3)
    coordinator.transmitted()
    // The request releases one, as it would have before.
    #expect(try coordinator.sight().id == 2)
    #expect(coordinator.onAir == nil)
    coordinator.send(5, to: .node(1))
    var ids: [UInt64] = []
    for _ in 0..<3 {
      coordinator.poll(.node(1))
      ids.append(try coordinator.sight().id)
    }
    #expect(ids == [3, 4, 5])
  }

  @Test("A device that was said to sleep by a request, and asks no more, counts as awake again")
  func unlearnt() throws {
    let coordinator = Coordinator { $0.transactionPersistence = .seconds(20) }
    coordinator.poll(.node(1))
    coordinator.advance(.seconds(10))
    coordinator.send(1, to: .node(1))
    coordinator.advance(.seconds(15))
    coordinator.send(2, to: .node(1))
    #expect(coordinator.onAir == nil)
    try coordinator.timeout()
    #expect(coordinator.outcomes == [1: .expired])
    #expect(!coordinator.isSleepy(.node(1)))
    #expect(try coordinator.sight().id == 2)
    // One that is configured waits as long as it takes.
    let configured = Self.sleeping()
    configured.send(1, to: .node(1))
    try configured.timeout()
    #expect(configured.isSleepy(.node(1)))
  }

  @Test("Configuration outweighs what a device asks for")
  func configured() throws {
    let coordinator = Coordinator()
    coordinator.act { $0.setSleepy(.node(1), false, now: coordinator.now) }
    coordinator.poll(.node(1))
    #expect(!coordinator.isSleepy(.node(1)))
    coordinator.act { $0.setSleepy(.node(1), nil, now: coordinator.now) }
    coordinator.poll(.node(1))
    #expect(coordinator.isSleepy(.node(1)))
    coordinator.send(1, to: .node(1))
    coordinator.send(2, to: .node(1))
    #expect(coordinator.onAir == nil)
    // Awake now: all of it goes out, in order.
    coordinator.act { $0.setSleepy(.node(1), false, now: coordinator.now) }
    #expect(try coordinator.drain().ids() == [1, 2])
    #expect(coordinator.match.isEmpty)
  }

  @Test("Learnt sleepers are bounded: who has not asked for the longest time is forgotten, unless frames wait for it")
  func learntBound() throws {
    let coordinator = Coordinator { $0.maximumLearntSleepers = 3 }
    for node in UInt64(1)...3 {
      coordinator.poll(.node(node))
      coordinator.advance(.seconds(1))
    }
    coordinator.send(1, to: .node(1))
    coordinator.poll(.node(4))
    #expect([1, 3, 4].allSatisfy { coordinator.isSleepy(.node($0)) })
    #expect(!coordinator.isSleepy(.node(2)))
    coordinator.send(3, to: .node(3))
    coordinator.send(4, to: .node(4))
    coordinator.poll(.node(5))
    #expect(!coordinator.isSleepy(.node(5)))
  }

  @Test("A data request of nobody, to nobody or of another PAN releases nothing")
  func misaddressed() throws {
    let coordinator = Self.sleeping([.acknowledges])
    coordinator.send(1, to: .node(1))
    coordinator.poll(.absent)
    coordinator.poll(.short(.unassigned))
    coordinator.poll(.short(.broadcast))
    coordinator.receive(.dataRequest, from: .node(1), to: .short(.broadcast))
    #expect(coordinator.drops == [DropReason](repeating: .macAddressingInvalid, count: 4))
    coordinator.receive(.dataRequest, from: .node(1), to: .short(ShortAddress(9)))
    coordinator.receive(.dataRequest, from: .node(1), in: PANIdentifier(9))
    #expect(coordinator.engine.drops[.macNotForUs] == 2)
    coordinator.poll(.extended(Coordinator.extended))
    coordinator.poll(.short(Coordinator.short))
    #expect(coordinator.engine.drops[.macOwnFrame] == 2)
    #expect(coordinator.onAir == nil && coordinator.engine.statistics.polls == 0)
    coordinator.receive(.dataRequest, from: .node(1), to: .extended(Coordinator.extended))
    #expect(coordinator.onAir != nil)
  }
}
