import BorderRouter
import IEEE802154
import Testing
import Wire

/// Link security of what a coordinator sends, and of what it obeys (IEEE 802.15.4-2020, 9).
@Suite struct MACSecurityTests {
  static func keys() throws -> KeyStore {
    var keys = KeyStore()
    for index in UInt8(1)...3 {
      keys.add(try #require(LinkKey([UInt8](repeating: index, count: 16))), for: .index(index))
    }
    return keys
  }

  static func security(_ level: SecurityLevel = .encMIC32, step: UInt32 = 16) -> LinkSecurity {
    var security = LinkSecurity(level: level, key: .index(1))
    security.counterStep = step
    return security
  }

  static func secured(
    _ security: LinkSecurity = security(), frameCounter: UInt32 = 0, reserves: Bool = true,
    _ change: (inout MACConfiguration) -> Void = { _ in }
  ) throws -> Coordinator {
    let keys = try keys()
    return Coordinator(
      security: security, keys: keys, frameCounter: frameCounter, reserves: reserves, change)
  }

  /// The payload in the clear and what secured it.
  static func open(_ psdu: [UInt8]?) throws -> (payload: [UInt8], security: AuxiliarySecurityHeader, header: MACHeader)
  {
    let psdu = try #require(psdu)
    let view = try MACFrameView(psdu.rawSpan, fcsPresent: false)
    let security = try #require(view.header.security)
    let key = try keys().key(for: security.keyIdentifier)
    let payload = try FrameSecurity.unsecure(
      view, bytes: psdu.rawSpan, key: key, source: Coordinator.extended)
    return (payload, security, view.header)
  }

  @Test("Every frame is secured with the next counter, at every level")
  func secures() throws {
    for level in [SecurityLevel.mic32, .mic64, .mic128, .encMIC32, .encMIC64, .encMIC128] {
      let coordinator = try Self.secured(Self.security(level))
      let header = Coordinator.header(to: .node(1))
      let room = coordinator.engine.room(for: header)
      #expect(room == 125 - header.encodedLength - 6 - level.micLength)
      for (id, length) in [(UInt64(0), 8), (1, room), (2, 0)] {
        coordinator.send(id, to: .node(1), [UInt8](repeating: 7, count: length))
        let psdu = try #require(coordinator.transmitted())
        #expect(psdu.count == 125 - room + length)
        let frame = try Self.open(psdu)
        #expect(frame.payload == [UInt8](repeating: 7, count: length))
        #expect(frame.security.level == level && frame.security.keyIdentifier == .index(1))
        #expect(frame.security.frameCounter == UInt32(id))
      }
      coordinator.send(9, to: .node(1), [UInt8](repeating: 7, count: room + 1))
      #expect(coordinator.outcomes[9] == .dropped(.macFrameTooLong))
    }
  }

  @Test("Frames of 2003, which had no such security, are of 2006 then")
  func version() throws {
    let coordinator = try Self.secured()
    for (given, sent) in [(FrameVersion.v2003, FrameVersion.v2006), (.v2006, .v2006), (.v2015, .v2015)] {
      let header = Coordinator.header(to: .node(1), version: given)
      coordinator.act { $0.send(OutgoingFrame(id: 1, header: header, payload: [1]), now: coordinator.now) }
      #expect(try Self.open(coordinator.transmitted()).header.control.version == sent)
    }
  }

  @Test("A frame may be sent in the clear on purpose, beacons are, and a radio that secures gets all of them so")
  func inTheClear() throws {
    let coordinator = try Self.secured()
    let frame = OutgoingFrame(id: 1, header: Coordinator.header(to: .node(1)), payload: [1], isSecured: false)
    coordinator.act { $0.send(frame, now: coordinator.now) }
    #expect(try coordinator.sight().header.security == nil)
    MACBeaconTests.scan(coordinator)
    #expect(try coordinator.sight(.sent).header.security == nil)
    let keys = try Self.keys()
    let radio = Coordinator([.acknowledges, .secures], security: Self.security(), keys: keys)
    radio.send(1, to: .node(1))
    #expect(try radio.sight().header.security == nil)
    #expect(radio.reservation == nil)
  }

  // MARK: Frame counters

  @Test("No counter is used before it is reserved; what needs none goes on")
  func held() throws {
    let coordinator = try Self.secured(reserves: false)
    #expect(coordinator.reservation == 16)
    coordinator.send(1, to: .node(1))
    #expect(coordinator.onAir == nil)
    MACBeaconTests.scan(coordinator)
    #expect(coordinator.drain(.sent).count == 1)
    coordinator.act { $0.frameCounterReserved(upTo: 16, now: coordinator.now) }
    #expect(try Self.open(coordinator.transmitted()).security.frameCounter == 0)
  }

  @Test("Counters are reserved in time, so that a store that is not slower than half a step holds nothing up")
  func reservedAhead() throws {
    let coordinator = try Self.secured(reserves: false)
    coordinator.act { $0.frameCounterReserved(upTo: 16, now: coordinator.now) }
    var asked: [UInt32] = []
    for id in UInt64(0)..<100 {
      coordinator.send(id, to: .node(1))
      #expect(coordinator.transmitted() != nil)
      let reservation = try #require(coordinator.reservation)
      // Confirmed seven frames late.
      if asked.last != reservation { asked.append(reservation) }
      if id % 8 == 7 { coordinator.act { $0.frameCounterReserved(upTo: reservation, now: coordinator.now) } }
    }
    #expect(zip(asked, asked.dropFirst()).allSatisfy { $0 < $1 })
  }

  @Test("After a restart at any point no counter comes twice")
  func restart() throws {
    var used: Set<UInt32> = []
    var stored: UInt32 = 0
    for frames in 0..<40 {
      let coordinator = try Self.secured(frameCounter: stored, reserves: false)
      for id in 0..<UInt64(frames) {
        // What is stored is confirmed; the machine stops before the next is.
        let reservation = try #require(coordinator.reservation)
        if id % 3 == 0 {
          stored = max(stored, reservation)
          coordinator.act { $0.frameCounterReserved(upTo: stored, now: coordinator.now) }
        }
        coordinator.send(id, to: .node(1))
        guard coordinator.onAir != nil else { continue }
        let counter = try #require(Self.open(coordinator.transmitted()).security.frameCounter)
        #expect(used.insert(counter).inserted && counter < stored)
      }
    }
    #expect(used.count > 500)
  }

  @Test("The last counter is never used: then nothing is secured any more")
  func exhausted() throws {
    let coordinator = try Self.secured(frameCounter: .max - 3)
    for id in UInt64(0)..<5 { coordinator.send(id, to: .node(1)) }
    #expect(coordinator.reservation == .max)
    let counters = try coordinator.drain().map { try Self.open($0).security.frameCounter }
    let last: [UInt32?] = [0xffff_fffc, 0xffff_fffd, 0xffff_fffe]
    #expect(counters == last)
    #expect(coordinator.outcomes[3] == .dropped(.macFrameCounterExhausted))
    #expect(coordinator.outcomes[4] == .dropped(.macFrameCounterExhausted))
    coordinator.send(5, to: .node(1))
    #expect(coordinator.outcomes[5] == .dropped(.macFrameCounterExhausted))
    #expect(coordinator.engine.drops[.macFrameCounterExhausted] == 3)
    MACBeaconTests.scan(coordinator)
    #expect(coordinator.onAir != nil)
    let spent = try Self.secured(frameCounter: .max)
    spent.send(1, to: .node(1))
    #expect(spent.outcomes == [1: .dropped(.macFrameCounterExhausted)] && spent.reservation == nil)
  }

  @Test("The radio's next attempt at a frame is the same frame, counter and all")
  func repetition() throws {
    let coordinator = try Self.secured()
    coordinator.send(1, to: .node(1))
    let first = coordinator.transmitted(.channelAccessFailure)
    try coordinator.timeout()
    #expect(coordinator.transmitted() == first)
    coordinator.act { $0.setSleepy(.node(1), true, now: coordinator.now) }
    coordinator.send(2, to: .node(1))
    coordinator.poll(.node(1), isSecured: true)
    let held = coordinator.transmitted(.noAcknowledgment)
    coordinator.send(3, to: .node(2))
    coordinator.transmitted()
    coordinator.send(4, to: .node(1))
    coordinator.poll(.node(1), isSecured: true)
    #expect(coordinator.transmitted() == held)
  }

  @Test("After a broadcast, a frame that failed has a new counter, for its device would take the old one for a replay")
  func repetitionAfterBroadcast() throws {
    let coordinator = try Self.secured()
    coordinator.act { $0.setSleepy(.node(1), true, now: coordinator.now) }
    coordinator.send(1, to: .node(1))
    coordinator.poll(.node(1), isSecured: true)
    let first = try Self.open(coordinator.transmitted(.noAcknowledgment))
    coordinator.send(2, to: .short(.broadcast))
    let group = try Self.open(coordinator.transmitted(.sent))
    coordinator.poll(.node(1), isSecured: true)
    let second = try Self.open(coordinator.transmitted())
    #expect(second.payload == first.payload)
    #expect(second.header.sequenceNumber == first.header.sequenceNumber)
    #expect(first.security.frameCounter == 0)
    #expect(group.security.frameCounter == 1)
    #expect(second.security.frameCounter == 2)
  }

  // MARK: Keys

  @Test("Another key takes over, and counters go on; a key that is not there cannot")
  func rotation() throws {
    let coordinator = try Self.secured()
    coordinator.send(1, to: .node(1))
    #expect(try Self.open(coordinator.transmitted()).security.keyIdentifier == .index(1))
    var refused: DropReason?
    coordinator.act { engine in
      do throws(ParseError) {
        try engine.rotate(to: .index(2))
        try engine.rotate(to: .index(9))
      } catch { refused = error.reason }
    }
    #expect(refused == .macKeyUnknown && coordinator.engine.currentKey == .index(2))
    coordinator.send(2, to: .node(1))
    let frame = try Self.open(coordinator.transmitted())
    #expect(frame.security.keyIdentifier == .index(2) && frame.security.frameCounter == 1)
    coordinator.send(3, to: .node(1))
    coordinator.send(4, to: .node(1))
    coordinator.act { $0.keys.remove(.index(2)) }
    coordinator.transmitted()
    #expect(coordinator.outcomes[3] == .delivered && coordinator.outcomes[4] == .dropped(.macKeyUnknown))
    coordinator.send(5, to: .node(1))
    #expect(coordinator.outcomes[5] == .dropped(.macKeyUnknown))
    let plain = Coordinator()
    plain.act { engine in
      do throws(ParseError) { try engine.rotate(to: .index(1)) } catch { refused = error.reason }
    }
    #expect(refused == .macSecurityUnsupported)
  }

  // MARK: Commands

  @Test("Where security is required, commands in the clear are refused, but for those of devices that join")
  func required() throws {
    let device = Association(device: .node(1), short: ShortAddress(5), capabilities: [])
    let keys = try Self.keys()
    for isRequired in [true, false] {
      var security = Self.security()
      security.isRequired = isRequired
      let coordinator = Coordinator(security: security, keys: keys, associations: [device])
      coordinator.send(1, to: .node(1))
      coordinator.poll(.node(1))
      coordinator.receive(.orphanNotification, from: .node(1), to: .short(.broadcast), in: .broadcast)
      #expect(coordinator.drain().count == (isRequired ? 0 : 2))
      coordinator.receive(.disassociationNotification(reason: 2), from: .node(1))
      #expect(coordinator.engine.associations.isEmpty == !isRequired)
      #expect(coordinator.drops == (isRequired ? [.macUnsecured, .macUnsecured, .macUnsecured] : []))
      guard isRequired else { continue }
      coordinator.poll(.node(1), isSecured: true)
      #expect(try Self.open(coordinator.transmitted()).payload == Coordinator.payload(1))
      coordinator.receive(
        .orphanNotification, from: .node(1), to: .short(.broadcast), in: .broadcast, isSecured: true)
      let answer = try MACCommand(parsing: Self.open(coordinator.transmitted()).payload)
      #expect(answer.identifier == .coordinatorRealignment)
      coordinator.receive(.disassociationNotification(reason: 2), from: .node(1), isSecured: true)
      #expect(coordinator.engine.associations.isEmpty)
    }
  }

  @Test("A device without a key joins in the clear, and gets in the clear nothing but its answer")
  func joinInTheClear() throws {
    let coordinator = try Self.secured()
    coordinator.act {
      $0.permitsJoining = true
      $0.setSleepy(.node(1), true, now: coordinator.now)
    }
    coordinator.send(1, to: .node(1))
    coordinator.poll(.node(1))
    #expect(coordinator.drops == [.macUnsecured] && coordinator.onAir == nil)
    coordinator.receive(.associationRequest([.allocateAddress]), from: .node(1))
    coordinator.poll(.node(1))
    let answer = try coordinator.onAirSight()
    #expect(answer.header.security == nil)
    #expect(try answer.command() == .associationResponse(ShortAddress(1), status: 0))
    coordinator.poll(.node(1))
    coordinator.transmitted()
    #expect(coordinator.onAir == nil)
    coordinator.poll(.node(1))
    #expect(coordinator.drops.last == .macUnsecured && coordinator.onAir == nil)
    coordinator.poll(.short(ShortAddress(1)), isSecured: true)
    #expect(try Self.open(coordinator.transmitted()).payload == Coordinator.payload(1))
    // With a key, the answer is secured too.
    coordinator.receive(.associationRequest([.allocateAddress]), from: .node(2), isSecured: true)
    coordinator.poll(.node(2), isSecured: true)
    let payload = try Self.open(coordinator.transmitted()).payload
    #expect(try MACCommand(parsing: payload) == .associationResponse(ShortAddress(2), status: 0))
  }

  @Test("In the clear nobody changes what a device is that has joined")
  func forgedCapabilities() throws {
    let coordinator = try Self.secured()
    coordinator.act { $0.permitsJoining = true }
    _ = try coordinator.join(.node(1), [.allocateAddress, .receiverOnWhenIdle])
    _ = try coordinator.join(.node(1), [.allocateAddress])
    #expect(!coordinator.isSleepy(.node(1)))
    coordinator.poll(.node(3))
    #expect(!coordinator.isSleepy(.node(3)))
    coordinator.poll(.node(3), isSecured: true)
    #expect(coordinator.isSleepy(.node(3)))
  }

  @Test("An empty answer is secured like any frame")
  func emptyAnswer() throws {
    let coordinator = try Self.secured()
    coordinator.poll(.node(1), isSecured: true, framePending: true)
    #expect(try Self.open(coordinator.transmitted(.sent)).payload.isEmpty)
  }
}
