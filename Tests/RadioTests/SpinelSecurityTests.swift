import IEEE802154
import Radio
import TestSupport
import Testing
import Wire

@Suite("Spinel host: link security")
struct SpinelSecurityTests {
  private let keys = SpinelMACKeys(keyIndex: 1, current: Array(0...15))

  /// A data frame at level 5 with key identifier mode `mode`, its payload in the clear, as it is given to a radio that secures.
  private func secured(mode: UInt8 = 1, counter: UInt8 = 0, _ text: String) -> [UInt8] {
    let identifier: [UInt8] = mode == 1 ? [0] : [0, 0, 0, 9, 3]
    return [0x69, 0x98, 0x10, 0xcd, 0xab, 2, 0, 1, 0, mode << 3 | 5, counter, 0, 0, 0] + identifier + Array(text.utf8)
  }

  private func counters(_ bench: SpinelBench) -> [UInt32] {
    bench.rcp.requests.filter { $0.property == .rcpMACFrameCounter }.map {
      $0.value.reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
  }

  @Test("Keys and counter are set as recorded, before the raw stream; the radio says that it secures")
  func configuration() throws {
    var bench = try SpinelBench()
    bench.host.setKeys(keys, frameCounter: 1000, at: bench.now)
    bench.start()
    #expect(bench.description?.capabilities.contains(.secures) == true)
    #expect(bench.count(.keysSet) == 1 && bench.rcp.unrecorded.isEmpty)
    let recorded = try SpinelTranscript("rcp-session").frames(answers: false).map(\.frame)
    for property in [SpinelProperty.rcpMACKey, .rcpMACFrameCounter] {
      let request = try #require(bench.rcp.requests.first { $0.property == property })
      #expect(recorded.contains { $0.property == property && $0.value == request.value })
    }
    let order = bench.rcp.requests.map(\.property)
    let key = try #require(order.firstIndex(of: .rcpMACKey))
    #expect(try key < #require(order.firstIndex(of: .macRawStreamEnabled)))
  }

  @Test("A frame for the co-processor to secure has room for its integrity code, as recorded; the counter is followed")
  func secures() throws {
    var bench = try SpinelBench()
    bench.host.setKeys(keys, frameCounter: 1000, at: bench.now)
    bench.start()
    let recorded = try #require(
      try SpinelTranscript("rcp-session").frames(answers: false).first {
        $0.line.section.hasPrefix("A: secured frame (")
      })
    #expect(bench.transmit(secured("secret text")) == .acknowledged(framePending: false))
    #expect(bench.rcp.requests.last?.value == recorded.frame.value)
    // The recorded result said 1000.
    #expect(bench.host.frameCounter == 1001)
    // Other modes are the sender's own, finished.
    #expect(bench.transmit(secured(mode: 2, counter: 7, "already sealed")) != nil)
    let options = try #require(bench.rcp.transmissions.last?.options)
    #expect(options.isSecurityProcessed && options.isHeaderUpdated)
    #expect(bench.rcp.transmissions.last?.psdu == secured(mode: 2, counter: 7, "already sealed") + [0, 0])
  }

  @Test("Without keys a secured frame is sent as it is")
  func withoutKeys() throws {
    var bench = try SpinelBench.ready()
    #expect(bench.transmit(secured(counter: 7, "already sealed")) != nil)
    let request = try #require(bench.rcp.transmissions.last)
    #expect(request.options?.isSecurityProcessed == true && request.options?.isHeaderUpdated == true)
    #expect(request.psdu == secured(counter: 7, "already sealed") + [0, 0])
    #expect(bench.host.frameCounter == nil)
  }

  @Test("After a reset the counter goes on beyond all that can have been used")
  func resets() throws {
    var bench = try SpinelBench()
    bench.host.setKeys(keys, frameCounter: 1000, at: bench.now)
    bench.start()
    _ = bench.transmit(secured("one"))
    // A secured acknowledgment takes a counter too.
    bench.deliver(
      try SpinelFakeRCP.heard(
        SpinelReceivedFrame(
          psdu: [0x41, 0x88, 7, 0, 0], flags: .acknowledgedSecured, channel: 15,
          acknowledgmentSecurity: .init(keyIndex: 1, frameCounter: 1500))))
    #expect(bench.host.frameCounter == 1501)
    bench.deliver(bench.rcp.crash())
    #expect(counters(bench) == [1000, 2501])
    bench.deliver(bench.rcp.crash())
    #expect(counters(bench) == [1000, 2501, 3501])
    #expect(bench.count(.keysSet) == 1)
    // The same key again never goes back; another may begin anew.
    bench.host.setKeys(keys, frameCounter: 0, at: bench.now)
    bench.exchange()
    bench.host.setKeys(SpinelMACKeys(keyIndex: 2, current: Array(1...16)), frameCounter: 5, at: bench.now)
    bench.exchange()
    #expect(counters(bench).suffix(2) == [3501, 5] && bench.count(.keysSet) == 3)
  }

  @Test("A counter that is used up is the end")
  func usedUp() throws {
    var bench = try SpinelBench()
    bench.host.setKeys(keys, frameCounter: .max - 500, at: bench.now)
    bench.start()
    #expect(bench.failure == nil)
    bench.deliver(bench.rcp.crash())
    #expect(bench.failure?.kind == .settingRefused && bench.failure?.detail == "the frame counter is used up")
  }

  @Test("A co-processor that does not secure frames is not given any to secure")
  func unable() throws {
    var bench = try SpinelBench { $0.answers[.radioCapabilities] = [0x5f] }
    bench.host.setKeys(keys, frameCounter: 0, at: bench.now)
    bench.start()
    #expect(bench.failure?.kind == .settingRefused && bench.rcp.transmissions.isEmpty)
    bench = try SpinelBench { $0.refusals[.rcpMACKey] = .invalidArgument }
    bench.start()
    bench.host.setKeys(keys, frameCounter: 0, at: bench.now)
    bench.exchange()
    #expect(bench.failure?.detail == "it does not take the MAC keys (invalid argument)")
    bench = try SpinelBench.ready()
    bench.host.setKeys(SpinelMACKeys(keyIndex: 1, current: [1]), frameCounter: 0, at: bench.now)
    bench.exchange()
    #expect(bench.failure?.kind == .settingRefused)
  }

  @Test("Keys that are set while the radio is being mended come with the configuration")
  func meanwhile() throws {
    var bench = try SpinelBench.ready()
    bench.rcp.isDead = true
    bench.rcp.revivesAfter = 1
    _ = bench.offer(SpinelBench.frame(to: 2, "lost"))
    bench.host.setKeys(keys, frameCounter: 77, at: bench.now)
    bench.pass(.seconds(4))
    #expect(bench.count(.recovered) == 1 && bench.count(.keysSet) == 1 && bench.failure == nil)
    #expect(counters(bench).last == 1077)
  }
}
