import BorderRouter
import Bridge
import CoAP
import Envelope
import IEEE802154
import IPv6
import Node
import Queue
import TestSupport
import Wire

/// The demo home's gateway with one device on its PAN; nothing is lost between the two.
final class LiveHome<Behavior: DeviceBehavior> {
  static var pan: PANIdentifier { PANIdentifier(0xabcd) }
  static var radio: ExtendedAddress { ExtendedAddress(0x0270_616e_6700_0001) }

  let store: MemoryStore
  private var home: HomeGateway<MemoryStore>
  private var device: Device<Behavior>
  private(set) var now = Home.start
  private(set) var events: [GatewayEvent] = []
  /// Frames that the gateway has sent.
  private(set) var framesSent = 0
  /// The air is cut.
  var isCut = false

  init(_ demo: Home, radio: UInt64, _ behavior: Behavior, record: PeerRecord? = nil) throws {
    store = MemoryStore()
    let pan = PANConfiguration(panID: Self.pan, extendedAddress: Self.radio, shortAddress: ShortAddress(0))
    let settings = RadioSettings(
      channel: 15, panID: Self.pan, extendedAddress: Self.radio, shortAddress: ShortAddress(0))
    home = try HomeGateway(
      gateway: demo.gateway(store, record: record),
      stack: PANStack(configuration: pan, random: SeededGenerator(seed: 1)),
      mac: MACConfiguration(radio: settings, capabilities: SoftwareRadio.capabilities), store: store,
      random: SeededGenerator(seed: 2), now: now)
    let configuration = NodeConfiguration(extendedAddress: ExtendedAddress(radio), panID: Self.pan, channel: 15)
    device = Device(
      stack: NodeStack(configuration: configuration, random: SeededGenerator(seed: 3)), behavior: behavior)
    home.start(now: now)
    device.start(now: now)
    settle()
  }

  /// The device loses its power and begins anew.
  func reset(to behavior: Behavior, radio: UInt64) {
    let configuration = NodeConfiguration(extendedAddress: ExtendedAddress(radio), panID: Self.pan, channel: 15)
    device = Device(
      stack: NodeStack(configuration: configuration, random: SeededGenerator(seed: UInt64(now.microseconds))),
      behavior: behavior)
    device.start(now: now)
    settle()
  }

  func takeDeviceEvents() -> [DeviceEvent] { device.takeEvents() }

  var gateway: Gateway<MemoryStore> { home.gateway }
  var nextTimeout: Instant? { home.nextTimeout() }
  var behavior: Behavior { device.behavior }

  func confirmOutbound() throws {
    for message in try home.gateway.outbound(limit: .max) { try home.gateway.confirmOutbound(message.number) }
  }

  func perform(_ body: (inout Behavior) -> Void) {
    device.perform(now: now, body)
    settle()
  }

  func deliver(_ bytes: [UInt8]) -> Custody {
    defer { settle() }
    return home.deliver(bytes, now: now)
  }

  /// Runs until nothing is due within `span`; how often the gateway had something to do.
  @discardableResult
  func run(for span: Duration, atMost limit: Int = 100_000) -> Int {
    let end = now.advanced(by: span)
    var count = 0
    while let due = [home.nextTimeout(), device.nextTimeout].compactMap({ $0 }).min(), due <= end, count < limit {
      now = max(now, due)
      if let own = home.nextTimeout(), own <= now {
        home.timeout(at: now)
        count += 1
      }
      device.timeout(at: now)
      settle()
    }
    now = end
    return count
  }

  private func settle() {
    while true {
      let frames = device.takeTransmissions()
      let actions = home.takeActions()
      if frames.isEmpty, actions.isEmpty { return }
      for frame in frames {
        if !isCut { home.receive(frame.rawSpan, metadata: metadata) }
        device.transmitted(isCut ? .noAcknowledgment : .acknowledged(framePending: false), now: now)
      }
      for action in actions {
        switch action {
        case .transmit(let psdu):
          framesSent += 1
          if !isCut { device.receive(psdu.rawSpan, metadata: metadata) }
          home.transmitted(isCut ? .noAcknowledgment : .acknowledged(framePending: false), now: now)
        case .event(let event): events.append(event)
        case .sourceMatch, .dropped, .chunk: break
        }
      }
    }
  }

  private var metadata: FrameMetadata { FrameMetadata(timestamp: now, fcsPresent: false) }
}
