import BorderRouter
import Bridge
import CoAP
import Crypto
import Envelope
import IEEE802154
import Node
import OSCORE
import Queue
import TestSupport
import Wire

/// A gateway and one node with keys of their own, and the air between them, which loses frames by chance. Either may lose
/// its power at any time; the gateway keeps its store, the node its memory.
final class SecureHome<Behavior: DeviceBehavior> {
  static var pan: PANIdentifier { PANIdentifier(0xabcd) }
  static var radio: ExtendedAddress { ExtendedAddress(0x0270_616e_6700_0001) }
  static var nodeRadio: ExtendedAddress { ExtendedAddress(0x0212_4b00_0000_0003) }

  let people: [String: Identity]
  private(set) var record: PeerRecord
  let store = MemoryStore()
  private var home: HomeGateway<MemoryStore>
  private var device: Device<Behavior>
  private var generator: SeededGenerator
  private(set) var now = Instant(seconds: 1_767_225_601)
  private(set) var events: [GatewayEvent] = []
  private(set) var deviceEvents: [DeviceEvent] = []
  /// Frames of which one is lost on average; 0 for none.
  var lossOneIn = 0
  private(set) var framesLost = 0
  /// Bytes that were on the air, without FCS.
  private(set) var onAir: [[UInt8]] = []

  init(
    _ behavior: Behavior, people: [String: Identity]? = nil, class: EnvelopeClass = .authOnly,
    traits: Traits = .vouched, seed: UInt64 = 1,
    linkKey: Envelope.LinkKey? = nil, change: (inout NodeSecurityConfiguration) -> Void = { _ in }
  ) throws {
    let people = try people ?? Self.people()
    self.people = people
    func member(_ name: String, _ roles: Roles, _ class: EnvelopeClass) -> Member {
      let identity = people[name]!
      return Member(
        identity: identity.public, agreementKey: identity.agreementKey.publicKey, class: `class`, roles: roles,
        name: name)
    }
    var gateway = member("gateway", .gateway, .noConsequence)
    gateway.linkKey = linkKey
    let owner = member("owner", .endpoint, .noConsequence)
    var node = member("node", .node, `class`)
    (node.eui64, node.gateway, node.traits) = (Self.nodeRadio.value, gateway.address, traits)
    (node.readers, node.commanders) = ([owner.address], [owner.address])
    record = PeerRecord(
      version: GroupEpoch(group: Array("secure-home-test".utf8), epoch: 1), issuedAt: 1_767_225_600,
      members: [member("oracle", .oracle, .authOnly), member("relay", .relay, .authOnly), gateway, owner, node],
      relays: [])
    generator = SeededGenerator(seed: seed)
    home = try Self.gateway(people, record, store, seed, now)
    var configuration = NodeSecurityConfiguration(identity: people["node"]!, gateway: gateway, peers: [owner])
    change(&configuration)
    self.configuration = configuration
    device = Self.device(behavior, configuration, NodeSecurityMemory(), seed)
    home.start(now: now)
    device.start(now: now)
    settle()
  }

  private let configuration: NodeSecurityConfiguration

  static func people() throws -> [String: Identity] {
    var drawn = SeededGenerator(seed: 0x686f_6d65)
    var people: [String: Identity] = [:]
    for name in ["oracle", "relay", "gateway", "owner", "node"] {
      people[name] = try Identity.new(name: name, validFrom: Instant(seconds: 1_767_225_600), using: &drawn)
    }
    return people
  }

  private static func gateway(
    _ people: [String: Identity], _ record: PeerRecord, _ store: MemoryStore, _ seed: UInt64, _ now: Instant
  ) throws -> HomeGateway<MemoryStore> {
    let pan = PANConfiguration(panID: Self.pan, extendedAddress: radio, shortAddress: ShortAddress(0))
    let settings = RadioSettings(channel: 15, panID: Self.pan, extendedAddress: radio, shortAddress: ShortAddress(0))
    return try HomeGateway(
      gateway: Gateway(
        identity: people["gateway"]!, oracle: people["oracle"]!.public, directory: try PeerDirectory(record),
        relay: people["relay"]!.address, store: store, random: SeededGenerator(seed: seed &+ 10)),
      stack: PANStack(configuration: pan, random: SeededGenerator(seed: seed &+ 11)),
      mac: MACConfiguration(radio: settings, capabilities: SoftwareRadio.capabilities), store: store,
      random: SeededGenerator(seed: seed &+ 12), now: now)
  }

