import Bridge
import COSE
import CoAP
import Envelope
import MemberSecurity
import Node
import Queue
import TestSupport
import Testing
import Wire

/// A ``SecureHome`` with a relay's access list and an owner who commands its node end to end.
final class EndToEndHome<Behavior: DeviceBehavior> {
  let home: SecureHome<Behavior>
  let access: AccessDirectory
  private let store = MemoryStore()
  private(set) var owner: Endpoint<MemoryStore>
  /// Everything that went through gateway and relay.
  private(set) var seen: [SignedEnvelope] = []
  private(set) var deliveries: [Endpoint<MemoryStore>.Delivery] = []
  /// What the owner took or refused.
  private(set) var custodies: [Custody] = []
  private var sent: UInt64 = 0
  private var seed: UInt64 = 100

  init(
    _ behavior: Behavior, people: [String: Identity]? = nil, class: EnvelopeClass, traits: Traits, seed: UInt64 = 1,
    change: (inout NodeSecurityConfiguration) -> Void = { _ in }
  ) throws {
    home = try SecureHome(behavior, people: people, class: `class`, traits: traits, seed: seed, change: change)
    let members = home.record.members
    func index(_ name: String) -> Int { members.firstIndex { $0.name == name } ?? 0 }
    access = try AccessDirectory(
      AccessList(
        version: home.record.version,
        entries: members.map { member in
          AccessList.Entry(
            address: member.address, key: member.identity.signingPoint, class: member.class,
            host: member.gateway.map { _ in index("gateway") },
            recipients: member.name == "owner" ? [index("node")] : [index("owner")])
        }))
    owner = try Self.endpoint(home, store, 100)
  }

  private static func endpoint(
    _ home: SecureHome<Behavior>, _ store: MemoryStore, _ seed: UInt64
  ) throws -> Endpoint<MemoryStore> {
    Endpoint(
      identity: home.people["owner"]!, directory: try PeerDirectory(home.record), relay: home.people["relay"]!.address,
      store: store, random: SeededGenerator(seed: seed))
  }

  /// The owner's process ends and begins again.
  func restartOwner() throws {
    seed += 1
    owner = try Self.endpoint(home, store, seed)
  }

  func command(_ text: String) throws -> UInt64 {
    let number = try owner.command(
      try #require(CommandText(text)), label: text + "\(home.now)", lifetime: 86_400, endToEnd: true, now: home.now)
    return try #require(number)
  }

  /// What the owner has said since it was last asked.
  func takeOutbound() throws -> [SignedEnvelope] {
    let messages = try owner.outbound(after: sent, limit: .max)
    sent = messages.last?.number ?? sent
    return try messages.map { try SignedEnvelope(parsing: $0.bytes) }
  }

  /// What the gateway has put into its outbox since it was last asked.
  func takeFromGateway() throws -> [SignedEnvelope] {
    let all = try home.outbox()
    defer { taken = all.count }
    return Array(all.dropFirst(taken))
  }
  private var taken = 0

  /// The relay: it admits, and sees.
  func relayed(_ envelope: SignedEnvelope) throws -> SignedEnvelope {
    _ = try access.admit(envelope)
    seen.append(envelope)
    return envelope
  }

  func deliver(_ envelope: SignedEnvelope) {
    let (custody, delivery) = owner.deliver(envelope.bytes, now: home.now)
    custodies.append(custody)
    if let delivery { deliveries.append(delivery) }
  }

  /// Hands everything on until all is quiet; with `restarting`, the owner's process ends after every step.
  func run(for span: Duration, restarting: Bool = false) throws {
    for _ in 0..<20 {
      for envelope in try takeOutbound() {
        #expect(home.deliver(try relayed(envelope)) == .taken)
        if restarting { try restartOwner() }
      }
      home.run(for: span / 20)
      for envelope in try takeFromGateway() {
        deliver(try relayed(envelope))
        if restarting { try restartOwner() }
      }
    }
  }

  /// Whether a text was readable anywhere on the way.
  func wasReadable(_ text: String) -> Bool {
    let text = Array(text.utf8)
    func holds(_ bytes: [UInt8]) -> Bool {
      bytes.indices.contains { bytes[$0...].starts(with: text) }
    }
    return seen.contains { holds($0.bytes) } || home.onAir.contains(where: holds)
  }
}

/// A node that polls, and agrees on keys with its commander.
func pollingNode(
  _ people: [String: Identity], class: EnvelopeClass = .confidential, hasClock: Bool = true,
  memory: EnvelopeMemory = EnvelopeMemory(), seed: UInt64 = 5
) throws -> EnvelopeNode {
  let owner = Household.member(try #require(people["owner"]), .endpoint)
  var configuration = EnvelopeNodeConfiguration(
    identity: try #require(people["node"]), class: `class`, readers: [owner], commanders: [owner])
  configuration.pollInterval = .seconds(10)
  configuration.hasClock = hasClock
  var node = EnvelopeNode(configuration: configuration, memory: memory)
  node.enableEndToEnd(random: SeededGenerator(seed: seed))
  return node
}
