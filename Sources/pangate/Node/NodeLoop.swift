import Envelope
import Foundation
import IEEE802154
import Node
import Radio
import Wire

/// A device with its radio: frames, outcomes and the time go into its loop one after the other.
struct NodeLoop<Behavior: DeviceBehavior>: ~Copyable {
  enum Input: Sendable {
    case radio(RadioSupervisor.Report)
    case transmitted(TransmitOutcome)
    case time
    case report
    case picture
    case stop
  }

  let driver: any RadioDriver
  private let input: AsyncStream<Input>.Continuation
  private var device: Device<Behavior>
  private var isUp = false
  private var isStarted = false
  private var isOnAir = false
  private var timer: Task<Void, Never>?
  private(set) var traffic = AirTraffic()
  /// Radios that do not say whether a frame waits behind an acknowledgment: then it may.
  private var tellsFramePending = true

  init(driver: any RadioDriver, device: consuming Device<Behavior>, input: AsyncStream<Input>.Continuation) {
    self.driver = driver
    self.device = device
    self.input = input
  }

  var behavior: Behavior { device.behavior }
  /// What of the keys it shares must survive a reset.
  var security: NodeSecurityMemory? { device.stack.security?.memory }
  var addresses: [NodeAddress] { device.stack.addresses }

  mutating func perform(_ body: (inout Behavior) -> Void) { device.perform(now: .now, body) }

  /// What happened; the caller keeps what must survive, then calls ``act()``.
  mutating func take(_ next: Input) -> [DeviceEvent] {
    switch next {
    case .radio(.up(let description)):
      isUp = true
      // What was with the radio is lost.
      if isOnAir { device.transmitted(.failed, now: .now) }
      isOnAir = false
      tellsFramePending = description.capabilities.contains(.reportsAcknowledgment)
      if !isStarted {
        isStarted = true
        device.start(now: .now)
      }
    case .radio(.down(let error, let wait)):
      isUp = false
      note("pangate: the radio is down: \(error); trying again in \(wait)")
    case .radio(.frame(let frame)):
      // A transceiver of a node hears only what is for it.
      guard let view = try? MACFrameView(frame.bytes.rawSpan, metadata: frame.metadata),
        device.stack.radioSettings.accepts(view.header, isPANCoordinator: false)
      else { break }
      traffic.received(frame)
      device.receive(frame.bytes.rawSpan, metadata: frame.metadata)
    case .transmitted(let outcome):
      isOnAir = false
      let told = outcome == .sent && !tellsFramePending ? TransmitOutcome.acknowledged(framePending: true) : outcome
      device.transmitted(told, now: .now)
    case .time: device.timeout(at: .now)
    case .report, .picture, .stop: break
    }
    return device.takeEvents()
  }

  /// Sends what is to be sent, and sets the timer.
  mutating func act() {
    if isUp, !isOnAir, let psdu = device.takeTransmissions().first {
      isOnAir = true
      traffic.sent(psdu)
      let (driver, input) = (driver, input)
      Task { input.yield(.transmitted(await driver.transmit(psdu))) }
    }
    timer?.cancel()
    timer = nil
    guard isStarted, let due = device.nextTimeout else { return }
    let wait = max(.zero, Instant.now.duration(to: due))
    let input = input
    timer = Task {
      try? await Task.sleep(for: wait)
      if !Task.isCancelled { input.yield(.time) }
    }
  }
}
