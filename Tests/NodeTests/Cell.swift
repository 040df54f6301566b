import BorderRouter
import CoAP
import IEEE802154
import IPv6
import Node
import SixLoWPAN
import TestSupport
import Wire

/// A border router with its MAC and one node, each above a radio of software, and the air between them, which loses
/// nothing unless it is told to.
final class Cell {
  static let pan = PANIdentifier(0xabcd)
  static let border = ExtendedAddress(0x0270_616e_6700_0001)
  static let device = ExtendedAddress(0x0212_4b00_0000_0003)
  static let prefix = IPv6Prefix(IPv6Address(high: 0xfd00_0001_0000_0000, low: 0), length: 64)

  private var stack: PANStack
  private var mac: MACEngine
  private var borderRadio: SoftwareRadio
  private var node: NodeStack
  private var nodeRadio: SoftwareRadio
  private var waiting: [[UInt8]] = []
  private var lastFrame: UInt64 = 0
  var now = Instant(seconds: 1_000_000)
  /// Whether a frame with this header is lost.
  var loses: (MACHeader) -> Bool = { _ in false }
  /// Headers of what was on the air.
  private(set) var onAir: [MACHeader] = []
  /// Octets of those frames, FCS included.
  private(set) var lengths: [Int] = []
  /// What happened to the node since it was last asked.
  private var nodeEvents: [NodeEvent] = []
  private(set) var requests: [PANRequest] = []
  private(set) var responses: [CoAPResponse] = []
  /// What the border router answers.
  var answers: (CoAPRequest) -> CoAPResponse = { _ in CoAPResponse(.changed) }
  /// What the node answers.
  var serves: (CoAPRequest) -> CoAPResponse = { _ in CoAPResponse(.content) }

  static func configuration() -> PANConfiguration {
    var configuration = PANConfiguration(
      panID: pan, extendedAddress: border, shortAddress: ShortAddress(0), prefix: prefix)
    configuration.contexts.set(1, prefix: prefix, compress: true, expires: nil)
    return configuration
  }

  init(
    _ configuration: PANConfiguration = Cell.configuration(), _ change: (inout NodeConfiguration) -> Void = { _ in }
  ) {
    stack = PANStack(configuration: configuration, random: SeededGenerator(seed: 1))
    let settings = RadioSettings(
      channel: 15, panID: Self.pan, extendedAddress: Self.border, shortAddress: ShortAddress(0))
    mac = MACEngine(
      configuration: MACConfiguration(radio: settings, capabilities: SoftwareRadio.capabilities),
      random: SeededGenerator(seed: 2))
    mac.permitsJoining = true
    var coordinator = SoftwareRadioConfiguration()
    coordinator.isPANCoordinator = true
    borderRadio = SoftwareRadio(settings: settings, configuration: coordinator)
    var own = NodeConfiguration(extendedAddress: Self.device, panID: Self.pan, channel: 15)
    change(&own)
    node = NodeStack(configuration: own, random: SeededGenerator(seed: 3))
    nodeRadio = SoftwareRadio(settings: node.radioSettings)
  }

  // MARK: What is seen

  var router: NodeRouter? { node.router }
  var global: IPv6Address? { node.globalAddress(at: now) }
  var isListening: Bool { node.isListening(at: now) }
  var shortAddress: ShortAddress? { node.shortAddress }
  var openState: (queuedFrames: Int, datagrams: Int, operations: Int) { node.openState }
  var neighbors: NeighborCache { stack.neighbors }
  var associations: [Association] { mac.associations }
  func isSleepy(_ device: MACAddress) -> Bool { mac.isSleepy(device) }
  func dropped(_ reason: DropReason) -> UInt64 { node.counters[reason] }

  // MARK: What is asked

  func start() {
    node.start(now: now)
    settle()
  }

  @discardableResult
  func ask(_ request: CoAPRequest, to destination: NodeStack.Destination = .linkLocal) -> RequestID<PANPeer>? {
    defer { settle() }
    return node.request(request, to: destination, now: now)
  }

  /// The border router asks the node.
  func askNode(_ request: CoAPRequest) {
    _ = stack.request(request, to: Self.device, now: now)
    settle()
  }

  func restore(_ address: IPv6Address, owner: ExtendedAddress, for lifetime: Duration) {
    let entry = NeighborCache.Entry(
      radio: .extended(owner), lastHeard: now, registeredUntil: now.advanced(by: lifetime), owner: owner)
    stack.restore([(address, entry)], now: now)
  }

  func takeNodeEvents() -> [NodeEvent] {
    defer { nodeEvents.removeAll() }
    return nodeEvents
  }

  func forget() {
    onAir.removeAll()
    lengths.removeAll()
  }

  /// The node takes bytes as if its radio had let them pass.
  func inject(_ frame: [UInt8]) {
    node.receive(frame.rawSpan, metadata: FrameMetadata(timestamp: now, fcsPresent: false))
    settle()
  }

