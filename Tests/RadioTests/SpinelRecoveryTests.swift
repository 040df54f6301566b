import IEEE802154
import Radio
import TestSupport
import Testing
import Wire

@Suite("Spinel host: versions, silence, resets, garbage")
struct SpinelRecoveryTests {
  private func failure(_ change: @escaping (inout SpinelFakeRCP) -> Void) throws -> RadioError? {
    var bench = try SpinelBench(change)
    bench.start()
    bench.pass(.seconds(60))
    #expect(bench.host.nextTimeout == nil && bench.description == nil)
    return bench.failure
  }

  @Test("A firmware that this host does not know is named, with what to do")
  func versions() throws {
    let cases: [(SpinelProperty, [UInt8], String)] = [
      (.protocolVersion, [3, 1], "it speaks spinel 3.1, not 4.x"),
      (.protocolVersion, [5, 0], "it speaks spinel 5.0, not 4.x"),
      (.interfaceType, [0], "has the interface type 0 and is no radio for Thread"),
      (.capabilities, [5, 33, 0x81, 4], "has NCP firmware, not RCP firmware"),
      (.capabilities, [], "is no radio co-processor"),
      (.capabilities, [34], "has firmware without the raw frame stream"),
      (.rcpAPIVersion, [3], "has the RCP API version 3; 4 is the oldest that is supported"),
      (.rcpMinimumHostAPIVersion, [12], "demands a host of RCP API version 12 or newer; this is 11"),
      (.protocolVersion, [4], "does not tell its protocol version in a form that is known"),
      (.rcpAPIVersion, [0x80], "does not tell its RCP API version in a form that is known"),
    ]
    for (property, value, text) in cases {
      let error = try #require(try failure { $0.answers[property] = value })
      #expect(error.kind == .notSupported && error.detail.hasSuffix(text), "\(error)")
      #expect(error.radio == SpinelBench.radio && error.remedy.contains("ot-rcp") && !error.canHeal)
    }
    let refused = try #require(try failure { $0.refusals[.protocolVersion] = .propertyNotFound })
    #expect(refused.kind == .notSupported)
    #expect(refused.detail == "it does not tell its protocol version (property not found)")
  }

  @Test("Other minor versions and newer API versions that take this host are fine, and so is what need not be told")
  func compatible() throws {
    var bench = try SpinelBench {
      $0.answers[.protocolVersion] = [4, 9]
      $0.answers[.rcpAPIVersion] = [20]
      $0.answers[.rcpMinimumHostAPIVersion] = [11]
      $0.answers[.ncpVersion] = Array("RCP\u{1b}[31m 1.2\n".utf8)
      $0.refusals[.hardwareAddress] = .propertyNotFound
      $0.refusals[.radioCapabilities] = .propertyNotFound
      $0.refusals[.phyChannelsSupported] = .unimplemented
      $0.refusals[.sourceMatchEnabled] = .propertyNotFound
    }
    bench.start()
    let description = try #require(bench.description)
    // Nothing of the name gets at a terminal.
    #expect(description.name == "RCP[31m 1.2" && description.hardwareAddress == nil)
    #expect(description.capabilities == [.acknowledges, .reportsAcknowledgment, .promiscuous])
    #expect(!bench.rcp.requests.contains { $0.property == .sourceMatchShortAddresses })
    // Source match on a radio without it: nothing is asked, and it is answered.
    bench.host.setSourceMatch(SourceMatch(short: [ShortAddress(2)]), at: bench.now)
    bench.exchange()
    #expect(bench.count(.sourceMatchSet(leftOut: 0)) == 1)
    // Firmware that has no API versions is not asked for them.
    bench = try SpinelBench { $0.answers[.capabilities] = [34, 0x81, 4] }
    bench.start()
    #expect(bench.description != nil && !bench.rcp.requests.contains { $0.property == .rcpAPIVersion })
  }

