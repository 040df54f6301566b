import Bridge
import CoAP
import Crypto
import Envelope
import Queue
import Relay
import Testing
import Wire

/// Owner, relay, gateway and node, without a network between them.
@Suite struct RelayedTests {
  private let home: Home
  private var relay: RelayCore<LocalRelayStore<MemoryStore>>
  private var gateway: Gateway<MemoryStore>
  private var owner: Endpoint<MemoryStore>
  private let gatewaySession: RelaySession
  private let ownerSession: RelaySession
  private var delivered: [String] = []

  init() throws {
    home = try Home()
    let identity = try #require(RelayIdentity(try home["relay"]))
    relay = try RelayCore(identity, oracle: try home["oracle"].public, store: MemoryStore())
    let list = try Home.file("access-list.cose")
    #expect(try relay.accept(accessList: list, now: Home.start) == .accepted([home.address("relay")]))
    let limits = QueueLimits(nodeQueue: Usage(messages: 1, bytes: 65_536))
    gateway = try home.gateway(MemoryStore(), queues: limits)
    owner = try home.endpoint("owner", MemoryStore())
    gatewaySession = try relay.openSession(
      client: home.address("gateway"), serving: gateway.nodes.map(\.address))
    ownerSession = try relay.openSession(client: home.address("owner"))
  }

  /// Everything that waits goes on one hop, to the relay and from it.
  private mutating func exchange(_ now: Instant) throws {
    for message in try gateway.outbound(limit: .max) {
      #expect(relay.submit(message.bytes, session: gatewaySession, now: now).isTaken)
      try gateway.confirmOutbound(message.number)
    }
    for message in try owner.outbound(limit: .max) {
      #expect(relay.submit(message.bytes, session: ownerSession, now: now).isTaken)
      try owner.confirmOutbound(message.number)
    }
    for message in try relay.pending(for: gatewaySession, limit: .max, now: now) {
      let custody = gateway.deliver(message.bytes, now: now).custody
      try settle(message, custody, gatewaySession, now)
    }
    for message in try relay.pending(for: ownerSession, limit: .max, now: now) {
      let (custody, delivery) = owner.deliver(message.bytes, now: now)
      if let delivery {
        let outcome = delivery.receipt.map { "\($0.outcome) \($0.reason ?? "")" } ?? ""
        delivered.append("\(delivery.from): \(delivery.answers ?? "") \(outcome)")
      }
      try settle(message, custody, ownerSession, now)
    }
  }

  private mutating func settle(
    _ message: HeldMessage, _ custody: Custody, _ session: RelaySession, _ now: Instant
  ) throws {
    let address = try #require(Address(message.mailbox.address))
    switch custody {
    case .taken: #expect(try relay.delivered(message.number, to: address, in: session))
    case .refused(let reason):
      #expect(try relay.rejected(message, in: session, reason: reason, now: now))
    case .later(let reason): Issue.record("not taken: \(reason)")
    }
  }

  @Test("A command goes to its node and the node's answer back to whom it was")
  mutating func roundTrip() throws {
    _ = try owner.command(try #require(CommandText("lock: PUT /lock open")), label: "1", now: Home.start)
    try exchange(Home.start)
    let shown = gateway.receive(try home.get("lock"), now: Home.start).response
    let command = try SignedEnvelope(parsing: shown.payload)
    #expect(try home.directory("gateway").verifiedSender(of: command).name == "owner")
    let receipt = try home.receipt(Receipt(.delivered), from: "lock", to: "owner", 1, for: command)
    #expect(gateway.receive(home.post(receipt.bytes), now: Home.start).response.code == .changed)
    #expect(gateway.receive(try home.delete("lock", "1"), now: Home.start).response.code == .deleted)
    try exchange(Home.later(1))
    #expect(delivered == ["lock: lock: PUT /lock open delivered "])
    #expect(try owner.outbound(limit: 1).isEmpty && gateway.outboxUsage() == Usage())
  }

  @Test("The sender of a command for which its node's queue has no room is told by the relay")
  mutating func full() throws {
    for (label, value) in [("1", "open"), ("2", "shut")] {
      let command = try #require(CommandText("lock: PUT /lock \(value)"))
      _ = try owner.command(command, label: label, now: Home.start)
    }
    try exchange(Home.start)
    #expect(delivered == ["relay: lock: PUT /lock shut rejected \(DropReason.queueNodeFull.name)"])
    #expect(gateway.counters[.queueNodeFull] == 1)
    #expect(try relay.pending(for: gatewaySession, limit: 1, now: Home.start).isEmpty)
  }

  @Test("The sender of a command that expired at the gateway is told by the gateway")
  mutating func expired() throws {
    let command = try #require(CommandText("lock: PUT /lock open"))
    _ = try owner.command(command, label: "1", lifetime: 10, now: Home.start)
    try exchange(Home.start)
    #expect(try gateway.expire(now: Home.later(11)).count == 1)
    try exchange(Home.later(11))
    #expect(delivered == ["gateway: lock: PUT /lock open expired \(DropReason.envelopeExpired.name)"])
  }

  @Test(
    "Confirming what is not held is harmless also in a database, whose numbers have a sign",
    arguments: PollTests.unknownNumbers)
  func unknownNumberOnDisk(_ text: String) throws { try PollTests().unknown(text, SQLiteStore.inMemory()) }
}

extension SubmitOutcome {
  fileprivate var isTaken: Bool {
    switch self {
    case .accepted, .alreadyInCustody: true
    case .refused: false
    }
  }
}
