import IEEE802154
import Testing
import Wire

/// What a software radio takes and acknowledges (IEEE 802.15.4-2020, 6.6.2 and 6.7.4).
@Suite struct SoftwareRadioReceiveTests {
  @Test("An address of its own in its PAN or in all, and broadcast, is taken; others are not")
  func addressFilter() throws {
    let own: [MACAddress] = [.short(Station.short), .extended(Station.extended), .short(.broadcast)]
    let others: [MACAddress] = [
      .short(ShortAddress(2)), .short(.unassigned), .extended(ExtendedAddress(7)), .extended(ExtendedAddress(.max)),
    ]
    for version in FrameVersion.allCases {
      for pan in [Station.pan, .broadcast, PANIdentifier(0xabce)] {
        for address in own + others {
          var station = Station()
          let actions = try station.receive(Station.data(version, to: address, in: pan))
          let isTaken = own.contains(address) && pan != PANIdentifier(0xabce)
          #expect(actions.delivered.count == (isTaken ? 1 : 0), "\(version) \(pan) \(address)")
          #expect(actions.drops == (isTaken ? [] : [.macNotForUs]))
          #expect(actions.sent.count == (isTaken && !address.isBroadcast ? 1 : 0))
        }
      }
    }
  }

  @Test("0xfffe is the address of everybody without a short address, and of nobody")
  func unassignedShortAddress() throws {
    var settings = Station.settings()
    for address in [nil, ShortAddress.unassigned] {
      settings.shortAddress = address
      var station = Station(settings)
      #expect(try station.receive(Station.data(to: .short(.unassigned))).drops == [.macNotForUs])
      #expect(try station.receive(Station.data(to: .short(Station.short))).drops == [.macNotForUs])
      #expect(try station.receive(Station.data(to: .extended(Station.extended))).delivered.count == 1)
    }
  }

  @Test("Without a destination a frame is for the coordinator of its source's PAN")
  func noDestination() throws {
    for type in [FrameType.data, .command] {
      for pan in [Station.pan, .broadcast, PANIdentifier(1)] {
        let header = MACHeader(
          type: type, sequenceNumber: 1, sourcePAN: pan, source: Station.peer, acknowledgmentRequested: true)
        for isCoordinator in [false, true] {
          var station = Station { $0.isPANCoordinator = isCoordinator }
          let actions = try station.receive(header)
          #expect(actions.delivered.count == (isCoordinator && pan == Station.pan ? 1 : 0))
          #expect(actions.sent.count == actions.delivered.count)
        }
      }
    }
    // Neither address: only beacons and acknowledgments are like that.
    var station = Station { $0.isPANCoordinator = true }
    let nowhere = MACHeader(type: .data, version: .v2003, sequenceNumber: 1, acknowledgmentRequested: true)
    #expect(try station.receive(nowhere) == [.dropped(.macNotForUs)])
    let noPAN = MACHeader(
      type: .data, version: .v2015, sequenceNumber: 1, source: Station.peer, panIdentifierCompressed: true)
    #expect(try station.receive(noPAN) == [.dropped(.macNotForUs)])
  }

  @Test("Beacons are taken from the own PAN, or from all while the own is not known, and not acknowledged")
  func beacons() throws {
    let beacon = try Beacon(superframe: .nonBeacon(isCoordinator: true, permitsAssociation: true)).encoded()
    for (own, from, isTaken) in [
      (Station.pan, Station.pan, true), (Station.pan, PANIdentifier(1), false), (.broadcast, PANIdentifier(1), true),
      (Station.pan, .broadcast, false),
    ] {
      var settings = Station.settings()
      settings.panID = own
      var station = Station(settings)
      let header = MACHeader(
        type: .beacon, version: .v2003, sequenceNumber: 1, sourcePAN: from, source: .short(ShortAddress(0)),
        acknowledgmentRequested: true)
      let actions = try station.receive(header, payload: beacon)
      #expect(actions.delivered.count == (isTaken ? 1 : 0))
      #expect(actions.sent.isEmpty)
      // An enhanced one may name a destination.
      let enhanced = MACHeader(
        type: .beacon, version: .v2015, sequenceNumber: 1, destinationPAN: .broadcast, destination: .short(.broadcast),
        sourcePAN: from, source: .short(ShortAddress(0)))
      #expect(try station.receive(enhanced).delivered.count == (isTaken ? 1 : 0))
    }
  }

  @Test("A damaged frame is neither taken nor acknowledged; without an FCS nothing can be said")
  func damagedFrame() throws {
    var station = Station()
    let good = try MACFrame(header: Station.data(), payload: [1, 2, 3]).encoded(withFCS: true)
    for index in good.indices {
      var bad = good
      bad[index] ^= 0x10
      #expect(station.receive(bad) == [.dropped(.macFCSMismatch)])
    }
    #expect(station.radio.drops[.macFCSMismatch] == UInt64(good.count))
    #expect(station.receive(good).delivered.map(\.bytes) == [good])
    let bare = station.receive(Array(good.dropLast(FCS.length)), withFCS: false)
    #expect(bare.delivered.first?.metadata.fcsPresent == false)
    #expect(bare.delivered.first?.metadata.rssi == -60)
    #expect(bare.sent.count == 1)
  }

