import Foundation
import IEEE802154
import Radio
import Synchronization
import Testing
import Wire

/// A radio that does what a test says.
final class ScriptedDriver: RadioDriver {
  let url: RadioURL
  let outcomes: Mutex<[TransmitOutcome]>
  private let stream = AsyncStream<RadioEvent>.makeStream()
  let isClosed = Mutex(false)
  let matched = Mutex(SourceMatch())

  init(_ url: RadioURL, _ events: [RadioEvent], outcomes: [TransmitOutcome] = []) {
    self.url = url
    self.outcomes = Mutex(outcomes)
    for event in events { stream.continuation.yield(event) }
    stream.continuation.finish()
  }

  func open(_ settings: RadioSettings) async throws(RadioError) -> RadioDescription {
    RadioDescription(capabilities: [.acknowledges], name: "scripted")
  }

  var events: AsyncStream<RadioEvent> { stream.stream }

  func transmit(_ frame: [UInt8]) async -> TransmitOutcome { outcomes.withLock { $0.removeFirst() } }

  func setSourceMatch(_ devices: SourceMatch) async throws(RadioError) { matched.withLock { $0 = devices } }

  var statistics: RadioStatistics {
    var statistics = RadioStatistics()
    statistics.resets = 7
    return statistics
  }

  func close() async { isClosed.withLock { $0 = true } }
}

@Suite("A driver that mirrors what it receives and sends")
struct MirroringDriverTests {
  let folder: TemporaryFolder
  var path: String { folder.path("ring.pcapng") }

  init() throws { folder = try TemporaryFolder() }

  private func ring() -> CaptureRing {
    CaptureRing(path: path, maximumBytes: 1 << 20, encoder: PcapngEncoder(radio: "linux:wpan0")) {
      Issue.record("\($0)")
    }
  }

  private var settings: RadioSettings {
    get throws {
      var settings = RadioSettings(
        channel: 5, panID: PANIdentifier(0xabcd),
        extendedAddress: try #require(ExtendedAddress("02:70:61:6e:67:00:00:01")))
      settings.page = 2
      return settings
    }
  }

  private func frame(_ number: UInt8, channel: UInt8? = nil) -> CapturedFrame {
    CapturedFrame(
      bytes: [0x41, 0x88, number],
      metadata: FrameMetadata(
        timestamp: Instant(seconds: Int64(number)), fcsPresent: true, rssi: -40, lqi: 200, channel: channel))
  }

  private func taps() throws -> [TAPHeader] {
    try pcapngPackets(path).map { packet in
      var reader = ByteReader(packet.bytes.rawSpan)
      return try TAPHeader(parsing: &reader)
    }
  }

  @Test("Both directions are in the file, with channel and quality; what was not on the air is not")
  func bothWays() async throws {
    let gone = RadioError(.gone, radio: "linux:wpan0", detail: "unplugged")
    let base = ScriptedDriver(
      try RadioURL("linux:wpan0"), [.frame(frame(1)), .frame(frame(2, channel: 6)), .failed(gone)],
      outcomes: [
        .acknowledged(framePending: true), .sent, .noAcknowledgment, .channelAccessFailure, .failed,
      ])
    let ring = ring()
    let driver = MirroringDriver(base, to: ring) { Instant(seconds: 9) }
    #expect(try await driver.open(settings).name == "scripted")
    #expect(driver.url == base.url)

    var frames: [CapturedFrame] = []
    var errors: [RadioError] = []
    for await event in driver.events {
      switch event {
      case .frame(let frame): frames.append(frame)
      case .failed(let error): errors.append(error)
      }
    }
    #expect(frames == [frame(1), frame(2, channel: 6)])
    #expect(errors == [gone])
    var outcomes: [TransmitOutcome] = []
    for number in 0..<5 { outcomes.append(await driver.transmit([0x41, 0x98, UInt8(number)])) }
    #expect(outcomes == [.acknowledged(framePending: true), .sent, .noAcknowledgment, .channelAccessFailure, .failed])

    let packets = try pcapngPackets(path)
    #expect(packets.map(\.direction) == [.inbound, .inbound, .outbound, .outbound, .outbound])
    #expect(
      packets.map { $0.bytes.suffix(3) } == [[0x41, 0x88, 1], [0x41, 0x88, 2]] + (0..<3).map { [0x41, 0x98, $0] })
    #expect(packets.map(\.timestamp) == [1, 2, 9, 9, 9].map { $0 * 1_000_000 })
    let own = TAPHeader.Channel(number: 5, page: 2)
    let taps = try taps()
    #expect(taps.first == TAPHeader(fcs: .crc16, signalStrength: -40, channel: own, lqi: 200))
    #expect(taps.dropFirst().first?.channel == TAPHeader.Channel(number: 6))
    #expect(taps.dropFirst(2).allSatisfy { $0 == TAPHeader(fcs: .none, channel: own) })
    #expect(ring.statistics.written == 5)
  }

  @Test("Everything else is passed through")
  func passedThrough() async throws {
    let base = ScriptedDriver(try RadioURL("linux:wpan0"), [])
    let driver = MirroringDriver(base, to: ring())
    for await _ in driver.events { Issue.record("an event of a radio that is not open") }
    let devices = SourceMatch(short: [try #require(ShortAddress("0x0b01"))])
    try await driver.setSourceMatch(devices)
    #expect(base.matched.withLock { $0 } == devices)
    #expect(driver.statistics.resets == 7)
    await driver.close()
    #expect(base.isClosed.withLock { $0 })
  }

  @Test("The channel of a recording is not what the settings say")
  func recording() async throws {
    let file = try folder.file("a.pcap", CaptureBytes.pcap(230, [[0x41, 0x88, 1], [0x41, 0x88, 2]]))
    let base = RadioDrivers.make(try RadioURL("pcap:\(file)"), recordingSpeed: .max)
    let driver = MirroringDriver(base, to: ring())
    _ = try await driver.open(settings)
    var count = 0
    for await event in driver.events { if case .frame = event { count += 1 } }
    #expect(count == 2)
    #expect(try taps() == [TAPHeader(), TAPHeader()])
  }
}
