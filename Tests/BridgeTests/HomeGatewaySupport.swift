import BorderRouter
import Bridge
import CoAP
import Envelope
import IEEE802154
import IPv6
import Queue
import SixLoWPAN
import TestSupport
import Testing
import Wire

/// The demo home's gateway with its store, its clock and the radio's side of it.
final class Site {
  static let panID = PANIdentifier(0xabcd)
  static let radio = ExtendedAddress(0x0270_616e_6700_0001)
  static let prefix = IPv6Prefix(IPv6Address(high: 0xfd50_616e_6761_0001, low: 0), length: 64)
  static let linkLocal = IPv6Address.linkLocal(radio.interfaceIdentifier)

  let home: Home
  let store: MemoryStore
  private let record: PeerRecord?
  private let queues: QueueLimits
  let limits: HomeGatewayLimits
  private let security: LinkSecurity?
  private let keys: KeyStore
  private var gateway: HomeGateway<MemoryStore>
  var now = Home.start
  /// What the radio says of frames with this destination.
  var outcome: (MACAddress) -> TransmitOutcome = { $0.isBroadcast ? .sent : .acknowledged(framePending: false) }
  /// Frames that the radio has sent, since they were last taken.
  private(set) var sent: [[UInt8]] = []
  private(set) var events: [GatewayEvent] = []
  private(set) var drops: [DropReason] = []
  /// What is to be passed to the relay at once.
  private(set) var chunks: [[UInt8]] = []
  private(set) var match = SourceMatch()

  init(
    _ store: MemoryStore = MemoryStore(), record: PeerRecord? = nil, queues: QueueLimits = QueueLimits(),
    limits: HomeGatewayLimits = HomeGatewayLimits(), security: LinkSecurity? = nil, keys: KeyStore = KeyStore()
  ) throws {
    home = try Home()
    self.store = store
    self.record = record
    self.queues = queues
    self.limits = limits
    self.security = security
    self.keys = keys
    gateway = try Self.make(
      home, store, record, queues, limits, security, keys, now: now)
    act { $0.start(now: $1) }
  }

  private static func make(
    _ home: Home, _ store: MemoryStore, _ record: PeerRecord?, _ queues: QueueLimits, _ limits: HomeGatewayLimits,
    _ security: LinkSecurity?, _ keys: KeyStore, now: Instant
  ) throws -> HomeGateway<MemoryStore> {
    var pan = PANConfiguration(panID: Self.panID, extendedAddress: radio, shortAddress: ShortAddress(1), prefix: prefix)
    if let security { pan.linkSecurityLength = 6 + security.level.micLength }
    let settings = RadioSettings(
      channel: 15, panID: Self.panID, extendedAddress: radio, shortAddress: ShortAddress(1))
    let mac = MACConfiguration(
      radio: settings, capabilities: [.acknowledges, .retransmits, .reportsAcknowledgment, .sourceMatch],
      security: security)
    return try HomeGateway(
      gateway: home.gateway(store, queues: queues, record: record),
      stack: PANStack(configuration: pan, keys: keys, random: SeededGenerator(seed: 1)), mac: mac, keys: keys,
      store: store, limits: limits, random: SeededGenerator(seed: 2), now: now)
  }

  /// The process ends, and another begins with what is stored.
  func restart() throws {
    gateway = try Self.make(home, store, record, queues, limits, security, keys, now: now)
    match = SourceMatch()
    act { $0.start(now: $1) }
  }

  /// Runs `body` and does what it wants done.
  func act(_ body: (inout HomeGateway<MemoryStore>, Instant) -> Void) {
    body(&gateway, now)
    while true {
      let actions = gateway.takeActions()
      guard !actions.isEmpty else { return }
      for action in actions {
        switch action {
        case .transmit(let psdu):
          sent.append(psdu)
          let header = try? MACFrameView(psdu.rawSpan, fcsPresent: false).header
          gateway.transmitted(outcome(header?.destination ?? .absent), now: now)
        case .sourceMatch(let match): self.match = match
        case .event(let event): events.append(event)
        case .chunk(let bytes): chunks.append(bytes)
        case .dropped(let reason): drops.append(reason)
        }
      }
    }
  }

  func receive(_ frames: [[UInt8]]) {
    for frame in frames {
      act { $0.receive(frame.rawSpan, metadata: FrameMetadata(timestamp: $1, fcsPresent: false)) }
    }
  }

  func deliver(_ envelope: SignedEnvelope) -> Custody {
    var custody = Custody.later(.queueUnavailable)
    act { custody = $0.deliver(envelope.bytes, now: $1) }
    return custody
  }

  /// Lets the time until `later` pass, each timeout at its instant.
  func run(until later: Instant) {
    while let due = gateway.nextTimeout(), due <= later {
      now = max(now, due)
      act { $0.timeout(at: $1) }
    }
    now = later
    act { $0.timeout(at: $1) }
  }

  func advance(_ duration: Duration) { run(until: now.advanced(by: duration)) }

  func takeSent() -> [[UInt8]] {
    defer { sent = [] }
    return sent
  }

  func takeEvents() -> [GatewayEvent] {
    defer { events = [] }
    return events
  }

  func takeDrops() -> [DropReason] {
    defer { drops = [] }
    return drops
  }

  // MARK: What is known of it

  var pan: PANConfiguration { gateway.stack.configuration }
  var neighbors: NeighborCache { gateway.stack.neighbors }
  var associations: [Association] { gateway.mac.associations }
  var heard: [ExtendedAddress: HomeGateway<MemoryStore>.Reception] { gateway.heard }
  var strangers: [ExtendedAddress: HomeGateway<MemoryStore>.Reception] { gateway.strangers }
  var nextTimeout: Instant? { gateway.nextTimeout() }
  func dropped(_ reason: DropReason) -> UInt64 { gateway.drops[reason] }
  func refused(_ reason: DropReason) -> UInt64 { gateway.gateway.counters[reason] }

