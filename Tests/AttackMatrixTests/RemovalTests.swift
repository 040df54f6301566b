import Bridge
import CoAP
import Crypto
import Envelope
import Oracle
import Queue
import Relay
import TestSupport
import Testing
import Wire

/// A thousand members are removed by the oracle, one after the other, while they and others send: relay, gateway and peer
/// refuse each from the moment they have the new list or record.
@Suite struct RemovalTests {
  private static let removals = 1_000
  private static let phones = 12
  private static let now = Instant(seconds: 1_767_225_601)

  @Test("Whoever is removed is refused at relay, gateway and peer at once, and what he left opens nothing")
  func removals() throws {
    var home = try RemovalHome(phones: Self.phones)
    try home.publish()
    var (left, others) = (0, 0)
    for round in 0..<Self.removals {
      let victim = "phone\(round % Self.phones)"
      let other = "phone\((round + 1) % Self.phones)"
      // Before: all goes well. One command waits at the relay, one for the sleeping node at the gateway.
      let session = try home.session(of: victim)
      let waiting = try home.command(from: victim)
      #expect(
        home.relay.submit(try home.command(from: victim), session: session, now: Self.now).code == RelayCode.changed)
      try home.collect()
      #expect(home.relay.submit(waiting, session: session, now: Self.now).code == RelayCode.changed)
      #expect(try home.held(from: victim) == 1)
      let (command, letter) = (try home.command(from: victim), try home.letter(from: victim))

      try home.remove(victim)

      #expect(throws: ParseError(.senderRevoked)) { try home.session(of: victim) }
      // The session that he has, too.
      let outcome = home.relay.submit(command, session: session, now: Self.now)
      #expect(outcome == .refused(.senderRevoked, code: RelayCode.forbidden))
      #expect(home.gateway.deliver(command, now: Self.now).custody == .refused(.envelopeSenderUnknown))
      #expect(home.peer.deliver(letter, now: Self.now).custody == .refused(.envelopeSenderUnknown))
      try home.collect()
      left += try home.held(from: victim)
      // The others are served all the while.
      let theirs = try home.command(from: other)
      if home.relay.submit(theirs, session: try home.session(of: other), now: Self.now).code == RelayCode.changed {
        others += 1
      }
      try home.collect()
      #expect(try home.held(from: other) == 1)
      try home.empty()
      try home.readmit(victim)
    }
    #expect(left == 0 && others == Self.removals)
    #expect(home.oracle.record.version.epoch > UInt64(2 * Self.removals))
    #expect(home.relay.counters[.senderRevoked] >= UInt64(2 * Self.removals))
  }
}

/// Phones that command a lock, its gateway, the relay and a peer, and the oracle above them.
private struct RemovalHome {
  private(set) var oracle: Oracle
  var relay: RelayCore<LocalRelayStore<MemoryStore>>
  var gateway: Gateway<MemoryStore>
  var peer: Endpoint<MemoryStore>
  private let identities: [String: Identity]
  private let phones: [String]
  private var sequence: UInt64 = 0
  private static let now = Instant(seconds: 1_767_225_601)
  private static let seconds: UInt64 = 1_767_225_600

