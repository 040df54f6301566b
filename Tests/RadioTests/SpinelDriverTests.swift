import Foundation
import IEEE802154
import TestSupport
import Testing
import Wire

@testable import Radio

@Suite("Spinel driver on a pseudo-terminal", .timeLimit(.minutes(5)))
struct SpinelDriverTests {
  private static let settings = SpinelBench.settings

  /// For a radio that answers, however slow the machine is.
  static var patient: SpinelTiming {
    var timing = SpinelTiming()
    timing.answer = .seconds(100)
    timing.reset = .seconds(100)
    timing.transmission = .seconds(100)
    return timing
  }

  /// For a radio that is dead; one that is mended again has all the time it wants for its reset.
  private static func impatient(reset: Duration) -> SpinelTiming {
    var timing = SpinelTiming()
    timing.answer = .milliseconds(100)
    timing.reset = reset
    timing.transmission = .milliseconds(100)
    // A slow machine is no broken radio.
    timing.relapses = 1000
    return timing
  }

  private func error(_ body: () async throws(RadioError) -> Void) async -> RadioError? {
    do throws(RadioError) {
      try await body()
      return nil
    } catch {
      return error
    }
  }

  @Test("Probe, configuration, frames in both directions, source match, and quiet at the end")
  func session() async throws {
    let line = try await SpinelFakeLine()
    let driver = SpinelDriver(url: try line.url, timing: Self.patient)
    let description = try await driver.open(Self.settings)
    #expect(description.name.hasPrefix("OPENTHREAD/3ae741f95-dirty; SIMULATION"))
    #expect(description.hardwareAddress == ExtendedAddress(0x18b4_3000_0000_0001))
    #expect(description.capabilities.contains([.acknowledges, .sourceMatch, .reportsAcknowledgment]))
    var events = driver.events.makeAsyncIterator()

    let before = Instant.now
    try await line.change { try $0.hear("hello all") }
    guard case .frame(let frame) = await events.next() else {
      Issue.record("no frame came")
      return
    }
    #expect(frame.bytes.hex == "418801cdabffff020068656c6c6f20616c6c")
    #expect(frame.metadata.rssi == -20 && frame.metadata.channel == 15 && !frame.metadata.fcsPresent)
    #expect(frame.metadata.timestamp >= before && frame.metadata.timestamp <= Instant.now)

    #expect(await driver.transmit(SpinelBench.frame(to: 2, "hello")) == .acknowledged(framePending: false))
    #expect(await driver.transmit(SpinelBench.frame(to: 9, "hello")) == .noAcknowledgment)
    #expect(await driver.transmit(SpinelBench.frame(to: 0xffff, asksForAcknowledgment: false, "hello")) == .sent)
    // All octets pass, those that mean something to terminals too.
    let all = SpinelBench.frame(to: 2, "") + (0...100).map { UInt8($0) }
    #expect(await driver.transmit(all) == .acknowledged(framePending: false))
    let high = SpinelBench.frame(to: 2, "") + (155...255).map { UInt8($0) }
    #expect(await driver.transmit(high) == .acknowledged(framePending: false))
    #expect(await driver.transmit([]) == .failed)
    let sent = try await line.look { $0.transmissions.map(\.psdu) }
    #expect(sent.count == 5 && sent[3] == all + [0, 0] && sent[4] == high + [0, 0])

    let sleeper = ExtendedAddress(0x18b4_3000_0000_0002)
    try await driver.setSourceMatch(SourceMatch(short: [ShortAddress(2)], extended: [sleeper]))
    #expect(try await line.look { $0.isPending(.short(ShortAddress(2))) && $0.isPending(.extended(sleeper)) })
    try await line.change { try $0.poll(from: .extended(sleeper)) }
    guard case .frame(let poll) = await events.next() else {
      Issue.record("no poll came")
      return
    }
    #expect(poll.bytes.hex == "63c808cdab0100020000000030b41804")
    #expect(await driver.sourceMatchLeftOut == 0)

    var expected = RadioStatistics()
    (expected.received, expected.transmitted, expected.noAcknowledgment, expected.transmitErrors) = (2, 4, 1, 1)
    #expect(driver.statistics == expected)

    await driver.close()
    try await line.wait { !$0.isStreaming && !$0.isEnabled }
    #expect(try await line.look(\.unrecorded).isEmpty)
    #expect(await events.next() == nil)
    #expect(await driver.transmit(SpinelBench.frame(to: 2, "hello")) == .failed)
    #expect(await error { () throws(RadioError) in try await driver.setSourceMatch(SourceMatch()) }?.kind == .gone)
    await driver.close()

    // And once more, the counts going on.
    _ = try await driver.open(Self.settings)
    #expect(await driver.transmit(SpinelBench.frame(to: 2, "hello")) == .acknowledged(framePending: false))
    #expect(driver.statistics.transmitted == 5)
    await driver.close()
  }

