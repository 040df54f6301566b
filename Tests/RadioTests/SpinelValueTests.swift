import IEEE802154
import Radio
import TestSupport
import Testing
import Wire

@Suite("Spinel values")
struct SpinelValueTests {
  /// Emitted, parsed again and equal, with the length that was announced.
  private func twins<T: WireValue & Equatable>(_ value: T) throws {
    let bytes = try value.encoded()
    #expect(bytes.count == value.encodedLength)
    #expect(try T(parsing: bytes) == value)
  }

  private func reason<T: WireValue>(_: T.Type, _ bytes: [UInt8]) -> DropReason? {
    do throws(ParseError) {
      _ = try T(parsing: bytes)
      return nil
    } catch {
      return error.reason
    }
  }

  @Test("Packed integers: known forms, the largest, and too long a form")
  func packed() throws {
    let known: [(UInt32, [UInt8])] = [
      (0, [0]), (127, [0x7f]), (128, [0x80, 1]), (1337, [0xb9, 0x0a]), (0x800, [0x80, 0x10]),
      (0x1303, [0x83, 0x26]), (16394, [0x8a, 0x80, 0x01]), (2_097_151, [0xff, 0xff, 0x7f]),
    ]
    for (value, bytes) in known {
      #expect(try SpinelNumber(value).encoded() == bytes)
      #expect(try SpinelNumber(parsing: bytes) == SpinelNumber(value))
    }
    #expect(throws: EmitError.notRepresentable) { try SpinelNumber(2_097_152).encoded() }
    #expect(reason(SpinelNumber.self, [0x80, 0x80, 0x80, 0x00]) == .spinelMalformed)
    #expect(reason(SpinelNumber.self, [0x80]) == .truncated)
    var random = SeededGenerator(seed: 1)
    for _ in 0..<1_000 { try twins(SpinelNumber(UInt32.random(in: 0...0x1f_ffff, using: &random))) }
  }

  @Test("Every recorded frame is parsed and emitted to the same bytes", arguments: SpinelTranscript.names)
  func recorded(name: String) throws {
    for (frame, line) in try SpinelTranscript(name).frames() {
      let content = try SpinelTranscript.content(line.wire)
      #expect(try frame.encoded() == content)
      switch (frame.command, frame.property) {
      case (.valueIs, .streamRaw?):
        let value = try SpinelReceivedFrame(parsing: frame.value)
        #expect(try value.encoded() == frame.value)
        #expect(value.channel == 15 && value.rssi == -20 && value.error == 0 && value.noiseFloor == -128)
        #expect(line.text.contains("psdu[\(value.psdu.count)]="))
        #expect(line.text.contains("'ts': \(value.timestamp)"))
        #expect(line.text.contains("'flags': \(value.flags.rawValue)"))
        let isValid = FCS.isValid(value.psdu.rawSpan)
        #expect(isValid)
      case (.set, .streamRaw?):
        let value = try SpinelTransmitRequest(parsing: frame.value)
        #expect(try value.encoded() == frame.value)
        #expect(value.channel == 15)
      case (.valueIs, .lastStatus?):
        let value = try SpinelLastStatus(parsing: frame.value)
        #expect(try value.encoded() == frame.value)
        #expect(line.text.contains("status=\(value.status.rawValue)"))
        guard let transmission = value.transmission else { break }
        #expect(line.text.contains("framePending=\(transmission.isFramePending ? 1 : 0)"))
        #expect(line.text.contains("headerUpdated=\(transmission.isHeaderUpdated ? 1 : 0)"))
        if let acknowledgment = transmission.acknowledgment {
          #expect(line.text.contains("ack[\(acknowledgment.psdu.count)]"))
        }
        if let security = transmission.security {
          #expect(line.text.contains("txKeyId=\(security.keyIndex) txFrameCounter=\(security.frameCounter)"))
        }
      default: break
      }
    }
  }

