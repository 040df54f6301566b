import IEEE802154
import Radio
import Wire

/// A host and a fake co-processor on a line that takes no time, under a clock of the test's own.
struct SpinelBench {
  var host: SpinelHost
  var rcp: SpinelFakeRCP
  var now = Instant(seconds: 1_700_000_000)
  /// All events so far.
  private(set) var events: [SpinelEvent] = []
  /// What the host wrote.
  private(set) var written: [UInt8] = []

  static let radio = "spinel:/dev/ttyACM0"

  static var settings: RadioSettings {
    RadioSettings(
      channel: 15, panID: PANIdentifier(0xabcd), extendedAddress: ExtendedAddress(0x18b4_3000_0000_0001),
      shortAddress: ShortAddress(1))
  }

  init(
    settings: RadioSettings = Self.settings, timing: SpinelTiming = SpinelTiming(),
    _ change: (inout SpinelFakeRCP) -> Void = { _ in }
  ) throws {
    host = SpinelHost(radio: Self.radio, settings: settings, timing: timing)
    rcp = try SpinelFakeRCP()
    change(&rcp)
  }

  /// A host that has configured its co-processor.
  static func ready(settings: RadioSettings = Self.settings, timing: SpinelTiming = SpinelTiming()) throws
    -> SpinelBench
  {
    var bench = try SpinelBench(settings: settings, timing: timing)
    bench.start()
    return bench
  }

  mutating func start() {
    host.start(at: now)
    exchange()
  }

  /// Carries bytes to and fro until nobody has anything to say.
  mutating func exchange() {
    while true {
      let output = host.takeOutput()
      events += host.takeEvents()
      guard !output.isEmpty else { return }
      written += output
      hear(rcp.receive(output))
    }
  }

  /// Bytes for the host; what they lead to happens.
  mutating func deliver(_ bytes: [UInt8]) {
    hear(bytes)
    exchange()
  }

  private mutating func hear(_ bytes: [UInt8]) {
    host.receive(bytes.rawSpan, at: now)
    events += host.takeEvents()
  }

  /// Lets time pass, timeout by timeout.
  mutating func pass(_ duration: Duration) {
    let end = now.advanced(by: duration)
    while let next = host.nextTimeout, next <= end {
      now = max(now, next)
      host.timeout(at: now)
      exchange()
    }
    now = end
  }

  /// Sends a frame and returns what became of it.
  mutating func transmit(_ frame: [UInt8]) -> TransmitOutcome? {
    let seen = events.count
    guard host.transmit(frame, at: now) else { return nil }
    exchange()
    return outcome(since: seen)
  }

  /// Gives the host frames to send; says of each whether it was taken.
  mutating func offer(_ frames: [UInt8]...) -> [Bool] {
    frames.map { frame in
      defer { exchange() }
      return host.transmit(frame, at: now)
    }
  }

  /// The last result among the events from the number `seen` on.
  func outcome(since seen: Int = 0) -> TransmitOutcome? {
    events.dropFirst(seen).compactMap { if case .transmitted(let outcome) = $0 { outcome } else { nil } }.last
  }

  var frames: [CapturedFrame] {
    events.compactMap { if case .frame(let frame) = $0 { frame } else { nil } }
  }

  var failure: RadioError? {
    events.compactMap { if case .failed(let error) = $0 { error } else { nil } }.first
  }

  var description: RadioDescription? {
    events.compactMap { if case .ready(let description) = $0 { description } else { nil } }.first
  }

  func count(_ event: SpinelEvent) -> Int { events.count { $0 == event } }

  mutating func forgetEvents() { events = [] }

  /// A data frame to a short address of the PAN, its payload `text`.
  static func frame(to destination: UInt16, asksForAcknowledgment: Bool = true, sequence: UInt8 = 1, _ text: String)
    -> [UInt8]
  {
    [asksForAcknowledgment ? 0x61 : 0x41, 0x88, sequence, 0xcd, 0xab] + [
      UInt8(destination & 0xff), UInt8(destination >> 8),
    ]
      + [1, 0] + Array(text.utf8)
  }
}