  private static func device(
    _ behavior: Behavior, _ security: NodeSecurityConfiguration, _ memory: NodeSecurityMemory, _ seed: UInt64
  ) -> Device<Behavior> {
    Device(
      stack: NodeStack(
        configuration: NodeConfiguration(extendedAddress: nodeRadio, panID: Self.pan, channel: 15),
        security: NodeSecurity(security, memory: memory, random: SeededGenerator(seed: seed &+ 20)),
        random: SeededGenerator(seed: seed &+ 21)),
      behavior: behavior)
  }

  // MARK: What is seen

  var gateway: Gateway<MemoryStore> { home.gateway }
  var behavior: Behavior { device.behavior }
  var memory: NodeSecurityMemory { device.stack.security?.memory ?? NodeSecurityMemory() }
  var nodeAddress: Address { people["node"]!.address }
  func droppedByNode(_ reason: DropReason) -> UInt64 { device.stack.counters[reason] }

  func outbox() throws -> [SignedEnvelope] {
    try home.gateway.outbound(limit: .max).map { try SignedEnvelope(parsing: $0.bytes) }
  }

  /// The readings that the gateway signed for the node.
  func readings() throws -> [String] {
    try outbox().filter { $0.header.extensions.onBehalfOf != nil }
      .map { String(decoding: $0.payload, as: UTF8.self) }
  }

  // MARK: What is done

  func perform(_ body: (inout Behavior) -> Void) {
    device.perform(now: now, body)
    settle()
  }

  func deliver(_ envelope: SignedEnvelope) -> Custody {
    defer { settle() }
    return home.deliver(envelope.bytes, now: now)
  }

  /// A new peer record, changed by `change`, reaches the gateway.
  func publish(_ change: (inout PeerRecord) -> Void) throws {
    record.version.epoch += 1
    change(&record)
    var random = SystemRandomNumberGenerator()
    let gateway = people["gateway"]!
    let draft = EnvelopeDraft(
      class: .confidential, recipients: [.init(gateway.address, agreementKey: gateway.agreementKey.publicKey)],
      sequence: record.version.epoch, issuedAt: UInt64(now.seconds), lifetime: 86_400,
      content: .init(format: ContentFormats.peerRecord, bytes: try record.cbor()))
    _ = deliver(try SignedEnvelope.make(draft, from: people["oracle"]!, using: &random))
  }

  /// A command of the owner's as an envelope.
  func command(
    _ sequence: UInt64, _ message: EncapsulatedMessage, class: EnvelopeClass = .authOnly
  ) throws -> SignedEnvelope {
    var random = SystemRandomNumberGenerator()
    let node = people["node"]!
    let draft = EnvelopeDraft(
      class: `class`, recipients: [.init(node.address, agreementKey: node.agreementKey.publicKey)],
      sequence: sequence, issuedAt: UInt64(now.seconds), lifetime: 86_400,
      content: .init(format: ContentFormats.coapMessage, bytes: try message.cbor()))
    return try SignedEnvelope.make(draft, from: people["owner"]!, using: &random)
  }

  func restartGateway(seed: UInt64) throws {
    home = try Self.gateway(people, record, store, seed, now)
    home.start(now: now)
    settle()
  }

  /// The node begins anew, with its memory or without.
  func resetNode(to behavior: Behavior, keeping: Bool = true, seed: UInt64) {
    device = Self.device(behavior, configuration, keeping ? memory : NodeSecurityMemory(), seed)
    device.start(now: now)
    settle()
  }

  func run(for span: Duration) {
    let end = now.advanced(by: span)
    while let due = [home.nextTimeout(), device.nextTimeout].compactMap({ $0 }).min(), due <= end {
      now = max(now, due)
      home.timeout(at: now)
      device.timeout(at: now)
      settle()
    }
    now = end
  }

  private func isLost() -> Bool {
    guard lossOneIn > 0, generator.oneIn(lossOneIn) else { return false }
    framesLost += 1
    return true
  }

  private func settle() {
    while true {
      let frames = device.takeTransmissions()
      let actions = home.takeActions()
      deviceEvents += device.takeEvents()
      if frames.isEmpty, actions.isEmpty { return }
      let metadata = FrameMetadata(timestamp: now, fcsPresent: false)
      for frame in frames {
        onAir.append(frame)
        if !isLost() { home.receive(frame.rawSpan, metadata: metadata) }
        device.transmitted(.acknowledged(framePending: false), now: now)
      }
      for action in actions {
        switch action {
        case .transmit(let psdu):
          onAir.append(psdu)
          if !isLost() { device.receive(psdu.rawSpan, metadata: metadata) }
          home.transmitted(.acknowledged(framePending: false), now: now)
        case .event(let event): events.append(event)
        case .sourceMatch, .dropped: break
        }
      }
    }
  }
}