  @Test("What the probe of the recording says")
  func probe() throws {
    let answers = try SpinelTranscript("rcp-session").frames(answers: true).map(\.frame)
    func value(_ property: SpinelProperty) throws -> [UInt8] {
      try #require(answers.first { $0.property == property }).value
    }
    #expect(try SpinelProtocolVersion(parsing: value(.protocolVersion)) == .init(major: 4, minor: 3))
    #expect(try SpinelNumber(parsing: value(.interfaceType)).value == 3)
    #expect(try SpinelNumber(parsing: value(.rcpAPIVersion)).value == 11)
    #expect(try SpinelNumber(parsing: value(.rcpMinimumHostAPIVersion)).value == 4)
    #expect(try SpinelCapabilities(parsing: value(.capabilities)).values == [5, 12, 24, 34, 513, 64, 65, 518])
    #expect(try SpinelText(parsing: value(.ncpVersion)).printable.hasPrefix("OPENTHREAD/3ae741f95"))
    let address = try SpinelExtendedAddresses(parsing: value(.hardwareAddress)).addresses
    #expect(address == [ExtendedAddress(0x18b4_3000_0000_0001)])
    #expect(try SpinelShortAddresses(parsing: value(.macShortAddress)).addresses == [.unassigned])
  }

  @Test("The keys of the recording")
  func keys() throws {
    let set = try #require(
      try SpinelTranscript("rcp-session").frames(answers: false).map(\.frame).first { $0.property == .rcpMACKey })
    let keys = try SpinelMACKeys(parsing: set.value)
    #expect(keys == SpinelMACKeys(keyIndex: 1, current: Array(0...15)))
    #expect(try keys.encoded() == set.value)
    #expect("\(keys)" == "keys around index 1")
    #expect(throws: EmitError.notRepresentable) { try SpinelMACKeys(keyIndex: 1, current: [1, 2]).encoded() }
    #expect(reason(SpinelMACKeys.self, [0x10] + set.value.dropFirst()) == .reservedValue)
    #expect(reason(SpinelMACKeys.self, [8, 1, 15, 0] + [UInt8](repeating: 0, count: 60)) == .lengthMismatch)
  }

  @Test("Random values of every kind survive")
  func roundTrip() throws {
    var random = SeededGenerator(seed: 7)
    for _ in 0..<500 {
      let security = SpinelReceivedFrame.AcknowledgmentSecurity(
        keyIndex: .random(in: 0...255, using: &random), frameCounter: .random(in: 0...(.max), using: &random))
      let frame = SpinelReceivedFrame(
        psdu: random.bytes(in: 0...140), rssi: .random(in: -128...127, using: &random),
        noiseFloor: .random(in: -128...127, using: &random),
        flags: .init(rawValue: .random(in: 0...(.max), using: &random)), channel: .random(in: 0...255, using: &random),
        lqi: .random(in: 0...255, using: &random), timestamp: .random(in: 0...(.max), using: &random),
        error: .random(in: 0...0x1f_ffff, using: &random), acknowledgmentSecurity: random.oneIn(2) ? security : nil)
      try twins(frame)

      var options = SpinelTransmitRequest.Options(receiveChannel: .random(in: 0...255, using: &random))
      options.maximumBackoffs = .random(in: 0...255, using: &random)
      options.maximumRetries = .random(in: 0...255, using: &random)
      options.usesCSMA = random.oneIn(2)
      options.isHeaderUpdated = random.oneIn(2)
      options.isRetransmission = random.oneIn(2)
      options.isSecurityProcessed = random.oneIn(2)
      options.delay = .random(in: 0...(.max), using: &random)
      options.delayBase = .random(in: 0...(.max), using: &random)
      options.power = .random(in: -128...127, using: &random)
      try twins(
        SpinelTransmitRequest(
          psdu: random.bytes(in: 0...140), channel: .random(in: 0...255, using: &random),
          options: random.oneIn(3) ? nil : options))

      let failure = SpinelStatus(rawValue: .random(in: 1...0x1f_ffff, using: &random))
      let status = random.oneIn(2) ? SpinelStatus.ok : failure
      let transmission = SpinelLastStatus.Transmission(
        isFramePending: random.oneIn(2), isHeaderUpdated: random.oneIn(2), acknowledgment: status == .ok ? frame : nil,
        security: random.oneIn(2) ? security : nil)
      try twins(SpinelLastStatus(status, transmission: random.oneIn(3) ? nil : transmission))

      try twins(
        SpinelMACKeys(
          keyIndex: .random(in: 0...255, using: &random), current: random.bytes(16), previous: random.bytes(16),
          next: random.bytes(16)))
      try twins(SpinelCapabilities(random.bytes(in: 0...20).map { (UInt32($0) << 9) >> ($0 % 10) }))
      try twins(SpinelText(bytes: random.bytes(in: 0...60).filter { $0 != 0 }))
      try twins(SpinelShortAddresses(random.bytes(in: 0...20).map { ShortAddress(UInt16($0) << 3) }))
      try twins(SpinelExtendedAddresses(random.bytes(in: 0...20).map { ExtendedAddress(UInt64($0) << 40) }))
      try twins(
        SpinelProtocolVersion(
          major: .random(in: 0...0x1f_ffff, using: &random), minor: .random(in: 0...0x1f_ffff, using: &random)))
      let command = SpinelCommand(rawValue: .random(in: 0...20, using: &random))
      try twins(
        SpinelFrame(
          command, (2...8).contains(command.rawValue) ? .init(rawValue: .random(in: 0...0x3fff, using: &random)) : nil,
          random.bytes(in: 0...30), transaction: .random(in: 0...15, using: &random),
          interface: .random(in: 0...3, using: &random)))
    }
  }

  @Test("What has no form is not emitted")
  func unrepresentable() {
    #expect(throws: EmitError.notRepresentable) { try SpinelFrame(.get, nil, transaction: 1).encoded() }
    #expect(throws: EmitError.notRepresentable) { try SpinelFrame(.reset, .lastStatus, transaction: 1).encoded() }
    #expect(throws: EmitError.notRepresentable) { try SpinelText(bytes: [65, 0, 66]).encoded() }
    let frame = SpinelReceivedFrame(psdu: [UInt8](repeating: 0, count: 65_536))
    #expect(throws: EmitError.notRepresentable) { try frame.encoded() }
    let request = SpinelTransmitRequest(psdu: [UInt8](repeating: 0, count: 65_536), channel: 11)
    #expect(throws: EmitError.notRepresentable) { try request.encoded() }
    let result = SpinelLastStatus(
      .noAcknowledgment,
      transmission: .init(isFramePending: false, isHeaderUpdated: false, acknowledgment: .init(psdu: [])))
    #expect(throws: EmitError.notRepresentable) { try result.encoded() }
  }

  @Test("Cut short anywhere, a value is an error and not another value")
  func truncated() throws {
    let frame = try SpinelReceivedFrame(psdu: [1, 2, 3, 4, 5], channel: 11).encoded()
    for length in 0..<frame.count where length != frame.count - 7 {
      #expect(reason(SpinelReceivedFrame.self, Array(frame.prefix(length))) != nil, "\(length) bytes")
    }
    // Without the MAC data it is what an older firmware says.
    #expect(try SpinelReceivedFrame(parsing: Array(frame.dropLast(7))).acknowledgmentSecurity == nil)
    #expect(reason(SpinelFrame.self, []) == .truncated)
    #expect(reason(SpinelFrame.self, [0x81]) == .truncated)
    #expect(reason(SpinelFrame.self, [0x81, 6]) == .truncated)
    #expect(reason(SpinelFrame.self, [0x41, 6, 0]) == .spinelMalformed)
    #expect(reason(SpinelFrame.self, [0xc1, 6, 0]) == .spinelMalformed)
    #expect(reason(SpinelExtendedAddresses.self, [1, 2, 3]) == .truncated)
  }

  @Test("What a newer firmware appends to a structure is passed over")
  func extended() throws {
    var bytes = try SpinelReceivedFrame(psdu: [1, 2, 3], channel: 20, lqi: 9).encoded()
    // The PHY data get two octets more.
    let phy = 2 + 3 + 4
    bytes[phy] = 12
    bytes.insert(contentsOf: [0xaa, 0xbb], at: phy + 12)
    #expect(try SpinelReceivedFrame(parsing: bytes) == SpinelReceivedFrame(psdu: [1, 2, 3], channel: 20, lqi: 9))
  }
}
