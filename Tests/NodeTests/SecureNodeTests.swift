import BorderRouter
import Bridge
import CoAP
import Envelope
import MemberSecurity
import Node
import OSCORE
import Queue
import TestSupport
import Testing
import Wire

/// RFC 8613, RFC 9528 and RFC 9668 between whole nodes and their gateway: loss, duplicates, and resets of either side.
@Suite struct SecureNodeTests {
  @Test("A sensor proves itself with its first reading, and no reading is on the air in plain") func sensor() throws {
    let home = try SecureHome(PlainSensor())
    for label in 1...3 {
      home.perform { $0.report(Array("reading-\(label)".utf8), label: UInt64(label)) }
      home.run(for: .seconds(5))
    }
    #expect(home.deviceEvents == [.reported(1), .reported(2), .reported(3)])
    #expect(try home.readings() == ["reading-1", "reading-2", "reading-3"])
    #expect(try home.outbox().allSatisfy { $0.header.class == .authOnly })
    #expect(!home.onAir.contains { String(decoding: $0, as: UTF8.self).contains("reading") })
  }

  @Test("With every fourth frame lost, each reading is taken once", arguments: 1...8) func loss(seed: UInt64) throws {
    let home = try SecureHome(PlainSensor(), seed: seed * 1_000)
    home.lossOneIn = 4
    var taken: [String] = []
    for label in 1...16 {
      home.perform { $0.report(Array("r\(label)".utf8), label: UInt64(label)) }
      home.run(for: .seconds(400))
      taken = try home.readings()
    }
    #expect(home.framesLost > 5)
    #expect(Set(taken).count == taken.count, "\(taken)")
    // What the node was told is taken is taken; the gateway may have more than it was told.
    for case .reported(let label) in home.deviceEvents { #expect(taken.contains("r\(label)")) }
    #expect(taken.count >= 10)
  }

  @Test("After a reset of the gateway the first reading is challenged, and none is lost or doubled")
  func gatewayRestarts() throws {
    let home = try SecureHome(PlainSensor())
    for label in 1...4 {
      if label == 3 { try home.restartGateway(seed: 50) }
      home.perform { $0.report(Array("r\(label)".utf8), label: UInt64(label)) }
      home.run(for: .seconds(30))
    }
    #expect(try home.readings() == ["r1", "r2", "r3", "r4"])
    // The keys are the same.
    #expect(home.memory.states.count == 1 && home.droppedByNode(.oscoreUnprotected) == 0)
  }

  @Test("A gateway that lost its keys is told by a new EDHOC, after a wait") func gatewayForgets() throws {
    let home = try SecureHome(PlainSensor())
    home.perform { $0.report([1], label: 1) }
    home.run(for: .seconds(5))
    let first = home.memory
    for (name, _) in try home.store.values(withPrefix: "oscore.") { try home.store.setValue(name, to: nil) }
    try home.restartGateway(seed: 50)
    home.perform { $0.report([2], label: 2) }
    home.run(for: .seconds(1))
    #expect(home.deviceEvents == [.reported(1)])
    home.run(for: .seconds(10))
    #expect(home.deviceEvents == [.reported(1), .reported(2)])
    #expect(home.memory != first && home.droppedByNode(.oscoreUnprotected) == 1)
    #expect(try home.readings().count == 2)
  }

  @Test("A node that was reset goes on with its keys, or agrees on new ones", arguments: [true, false])
  func nodeResets(keeping: Bool) throws {
    let home = try SecureHome(PlainSensor())
    home.perform { $0.report([1], label: 1) }
    home.run(for: .seconds(5))
    home.resetNode(to: PlainSensor(), keeping: keeping, seed: 60)
    home.perform { $0.report([2], label: 2) }
    home.run(for: .seconds(30))
    #expect(home.deviceEvents == [.reported(1), .reported(2)])
    #expect(home.gateway.security.count == 1)
    #expect(try home.readings().count == 2)
  }

  @Test("Resets of both sides and loss: what was reported was taken, once", arguments: 1...6)
  func chaos(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let home = try SecureHome(PlainSensor(), seed: seed * 77)
    home.lossOneIn = 12
    for label in 1...20 {
      home.perform { $0.report(Array("r\(label)".utf8), label: UInt64(label)) }
      home.run(for: .milliseconds(Int64.random(in: 0...5_000, using: &generator)))
      if generator.oneIn(4) { try home.restartGateway(seed: generator.next()) }
      if generator.oneIn(6) { home.resetNode(to: PlainSensor(), keeping: generator.oneIn(2), seed: generator.next()) }
      home.run(for: .seconds(300))
    }
    let taken = try home.readings()
    #expect(Set(taken).count == taken.count, "\(taken)")
    for case .reported(let label) in home.deviceEvents { #expect(taken.contains("r\(label)")) }
    #expect(taken.count >= 8)
    // Time heals all.
    home.lossOneIn = 0
    home.run(for: .seconds(600))
    home.perform { $0.report(Array("last".utf8), label: 99) }
    home.run(for: .seconds(300))
    #expect(home.deviceEvents.last == .reported(99))
  }

  @Test("A server registers under OSCORE, and is commanded under it") func server() throws {
    let home = try SecureHome(
      CoAPServerNode(resources: [["lamp"]: [0]], endpointName: "node"), traits: [.vouched, .coapServer]
    ) { $0.openPaths = [] }
    let put = EncapsulatedMessage(
      code: CoAPCode.put.rawValue, options: [.init(CoAPOptionNumber.uriPath.rawValue, Array("lamp".utf8))],
      payload: Array("secret-on".utf8))
    #expect(home.deliver(try home.command(1, put)) == .taken)
    home.run(for: .seconds(30))
    #expect(home.gateway.security.hasContext(with: home.nodeAddress))
    #expect(home.behavior.resources[["lamp"]] == Array("secret-on".utf8))
    let answer = try #require(try home.outbox().first)
    #expect(answer.header.extensions.inReplyTo == 1 && answer.header.extensions.onBehalfOf != nil)
    #expect(!home.onAir.contains { String(decoding: $0, as: UTF8.self).contains("secret") })
    // The node restarts: it wants proof that the next command is new, and has it.
    home.resetNode(to: home.behavior, seed: 9)
    #expect(home.deliver(try home.command(2, put)) == .taken)
    home.run(for: .seconds(30))
    let served = home.deviceEvents.filter { if case .served = $0 { true } else { false } }
    #expect(served.count == 2)
    #expect(try home.outbox().count == 2)
  }

  @Test("A server with security serves nobody who has proven nothing, but for what is open") func plainRequests() throws
  {
    let household = try Household()
    var configuration = NodeSecurityConfiguration(
      identity: household.node, gateway: Household.member(household.stranger, .gateway))
    configuration.openPaths = [["open"]]
    let desk = Desk(
      CoAPServerNode(resources: [["lamp"]: [0], ["open"]: [1]]),
      security: NodeSecurity(configuration, random: SeededGenerator(seed: 4)))
    desk.run(for: .seconds(5))
    desk.ask(CoAPRequest(.put, path: ["lamp"], payload: [1]))
    desk.run(for: .seconds(5))
    desk.ask(CoAPRequest(.get, path: ["open"]))
    desk.run(for: .seconds(5))
    #expect(desk.responses.map(\.code) == [.unauthorized, .content])
    #expect(desk.behavior.resources[["lamp"]] == [0])
  }

  @Test("A node that signs polls, obeys and answers over OSCORE all the same") func envelopes() throws {
    let people = try SecureHome<EnvelopeNode>.people()
    let node = try #require(people["node"])
    let owner = Household.member(try #require(people["owner"]), .endpoint)
    var configuration = EnvelopeNodeConfiguration(
      identity: node, class: .authOnly, readers: [owner], commanders: [owner])
    configuration.pollInterval = .seconds(20)
    let home = try SecureHome(EnvelopeNode(configuration: configuration), people: people, traits: [])
    home.perform { $0.report(.init(format: 0, bytes: Array("signed".utf8)), label: 1) }
    let put = EncapsulatedMessage(
      code: CoAPCode.put.rawValue, options: [.init(CoAPOptionNumber.uriPath.rawValue, Array("v".utf8))], payload: [7])
    #expect(home.deliver(try home.command(1, put)) == .taken)
    home.run(for: .seconds(120))
    #expect(home.behavior.values == ["/v": [7]] && home.deviceEvents.contains(.reported(1)))
    #expect(home.deviceEvents.contains(.receiptTaken(1)))
    #expect(try home.outbox().allSatisfy { $0.header.extensions.onBehalfOf == nil })
  }

  @Test("A new link key reaches the node with its next exchange") func linkKey() throws {
    let first = Envelope.LinkKey(index: 1, key: [UInt8](repeating: 1, count: 16))
    let second = Envelope.LinkKey(index: 2, key: [UInt8](repeating: 2, count: 16))
    let home = try SecureHome(PlainSensor(), linkKey: first)
    home.perform { $0.report([1], label: 1) }
    home.run(for: .seconds(5))
    #expect(home.memory.linkKey == first)
    try home.publish { record in
      for index in record.members.indices where record.members[index].roles.contains(.gateway) {
        record.members[index].linkKey = second
      }
    }
    #expect(home.memory.linkKey == first)
    home.perform { $0.report([2], label: 2) }
    home.run(for: .seconds(5))
    #expect(home.memory.linkKey == second)
  }

  @Test("A removed node is refused from the record on") func removed() throws {
    let home = try SecureHome(PlainSensor())
    home.perform { $0.report([1], label: 1) }
    home.run(for: .seconds(5))
    try home.publish { $0.members.removeAll { $0.name == "node" } }
    home.perform { $0.report([2], label: 2) }
    home.run(for: .seconds(600))
    #expect(home.deviceEvents == [.reported(1), .reportLost(2)])
    #expect(home.gateway.security.count == 0)
    #expect(try home.store.values(withPrefix: "oscore.").isEmpty)
  }
}
