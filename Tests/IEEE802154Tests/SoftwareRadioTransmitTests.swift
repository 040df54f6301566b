import IEEE802154
import TestSupport
import Testing
import Wire

/// How a software radio sends (IEEE 802.15.4-2020, 6.7.4.3).
@Suite struct SoftwareRadioTransmitTests {
  static func acknowledgment(_ header: MACHeader, framePending: Bool = false) throws -> MACHeader {
    try #require(header.acknowledgment(framePending: framePending))
  }

  @Test("A frame without acknowledgment request is sent once, with its FCS, and done")
  func unacknowledged() throws {
    var station = Station()
    for (_, psdu) in [
      try Station.outgoing(acknowledgmentRequested: false), try Station.outgoing(to: .short(.broadcast)),
    ] {
      let (isTaken, actions) = station.transmit(psdu)
      #expect(isTaken)
      #expect(actions.outcomes == [.sent])
      #expect(actions.sent.map { Array($0.dropLast(FCS.length)) } == [psdu])
      #expect(actions.sent.allSatisfy { FCS.isValid($0.rawSpan) })
      #expect(station.radio.nextTimeout == nil && !station.radio.isTransmitting)
    }
    #expect(station.radio.counters.sent == 2)
  }

  @Test("An acknowledgment in time ends the transmission, and says whether a frame waits")
  func acknowledged() throws {
    for version in FrameVersion.allCases {
      for framePending in [false, true] {
        var station = Station()
        let (header, psdu) = try Station.outgoing(version)
        #expect(station.transmit(psdu).actions.sent.count == 1)
        #expect(station.radio.isTransmitting)
        let actions = try station.receive(Self.acknowledgment(header, framePending: framePending), payload: [])
        #expect(actions == [.finished(.acknowledged(framePending: framePending))])
        #expect(station.radio.nextTimeout == nil && !station.radio.isTransmitting)
        // The same again answers nothing.
        #expect(try station.receive(Self.acknowledgment(header), payload: []) == [.dropped(.macNotForUs)])
        #expect(station.radio.counters.acknowledged == 1)
      }
    }
  }

  @Test("A number that is suppressed is matched by the address alone")
  func suppressedNumber() throws {
    var station = Station()
    let (header, psdu) = try Station.outgoing(.v2015, sequenceNumber: nil)
    _ = station.transmit(psdu)
    var stray = try Self.acknowledgment(header)
    stray.destination = .extended(ExtendedAddress(4))
    #expect(try station.receive(stray, payload: []).outcomes.isEmpty)
    let answer = try Self.acknowledgment(header)
    #expect(try station.receive(answer, payload: []).outcomes == [.acknowledged(framePending: false)])
  }

