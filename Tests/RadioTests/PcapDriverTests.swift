import Foundation
import IEEE802154
import Radio
import Synchronization
import Testing
import Wire

/// A clock that stands still until somebody sleeps, and then is there at once; or never, if it is stopped.
final class LeapingClock: Clock {
  struct Instant: InstantProtocol {
    var offset: Duration

    func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
    func duration(to other: Instant) -> Duration { other.offset - offset }
    static func < (left: Instant, right: Instant) -> Bool { left.offset < right.offset }
  }

  private let state = Mutex((now: Duration.seconds(1000), slept: [Duration]()))
  private let stopsAfter: Duration?
  /// Yields when somebody sleeps for ever.
  let sleepers = AsyncStream<Void>.makeStream()

  init(stopsAfter: Duration? = nil) { self.stopsAfter = stopsAfter }

  var now: Instant { Instant(offset: state.withLock { $0.now }) }
  var minimumResolution: Duration { .nanoseconds(1) }
  /// Until when was slept, since the start.
  var slept: [Duration] { state.withLock { $0.slept } }

  func sleep(until deadline: Instant, tolerance: Duration?) async throws {
    let passed = deadline.offset - .seconds(1000)
    if let stopsAfter, passed > stopsAfter {
      sleepers.continuation.yield()
      for await _ in AsyncStream<Void>.makeStream().stream {}
      throw CancellationError()
    }
    state.withLock { state in
      state.slept.append(passed)
      state.now = max(state.now, deadline.offset)
    }
  }
}

/// All frames, and how it ended.
func received(_ driver: any RadioDriver) async -> (frames: [CapturedFrame], error: RadioError?) {
  var frames: [CapturedFrame] = []
  for await event in driver.events {
    switch event {
    case .frame(let frame): frames.append(frame)
    case .failed(let error): return (frames, error)
    }
  }
  return (frames, nil)
}