  @Test("Frames that are cut off, too long or of no known kind are counted by reason")
  func malformedFrames() throws {
    var station = Station()
    #expect(station.receive([]) == [.dropped(.truncated)])
    #expect(station.receive([1], withFCS: false) == [.dropped(.truncated)])
    #expect(station.receive([0x41, 0x98, 1], withFCS: false) == [.dropped(.truncated)])
    #expect(station.receive([0x04, 0x00, 1], withFCS: false) == [.dropped(.macFrameTypeReserved)])
    #expect(station.receive([0x01, 0x30, 1], withFCS: false) == [.dropped(.macFrameVersionReserved)])
    let header = Station.data()
    let room = MACFrameView.maximumLength - FCS.length - header.encodedLength
    let longest = [UInt8](repeating: 0, count: room)
    #expect(try station.receive(header, payload: longest).delivered.count == 1)
    #expect(try station.receive(header, payload: longest + [0]) == [.dropped(.macFrameTooLong)])
    let tooLong = try MACFrame(header: header, payload: longest + [0]).encoded(withFCS: false)
    #expect(station.receive(tooLong, withFCS: false) == [.dropped(.macFrameTooLong)])
    #expect(station.radio.drops.total == 7)
    #expect(station.radio.counters.delivered == 1)
  }

  @Test("A promiscuous radio takes everything whose FCS is right and acknowledges nothing")
  func promiscuous() throws {
    var settings = Station.settings()
    settings.isPromiscuous = true
    var station = Station(settings)
    for header in [
      Station.data(), Station.data(to: .short(ShortAddress(2))), Station.data(in: PANIdentifier(3)),
      .immediateAcknowledgment(sequenceNumber: 3, framePending: true),
    ] {
      let actions = try station.receive(header)
      #expect(actions.delivered.count == 1 && actions.count == 1)
    }
    let unknown: [UInt8] = [0x04, 0x00, 1]
    #expect(station.receive(unknown, withFCS: false).delivered.map(\.bytes) == [unknown])
    #expect(station.receive(unknown) == [.dropped(.macFCSMismatch)])
  }

  @Test("Frames of 2003 and 2006 get the immediate acknowledgment, in front of their delivery")
  func immediateAcknowledgment() throws {
    for version in [FrameVersion.v2003, .v2006] {
      var station = Station()
      let actions = try station.receive(Station.data(version, sequenceNumber: 0x5a))
      guard case .send(let answer)? = actions.first, case .deliver? = actions.last, actions.count == 2 else {
        Issue.record("\(actions)")
        return
      }
      // Type 2, no addresses; the number; the FCS.
      #expect(Array(answer.prefix(3)) == [0x02, 0x00, 0x5a])
      #expect(answer.count == 5 && FCS.isValid(answer.rawSpan))
    }
    var station = Station()
    let silent = Station.data(acknowledgmentRequested: false)
    #expect(try station.receive(silent).sent.isEmpty)
    #expect(station.radio.counters.acknowledgmentsSent == 0)
  }

  @Test("Frames of 2015 get the enhanced acknowledgment, to where they came from")
  func enhancedAcknowledgment() throws {
    var station = Station()
    for number in [UInt8(3), nil] {
      let frame = Station.data(
        .v2015, sequenceNumber: number, to: .extended(Station.extended), from: .short(ShortAddress(9)))
      let answer = try #require(station.receive(frame).sentHeaders().first)
      #expect(answer.control.type == .acknowledgment)
      #expect(answer.control.version == .v2015)
      #expect(answer.sequenceNumber == number)
      #expect(answer.destination == .short(ShortAddress(9)))
      #expect(answer.destinationPAN == Station.pan)
      #expect(answer.source == .absent)
      #expect(answer.security == nil)
    }
  }

  @Test("Frame pending is set for the devices for which frames wait, and for no others")
  func sourceMatch() throws {
    let short = MACAddress.short(ShortAddress(9))
    let command = try MACCommand.dataRequest.encoded()
    for version in FrameVersion.allCases {
      for (match, shortPends, extendedPends) in [
        (SourceMatch(), false, false), (SourceMatch(short: [ShortAddress(9)]), true, false),
        (SourceMatch(extended: [ExtendedAddress(0x0212_4b00_0000_0009)]), false, true),
      ] {
        var station = Station()
        station.radio.sourceMatch = match
        for (source, pends) in [(short, shortPends), (Station.peer, extendedPends)] {
          var header = Station.data(version, from: source)
          #expect(try station.receive(header).sentHeaders().map(\.control.isFramePending) == [pends])
          header.control = FrameControl(rawValue: header.control.rawValue & ~7 | UInt16(FrameType.command.rawValue))
          let polled = try station.receive(header, payload: command)
          #expect(try polled.sentHeaders().map(\.control.isFramePending) == [pends])
        }
      }
    }
  }

  @Test("A copy is acknowledged again and delivered again")
  func copies() throws {
    var station = Station()
    for _ in 0..<3 {
      let actions = try station.receive(Station.data())
      #expect(actions.sent.count == 1 && actions.delivered.count == 1)
    }
    #expect(station.radio.counters.acknowledgmentsSent == 3)
  }
}