  @Test("An acknowledgment with another number, for another device or another frame version counts for nothing")
  func foreignAcknowledgments() throws {
    var station = Station()
    let (header, psdu) = try Station.outgoing(.v2015)
    _ = station.transmit(psdu)
    let right = try Self.acknowledgment(header)
    var strays = [
      MACHeader.immediateAcknowledgment(sequenceNumber: 41, framePending: false), right, right, right,
    ]
    strays[1].sequenceNumber = 41
    strays[2].destination = .extended(ExtendedAddress(4))
    strays[3].destinationPAN = PANIdentifier(4)
    for stray in strays { #expect(try station.receive(stray, payload: []) == [.dropped(.macNotForUs)]) }
    #expect(station.radio.isTransmitting)

    var older = Station()
    _ = older.transmit(try Station.outgoing(.v2006).psdu)
    #expect(try older.receive(right, payload: []) == [.dropped(.macNotForUs)])
    #expect(older.radio.isTransmitting)
  }

  @Test("A transceiver of before 2015 answers all frames with immediate acknowledgments")
  func immediateForNew() throws {
    var station = Station()
    _ = station.transmit(try Station.outgoing(.v2015).psdu)
    let answer = MACHeader.immediateAcknowledgment(sequenceNumber: 42, framePending: false)
    #expect(try station.receive(answer, payload: []).outcomes == [.acknowledged(framePending: false)])
  }

  @Test("What is not acknowledged is repeated as often as configured, then given up")
  func retransmission() throws {
    for retries in [0, 1, 3, 5] {
      var station = Station {
        $0.maximumRetries = retries
        $0.acknowledgmentWait = .milliseconds(7)
      }
      let psdu = try Station.outgoing().psdu
      let start = station.now
      var sent = station.transmit(psdu).actions.sent
      for _ in 0..<retries {
        let before = station.now
        let actions = try station.timeout()
        #expect(before.duration(to: station.now) == .milliseconds(7))
        #expect(actions.count == 1 && actions.outcomes.isEmpty)
        sent += actions.sent
      }
      #expect(try station.timeout() == [.finished(.noAcknowledgment)])
      #expect(start.duration(to: station.now) == .milliseconds(7 * (retries + 1)))
      #expect(sent.count == retries + 1 && Set(sent).count == 1)
      #expect(station.radio.nextTimeout == nil)
      #expect(station.radio.counters.retransmissions == UInt64(retries))
      #expect(station.radio.counters.unacknowledged == 1)
    }
  }

  @Test("Nothing happens before the time, and an acknowledgment of a repetition is as good as one of the first")
  func lateAcknowledgment() throws {
    var station = Station()
    let (header, psdu) = try Station.outgoing()
    _ = station.transmit(psdu)
    let deadline = try #require(station.radio.nextTimeout)
    station.radio.timeout(at: Instant(microseconds: deadline.microseconds - 1))
    #expect(station.radio.takeActions().isEmpty)
    #expect(try station.timeout().sent.count == 1)
    let actions = try station.receive(Self.acknowledgment(header), payload: [])
    #expect(actions.outcomes == [.acknowledged(framePending: false)])
  }

  @Test("One transmission at a time")
  func oneAtATime() throws {
    var station = Station()
    let (header, psdu) = try Station.outgoing()
    #expect(station.transmit(psdu).isTaken)
    let second = station.transmit(psdu)
    #expect(!second.isTaken && second.actions.isEmpty)
    // What comes in meanwhile is acknowledged all the same.
    #expect(try station.receive(Station.data()).sent.count == 1)
    _ = try station.receive(Self.acknowledgment(header), payload: [])
    #expect(station.transmit(psdu).isTaken)
  }

  @Test("A frame that is too long fails, and bytes that are no frame are sent as they are")
  func oddFrames() throws {
    var station = Station()
    let tooLong = [UInt8](repeating: 0x61, count: MACFrameView.maximumLength - FCS.length + 1)
    let (isTaken, actions) = station.transmit(tooLong)
    #expect(isTaken && actions == [.finished(.failed)])
    #expect(station.transmit(Array(tooLong.dropLast())).actions.sent.first?.count == MACFrameView.maximumLength)
    var other = Station()
    let garbage = other.transmit([0x27, 0x07])
    #expect(garbage.isTaken && garbage.actions.outcomes == [.sent] && garbage.actions.sent.count == 1)
  }

  @Test("A promiscuous radio delivers the acknowledgment that it waits for and takes it too")
  func promiscuousAcknowledgment() throws {
    var settings = Station.settings()
    settings.isPromiscuous = true
    var station = Station(settings)
    let (header, psdu) = try Station.outgoing()
    _ = station.transmit(psdu)
    let actions = try station.receive(Self.acknowledgment(header), payload: [])
    #expect(actions.outcomes == [.acknowledged(framePending: false)])
    #expect(actions.delivered.count == 1)
  }

  @Test("Two radios over a medium that loses: what is reported as acknowledged has arrived", arguments: UInt64(1)...20)
  func lossyMedium(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var sender = Station()
    var settings = Station.settings()
    settings.extendedAddress = ExtendedAddress(9)
    settings.shortAddress = ShortAddress(9)
    var receiver = Station(settings)
    var (acknowledged, failed, arrived): (Set<UInt8>, Set<UInt8>, Set<UInt8>) = ([], [], [])
    for number in UInt8(0)..<200 {
      let psdu = try Station.outgoing(number % 2 == 0 ? .v2006 : .v2015, sequenceNumber: number).psdu
      var actions = sender.transmit(psdu).actions
      while actions.outcomes.isEmpty {
        var answers: [[UInt8]] = []
        for frame in actions.sent where !random.oneIn(3) {
          let there = receiver.receive(frame)
          #expect(there.drops.isEmpty)
          if !there.delivered.isEmpty { arrived.insert(number) }
          answers += there.sent
        }
        actions = []
        for answer in answers where !random.oneIn(3) { actions += sender.receive(answer) }
        if actions.outcomes.isEmpty { actions = try sender.timeout() }
      }
      #expect(actions.outcomes.count == 1)
      if actions.outcomes == [.acknowledged(framePending: false)] {
        acknowledged.insert(number)
      } else {
        #expect(actions.outcomes == [.noAcknowledgment])
        failed.insert(number)
      }
    }
    #expect(acknowledged.isSubset(of: arrived))
    #expect(acknowledged.count + failed.count == 200)
    // A frame and its acknowledgment come through with 4/9; none of four tries does with about a tenth.
    #expect(acknowledged.count > 150 && !failed.isEmpty)
    #expect(sender.radio.counters.acknowledged == UInt64(acknowledged.count))
    #expect(sender.radio.counters.unacknowledged == UInt64(failed.count))
  }
}
