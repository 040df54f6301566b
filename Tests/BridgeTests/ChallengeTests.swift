import Bridge
import Envelope
import Node
import Queue
import Relay
import TestSupport
import Testing
import Wire

/// Command, challenge, echo and receipt as one exchange between an endpoint and a clockless lock, through relay and
/// gateway: RFC 9175 in spirit.
@Suite struct ChallengeTests {
  private let demo: Home
  private var relay: RelayCore<LocalRelayStore<MemoryStore>>
  private let ownerStore = MemoryStore()
  private var owner: Endpoint<MemoryStore>
  private let live: LiveHome<EnvelopeNode>
  private let node: EnvelopeNodeConfiguration
  private let gatewaySession: RelaySession
  private let ownerSession: RelaySession
  private var delivered: [Endpoint<MemoryStore>.Delivery] = []
  private var refused: [DropReason] = []
  /// Everything that the owner said, and that was said to him.
  private var said: [SignedEnvelope] = []
  private var heard: [SignedEnvelope] = []
  private var acted: [UInt64] = []

  init() throws {
    demo = try Home()
    let directory = try demo.directory("gateway")
    let commander = try #require(directory.member(named: "owner"))
    var node = EnvelopeNodeConfiguration(
      identity: try demo["lock"], class: .authOnly, readers: [commander], commanders: [commander])
    node.hasClock = false
    node.pollInterval = .seconds(3)
    self.node = node
    live = try LiveHome(
      demo, radio: try demo.radio("lock"), EnvelopeNode(configuration: node, random: SeededGenerator(seed: 4)))
    relay = try RelayCore(
      try #require(RelayIdentity(try demo["relay"])), oracle: try demo["oracle"].public, store: MemoryStore())
    _ = relay.accept(accessList: try Home.file("access-list.cose"), now: Home.start)
    owner = try demo.endpoint("owner", ownerStore)
    gatewaySession = try relay.openSession(
      client: demo.address("gateway"), serving: [demo.address("lock")])
    ownerSession = try relay.openSession(client: demo.address("owner"))
  }

  /// Everything that waits goes on one hop; what `copies` says is delivered more than once, newest first.
  private mutating func exchange(copies: Int = 1, resets: Bool = false, span: Duration = .seconds(5)) throws {
    let now = live.now
    for message in try owner.outbound(limit: .max) {
      said.append(try SignedEnvelope(parsing: message.bytes))
      for _ in 0..<copies { _ = relay.submit(message.bytes, session: ownerSession, now: now) }
      try owner.confirmOutbound(message.number)
    }
    if resets { owner = try demo.endpoint("owner", ownerStore) }
    for message in try relay.pending(for: gatewaySession, limit: .max, now: now).reversed() {
      for _ in 0..<copies { #expect(live.deliver(message.bytes) == .taken) }
      try relay.delivered(message.number, to: demo.address("lock"), in: gatewaySession)
    }
    if resets {
      live.reset(
        to: EnvelopeNode(configuration: node, memory: live.behavior.memory), radio: try demo.radio("lock"))
    }
    live.run(for: span)
    for case .acted(_, let number, _) in live.takeDeviceEvents() { acted.append(number) }
    for message in try live.gateway.outbound(limit: .max) {
      for _ in 0..<copies { _ = relay.submit(message.bytes, session: gatewaySession, now: now) }
    }
    try live.confirmOutbound()
    for message in try relay.pending(for: ownerSession, limit: .max, now: now).reversed() {
      heard.append(try SignedEnvelope(parsing: message.bytes))
      for _ in 0..<copies {
        let (custody, delivery) = owner.deliver(message.bytes, now: now)
        if case .refused(let reason) = custody { refused.append(reason) }
        if let delivery { delivered.append(delivery) }
      }
      try relay.delivered(message.number, to: demo.address("owner"), in: ownerSession)
    }
    if resets { owner = try demo.endpoint("owner", ownerStore) }
  }

  private mutating func unlock(lifetime: UInt64 = 3_600) throws -> UInt64 {
    let command = try #require(CommandText("lock: PUT /lock open"))
    return try #require(try owner.command(command, label: "\(said.count)", lifetime: lifetime, now: live.now))
  }

  @Test("The owner sees one answer to one command", arguments: [1, 2, 3], [false, true])
  mutating func oneAnswer(copies: Int, resets: Bool) throws {
    let number = try unlock()
    for _ in 0..<6 { try exchange(copies: copies, resets: resets) }
    #expect(acted == [number])
    let delivery = try #require(delivered.first)
    #expect(delivered.count == 1 && refused.isEmpty)
    #expect(delivery.answers == "lock: PUT /lock open" && delivery.inReplyTo == number)
    #expect(delivery.receipt == Receipt(.delivered) && delivery.from == "lock")
    #expect(try owner.inboxContents() == [delivery])
    // Command, then echo: signed anew, in reply to the challenge.
    #expect(said.map(\.header.extensions.echoResponse) == [nil, heard[0].header.extensions.echoChallenge])
    #expect(said[1].header.extensions.inReplyTo == heard[0].header.sequence)
    #expect(said[1].header.extensions.answerHash == heard[0].answerHash && said[1].payload == said[0].payload)
    #expect(try owner.command(said[1].header.sequence) == "lock: PUT /lock open")
  }

  @Test("A node that sleeps for ten minutes at a time asks back, and acts in the end") mutating func sleeping() throws {
    var sleeper = node
    sleeper.pollInterval = .seconds(600)
    live.reset(to: EnvelopeNode(configuration: sleeper), radio: try demo.radio("lock"))
    live.run(for: .seconds(10))
    let number = try unlock()
    // The phone is away between the command and the challenge, and for a while after.
    try exchange(span: .seconds(700))
    try exchange(span: .seconds(900))
    try exchange(span: .seconds(700))
    #expect(acted == [number] && live.behavior.values == ["/lock": Array("open".utf8)])
    #expect(delivered.map(\.receipt) == [Receipt(.delivered)] && delivered.map(\.inReplyTo) == [number])
  }

  @Test("A recorded command and a recorded echo open nothing, at the gateway or at the node") mutating func replayed()
    throws
  {
    _ = try unlock()
    for _ in 0..<4 { try exchange() }
    #expect(acted.count == 1)
    for envelope in said + said.reversed() {
      #expect(live.deliver(envelope.bytes) == .taken)
      live.run(for: .seconds(10))
    }
    #expect(live.takeDeviceEvents().allSatisfy { if case .acted = $0 { false } else { true } })
    #expect(live.gateway.counters[.envelopeReplay] == 4)
  }

  @Test("A challenge that comes after the command's time is answered by nothing and shown as what it is")
  mutating func late() throws {
    let number = try unlock(lifetime: 30)
    let now = live.now
    try exchange()
    // The command that it is for was another's, or another one.
    let challenge = try #require(heard.first)
    #expect(try owner.outbound(limit: 9).count == 1)
    var other = try demo.endpoint("owner", MemoryStore())
    #expect(other.deliver(challenge.bytes, now: now).custody == .refused(.envelopeNotAllowed))
    _ = try other.command(try #require(CommandText("lock: PUT /lock open")), label: "x", lifetime: 29, now: now)
    let mismatched = other.deliver(challenge.bytes, now: now)
    #expect(mismatched.custody == .refused(.envelopeEchoMismatch) && mismatched.delivery == nil)
    let store = MemoryStore()
    var sleeper = try demo.endpoint("owner", store)
    _ = try sleeper.command(try #require(CommandText("lock: PUT /lock open")), label: "x", lifetime: 30, now: now)
    let command = try SignedEnvelope(parsing: try #require(try sleeper.outbound(limit: 1).first).bytes)
    let late = try demo.envelope(
      "lock", to: ["owner"], 900, at: nil,
      extensions: EnvelopeExtensions(
        inReplyTo: number, answerHash: command.answerHash, echoChallenge: [1, 2, 3, 4, 5, 6, 7, 8]),
      content: .init(format: nil, bytes: []))
    let later = now.advanced(by: .seconds(31))
    let (custody, delivery) = sleeper.deliver(late.bytes, now: later)
    #expect(custody == .taken && delivery?.receipt?.outcome == .expired && delivery?.inReplyTo == number)
    #expect(try sleeper.outbound(limit: 9).count == 1 && sleeper.inboxContents().count == 1)
  }

  @Test(
    "Only the node that was commanded may ask for an echo",
    arguments: ["thermostat", "gateway", "relay", "phone2", "occupancy"])
  mutating func strangers(_ name: String) throws {
    _ = try unlock()
    let command = try SignedEnvelope(parsing: try #require(try owner.outbound(limit: 1).first).bytes)
    func challenge(_ sender: String, hash: UInt64) throws -> [UInt8] {
      try demo.envelope(
        sender, to: ["owner"], 900, class: sender == "occupancy" ? .confidential : .authOnly,
        extensions: EnvelopeExtensions(
          inReplyTo: command.header.sequence, answerHash: hash, echoChallenge: [1, 2, 3, 4, 5, 6, 7, 8]),
        content: .init(format: nil, bytes: [])
      ).bytes
    }
    let custody = owner.deliver(try challenge(name, hash: command.answerHash), now: live.now).custody
    #expect(custody == .refused(.envelopeNotAllowed))
    // By the node, but of something else.
    let other = owner.deliver(try challenge("lock", hash: command.answerHash ^ 1), now: live.now).custody
    #expect(other == .refused(.envelopeEchoMismatch))
    #expect(try owner.outbound(limit: 9).count == 1)
    #expect(owner.deliver(try challenge("lock", hash: command.answerHash), now: live.now).custody == .taken)
    #expect(try owner.outbound(limit: 9).count == 2)
  }

  @Test("What became of the echo on its way is what became of the command") mutating func expiredEcho() throws {
    let number = try unlock(lifetime: 30)
    try exchange()
    let echo = try #require(try owner.outbound(limit: 9).first)
    #expect(live.deliver(echo.bytes) == .taken)
    // The air is cut until the echo expires at the gateway.
    live.isCut = true
    live.run(for: .seconds(60))
    try exchange()
    #expect(delivered.map(\.receipt?.outcome) == [.expired] && delivered.map(\.from) == ["gateway"])
    #expect(delivered.map(\.inReplyTo) == [number] && delivered.map(\.answers) == ["lock: PUT /lock open"])
    #expect(acted.isEmpty)
  }
}