  init(phones count: Int) throws {
    var generator = SeededGenerator(seed: 0x7265_766f)
    let phones = (0..<count).map { "phone\($0)" }
    self.phones = phones
    var identities: [String: Identity] = [:]
    for name in ["oracle", "relay", "gateway", "peer", "lock"] + phones {
      identities[name] = try Identity.new(name: name, validFrom: Instant(seconds: 1_767_000_000), using: &generator)
    }
    self.identities = identities
    func identity(_ name: String) throws -> Identity { try #require(identities[name]) }
    let own = try identity("oracle")
    var oracle = try Oracle(founding: Array("thousand-leave--".utf8), identity: own, now: Self.seconds)
    for (name, roles) in [("relay", .relay), ("gateway", .gateway), ("peer", .endpoint)] as [(String, Roles)] {
      try oracle.admit(Self.admission(identity(name), name, roles), now: Self.seconds)
    }
    for name in phones { try oracle.admit(Self.admission(identity(name), name, .endpoint), now: Self.seconds) }
    try oracle.admit(Self.lock(identity("lock"), phones), now: Self.seconds)
    self.oracle = oracle
    let address = try identity("relay").address
    relay = try RelayCore(
      try #require(RelayIdentity(identity("relay"))), oracle: own.public, store: MemoryStore())
    let directory = try PeerDirectory(oracle.record)
    gateway = Gateway(
      identity: try identity("gateway"), oracle: own.public, directory: directory, relay: address, store: MemoryStore())
    peer = Endpoint(
      identity: try identity("peer"), directory: directory, oracle: own.public, relay: address, store: MemoryStore())
  }

  private static func admission(_ identity: Identity, _ name: String, _ roles: Roles) -> Admission {
    Admission(
      name: name, identity: identity.public, agreementKey: identity.agreementKey.publicKey,
      class: roles == .relay ? .authOnly : .noConsequence, roles: roles)
  }

  private static func lock(_ identity: Identity, _ commanders: [String]) -> Admission {
    var admission = admission(identity, "lock", .node)
    admission.class = .authOnly
    admission.commanders = commanders
    admission.readers = ["peer"]
    admission.gateway = "gateway"
    admission.eui64 = 0x0212_4b00_0000_0001
    return admission
  }

  private func identity(_ name: String) throws -> Identity { try #require(identities[name]) }

  // MARK: The oracle

  /// Gives the relay the list, and gateway and peer the record.
  mutating func publish() throws {
    var generator = SystemRandomNumberGenerator()
    sequence += 1
    let list = try oracle.accessListEnvelope(
      for: try #require(oracle.relays.first), sequence: sequence, now: Self.seconds, using: &generator)
    #expect(relay.accept(accessList: list.bytes, now: Self.now).code == RelayCode.changed)
    guard relay.directory?.list.version.epoch != gateway.directory.record.version.epoch else { return }
    func record(_ name: String) throws -> [UInt8] {
      try oracle.recordEnvelope(
        for: try #require(oracle.member(named: name)), sequence: sequence, now: Self.seconds, using: &generator
      ).bytes
    }
    #expect(gateway.deliver(try record("gateway"), now: Self.now).custody == .taken)
    #expect(peer.deliver(try record("peer"), now: Self.now).custody == .taken)
  }

  mutating func remove(_ name: String) throws {
    try oracle.remove(name, linkKey: [UInt8](repeating: 3, count: 16), now: Self.seconds)
    try publish()
  }

  /// Takes somebody in again; others learn it with the next removal at the latest.
  mutating func readmit(_ name: String) throws {
    try oracle.admit(Self.admission(identity(name), name, .endpoint), now: Self.seconds)
    try oracle.admit(Self.lock(identity("lock"), phones), now: Self.seconds)
    try publish()
  }

  // MARK: Traffic

  func session(of name: String) throws -> RelaySession { try relay.openSession(client: identity(name).address) }

  mutating func command(from name: String) throws -> [UInt8] {
    let message = EncapsulatedMessage(code: CoAPCode.put.rawValue, options: [], payload: Array("open".utf8))
    return try envelope(name, to: "lock", .init(format: ContentFormats.coapMessage, bytes: try message.cbor()))
  }

  mutating func letter(from name: String) throws -> [UInt8] {
    try envelope(name, to: "peer", .init(format: 0, bytes: Array("hello".utf8)))
  }

  private mutating func envelope(
    _ sender: String, to recipient: String, _ content: SignedEnvelope.Content
  ) throws -> [UInt8] {
    sequence += 1
    var generator = SystemRandomNumberGenerator()
    let draft = EnvelopeDraft(
      class: .authOnly, recipients: [.init(try identity(recipient).address)], sequence: sequence,
      issuedAt: Self.seconds,
      lifetime: 86_400, content: content)
    return try SignedEnvelope.make(draft, from: try identity(sender), using: &generator).bytes
  }

  /// The gateway takes what the relay holds for its node.
  mutating func collect() throws {
    let lock = try identity("lock").address
    let session = try relay.openSession(client: identity("gateway").address, serving: [lock])
    for message in try relay.pending(for: session, limit: 100, now: Self.now) {
      _ = gateway.deliver(message.bytes, now: Self.now)
      try relay.delivered(message.number, to: lock, in: session)
    }
  }

  /// What is held of `name` for the node that sleeps.
  func held(from name: String) throws -> Int {
    let address = try identity(name).address
    return try shown().count { $0.header.sender.matches(address) }
  }

  private func shown() throws -> [SignedEnvelope] {
    // Each is shown when the one before is confirmed; a copy of the gateway is not asked to keep that.
    var gateway = gateway
    let answer = gateway.receive(request([]), now: Self.now)
    guard !answer.response.payload.isEmpty else { return [] }
    return [try SignedEnvelope(parsing: answer.response.payload)]
  }

  /// The node takes what is held for it.
  mutating func empty() throws {
    while true {
      let answer = gateway.receive(request([]), now: Self.now)
      guard let number = answer.response.options[uint: .eTag] else { return }
      _ = gateway.receive(request(["done=\(number)"]), now: Self.now)
    }
  }

  private func request(_ query: [String]) -> NodeRequest {
    NodeRequest(
      request: CoAPRequest(.get, path: ["e"], query: query), eui64: 0x0212_4b00_0000_0001, fingerprint: [])
  }
}
