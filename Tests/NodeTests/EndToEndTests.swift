import Bridge
import COSE
import CoAP
import Crypto
import Envelope
import MemberSecurity
import Queue
import TestSupport
import Testing
import Wire

@testable import Node

/// RFC 8613 and RFC 9528 from an endpoint to a node, through relay and gateway, which can read none of it.
@Suite struct EndToEndTests {
  private static let servers: Traits = [.coapServer]

  private func response(_ delivery: Endpoint<MemoryStore>.Delivery?) throws -> CoAPResponse {
    try EncapsulatedMessage(parsing: try #require(delivery).content.bytes).response()
  }

  @Test("A node that polls is commanded and answers, and nobody on the way reads it", arguments: [false, true])
  func polls(restarting: Bool) throws {
    let people = try SecureHome<EnvelopeNode>.people()
    let home = try EndToEndHome(pollingNode(people), people: people, class: .confidential, traits: [])
    let number = try home.command("node: PUT /door secret-open")
    try home.run(for: .seconds(400), restarting: restarting)
    #expect(home.home.behavior.values == ["/door": Array("secret-open".utf8)])
    let delivery = try #require(home.deliveries.first)
    #expect(home.deliveries.count == 1)
    #expect(delivery.inReplyTo == number && delivery.answers == "node: PUT /door secret-open")
    #expect(delivery.isEndToEnd && delivery.from == "node" && delivery.vouchedBy == nil)
    #expect(try response(delivery).code == .changed)
    // EDHOC, then the command with message_3: two envelopes each way, all auth-only, all protected.
    #expect(home.seen.count == 4 && home.seen.allSatisfy { $0.header.class == .authOnly && $0.endToEnd != nil })
    // The second goes without EDHOC, and the answer can be read.
    _ = try home.command("node: GET /door")
    try home.run(for: .seconds(200), restarting: restarting)
    #expect(try response(home.deliveries.last).payload == Array("secret-open".utf8))
    #expect(home.seen.count == 6)
    #expect(!home.wasReadable("secret-open") && !home.wasReadable("door"))
    // What was told is told again after a restart, until it is forgotten.
    try home.restartOwner()
    let kept = try home.owner.inboxContents()
    #expect(kept == home.deliveries)
    try home.owner.forget(kept[0].number)
    #expect(try home.owner.inboxContents().count == 1)
  }

  @Test(
    "A plain CoAP server behind its gateway is commanded end to end",
    arguments: [EnvelopeClass.confidential, .authOnly])
  func server(protection: EnvelopeClass) throws {
    let traits: Traits = protection == .confidential ? Self.servers : [.coapServer, .vouched]
    let home = try EndToEndHome(
      CoAPServerNode(resources: [["lamp"]: [0]]), class: protection, traits: traits
    ) { $0.openPaths = [] }
    let number = try home.command("node: PUT /lamp secret-on")
    try home.run(for: .seconds(300), restarting: true)
    #expect(home.home.behavior.resources[["lamp"]] == Array("secret-on".utf8))
    let delivery = try #require(home.deliveries.first)
    #expect(delivery.inReplyTo == number && delivery.isEndToEnd && delivery.from == "node")
    #expect(try response(delivery).code == .changed)
    _ = try home.command("node: GET /lamp")
    try home.run(for: .seconds(100))
    #expect(try response(home.deliveries.last).payload == Array("secret-on".utf8))
    #expect(home.seen.allSatisfy { $0.header.class == .authOnly && $0.endToEnd != nil })
    #expect(!home.wasReadable("secret-on") && !home.wasReadable("lamp"))
    #expect(!home.home.gateway.security.hasContext(with: home.home.nodeAddress))
  }

  @Test("Two commands at once: the second waits for the keys of the first") func together() throws {
    let people = try SecureHome<EnvelopeNode>.people()
    let home = try EndToEndHome(pollingNode(people), people: people, class: .confidential, traits: [])
    let numbers = [try home.command("node: PUT /a 1"), try home.command("node: PUT /b 2")]
    #expect(try home.owner.outbound(limit: .max).count == 1)
    try home.run(for: .seconds(600), restarting: true)
    #expect(home.deliveries.map(\.inReplyTo) == numbers)
    #expect(home.home.behavior.values == ["/a": Array("1".utf8), "/b": Array("2".utf8)])
    #expect(home.seen.count == 6)
  }

  @Test("A node that was reset goes on; one that lost its keys agrees on new ones", arguments: [true, false])
  func reset(keeping: Bool) throws {
    let people = try SecureHome<EnvelopeNode>.people()
    let home = try EndToEndHome(pollingNode(people), people: people, class: .confidential, traits: [])
    _ = try home.command("node: PUT /a 1")
    try home.run(for: .seconds(400))
    var memory = home.home.behavior.memory
    if !keeping { memory.endToEnd = [:] }
    home.home.resetNode(to: try pollingNode(people, memory: memory, seed: 9), seed: 50)
    _ = try home.command("node: PUT /a 2")
    try home.run(for: .seconds(800), restarting: true)
    #expect(home.deliveries.count == 2)
    #expect(try response(home.deliveries.last).code == .changed)
    #expect(home.home.behavior.values == ["/a": Array("2".utf8)])
    // What the node says in the open, that it has no keys, goes sealed or not at all.
    #expect(home.seen.allSatisfy { $0.satisfies(.confidential) })
  }

  @Test("A server that lost its keys agrees on new ones") func serverForgets() throws {
    let home = try EndToEndHome(
      CoAPServerNode(resources: [["lamp"]: [0]]), class: .confidential, traits: Self.servers
    ) { $0.openPaths = [] }
    _ = try home.command("node: PUT /lamp 1")
    try home.run(for: .seconds(300))
    home.home.resetNode(to: home.home.behavior, keeping: false, seed: 50)
    _ = try home.command("node: PUT /lamp 2")
    try home.run(for: .seconds(600), restarting: true)
    #expect(home.deliveries.count == 2 && home.home.behavior.resources[["lamp"]] == Array("2".utf8))
    #expect(try response(home.deliveries.last).code == .changed)
  }

  @Test("A node without a clock acts only on what its commander proves to want now") func clockless() throws {
    let people = try SecureHome<EnvelopeNode>.people()
    let home = try EndToEndHome(
      pollingNode(people, hasClock: false), people: people, class: .confidential, traits: [.clockless])
    _ = try home.command("node: PUT /door open")
    try home.run(for: .seconds(600), restarting: true)
    #expect(home.home.behavior.values == ["/door": Array("open".utf8)])
    #expect(home.seen.count == 6 && home.deliveries.count == 1)
    let acted = home.home.deviceEvents.filter { if case .acted = $0 { true } else { false } }
    #expect(acted.count == 1)
  }

  // MARK: What is refused

  @Test("Without the encryption no hop takes it, in neither direction") func stripped() throws {
    let home = try EndToEndHome(
      CoAPServerNode(resources: [["lamp"]: [0]]), class: .confidential, traits: Self.servers
    ) { $0.openPaths = [] }
    let plain = EncapsulatedMessage(CoAPRequest(.put, path: ["lamp"], payload: [1]))
    let command = try home.home.command(50, plain)
    #expect(throws: ParseError(.envelopeClassTooWeak)) { try home.access.admit(command) }
    #expect(home.home.deliver(command) == .refused(.envelopeClassTooWeak))
    // A gateway that is someone else's cannot answer in the node's place either.
    _ = try home.command("node: PUT /lamp 2")
    let request = try #require(try home.takeOutbound().first)
    for content in [
      EncapsulatedMessage(CoAPResponse(.content, payload: Array("forged".utf8))),
      EncapsulatedMessage(CoAPResponse(code: .unauthorized)),
    ] {
      let forged = try answer(home, request, content)
      #expect(throws: ParseError(.envelopeOnBehalfOfRefused)) { try home.access.admit(forged) }
      home.deliver(forged)
    }
    #expect(home.custodies == Array(repeating: .refused(.envelopeOnBehalfOfRefused), count: 2))
    #expect(home.deliveries.isEmpty && home.home.behavior.resources[["lamp"]] == [0])
  }

  /// An envelope of the gateway on behalf of the node, in answer to `request`.
  private func answer<Behavior>(
    _ home: EndToEndHome<Behavior>, _ request: SignedEnvelope, _ content: EncapsulatedMessage,
    class: EnvelopeClass = .authOnly
  ) throws -> SignedEnvelope {
    var random = SystemRandomNumberGenerator()
    let owner = try #require(home.home.people["owner"])
    let draft = EnvelopeDraft(
      class: `class`, recipients: [.init(owner.address, agreementKey: owner.agreementKey.publicKey)],
      sequence: UInt64.random(in: 1_000...1_000_000, using: &random), issuedAt: UInt64(home.home.now.seconds),
      lifetime: 600,
      extensions: EnvelopeExtensions(
        inReplyTo: request.header.sequence, answerHash: request.answerHash, onBehalfOf: .full(home.home.nodeAddress)),
      content: .init(format: ContentFormats.coapMessage, bytes: try content.cbor()))
    return try SignedEnvelope.make(draft, from: try #require(home.home.people["gateway"]), using: &random)
  }

  @Test("A gateway that is taken over cannot answer for the node, not even for one that it vouches for")
  func gatewayForges() throws {
    let home = try EndToEndHome(
      CoAPServerNode(resources: [["lamp"]: [0]]), class: .authOnly, traits: [.coapServer, .vouched]
    ) { $0.openPaths = [] }
    _ = try home.command("node: PUT /lamp 2")
    let request = try #require(try home.takeOutbound().first)
    let forged = EncapsulatedMessage(CoAPResponse(.changed, payload: Array("forged".utf8)))
    home.deliver(try answer(home, request, forged))
    // It was no answer: the command is begun again, and nothing is shown.
    #expect(home.deliveries.isEmpty && home.custodies == [.taken])
    home.deliver(try answer(home, request, forged))
    #expect(home.custodies.last == .refused(.coapExchangeUnknown))
    let again = try home.takeOutbound()
    #expect(again.count == 1 && again[0].endToEnd == .edhoc)
  }

  @Test("Ciphertext of one commander that another signs is not obeyed, and does the first no harm")
  func resigned() throws {
    let people = try SecureHome<EnvelopeNode>.people()
    var generator = SeededGenerator(seed: 3)
    let thief = try Identity.new(name: "thief", validFrom: Instant(seconds: 1_767_225_600), using: &generator)
    var configuration = try pollingNode(people).configuration
    configuration.commanders.append(Household.member(thief, .endpoint))
    var node = EnvelopeNode(configuration: configuration)
    node.enableEndToEnd(random: SeededGenerator(seed: 5))
    let home = try EndToEndHome(node, people: people, class: .confidential, traits: [])
    _ = try home.command("node: PUT /door 1")
    try home.run(for: .seconds(400))
    _ = try home.command("node: PUT /door 2")
    let genuine = try #require(try home.takeOutbound().first)
    var random = SystemRandomNumberGenerator()
    let stolen = try SignedEnvelope.make(
      EnvelopeDraft(
        class: .authOnly, recipients: [.init(home.home.nodeAddress)], sequence: 1,
        issuedAt: UInt64(home.home.now.seconds), lifetime: 600,
        content: .init(format: ContentFormats.coapMessage, bytes: Array(genuine.payload))), from: thief, using: &random)
    // The relay does not know the thief, the gateway neither; were they taken over, the node knows better.
    #expect(throws: ParseError(.envelopeSenderUnknown)) { try home.access.admit(stolen) }
    var outcome: DropReason?
    home.home.perform { outcome = $0.obey(stolen.bytes, now: home.home.now) }
    #expect(outcome == .oscoreContextOther && home.home.behavior.values["/door"] == Array("1".utf8))
    #expect(home.home.deliver(try home.relayed(genuine)) == .taken)
    try home.run(for: .seconds(200))
    #expect(home.home.behavior.values["/door"] == Array("2".utf8) && home.deliveries.count == 2)
  }

  @Test("What was recorded and signed anew by its own commander is still a replay") func replayed() throws {
    let people = try SecureHome<EnvelopeNode>.people()
    let home = try EndToEndHome(pollingNode(people), people: people, class: .confidential, traits: [])
    _ = try home.command("node: PUT /door 1")
    try home.run(for: .seconds(400))
    let command = try #require(home.seen.last { $0.header.sender.matches(people["owner"]!.address) })
    var random = SystemRandomNumberGenerator()
    let again = try SignedEnvelope.make(
      EnvelopeDraft(
        class: .authOnly, recipients: [.init(home.home.nodeAddress)], sequence: 900,
        issuedAt: UInt64(home.home.now.seconds), lifetime: 600,
        content: .init(format: ContentFormats.coapMessage, bytes: Array(command.payload))),
      from: try #require(people["owner"]), using: &random)
    var outcome: DropReason?
    home.home.perform { outcome = $0.obey(again.bytes, now: home.home.now) }
    #expect(outcome == .oscoreReplay)
  }
}
