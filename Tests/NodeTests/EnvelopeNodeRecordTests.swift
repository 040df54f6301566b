import BorderRouter
import COSE
import CoAP
import Crypto
import Envelope
import Node
import Oracle
import TestSupport
import Testing
import Wire

/// A node obeys its oracle's peer records as they come (DESIGN.md, "Peers, revocation, configuration").
@Suite struct EnvelopeNodeRecordTests {
  let household: Household
  private var oracle: Oracle
  private var generator = SeededGenerator(seed: 11)

  init() throws {
    household = try Household()
    var random = SeededGenerator(seed: 12)
    func identity(_ name: String) throws -> Identity {
      try Identity.new(name: name, validFrom: Instant(seconds: 1_767_225_600), using: &random)
    }
    oracle = try Oracle(
      founding: [UInt8](repeating: 1, count: 16), identity: identity("oracle"), now: 1_767_225_600)
    try admit(identity("home"), "home", .gateway)
    try admit(household.owner, "owner", .endpoint)
    try admit(household.stranger, "phone", .endpoint)
    try admit(household.node, "lock", .node) {
      ($0.gateway, $0.readers, $0.commanders) = ("home", ["owner", "phone"], ["owner", "phone"])
    }
  }

  private mutating func admit(
    _ identity: Identity, _ name: String, _ roles: Roles, _ change: (inout Admission) -> Void = { _ in }
  ) throws {
    var admission = Admission(
      name: name, identity: identity.public, agreementKey: identity.agreementKey.publicKey, class: .noConsequence,
      roles: roles)
    change(&admission)
    try oracle.admit(admission, now: 1_767_225_600)
  }

  private mutating func record(_ sequence: UInt64, from signer: Oracle? = nil) throws -> SignedEnvelope {
    let oracle = signer ?? oracle
    let member = try #require(oracle.member(named: "lock"))
    return try oracle.recordEnvelope(for: member, sequence: sequence, now: 1_767_225_600, using: &generator)
  }

  private func configuration() -> EnvelopeNodeConfiguration {
    var configuration = household.configuration(.authOnly)
    let record = oracle.record
    let members = ["owner", "phone"].compactMap { name in record.members.first { $0.name == name } }
    (configuration.readers, configuration.commanders) = (members, members)
    configuration.oracle = oracle.identity.public
    configuration.version = record.version
    configuration.pollInterval = .seconds(1)
    return configuration
  }

  @Test("Who is removed commands nothing any more, also after a reset; older and foreign records change nothing")
  mutating func removal() throws {
    let held = Held()
    let configuration = configuration()
    let desk = Desk(EnvelopeNode(configuration: configuration)) { held.answer($0) }
    let first = try record(1)
    func give(_ number: UInt64, _ envelope: SignedEnvelope) -> [DeviceEvent] {
      held.messages = [(number, envelope.bytes)]
      desk.run(for: .seconds(4))
      #expect(held.messages.isEmpty, "what was dealt with leaves the queue")
      return desk.takeEvents()
    }
    #expect(give(1, first).contains(.refused(.peerRecordEpochStale)), "what it was set up with is not news")
    let early = try household.command(1, "open", from: household.stranger)
    #expect(give(2, early).contains { if case .acted = $0 { true } else { false } })

    try oracle.remove("phone", linkKey: [UInt8](repeating: 0, count: 16), now: 1_767_225_601)
    let epoch = oracle.record.version.epoch
    let news = try record(2)
    #expect(give(3, news).contains(.recordObeyed(epoch: epoch)))
    #expect(desk.behavior.configuration.commanders.map(\.name) == ["owner"])
    #expect(give(4, news).contains(.refused(.envelopeReplay)))
    #expect(give(5, first).contains(.refused(.peerRecordEpochStale)))
    let late = try household.command(2, "open", from: household.stranger)
    #expect(give(6, late).contains(.refused(.envelopeNotAllowed)))
    #expect(give(7, try household.command(1, "close")).contains { if case .acted = $0 { true } else { false } })

    // Somebody else who calls himself an oracle.
    var forger = try Oracle(
      founding: [UInt8](repeating: 1, count: 16), identity: household.stranger, now: 1_767_225_600)
    var lock = Admission(
      name: "lock", identity: household.node.public, agreementKey: household.node.agreementKey.publicKey,
      class: .noConsequence, roles: .endpoint)
    lock.commanders = []
    for _ in 0..<9 { try forger.admit(lock, now: 1_767_225_700) }
    #expect(give(8, try record(9, from: forger)).contains(.refused(.envelopeNotAllowed)))

    // A reset: what is in the flash counts, not what it was set up with.
    let memory = desk.behavior.memory
    #expect(try EnvelopeMemory(parsing: memory.cbor()) == memory)
    desk.reset(to: EnvelopeNode(configuration: configuration, memory: memory), seed: 5)
    #expect(desk.behavior.configuration.commanders.map(\.name) == ["owner"])
    let again = try household.command(3, "open", from: household.stranger)
    #expect(give(9, again).contains(.refused(.envelopeNotAllowed)))
  }
}