  // MARK: Time

  /// Runs until nothing is due within `span`.
  func run(for span: Duration) {
    let end = now.advanced(by: span)
    while let due = nextTimeout, due <= end {
      now = max(now, due)
      borderRadio.timeout(at: now)
      nodeRadio.timeout(at: now)
      stack.timeout(at: now)
      mac.timeout(at: now)
      node.timeout(at: now)
      settle()
    }
    now = end
  }

  private var nextTimeout: Instant? {
    [stack.nextTimeout, mac.nextTimeout, node.nextTimeout, borderRadio.nextTimeout, nodeRadio.nextTimeout]
      .compactMap { $0 }.min()
  }

  // MARK: The air

  private func settle() {
    var isQuiet = false
    while !isQuiet {
      isQuiet = true
      if settleNode() { isQuiet = false }
      if settleBorder() { isQuiet = false }
    }
  }

  private func settleNode() -> Bool {
    var moved = false
    nodeRadio.settings = node.radioSettings
    for event in node.takeEvents() {
      moved = true
      nodeEvents.append(event)
      if case .request(let exchange, let request) = event {
        node.respond(to: exchange, with: serves(request), now: now)
      }
    }
    for psdu in node.takeTransmissions() {
      moved = true
      _ = nodeRadio.transmit(psdu, now: now)
    }
    for action in nodeRadio.takeActions() {
      moved = true
      switch action {
      case .send(let psdu):
        if carries(psdu) { borderRadio.receive(psdu.rawSpan, metadata: metadata) }
      case .deliver(let frame): node.receive(frame.bytes.rawSpan, metadata: frame.metadata)
      case .finished(let outcome): node.transmitted(outcome, now: now)
      case .dropped: break
      }
    }
    return moved
  }

  private func settleBorder() -> Bool {
    var moved = false
    for event in stack.takeEvents() {
      moved = true
      switch event {
      case .request(let exchange, let request):
        requests.append(request)
        stack.respond(to: exchange, with: answers(request.request), now: now)
      case .response(_, let response): responses.append(response)
      case .command(let command, let header): mac.receive(command, header: header, isSecured: false, now: now)
      case .failed, .heard, .registration, .dropped: break
      }
    }
    for frame in stack.takeFrames() {
      moved = true
      lastFrame += 1
      mac.send(OutgoingFrame(id: lastFrame, header: frame.header, payload: frame.payload), now: now)
    }
    for action in mac.takeActions() {
      moved = true
      switch action {
      case .transmit(let psdu): waiting.append(psdu)
      case .sourceMatch(let devices): borderRadio.sourceMatch = devices
      case .associated(let device, let short): stack.setShortAddress(short, of: device)
      case .finished, .disassociated, .reserveFrameCounter, .dropped: break
      }
    }
    if !borderRadio.isTransmitting, !waiting.isEmpty { _ = borderRadio.transmit(waiting.removeFirst(), now: now) }
    for action in borderRadio.takeActions() {
      moved = true
      switch action {
      case .send(let psdu):
        let isHeard = nodeRadio.isTransmitting || node.isListening(at: now)
        if carries(psdu), isHeard { nodeRadio.receive(psdu.rawSpan, metadata: metadata) }
      case .deliver(let frame): stack.receive(frame.bytes.rawSpan, metadata: frame.metadata)
      case .finished(let outcome): mac.transmitted(outcome, now: now)
      case .dropped: break
      }
    }
    return moved
  }

  private var metadata: FrameMetadata { FrameMetadata(timestamp: now, fcsPresent: true) }

  private func carries(_ psdu: [UInt8]) -> Bool {
    guard let header = try? MACFrameView(psdu.rawSpan, fcsPresent: true).header else { return false }
    if header.control.type != .acknowledgment {
      onAir.append(header)
      lengths.append(psdu.count)
    }
    return !loses(header)
  }
}

extension [NodeEvent] {
  var registered: [IPv6Address] {
    compactMap { if case .registered(let address, _) = $0 { address } else { nil } }
  }
  var refusals: [RegistrationStatus] {
    compactMap { if case .registrationRefused(_, let status) = $0 { status } else { nil } }
  }
  var responses: [CoAPResponse] {
    compactMap { if case .response(_, let response) = $0 { response } else { nil } }
  }
  var failures: [RequestFailure] {
    compactMap { if case .failed(_, let failure) = $0 { failure } else { nil } }
  }
  var requests: [CoAPRequest] {
    compactMap { if case .request(_, let request) = $0 { request } else { nil } }
  }
  var drops: [DropReason] {
    compactMap { if case .dropped(let reason) = $0 { reason } else { nil } }
  }
  var associations: [ShortAddress?] {
    compactMap { if case .associated(let short) = $0 { .some(short) } else { nil } }
  }
  var associationRefusals: [UInt8] {
    compactMap { if case .associationRefused(let status) = $0 { status } else { nil } }
  }
}