  @Test("A full table is no error")
  func full() async throws {
    let line = try await SpinelFakeLine { $0.capacity = 10 }
    let driver = SpinelDriver(url: try line.url, timing: Self.patient)
    _ = try await driver.open(Self.settings)
    try await driver.setSourceMatch(SourceMatch(short: Set((0..<50).map { ShortAddress($0) })))
    #expect(try await line.look(\.short.count) == 10)
    #expect(await driver.sourceMatchLeftOut == 40)
    await driver.close()
    #expect(await driver.sourceMatchLeftOut == 0)
  }

  @Test("Frames that nobody reads are dropped, oldest first, and counted")
  func overruns() async throws {
    let line = try await SpinelFakeLine()
    let driver = SpinelDriver(url: try line.url, timing: Self.patient)
    _ = try await driver.open(Self.settings)
    for _ in 0..<30 {
      try await line.change { rcp in
        try (0..<50).flatMap { _ in try rcp.hear("hello all") }
      }
    }
    // Its result comes after them all.
    #expect(await driver.transmit(SpinelBench.frame(to: 2, "hello")) == .acknowledged(framePending: false))
    #expect(driver.statistics.received == 1500 && driver.statistics.overruns == 1500 - 1024)
    let events = driver.events
    await driver.close()
    var count = 0
    for await event in events { if case .frame = event { count += 1 } }
    #expect(count == 1024)
  }

  @Test("A radio that never answers")
  func dead() async throws {
    let line = try await SpinelFakeLine { $0.isDead = true }
    let driver = SpinelDriver(url: try line.url, timing: Self.impatient(reset: .milliseconds(100)))
    let error = await error { () throws(RadioError) in _ = try await driver.open(Self.settings) }
    #expect(error?.kind == .silent && error?.radio == "spinel:\(line.path)")
    try await line.wait { $0.requests.count >= 2 }
    #expect(try await line.look(\.requests) == [.reset(.stack), .reset(.platform)])
    // It comes to life, and is opened again.
    try await line.change { rcp in
      rcp.isDead = false
      return []
    }
    let other = SpinelDriver(url: try line.url, timing: Self.patient)
    _ = try await other.open(Self.settings)
    await other.close()
  }

  @Test("A radio that dies in the middle and comes back is configured again by itself")
  func comesBack() async throws {
    let line = try await SpinelFakeLine()
    let driver = SpinelDriver(url: try line.url, timing: Self.impatient(reset: .seconds(100)))
    _ = try await driver.open(Self.settings)
    try await driver.setSourceMatch(SourceMatch(short: [ShortAddress(2)]))
    try await line.change { rcp in
      rcp.isDead = true
      rcp.revivesAfter = 1
      rcp.reset()
      return []
    }
    #expect(await driver.transmit(SpinelBench.frame(to: 2, "lost")) == .failed)
    try await line.wait { $0.isStreaming && $0.short == [ShortAddress(2)] }
    #expect(driver.statistics.resets >= 1)

    // One that resets by itself.
    let resets = driver.statistics.resets
    try await line.change { $0.crash() }
    try await line.wait { $0.isStreaming && $0.short == [ShortAddress(2)] }
    #expect(driver.statistics.resets > resets)
    await driver.close()
  }

  @Test("A radio that dies for good")
  func dies() async throws {
    let line = try await SpinelFakeLine()
    let driver = SpinelDriver(url: try line.url, timing: Self.impatient(reset: .seconds(1)))
    _ = try await driver.open(Self.settings)
    let events = driver.events
    try await line.change { rcp in
      rcp.isDead = true
      return []
    }
    let lists = await error { () throws(RadioError) in
      try await driver.setSourceMatch(SourceMatch(short: [ShortAddress(2)]))
    }
    #expect(lists?.kind == .silent)
    var last: RadioError?
    for await event in events { if case .failed(let error) = event { last = error } }
    #expect(last?.kind == .silent)
    #expect(await driver.transmit(SpinelBench.frame(to: 2, "hello")) == .failed)
    await driver.close()
  }