  @Test("Settings that the radio does not take")
  func settings() throws {
    func refusal(_ status: SpinelStatus? = nil, _ change: (inout RadioSettings) -> Void) throws -> RadioError? {
      var settings = SpinelBench.settings
      change(&settings)
      var bench = try SpinelBench(settings: settings) { $0.refusals[.phyTransmitPower] = status }
      bench.start()
      return bench.failure
    }
    let channel = try #require(try refusal { $0.channel = 5 })
    #expect(channel.kind == .settingRefused && channel.detail == "it has no channel 5")
    #expect(channel.remedy.hasPrefix("choose one of 11, 12, 13"))
    let page = try #require(try refusal { $0.page = 2 })
    #expect(page.kind == .settingRefused && page.detail.contains("page 2"))
    let power = try #require(
      try refusal(.invalidArgument) { $0.transmitPower = 40 })
    #expect(power.kind == .settingRefused)
    #expect(power.detail == "it does not take the transmit power 40 dBm (invalid argument)")
    #expect(try refusal { _ in } == nil)
  }

  @Test("A dead radio: reset, reset of the whole device, and an error that says what to do")
  func dead() throws {
    var bench = try SpinelBench { $0.isDead = true }
    bench.start()
    #expect(bench.rcp.requests == [.reset(.stack)])
    bench.pass(.milliseconds(1_999))
    #expect(bench.rcp.requests.count == 1)
    bench.pass(.milliseconds(1))
    #expect(bench.rcp.requests == [.reset(.stack), .reset(.platform)])
    bench.pass(.seconds(2))
    #expect(bench.rcp.requests.count == 2)
    let error = try #require(bench.failure)
    #expect(error.kind == .silent && error.canHeal && error.detail == "the radio does not answer")
    #expect(error.remedy.contains("baud"))
    #expect(bench.host.nextTimeout == nil && bench.events.count == 1)
    // Nothing more happens.
    bench.deliver(SpinelFakeRCP.resetNotification)
    bench.host.setSourceMatch(SourceMatch(), at: bench.now)
    #expect(bench.offer(SpinelBench.frame(to: 2, "x")) == [false])
    #expect(bench.rcp.requests.count == 2 && bench.events.count == 1)
  }

  @Test("A radio that only answers the reset of the whole device")
  func stackResetUnknown() throws {
    var bench = try SpinelBench {
      $0.isDead = true
      $0.revivesAfter = 2
    }
    bench.start()
    bench.pass(.seconds(3))
    #expect(bench.description != nil && bench.host.statistics.resets == 0)
  }

  @Test("A notification that was left on the line is not counted as a mending")
  func leftover() throws {
    var bench = try SpinelBench()
    bench.host.start(at: bench.now)
    bench.host.receive((SpinelFakeRCP.resetNotification + SpinelFakeRCP.resetNotification).rawSpan, at: bench.now)
    bench.exchange()
    #expect(bench.description != nil && bench.host.statistics.resets == 0)
  }

  @Test("A radio that resets itself is configured again, with its lists, and that is counted")
  func resets() throws {
    var bench = try SpinelBench.ready()
    let devices = SourceMatch(short: [ShortAddress(2)], extended: [ExtendedAddress(0x18b4_3000_0000_0002)])
    bench.host.setSourceMatch(devices, at: bench.now)
    bench.exchange()
    for status in UInt8(0x70)...0x78 {
      bench.deliver(bench.rcp.crash(with: status))
      #expect(bench.rcp.isStreaming && bench.rcp.matchesSource)
      #expect(bench.rcp.short == devices.short && bench.rcp.extended == devices.extended)
    }
    #expect(bench.host.statistics.resets == 9 && bench.count(.recovered) == 9)
    #expect(bench.events.count { if case .ready = $0 { true } else { false } } == 1)
    // It is not probed again.
    #expect(bench.rcp.requests.count { $0.property == .protocolVersion } == 1)
    #expect(bench.transmit(SpinelBench.frame(to: 2, "after")) == .acknowledged(framePending: false))
    // Statuses beside those of resets are none.
    bench.deliver(HDLCLite.encode([0x80, 6, 0, 0x6f]))
    bench.deliver(HDLCLite.encode([0x80, 6, 0, 0x80, 0x01]))
    #expect(bench.host.statistics.resets == 9)
  }

  @Test("A reset with a frame on its way: that frame has failed; one that waits goes afterwards")
  func resetWhileSending() throws {
    var bench = try SpinelBench.ready()
    bench.rcp.keepsResults = true
    _ = bench.offer(SpinelBench.frame(to: 2, "lost"))
    bench.rcp.keepsResults = false
    bench.deliver(bench.rcp.crash())
    #expect(bench.outcome() == .failed && bench.host.statistics.transmitErrors == 1)

    // The radio dies; the next frame is given while it is being mended.
    bench.rcp.isDead = true
    bench.rcp.revivesAfter = 2
    bench.forgetEvents()
    bench.host.setSourceMatch(SourceMatch(short: [ShortAddress(7)]), at: bench.now)
    bench.pass(.seconds(3))
    #expect(bench.offer(SpinelBench.frame(to: 2, "later")) == [true])
    #expect(bench.outcome() == nil)
    bench.pass(.seconds(2))
    #expect(bench.outcome() == .acknowledged(framePending: false))
    #expect(bench.count(.recovered) == 1 && bench.count(.sourceMatchSet(leftOut: 0)) == 1)
    #expect(bench.rcp.short == [ShortAddress(7)])
  }

  @Test("A request whose answer is lost is made again; a frame is not")
  func repeats() throws {
    var bench = try SpinelBench.ready()
    bench.rcp.isDead = true
    bench.host.setSourceMatch(SourceMatch(short: [ShortAddress(7)]), at: bench.now)
    bench.exchange()
    bench.rcp.isDead = false
    bench.pass(.milliseconds(999))
    #expect(bench.rcp.short.isEmpty)
    bench.pass(.milliseconds(1))
    #expect(bench.rcp.short == [ShortAddress(7)] && bench.count(.sourceMatchSet(leftOut: 0)) == 1)
    let requests = bench.rcp.requests.suffix(2)
    #expect(Set(requests.map(\.value)) == [[7, 0]] && Set(requests.map(\.header.transaction)).count == 2)
    #expect(bench.host.statistics == RadioStatistics())
  }

  @Test("A radio that dies in the middle: reset, then up again, or given up")
  func dies() throws {
    var bench = try SpinelBench.ready()
    bench.rcp.isDead = true
    bench.rcp.revivesAfter = 1
    _ = bench.offer(SpinelBench.frame(to: 2, "anybody?"))
    bench.pass(.seconds(3))
    #expect(bench.outcome() == .failed && bench.count(.recovered) == 1)
    #expect(bench.host.statistics.resets == 1 && bench.failure == nil)
    #expect(bench.transmit(SpinelBench.frame(to: 2, "back")) == .acknowledged(framePending: false))

    bench.rcp.isDead = true
    bench.rcp.revivesAfter = nil
    _ = bench.offer(SpinelBench.frame(to: 2, "anybody?"))
    bench.pass(.seconds(7))
    #expect(bench.failure?.kind == .silent && bench.outcome() == .failed)
  }

  @Test("A radio that says nothing is asked whether it lives; one that lost its settings gets them again")
  func quiet() throws {
    var bench = try SpinelBench.ready()
    let asked = bench.rcp.requests.count
    bench.pass(.seconds(29))
    #expect(bench.rcp.requests.count == asked)
    // Anything heard puts it off.
    bench.deliver(try bench.rcp.hear("hello all"))
    bench.pass(.seconds(29))
    #expect(bench.rcp.requests.count == asked)
    bench.pass(.seconds(1))
    #expect(bench.rcp.requests.count == asked + 1 && bench.host.statistics.resets == 0)

    // Reset without a notification.
    bench.rcp.reset()
    bench.pass(.seconds(30))
    #expect(bench.rcp.isStreaming && bench.host.statistics.resets == 1 && bench.count(.recovered) == 1)

    bench.rcp.reset()
    #expect(bench.transmit(SpinelBench.frame(to: 2, "lost")) == .failed)
    #expect(bench.rcp.isStreaming && bench.host.statistics.resets == 2 && bench.count(.recovered) == 2)

    bench.rcp.isDead = true
    bench.pass(.seconds(36))
    #expect(bench.failure?.kind == .silent)
  }

  @Test("A radio that resets again and again before it is ready is given up")
  func loops() throws {
    var bench = try SpinelBench { $0.noise = { _ in SpinelFakeRCP.resetNotification } }
    bench.start()
    #expect(bench.failure?.kind == .failed && bench.failure?.detail.contains("again and again") == true)
    #expect(bench.rcp.requests.count < 20)
  }

  @Test("One that never answers one question is given up after a few resets")
  func deafToOne() throws {
    let error = try #require(
      try failure { rcp in
        rcp.noise = { frame in
          if frame.command == .reset { return SpinelFakeRCP.resetNotification }
          guard frame.property == .protocolVersion else { return [] }
          return HDLCLite.encode([0x80 | frame.header.transaction, 6, 1, 4, 3])
        }
      })
    #expect(error.kind == .silent && error.detail == "the radio does not answer (firmware version)")
  }

  @Test("Only garbage: reset, then an error about baud rate and firmware")
  func babbles() throws {
    var random = SeededGenerator(seed: 4)
    let noise = random.bytes(8_000)
    var bench = try SpinelBench { $0.noise = { _ in noise } }
    bench.start()
    #expect(bench.rcp.requests == [.reset(.stack), .reset(.stack)])
    let error = try #require(bench.failure)
    #expect(error.kind == .notSupported && error.remedy.contains("baud") && error.remedy.contains("RCP firmware"))
    #expect(error.detail.contains("bytes came from it that are no spinel frames"))
    #expect(bench.host.statistics.malformed > 0)
  }

  @Test("A device that echoes is no radio, though it echoes whole frames")
  func echoes() throws {
    var bench = try SpinelBench { rcp in
      rcp.noise = { frame in (try? HDLCLite.encode(frame.encoded())) ?? [] }
    }
    bench.start()
    bench.pass(.seconds(10))
    let error = try #require(bench.failure)
    #expect(error.kind == .silent && error.detail.contains("bytes came that are no spinel frames"))
    #expect(bench.host.drops[.spinelMalformed] == 2)
  }

  @Test("Garbage in between does not matter; a great deal of it leads to a reset, and to a failure that may heal")
  func noisyLine() throws {
    var random = SeededGenerator(seed: 5)
    var bench = try SpinelBench.ready()
    for _ in 0..<100 {
      bench.deliver(random.bytes(200) + (try bench.rcp.hear("hello all")))
    }
    #expect(bench.frames.count > 90 && bench.host.statistics.resets == 0)
    bench.deliver(random.bytes(8_000))
    #expect(bench.host.statistics.resets == 1 && bench.count(.recovered) == 1)
    bench.deliver(random.bytes(8_000))
    #expect(bench.host.statistics.resets == 2 && bench.count(.recovered) == 2)
    bench.rcp.isDead = true
    bench.deliver(random.bytes(10_000))
    bench.deliver(random.bytes(10_000))
    #expect(bench.failure?.kind == .failed && bench.failure?.canHeal == true)
  }
}
