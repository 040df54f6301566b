import BorderRouter
import IEEE802154
import Testing
import Wire

/// How frames go from the queue to the radio.
@Suite struct MACTransmissionTests {
  @Test("One frame at the radio, in the order of sending, each with the next sequence number")
  func order() throws {
    let coordinator = Coordinator()
    for id in UInt64(0)..<20 { coordinator.send(id, to: .node(1)) }
    #expect(coordinator.engine.statistics.queued == 20)
    let sent = coordinator.drain()
    #expect(try sent.ids() == Array(0..<20))
    let numbers = try sent.map { try #require(Sight($0).header.sequenceNumber) }
    #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $0 &+ 1 == $1 })
    #expect((0..<20).allSatisfy { coordinator.outcomes[$0] == .delivered })
    #expect(coordinator.engine.statistics.sent == 20 && coordinator.engine.statistics.queued == 0)
    #expect(coordinator.engine.nextTimeout == nil)
    // The first number is drawn.
    let firsts = (0..<8).map { seed in
      let other = Coordinator(seed: UInt64(seed))
      other.send(0, to: .node(1))
      return other.onAir.flatMap { try? Sight($0).header.sequenceNumber }
    }
    #expect(Set(firsts).count > 2)
  }

  @Test("The header is the caller's; the engine has the number, the security and the pending bit")
  func header() throws {
    let coordinator = Coordinator()
    for version in FrameVersion.allCases {
      var header = Coordinator.header(to: .short(ShortAddress(7)), version: version)
      header.control.isFramePending = true
      coordinator.act { $0.send(OutgoingFrame(id: 1, header: header, payload: [1]), now: coordinator.now) }
      var sent = try coordinator.sight()
      #expect(sent.payload == [1])
      sent.header.sequenceNumber = 0
      header.control.isFramePending = false
      #expect(sent.header == header)
    }
    var suppressed = Coordinator.header(to: .short(ShortAddress(7)), version: .v2015)
    suppressed.sequenceNumber = nil
    coordinator.act { $0.send(OutgoingFrame(id: 2, header: suppressed, payload: [1]), now: coordinator.now) }
    #expect(try coordinator.sight().header == suppressed)
  }

  @Test("Nobody acknowledges a broadcast, so none is asked for")
  func broadcast() throws {
    let coordinator = Coordinator()
    var header = Coordinator.header(to: .short(.broadcast))
    header.control.isAcknowledgmentRequested = true
    coordinator.act { $0.send(OutgoingFrame(id: 1, header: header, payload: [1]), now: coordinator.now) }
    #expect(try !coordinator.sight(.sent).header.control.isAcknowledgmentRequested)
    #expect(coordinator.outcomes == [1: .sent])
  }

  @Test("Destinations take turns, however much waits for one of them")
  func fairness() throws {
    let coordinator = Coordinator()
    for id in UInt64(0)..<50 { coordinator.send(id, to: .node(1)) }
    for id in UInt64(100)..<103 { coordinator.send(id, to: .node(2)) }
    coordinator.send(200, to: .node(3))
    let ids = try coordinator.drain().ids()
    #expect(Array(ids.prefix(9)) == [0, 1, 100, 200, 2, 101, 3, 102, 4])
    #expect(ids.filter { $0 < 100 } == Array(0..<50))
  }

  @Test("High priority goes first, and never so that the rest starves")
  func priority() throws {
    let coordinator = Coordinator()
    coordinator.send(1_000, to: .node(9))
    for id in UInt64(0)..<30 { coordinator.send(id, to: .node(1)) }
    for id in UInt64(100)..<130 { coordinator.send(id, to: .node(2), priority: .high) }
    let ids = try coordinator.drain().ids()
    #expect(ids[0] == 1_000)
    #expect(Array(ids[1...8]) == Array(100..<108))
    #expect(ids[9] == 0)
    #expect(ids.filter { $0 >= 100 && $0 < 200 } == Array(100..<130))
    #expect(ids.filter { $0 < 100 } == Array(0..<30))
  }

  @Test("The queue is bounded in frames, in octets and per destination; what does not fit is told at once")
  func bounds() throws {
    let coordinator = Coordinator {
      $0.maximumQueuedFrames = 10
      $0.maximumQueuedFramesPerDestination = 4
    }
    // One is at the radio.
    for id in UInt64(0)..<6 { coordinator.send(id, to: .node(1)) }
    #expect(coordinator.outcomes == [5: .dropped(.macQueueFull)])
    for id in UInt64(10)..<20 { coordinator.send(id, to: .node(id)) }
    #expect(coordinator.engine.statistics.queued == 11)
    #expect(coordinator.engine.drops[.macQueueFull] == 5)
    #expect(coordinator.outcomes.count == 5)
    #expect(coordinator.drain().count == 11)

    let small = Coordinator { $0.maximumQueuedBytes = 100 }
    for id in UInt64(0)..<4 { small.send(id, to: .node(id), [UInt8](repeating: 1, count: 30)) }
    let length = try small.onAirSight().header.encodedLength + 30
    #expect(small.engine.statistics.queuedBytes == 2 * length)
    #expect(small.outcomes == [2: .dropped(.macQueueFull), 3: .dropped(.macQueueFull)])
  }

  @Test("A frame that does not fit, or has no form, is told at once")
  func unsendable() throws {
    let coordinator = Coordinator()
    let header = Coordinator.header(to: .node(1))
    let room = coordinator.engine.room(for: header)
    #expect(room == 127 - 2 - 2 - 1 - 2 - 8 - 8)
    coordinator.send(1, to: .node(1), [UInt8](repeating: 0, count: room))
    coordinator.send(2, to: .node(1), [UInt8](repeating: 0, count: room + 1))
    #expect(coordinator.transmitted()?.count == 125)
    #expect(coordinator.outcomes == [1: .delivered, 2: .dropped(.macFrameTooLong)])
    var odd = header
    odd.destinationPAN = nil
    coordinator.act { $0.send(OutgoingFrame(id: 3, header: odd, payload: []), now: coordinator.now) }
    #expect(coordinator.outcomes[3] == .dropped(.unsupported))
    let elements = MACHeader(
      type: .data, version: .v2015, sequenceNumber: 0, destinationPAN: Coordinator.pan, destination: .node(1),
      hasInformationElements: true)
    coordinator.act { $0.send(OutgoingFrame(id: 4, header: elements, payload: []), now: coordinator.now) }
    #expect(coordinator.outcomes[4] == .dropped(.unsupported))
    let listener = Coordinator([.listensOnly, .promiscuous])
    listener.send(1, to: .node(1))
    #expect(listener.outcomes == [1: .dropped(.unsupported)] && listener.onAir == nil)
  }

  @Test("A busy channel is tried again after a while, some times; the same frame each time")
  func channelAccessFailure() throws {
    for failure in [TransmitOutcome.channelAccessFailure, .failed] {
      let coordinator = Coordinator { $0.maximumRetries = 2 }
      coordinator.send(1, to: .node(1))
      coordinator.send(2, to: .node(2))
      let first = coordinator.transmitted(failure)
      for _ in 0..<2 {
        #expect(coordinator.onAir == nil && coordinator.outcomes.isEmpty)
        let before = coordinator.now
        try coordinator.timeout()
        #expect(before.duration(to: coordinator.now) == .milliseconds(50))
        #expect(coordinator.onAir == first)
        coordinator.transmitted(failure)
      }
      #expect(coordinator.outcomes == [1: failure == .failed ? .failed : .channelAccessFailure])
      #expect(coordinator.engine.statistics.retries == 2 && coordinator.engine.statistics.failed == 3)
      // The next has tries of its own.
      coordinator.transmitted(failure)
      try coordinator.timeout()
      coordinator.transmitted()
      #expect(coordinator.outcomes[2] == .delivered)
    }
  }

  @Test("No acknowledgment is final: the radio has repeated enough")
  func noAcknowledgment() throws {
    let coordinator = Coordinator()
    coordinator.send(1, to: .node(1))
    coordinator.send(2, to: .node(1))
    #expect(coordinator.drain(.noAcknowledgment).count == 2)
    #expect(coordinator.outcomes == [1: .noAcknowledgment, 2: .noAcknowledgment])
    #expect(coordinator.engine.statistics.retries == 0)
  }

  @Test("Of a radio that cannot tell, sent is all there is to know")
  func radiosThatCannotTell() throws {
    for capabilities in [RadioCapabilities.acknowledges, [.acknowledges, .retransmits]] {
      let coordinator = Coordinator(capabilities)
      coordinator.send(1, to: .node(1))
      coordinator.send(2, to: .node(1), acknowledgmentRequested: false)
      #expect(coordinator.drain(.sent).count == 2)
      #expect(coordinator.outcomes == [1: .delivered, 2: .sent])
    }
    let knowing = Coordinator()
    knowing.send(1, to: .node(1))
    #expect(knowing.drain(.sent).count == 1)
    #expect(knowing.outcomes == [1: .sent])
  }

  @Test("Frames wait for the radio for a time, and then they are over")
  func expiry() throws {
    let coordinator = Coordinator { $0.transmitTime = .seconds(100) }
    coordinator.send(1, to: .node(1))
    coordinator.send(2, to: .node(1))
    coordinator.advance(.seconds(5))
    coordinator.send(3, to: .node(1))
    coordinator.advance(.microseconds(4_999_999))
    #expect(coordinator.outcomes.isEmpty)
    coordinator.advance(.microseconds(1))
    #expect(coordinator.outcomes == [2: .expired])
    coordinator.transmitted()
    #expect(coordinator.outcomes == [1: .delivered, 2: .expired])
    #expect(try coordinator.onAirSight().id == 3)
    #expect(coordinator.engine.statistics.expired == 1)
  }

  @Test("A radio that never answers has failed; an outcome that comes without a frame says nothing")
  func silentRadio() throws {
    let coordinator = Coordinator { $0.maximumRetries = 0 }
    coordinator.act { $0.transmitted(.noAcknowledgment, now: coordinator.now) }
    coordinator.send(1, to: .node(1))
    coordinator.advance(.seconds(4))
    #expect(coordinator.outcomes.isEmpty)
    coordinator.advance(.seconds(1))
    #expect(coordinator.outcomes == [1: .failed])
  }

  @Test("A radio that was started again gets its frame and its source matches anew")
  func restartedRadio() throws {
    let coordinator = Coordinator()
    coordinator.act { $0.setSleepy(.node(2), true, now: coordinator.now) }
    coordinator.send(2, to: .node(2))
    coordinator.send(1, to: .node(1))
    let match = SourceMatch(extended: [.node(2)])
    let psdu = try #require(coordinator.onAir)
    var again: [MACAction] = []
    coordinator.act {
      $0.radioRestarted(now: coordinator.now)
      again = $0.takeActions()
    }
    #expect(again == [.transmit(psdu), .sourceMatch(match)])
    coordinator.transmitted()
    #expect(coordinator.outcomes == [1: .delivered])
  }
}
