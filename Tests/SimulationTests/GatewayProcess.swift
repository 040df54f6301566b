import BorderRouter
import Bridge
import CoAP
import Envelope
import IEEE802154
import IPv6
import Queue
import SixLoWPAN
import TestSupport
import Wire

/// The gateway while it runs: what a loss of power ends. Its store is all that is left then.
final class GatewayProcess {
  static let pan = PANIdentifier(0xabcd)
  static let channel: UInt8 = 15
  static let radio = ExtendedAddress(0x0270_616e_6700_0001)
  static let prefix = IPv6Prefix(IPv6Address(high: 0xfd50_616e_6761_0001, low: 0), length: 64)

  private(set) var home: HomeGateway<MemoryStore>
  private var radio: SoftwareRadio
  private var waiting: [[UInt8]] = []
  private var frames: [[UInt8]] = []
  private var events: [GatewayEvent] = []

  init(
    _ group: SimulatedGroup, _ plan: SimulationPlan, store: MemoryStore, relay: Address,
    random: SeededGenerator, now: Instant
  ) throws(StoreError) {
    var random = random
    var pan = PANConfiguration(
      panID: Self.pan, extendedAddress: Self.radio, shortAddress: ShortAddress(0), prefix: Self.prefix)
    pan.contexts.set(1, prefix: Self.prefix, compress: true, expires: nil)
    pan.advertisementInterval = .seconds(600)
    if plan.isTight { pan.maximumNeighbors = 90 }
    var blockwise = BlockwiseConfiguration()
    // Small blocks, or large ones in many fragments.
    if plan.seed.isMultiple(of: 2) { blockwise.preferredSZX = 2 }
    let stack = PANStack(configuration: pan, blockwise: blockwise, random: SeededGenerator(seed: random.next()))
    let settings = RadioSettings(
      channel: Self.channel, panID: Self.pan, extendedAddress: Self.radio, shortAddress: ShortAddress(0))
    var mac = MACConfiguration(radio: settings, capabilities: SoftwareRadio.capabilities)
    if plan.isTight {
      mac.maximumQueuedFrames = 48
      mac.maximumIndirectFrames = 48
      mac.maximumIndirectFramesPerDevice = 16
    }
    var configuration = SoftwareRadioConfiguration()
    configuration.isPANCoordinator = true
    radio = SoftwareRadio(settings: settings, configuration: configuration)
    var limits = GatewayLimits()
    limits.readingLifetime = plan.readingLifetime
    let gateway = Gateway(
      identity: group.gateway, oracle: group.oracle.public, directory: group.directory, relay: relay, store: store,
      queues: plan.queues, limits: limits)
    home = try HomeGateway(
      gateway: gateway, stack: stack, mac: mac, store: store, random: SeededGenerator(seed: random.next()), now: now)
    home.permitJoining(true, admitted: [])
    home.start(now: now)
    settle(now: now)
  }

  func takeFrames() -> [[UInt8]] {
    defer { frames.removeAll() }
    return frames
  }

  func takeEvents() -> [GatewayEvent] {
    defer { events.removeAll() }
    return events
  }

  func nextTimeout() -> Instant? {
    let due = home.nextTimeout()
    guard let deadline = radio.nextTimeout else { return due }
    return due.map { min($0, deadline) } ?? deadline
  }

  func receive(_ frame: [UInt8], now: Instant) {
    radio.receive(frame.rawSpan, metadata: FrameMetadata(timestamp: now, fcsPresent: true, rssi: -60))
    settle(now: now)
  }

  func timeout(at now: Instant) {
    radio.timeout(at: now)
    if let due = home.nextTimeout(), due <= now { home.timeout(at: now) }
    settle(now: now)
  }

  func deliver(_ bytes: [UInt8], now: Instant) -> Custody {
    let custody = home.deliver(bytes, now: now)
    settle(now: now)
    return custody
  }

  func confirmOutbound(_ number: UInt64) throws(StoreError) { try home.gateway.confirmOutbound(number) }

  private func settle(now: Instant) {
    while true {
      for action in home.takeActions() {
        switch action {
        case .transmit(let psdu): waiting.append(psdu)
        case .sourceMatch(let devices): radio.sourceMatch = devices
        case .event(let event): events.append(event)
        case .dropped, .chunk: break
        }
      }
      if !radio.isTransmitting, !waiting.isEmpty { _ = radio.transmit(waiting.removeFirst(), now: now) }
      let actions = radio.takeActions()
      guard !actions.isEmpty else { return }
      for action in actions {
        switch action {
        case .send(let psdu): frames.append(psdu)
        case .deliver(let frame): home.receive(frame.bytes.rawSpan, metadata: frame.metadata)
        case .finished(let outcome): home.transmitted(outcome, now: now)
        case .dropped: break
        }
      }
    }
  }

  /// What is kept beyond its bounds, if anything.
  func excess() -> String? {
    let (pan, mac, statistics) = (home.stack.configuration, home.mac.configuration, home.mac.statistics)
    let neighbors = home.stack.neighbors.entries
    if neighbors.count > pan.maximumNeighbors { return "\(neighbors.count) neighbours" }
    let ofRadio = Dictionary(grouping: neighbors.values, by: \.radio).values.map(\.count).max() ?? 0
    if ofRadio > pan.maximumAddressesPerRadio { return "\(ofRadio) addresses of one radio" }
    // The one that the radio has counts beside those that wait.
    if statistics.queued > mac.maximumQueuedFrames + 1 { return "\(statistics.queued) frames wait for the radio" }
    if statistics.indirectPending > mac.maximumIndirectFrames {
      return "\(statistics.indirectPending) frames wait for sleeping nodes"
    }
    let reassembly = home.stack.reassembly
    if reassembly.underWay > reassembly.maximum { return "\(reassembly.underWay) datagrams are under way" }
    return waiting.count > 1 ? "\(waiting.count) frames at the radio" : nil
  }
}

extension SimulationPlan {
  var queues: QueueLimits {
    guard isTight else { return QueueLimits() }
    return QueueLimits(
      nodeQueue: Usage(messages: 3, bytes: 2_048), outbox: Usage(messages: 60, bytes: 64 << 10),
      total: Usage(messages: 120, bytes: 128 << 10), replayRecords: 256)
  }
}
