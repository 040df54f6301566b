import IEEE802154
import Radio
import TestSupport
import Testing
import Wire

@Suite("Spinel host: probe, configuration, frames")
struct SpinelHostTests {
  @Test("It probes and configures as the recorded host did, in the order that is known to work")
  func configures() throws {
    let bench = try SpinelBench.ready()
    let description = try #require(bench.description)
    #expect(description.name.hasPrefix("OPENTHREAD/3ae741f95-dirty; SIMULATION"))
    #expect(description.hardwareAddress == ExtendedAddress(0x18b4_3000_0000_0001))
    #expect(
      description.capabilities == [.acknowledges, .retransmits, .reportsAcknowledgment, .sourceMatch, .promiscuous])
    #expect(bench.rcp.unrecorded.isEmpty)
    #expect(bench.events.count == 1 && bench.host.statistics == RadioStatistics())

    // Every frame that was written is in the recording, but for its transaction; RESET and the probe before all settings.
    let recorded = try SpinelTranscript("rcp-session").frames(answers: false).map(\.frame)
    for request in bench.rcp.requests {
      #expect(
        recorded.contains {
          ($0.command, $0.property, $0.value) == (request.command, request.property, request.value)
        }, "\(request)")
    }
    #expect(bench.rcp.requests.first == .reset(.stack))
    let order: [SpinelProperty] = [
      .protocolVersion, .ncpVersion, .interfaceType, .capabilities, .rcpAPIVersion, .rcpMinimumHostAPIVersion,
      .hardwareAddress, .radioCapabilities, .phyChannelsSupported, .phyEnabled, .phyChannel, .macPANIdentifier,
      .macExtendedAddress, .macShortAddress, .macPromiscuousMode, .sourceMatchEnabled, .sourceMatchShortAddresses,
      .sourceMatchExtendedAddresses, .macRawStreamEnabled,
    ]
    #expect(bench.rcp.requests.dropFirst().map(\.property) == order)
    #expect(bench.rcp.requests.dropFirst().map(\.header.transaction) == (0..<19).map { UInt8($0 % 15 + 1) })
    #expect(bench.rcp.isEnabled && bench.rcp.isStreaming && bench.rcp.matchesSource)
  }

  @Test("Settings that are optional: power, no short address, promiscuous mode")
  func settings() throws {
    var settings = SpinelBench.settings
    settings.transmitPower = -8
    settings.shortAddress = nil
    settings.isPromiscuous = true
    let bench = try SpinelBench.ready(settings: settings)
    func value(_ property: SpinelProperty) -> [UInt8]? {
      bench.rcp.requests.first { $0.command == .set && $0.property == property }?.value
    }
    #expect(value(.phyTransmitPower) == [0xf8])
    #expect(value(.macShortAddress) == [0xfe, 0xff])
    #expect(value(.macPromiscuousMode) == [2])
    #expect(bench.description?.capabilities == [.retransmits, .reportsAcknowledgment, .promiscuous])
  }

  @Test("Frames that are heard, without the FCS, which a radio has verified and may have overwritten")
  func receives() throws {
    var bench = try SpinelBench.ready()
    bench.deliver(try bench.rcp.hear("hello all"))
    bench.deliver(try bench.rcp.hear("hello A"))
    let expected = FrameMetadata(timestamp: bench.now, fcsPresent: false, rssi: -20, channel: 15)
    #expect(bench.frames.map(\.metadata) == [expected, expected])
    #expect(bench.frames[0].bytes.hex == "418801cdabffff020068656c6c6f20616c6c")
    #expect(bench.frames[1].bytes.hex == "618802cdab0100020068656c6c6f2041")

    var heard = SpinelReceivedFrame(psdu: [0x41, 0x88, 7, 0xaa, 0xbb], rssi: 127, channel: 15, lqi: 200)
    bench.deliver(try SpinelFakeRCP.heard(heard))
    #expect(bench.frames[2].bytes == [0x41, 0x88, 7])
    #expect(bench.frames[2].metadata.lqi == 200 && bench.frames[2].metadata.rssi == nil)
    #expect(bench.host.statistics.received == 3 && bench.host.statistics.malformed == 0)

    // What is no frame: a reception error, a bad FCS, nothing but an FCS.
    heard.error = 17
    bench.deliver(try SpinelFakeRCP.heard(heard))
    heard.error = 0
    heard.flags = .badFCS
    bench.deliver(try SpinelFakeRCP.heard(heard))
    bench.deliver(try SpinelFakeRCP.heard(SpinelReceivedFrame(psdu: [1, 2])))
    // An acknowledgment is none for those above; another network on the same co-processor is not ours.
    bench.deliver(try SpinelFakeRCP.heard(SpinelReceivedFrame(psdu: [2, 0, 1, 0, 0])))
    let other = try SpinelFrame(
      .valueIs, .streamRaw, SpinelReceivedFrame(psdu: [0x41, 0x88, 7, 0xaa, 0xbb]).encoded(), transaction: 0,
      interface: 1)
    bench.deliver(HDLCLite.encode(try other.encoded()))
    #expect(bench.frames.count == 3)
    #expect(bench.host.statistics.received == 3 && bench.host.statistics.malformed == 3)
    #expect(bench.host.drops[.macFCSMismatch] == 2 && bench.host.drops[.truncated] == 1)
  }

  @Test("In promiscuous mode the frame and its acknowledgment, as recorded")
  func sniffs() throws {
    var settings = SpinelBench.settings
    settings.isPromiscuous = true
    var bench = try SpinelBench.ready(settings: settings)
    for (_, line) in try SpinelTranscript("rcp-session").frames(answers: true)
    where line.section.hasPrefix("peer: B unicasts to C") {
      bench.deliver(line.wire)
    }
    #expect(bench.frames.map(\.bytes.hex) == ["61881ecdab030002004220746f2043", "02001e"])
  }

  @Test("Frames are heard only when the configuration is complete")
  func early() throws {
    var bench = try SpinelBench()
    bench.host.start(at: bench.now)
    let heard = try SpinelFakeRCP.heard(SpinelReceivedFrame(psdu: [0x41, 0x88, 7, 0xaa, 0xbb]))
    bench.host.receive(heard.rawSpan, at: bench.now)
    bench.exchange()
    #expect(bench.frames.isEmpty && bench.description != nil)
  }

  @Test("Transmission: acknowledged, broadcast, no acknowledgment, busy channel, refused")
  func transmits() throws {
    var bench = try SpinelBench.ready()
    #expect(bench.transmit(SpinelBench.frame(to: 2, "queued data")) == .acknowledged(framePending: false))
    #expect(bench.transmit(SpinelBench.frame(to: 0xffff, asksForAcknowledgment: false, "from A")) == .sent)
    #expect(bench.transmit(SpinelBench.frame(to: 9, "anyone?")) == .noAcknowledgment)
    bench.rcp.refusals[.streamRaw] = .ccaFailure
    #expect(bench.transmit(SpinelBench.frame(to: 2, "busy")) == .channelAccessFailure)
    bench.rcp.refusals[.streamRaw] = .parseError
    #expect(bench.transmit(SpinelBench.frame(to: 2, "refused")) == .failed)
    bench.rcp.refusals = [:]
    #expect(bench.transmit(SpinelBench.frame(to: 2, "again")) == .acknowledged(framePending: false))

    let request = try #require(bench.rcp.transmissions.first)
    #expect(request.psdu == SpinelBench.frame(to: 2, "queued data") + [0, 0])
    #expect(request.channel == 15)
    #expect(request.options == SpinelTransmitRequest.Options(receiveChannel: 15))
    var expected = RadioStatistics()
    (expected.transmitted, expected.noAcknowledgment) = (3, 1)
    (expected.channelAccessFailures, expected.transmitErrors) = (1, 1)
    #expect(bench.host.statistics == expected)
    #expect(bench.rcp.unrecorded.isEmpty)
  }

  @Test("The recorded transmissions are written byte for byte and have the recorded results")
  func recordedTransmissions() throws {
    var bench = try SpinelBench.ready()
    let recorded = try SpinelTranscript("rcp-session").frames(answers: false)
      .filter { $0.frame.property == .streamRaw && ($0.line.section.hasPrefix("A: ")) }
    #expect(recorded.count >= 8)
    for (frame, line) in recorded {
      let request = try SpinelTransmitRequest(parsing: frame.value)
      // Those that the co-processor secures need keys; other options are not this host's.
      guard request.options == SpinelTransmitRequest.Options(receiveChannel: 15), request.psdu[0] & 8 == 0 else {
        continue
      }
      bench.rcp = try SpinelFakeRCP(enabledLike: bench.rcp)
      let outcome = bench.transmit(Array(request.psdu.dropLast(2)))
      #expect(bench.rcp.requests.last?.value == frame.value)
      switch line.section {
      case "A: broadcast": #expect(outcome == .sent)
      case let section where section.contains("absent node"): #expect(outcome == .noAcknowledgment)
      default: #expect(outcome == .acknowledged(framePending: false), "\(line.section)")
      }
    }
  }

  @Test("Frame pending of the acknowledgment, by the octet in front and not by the flags")
  func framePending() throws {
    var bench = try SpinelBench.ready()
    bench.rcp.keepsResults = true
    _ = bench.offer(SpinelBench.frame(to: 2, "more?"))
    let transaction = try #require(bench.rcp.requests.last).header.transaction
    // From host-session.txt.
    let result = try #require(
      try SpinelTranscript("host-session").frames(answers: true)
        .first { $0.line.text.contains("framePending=1") && $0.line.text.contains("'flags': 0,") })
    var frame = result.frame
    frame.header.transaction = transaction
    bench.deliver(HDLCLite.encode(try frame.encoded()))
    #expect(bench.outcome() == .acknowledged(framePending: true))
  }

  @Test("One transmission at a time; frames that cannot be sent are not taken")
  func oneAtATime() throws {
    var bench = try SpinelBench()
    #expect(bench.offer([0x41, 0x88, 1]) == [false])
    bench.start()
    bench.rcp.keepsResults = true
    #expect(
      bench.offer(
        [], [UInt8](repeating: 0x41, count: 126), SpinelBench.frame(to: 2, "one"), SpinelBench.frame(to: 2, "two"))
        == [false, false, true, false])
    #expect(bench.rcp.transmissions.count == 1 && bench.outcome() == nil)
    #expect(bench.host.statistics.transmitErrors == 4)
    // Other requests go on beside it.
    bench.host.setSourceMatch(SourceMatch(short: [ShortAddress(2)]), at: bench.now)
    bench.exchange()
    #expect(bench.rcp.short == [ShortAddress(2)] && bench.count(.sourceMatchSet(leftOut: 0)) == 1)
  }

  @Test("No transaction is given to two requests at once")
  func transactions() throws {
    var bench = try SpinelBench.ready()
    bench.rcp.keepsResults = true
    _ = bench.offer(SpinelBench.frame(to: 2, "one"))
    let taken = try #require(bench.rcp.requests.last).header.transaction
    let before = bench.rcp.requests.count
    for value in 1...40 {
      bench.host.setSourceMatch(SourceMatch(short: [ShortAddress(UInt16(value))]), at: bench.now)
      bench.exchange()
    }
    let used = bench.rcp.requests.dropFirst(before).map(\.header.transaction)
    #expect(used.count == 40 && !used.contains(taken) && !used.contains(0) && Set(used).count == 14)
  }
}