  /// The relay takes all that waits for it.
  func relay() throws {
    for held in try gateway.gateway.outbound(limit: .max) { try gateway.gateway.confirmOutbound(held.number) }
  }

  func outbox() throws -> [SignedEnvelope] {
    try gateway.gateway.outbound(limit: .max).map { try SignedEnvelope(parsing: $0.bytes) }
  }

  func held(_ name: String) throws -> Int {
    let node = try #require(gateway.gateway.nodes.first { $0.name == name })
    return try gateway.gateway.queueUsage(of: node).messages
  }
}

/// A node's radio and what is above it.
struct PANNode {
  let extended: ExtendedAddress
  var radio: MACAddress
  private var sequenceNumber: UInt8 = 0
  private var tag: UInt16 = 0
  private var messageID: UInt16 = 0

  init(_ eui64: UInt64) {
    extended = ExtendedAddress(eui64)
    radio = .extended(extended)
  }

  var linkLocal: IPv6Address { .linkLocal(extended.interfaceIdentifier) }

  mutating func frame(_ type: FrameType, _ payload: [UInt8]) throws -> [UInt8] {
    sequenceNumber &+= 1
    let header = MACHeader(
      type: type, sequenceNumber: sequenceNumber, destinationPAN: Site.panID, destination: .extended(Site.radio),
      source: radio, acknowledgmentRequested: true, panIdentifierCompressed: true)
    return try MACFrame(header: header, payload: payload).encoded(withFCS: false)
  }

  mutating func command(_ command: MACCommand) throws -> [[UInt8]] {
    [try frame(.command, try command.encoded())]
  }

  mutating func frames(_ packet: [UInt8]) throws -> [[UInt8]] {
    tag &+= 1
    let link = LowpanLink(source: radio, destination: .extended(Site.radio))
    let payloads = try Fragmenter(room: 100, link: link).payloads(
      of: packet.rawSpan, contexts: ContextTable(), now: Instant(seconds: 0), tag: tag)
    var frames: [[UInt8]] = []
    for payload in payloads { frames.append(try frame(.data, payload)) }
    return frames
  }

  mutating func coap(
    _ message: CoAPMessage, from source: IPv6Address? = nil, to destination: IPv6Address = Site.linkLocal
  ) throws -> [[UInt8]] {
    let source = source ?? linkLocal
    let datagram = try UDPHeader.datagram(
      source: source, sourcePort: 5683, destination: destination, destinationPort: 5683, payload: message.encoded())
    return try frames(
      IPv6Header(nextHeader: .udp, hopLimit: 64, source: source, destination: destination).packet(datagram))
  }

  /// A new confirmable request.
  mutating func request(_ request: CoAPRequest) throws -> [[UInt8]] {
    messageID &+= 1
    return try coap(
      CoAPMessage(
        type: .confirmable, code: request.code, messageID: messageID,
        token: CoAPToken(value: UInt64(messageID), count: 2), options: request.options, payload: request.payload))
  }

  /// The answer to a request of the gateway, in its acknowledgment.
  mutating func answer(_ request: CoAPMessage, _ response: CoAPResponse) throws -> [[UInt8]] {
    try coap(
      CoAPMessage(
        type: .acknowledgement, code: response.code, messageID: request.messageID, token: request.token,
        options: response.options, payload: response.payload))
  }

  /// Asks for `source` to be registered (RFC 6775, 5.5).
  mutating func register(_ source: IPv6Address, minutes: UInt16) throws -> [[UInt8]] {
    let options: [NeighborDiscoveryOption] = [
      .sourceLinkLayerAddress(.extended(extended.value)),
      .addressRegistration(
        AddressRegistration(lifetime: minutes, verifier: RegistrationOwnershipVerifier(extended.value))),
    ]
    let message = try ICMPv6Message.encoded(source: source, destination: Site.linkLocal, capacity: 200) {
      (writer) throws(EmitError) in
      try NeighborSolicitation(target: Site.linkLocal).emit(into: &writer)
      for option in options { try option.emit(into: &writer) }
    }
    return try frames(
      IPv6Header(nextHeader: .icmpv6, hopLimit: 255, source: source, destination: Site.linkLocal).packet(message))
  }
}

/// A CoAP message that the gateway sent.
struct SentMessage {
  var radio: MACAddress
  var message: CoAPMessage

  /// All in these frames, in order.
  static func all(in frames: [[UInt8]]) throws -> [SentMessage] {
    var decoder = FrameDecoder()
    var messages: [SentMessage] = []
    for frame in frames {
      let decoded = decoder.decode(
        frame.rawSpan, FrameMetadata(timestamp: Instant(seconds: 1), fcsPresent: false))
      let (destination, bytes) = (decoded.header?.destination ?? .absent, decoded.packet.array())
      guard bytes.count > 40 else { continue }
      let packet = try IPv6Packet(bytes.rawSpan)
      guard packet.header.nextHeader == .udp else { continue }
      let datagram = try UDPDatagram(
        packet.payload, source: packet.header.source, destination: packet.header.destination)
      messages.append(
        SentMessage(radio: destination, message: CoAPMessage(try CoAPMessageView(datagram.payload))))
    }
    return messages
  }

  /// The requests of the gateway.
  static func requests(in frames: [[UInt8]]) throws -> [SentMessage] {
    try all(in: frames).filter { $0.message.code.isRequest }
  }
}
