import CoAP
import Envelope
import IEEE802154
import Node
import SixLoWPAN
import Wire

/// A node while it runs: what a reset ends.
protocol RunningNode: AnyObject {
  /// Frames with FCS that its radio put on the medium since the last call.
  func takeFrames() -> [[UInt8]]
  func takeEvents() -> [DeviceEvent]
  var nextTimeout: Instant? { get }
  /// Whether its receiver is on.
  func hears(at now: Instant) -> Bool
  /// Whether its radio waits for an acknowledgment.
  var awaitsAcknowledgment: Bool { get }
  var shortAddress: ShortAddress? { get }
  /// What survives a reset.
  var memory: EnvelopeMemory? { get }
  /// What is kept beyond its bounds, if anything.
  func excess() -> String?

  func start(now: Instant)
  func receive(_ frame: [UInt8], now: Instant)
  func timeout(at now: Instant)
  func report(_ text: String, label: UInt64, now: Instant)
}

/// A device above its radio.
final class NodeProcess<Behavior: DeviceBehavior>: RunningNode {
  private var device: Device<Behavior>
  private var radio: SoftwareRadio
  private var waiting: [[UInt8]] = []
  private var frames: [[UInt8]] = []
  private let queueLimit: Int

  init(_ configuration: NodeConfiguration, _ behavior: Behavior, random: some RandomNumberGenerator & Sendable) {
    let stack = NodeStack(configuration: configuration, random: random)
    radio = SoftwareRadio(settings: stack.radioSettings)
    queueLimit = configuration.maximumQueuedFrames
    device = Device(stack: stack, behavior: behavior)
  }

  func takeFrames() -> [[UInt8]] {
    defer { frames.removeAll() }
    return frames
  }

  func takeEvents() -> [DeviceEvent] { device.takeEvents() }

  var nextTimeout: Instant? {
    guard let deadline = radio.nextTimeout else { return device.nextTimeout }
    return device.nextTimeout.map { min($0, deadline) } ?? deadline
  }

  var awaitsAcknowledgment: Bool { radio.isTransmitting }
  var shortAddress: ShortAddress? { device.stack.shortAddress }
  var memory: EnvelopeMemory? { (device.behavior as? EnvelopeNode)?.memory }
  func hears(at now: Instant) -> Bool { radio.isTransmitting || device.stack.isListening(at: now) }

  func excess() -> String? {
    let open = device.stack.openState
    if open.queuedFrames > queueLimit { return "\(open.queuedFrames) frames wait" }
    if open.datagrams > device.stack.configuration.reassembly.maximumDatagrams {
      return "\(open.datagrams) datagrams are under way"
    }
    return open.operations > 8 ? "\(open.operations) requests are under way" : nil
  }

  func start(now: Instant) {
    device.start(now: now)
    settle(now: now)
  }

  func receive(_ frame: [UInt8], now: Instant) {
    radio.receive(frame.rawSpan, metadata: FrameMetadata(timestamp: now, fcsPresent: true, rssi: -60))
    settle(now: now)
  }

  func timeout(at now: Instant) {
    radio.timeout(at: now)
    device.timeout(at: now)
    settle(now: now)
  }

  func report(_ text: String, label: UInt64, now: Instant) {
    device.perform(now: now) { behavior in
      // One of two kinds reports; a server does not.
      if var sensor = behavior as? PlainSensor {
        sensor.report(Array(text.utf8), label: label)
        if let changed = sensor as? Behavior { behavior = changed }
      } else if var node = behavior as? EnvelopeNode {
        node.report(.init(format: 0, bytes: Array(text.utf8)), label: label)
        if let changed = node as? Behavior { behavior = changed }
      }
    }
    settle(now: now)
  }

  private func settle(now: Instant) {
    while true {
      waiting += device.takeTransmissions()
      radio.settings = device.stack.radioSettings
      if !radio.isTransmitting, !waiting.isEmpty { _ = radio.transmit(waiting.removeFirst(), now: now) }
      let actions = radio.takeActions()
      guard !actions.isEmpty else { return }
      for action in actions {
        switch action {
        case .send(let psdu): frames.append(psdu)
        case .deliver(let frame): device.receive(frame.bytes.rawSpan, metadata: frame.metadata)
        case .finished(let outcome): device.transmitted(outcome, now: now)
        case .dropped: break
        }
      }
    }
  }
}
