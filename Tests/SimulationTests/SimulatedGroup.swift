import COSE
import Crypto
import Envelope
import IEEE802154
import TestSupport
import Wire

/// What kind of device a node is.
enum NodeKind: CaseIterable {
  /// No consequence: posts plain readings, which the gateway signs.
  case plain, sleepingPlain
  /// Auth-only: signs for itself, sleeps, asks for its commands.
  case sleepingSigned
  /// Auth-only: signs for itself, never sleeps, takes envelopes at its own `/e`.
  case signed
  /// Confidential: signs and seals.
  case confidential, sleepingConfidential
  /// A plain CoAP server that the gateway vouches for, of no consequence: another would have to prove itself by OSCORE.
  case server, sleepingServer

  var sleeps: Bool { [.sleepingPlain, .sleepingSigned, .sleepingConfidential, .sleepingServer].contains(self) }
  var isPlain: Bool { self == .plain || self == .sleepingPlain }
  var isServer: Bool { self == .server || self == .sleepingServer }
  var isSigned: Bool { !isPlain && !isServer }

  var `class`: EnvelopeClass {
    switch self {
    case .plain, .sleepingPlain, .server, .sleepingServer: .noConsequence
    case .confidential, .sleepingConfidential: .confidential
    default: .authOnly
    }
  }

  /// The kinds of fifty nodes.
  static let home: [NodeKind] = [
    (8, plain), (8, sleepingPlain), (14, sleepingSigned), (5, signed), (3, confidential), (5, sleepingConfidential),
    (5, server), (2, sleepingServer),
  ].flatMap { [NodeKind](repeating: $1, count: $0) }
}

/// A group of fifty nodes, their gateway, a relay and an owner. Made once: keys cost more than anything else.
struct SimulatedGroup {
  static let start = Instant(seconds: 1_767_225_600)
  static let shared = Result { try SimulatedGroup() }

  struct Node {
    var kind: NodeKind
    var member: Member
    var identity: Identity
    var radio: ExtendedAddress
  }

  let oracle: Identity
  let gateway: Identity
  let relay: Identity
  let owner: Identity
  let nodes: [Node]
  let directory: PeerDirectory
  let accessList: [UInt8]

  private init() throws {
    // Only the test's own keys: the same each time.
    var generator = SeededGenerator(seed: 0x7061_6e67)
    func identity(_ name: String) throws -> Identity {
      try Identity.new(name: name, validFrom: Self.start, using: &generator)
    }
    oracle = try identity("oracle")
    gateway = try identity("gateway")
    relay = try identity("relay")
    owner = try identity("owner")
    var nodes: [Node] = []
    for (index, kind) in NodeKind.home.enumerated() {
      let identity = try identity("node\(index)")
      let radio = ExtendedAddress(0x0212_4b00_0000_1000 | UInt64(index))
      nodes.append(
        Node(
          kind: kind,
          member: Self.member(kind, identity, radio, owner: owner.address, gateway: gateway.address),
          identity: identity,
          radio: radio))
    }
    self.nodes = nodes
    let others: [Member] = [(oracle, .oracle), (gateway, .gateway), (relay, .relay), (owner, .endpoint)].map {
      (identity: Identity, roles: Roles) in
      Member(
        identity: identity.public, agreementKey: identity.agreementKey.publicKey,
        class: roles == .relay || roles == .oracle ? .authOnly : .noConsequence, roles: roles, name: identity.name)
    }
    let members = others + nodes.map(\.member)
    let version = GroupEpoch(group: Array("simulated--group".utf8), epoch: 1)
    let issued = UInt64(Self.start.seconds)
    directory = try PeerDirectory(PeerRecord(version: version, issuedAt: issued, members: members, relays: []))
    accessList = try Self.accessList(version, members, from: oracle, for: relay)
  }

  private static func member(
    _ kind: NodeKind, _ identity: Identity, _ radio: ExtendedAddress, owner: Address, gateway: Address
  ) -> Member {
    var traits: Traits = kind.sleeps ? .sleeps : []
    if kind.isPlain || kind.isServer { traits.insert(.vouched) }
    if kind.isServer { traits.insert(.coapServer) }
    return Member(
      identity: identity.public, agreementKey: identity.agreementKey.publicKey, class: kind.class, roles: .node,
      name: identity.name, eui64: radio.value, readers: [owner], commanders: kind.isPlain ? [] : [owner],
      gateway: gateway, traits: traits)
  }

  /// Everybody may send to the owner, and the owner to all nodes.
  private static func accessList(
    _ version: GroupEpoch, _ members: [Member], from oracle: Identity, for relay: Identity
  ) throws -> [UInt8] {
    let owner = members.firstIndex { $0.name == "owner" } ?? 0
    let nodes = members.indices.filter { members[$0].roles.contains(.node) }
    let entries = members.enumerated().map { index, member in
      AccessList.Entry(
        address: member.address, key: member.identity.signingPoint, class: member.class,
        host: member.gateway.flatMap { host in members.firstIndex { $0.address == host } },
        recipients: index == owner ? nodes : [owner])
    }
    let draft = EnvelopeDraft(
      class: .authOnly, recipients: [.init(relay.address)], sequence: 1, issuedAt: UInt64(start.seconds),
      lifetime: 1 << 32,
      content: .init(
        format: ContentFormats.accessList, bytes: try AccessList(version: version, entries: entries).cbor()))
    var generator = SystemRandomNumberGenerator()
    return try SignedEnvelope.make(draft, from: oracle, using: &generator).bytes
  }
}