@Suite("A recording as a radio")
struct PcapDriverTests {
  let folder: TemporaryFolder
  let frames: [[UInt8]] = [[0x61, 0x88, 1], [0x02, 0x00, 1], [0x61, 0x88, 2, 0xaa]]
  var settings: RadioSettings {
    get throws {
      var settings = RadioSettings(
        channel: 15, panID: PANIdentifier(0xabcd),
        extendedAddress: try #require(ExtendedAddress("02:70:61:6e:67:00:00:01")))
      settings.isPromiscuous = true
      return settings
    }
  }

  init() throws { folder = try TemporaryFolder() }

  private func driver(
    _ bytes: [UInt8], speed: PcapDriver.Speed = .real, clock: LeapingClock = LeapingClock()
  ) throws -> PcapDriver {
    let path = try folder.file("a.pcap", bytes)
    return PcapDriver(try RadioURL("pcap:\(path)"), path: path, speed: speed, clock: clock) { Instant(seconds: 5000) }
  }

  @Test("The frames come with their distances in time, and then the recording is gone")
  func real() async throws {
    let clock = LeapingClock()
    let driver = try driver(CaptureBytes.pcap(230, frames), clock: clock)
    let description = try await driver.open(settings)
    #expect(description.capabilities == [.listensOnly, .promiscuous])
    #expect(description.name == "a recording of link type 230")
    let (received, error) = await received(driver)
    #expect(received.map(\.bytes) == frames)
    #expect(received.map(\.metadata.timestamp) == (5000...5002).map { Instant(seconds: $0) })
    #expect(received.allSatisfy { !$0.metadata.fcsPresent })
    #expect(clock.slept == [.zero, .seconds(1), .seconds(2)])
    #expect(error?.kind == .gone)
    #expect(error?.description == "\(driver.url): the recording is over")
    #expect(driver.statistics.received == 3)
    for await _ in driver.events { Issue.record("an event behind the last") }
  }

  @Test("Twice as fast is half the waiting; as fast as it goes is none; the time stamps stay")
  func speed() async throws {
    for (speed, waits) in [
      (PcapDriver.Speed.times(2), [Duration.zero, .milliseconds(500), .seconds(1)]), (.max, []), (.times(0), []),
      (.times(.nan), []), (.times(1e-300), [.zero, .seconds(3_000_000_000), .seconds(3_000_000_000)]),
    ] {
      let clock = LeapingClock()
      let driver = try driver(CaptureBytes.pcap(195, frames), speed: speed, clock: clock)
      _ = try await driver.open(settings)
      let stamps = await received(driver).frames.map(\.metadata.timestamp)
      #expect(stamps == (5000...5002).map { Instant(seconds: $0) })
      #expect(clock.slept == waits)
    }
  }

  @Test("Time that goes back in the file is no time")
  func backwards() async throws {
    let clock = LeapingClock()
    var bytes = CaptureBytes.pcap(230, frames)
    bytes[24 + 16 + 3..<24 + 16 + 7] = [0, 0, 0, 0]
    let driver = try driver(bytes, clock: clock)
    _ = try await driver.open(settings)
    #expect(await received(driver).frames.map(\.metadata.timestamp.seconds) == [5000, 5000, 5002])
  }

  @Test("Acknowledgments come in promiscuous mode only")
  func acknowledgments() async throws {
    let driver = try driver(CaptureBytes.pcap(230, frames))
    var settings = try settings
    settings.isPromiscuous = false
    _ = try await driver.open(settings)
    #expect(await received(driver).frames.map(\.bytes) == [frames[0], frames[2]])
  }

  @Test("Closing ends the events, also while somebody waits for one; opening again starts over")
  func close() async throws {
    let clock = LeapingClock(stopsAfter: .milliseconds(1500))
    let driver = try driver(CaptureBytes.pcap(230, frames), clock: clock)
    _ = try await driver.open(settings)
    async let first = received(driver)
    for await _ in clock.sleepers.stream { break }
    await driver.close()
    let (received, error) = await first
    #expect(received.map(\.bytes) == Array(frames.prefix(2)))
    #expect(error == nil)
    await driver.close()
    _ = try await driver.open(settings)
    var again = driver.events.makeAsyncIterator()
    guard case .frame(let frame) = await again.next() else {
      Issue.record("no frame")
      return
    }
    #expect(frame.bytes == frames[0])
  }

  @Test("A reader that is cancelled stops waiting")
  func cancelled() async throws {
    let clock = LeapingClock(stopsAfter: .zero)
    let driver = try driver(CaptureBytes.pcap(230, frames), clock: clock)
    _ = try await driver.open(settings)
    let task = Task { await received(driver) }
    for await _ in clock.sleepers.stream { break }
    task.cancel()
    #expect(await task.value.frames.count == 1)
  }

  @Test("Other traffic is counted; a damaged file ends with the record that is damaged")
  func malformed() async throws {
    let other = [UInt8](repeating: 0, count: 60)
    let whole = try driver(CaptureBytes.pcap(1, [other, other]))
    _ = try await whole.open(settings)
    #expect(await received(whole).error?.kind == .gone)
    #expect(whole.statistics.malformed == 2)
    let cut = try driver(CaptureBytes.pcap(230, frames).dropLast())
    _ = try await cut.open(settings)
    let (received, error) = await received(cut)
    #expect(received.count == 2)
    #expect(error?.kind == .failed)
    #expect(error?.detail.contains("record 3 is damaged") == true)
  }

  @Test("It cannot send")
  func listensOnly() async throws {
    let driver = try driver(CaptureBytes.pcap(230, frames))
    #expect(await driver.transmit([1, 2, 3]) == .failed)
    try await driver.setSourceMatch(SourceMatch())
    #expect(driver.statistics.transmitErrors == 1)
    for await _ in driver.events { Issue.record("an event of a radio that is not open") }
  }

  private func openError(_ driver: PcapDriver) async throws -> RadioError? {
    let settings = try settings
    do throws(RadioError) { _ = try await driver.open(settings) } catch { return error }
    return nil
  }

  @Test("What cannot be opened is explained")
  func cannotOpen() async throws {
    let path = folder.path("none.pcap")
    let missing = PcapDriver(try RadioURL("pcap:\(path)"), path: path)
    #expect(
      try await openError(missing)?.description
        == "pcap:\(path): No such file or directory; give a pcap or pcapng file")
    let text = try await openError(driver(Array("This is a text, and by no means a capture.".utf8)))
    #expect(text?.kind == .notSupported)
    #expect(text?.detail.hasPrefix("not a capture: ") == true)
    let wifi = try await openError(driver(CaptureBytes.pcap(127, frames)))
    #expect(wifi?.kind == .notSupported)
    #expect(wifi?.detail == "link type 127 (IEEE802_11_RADIO) is not supported")
  }

  @Test("The factory makes the driver of a recording")
  func factory() async throws {
    let path = try folder.file("a.pcap", CaptureBytes.pcap(230, frames))
    let url = try RadioURL("pcap:\(path)")
    let driver = RadioDrivers.make(url, recordingSpeed: .max)
    #expect(driver.url == url)
    _ = try await driver.open(settings)
    #expect(await received(driver).frames.count == 3)
  }

  @Test("Every kind of radio has its driver")
  func drivers() throws {
    let kinds: [(String, any RadioDriver.Type)] = [
      ("spinel:/dev/ttyACM0", SpinelDriver.self), ("spinel+exec:ot-rcp 1", SpinelDriver.self),
      ("linux:wpan0", LinuxDriver.self), ("zep://127.0.0.1:0", ZEPDriver.self), ("pcap:a.pcap", PcapDriver.self),
    ]
    for (text, type) in kinds { #expect(Swift.type(of: RadioDrivers.make(try RadioURL(text))) == type) }
  }
}