  @Test("Garbage on the line in place of a radio, and garbage between frames")
  func garbage() async throws {
    let noise = { @Sendable (seed: UInt64, count: Int) -> [UInt8] in
      var random = SeededGenerator(seed: seed)
      return random.bytes(count)
    }
    let line = try await SpinelFakeLine { $0.noise = { _ in noise(1, 8_000) } }
    let driver = SpinelDriver(url: try line.url, timing: Self.patient)
    let error = await error { () throws(RadioError) in _ = try await driver.open(Self.settings) }
    #expect(error?.kind == .notSupported && error?.remedy.contains("baud") == true)
    #expect(driver.statistics.malformed > 0)

    try await line.change { rcp in
      rcp.noise = nil
      return []
    }
    _ = try await driver.open(Self.settings)
    var events = driver.events.makeAsyncIterator()
    try await line.change { rcp in noise(2, 300) + (try rcp.hear("hello A")) }
    guard case .frame(let frame) = await events.next() else {
      Issue.record("no frame came")
      return
    }
    #expect(frame.bytes.hex == "618802cdab0100020068656c6c6f2041")
    await driver.close()
  }

  @Test("Firmware of an unknown version")
  func version() async throws {
    let line = try await SpinelFakeLine { $0.answers[.protocolVersion] = [9, 0] }
    let driver = SpinelDriver(url: try line.url, timing: Self.patient)
    let error = await error { () throws(RadioError) in _ = try await driver.open(Self.settings) }
    #expect(error?.kind == .notSupported && error?.detail == "it speaks spinel 9.0, not 4.x")
  }

  @Test("Unplugged: in the middle of a session, and in the middle of opening")
  func unplugged() async throws {
    let line = try await SpinelFakeLine()
    let driver = SpinelDriver(url: try line.url, timing: Self.patient)
    _ = try await driver.open(Self.settings)
    let events = driver.events
    try await line.change { rcp in
      rcp.keepsResults = true
      return []
    }
    async let outcome = driver.transmit(SpinelBench.frame(to: 2, "lost"))
    try await line.wait { !$0.transmissions.isEmpty }
    try await line.unplug()
    #expect(await outcome == .failed)
    var last: RadioError?
    for await event in events { if case .failed(let error) = event { last = error } }
    #expect(last?.kind == .gone && last?.canHeal == true && last?.detail == "the radio was unplugged")
    #expect(await error { () throws(RadioError) in try await driver.setSourceMatch(SourceMatch()) }?.kind == .gone)
    // It is not there any more.
    let again = await error { () throws(RadioError) in _ = try await driver.open(Self.settings) }
    #expect(again?.kind == .notFound)

    let other = try await SpinelFakeLine { $0.isDead = true }
    let opening = SpinelDriver(url: try other.url, timing: Self.patient)
    async let opened = error { () throws(RadioError) in _ = try await opening.open(Self.settings) }
    try await other.wait { !$0.requests.isEmpty }
    try await other.unplug()
    #expect(await opened?.kind == .gone)
  }

  @Test("Closed in the middle of opening")
  func closedWhileOpening() async throws {
    let line = try await SpinelFakeLine { $0.isDead = true }
    let driver = SpinelDriver(url: try line.url, timing: Self.patient)
    async let opened = error { () throws(RadioError) in _ = try await driver.open(Self.settings) }
    try await line.wait { !$0.requests.isEmpty }
    await driver.close()
    #expect(await opened?.kind == .gone)
  }

  @Test("Keys: set before or while open, kept for later openings with a counter beyond the last")
  func keys() async throws {
    let line = try await SpinelFakeLine()
    let driver = SpinelDriver(url: try line.url, timing: Self.patient)
    #expect(driver.frameCounter == nil)
    try await driver.setKeys(SpinelMACKeys(keyIndex: 1, current: Array(0...15)), frameCounter: 1000)
    let description = try await driver.open(Self.settings)
    #expect(description.capabilities.contains(.secures))
    let frame: [UInt8] = [0x69, 0x98, 0x10, 0xcd, 0xab, 2, 0, 1, 0, 0x0d, 0, 0, 0, 0, 0] + Array("secret text".utf8)
    #expect(await driver.transmit(frame) == .acknowledged(framePending: false))
    #expect(driver.frameCounter == 1001)
    await driver.close()
    _ = try await driver.open(Self.settings)
    #expect(driver.frameCounter == 2001)
    try await driver.setKeys(SpinelMACKeys(keyIndex: 2, current: Array(1...16)), frameCounter: 7)
    #expect(driver.frameCounter == 7)
    let counters = try await line.look { $0.requests.filter { $0.property == .rcpMACFrameCounter }.map(\.value.hex) }
    #expect(counters == ["e8030000", "d1070000", "07000000"])
    await driver.close()
  }
}
