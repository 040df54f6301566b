import Bridge
import COSE
import CoAP
import Crypto
import Envelope
import MemberSecurity
import OSCORE
import Queue
import Testing
import Wire

/// RFC 9528 and RFC 8613 between a node and its gateway: who is vouched for, and what is refused without proof.
@Suite struct GatewayHopTests {
  @Test("A node that has proven itself is vouched for: the envelope is auth-only, in its name") func vouched() throws {
    let hop = try HopHome()
    let (response, events, sent, _) = try hop.ask(hop.reading("21.5"), as: "thermostat")
    #expect(response?.code == .changed && sent.count == 2)
    guard case .accepted(let report) = events.last else {
      Issue.record("\(events)")
      return
    }
    #expect(report.kind == .plain && report.class == .authOnly && report.from == "thermostat")
    let envelope = try #require(try hop.outbox().first)
    #expect(envelope.header.extensions.onBehalfOf == .full(try hop.home.address("thermostat")))
    var owner = Endpoint(
      identity: try hop.home["owner"], directory: try PeerDirectory(hop.record), relay: try hop.home.address("relay"),
      store: MemoryStore())
    let delivery = owner.deliver(envelope.bytes, now: hop.now).delivery
    #expect(delivery?.from == "thermostat" && delivery?.vouchedBy == "gateway" && delivery?.class == .authOnly)
  }

  @Test("Its radio address proves nothing: what it must protect is refused unprotected", arguments: [false, true])
  func unproven(hasContext: Bool) throws {
    let hop = try HopHome()
    if hasContext { _ = try hop.ask(hop.reading("21"), as: "thermostat") }
    let before = try hop.outbox().count
    let registration = CoAPRequest(.post, path: ["rd"], query: ["ep=x"], contentFormat: .linkFormat)
    for request in [
      hop.reading("99"), CoAPRequest(.get, path: ["e"]), CoAPRequest(.get, path: ["e"], query: ["done=1"]),
      CoAPRequest(.delete, path: ["e", "1"]), registration, CoAPRequest(.get, path: ["key"]),
      CoAPRequest(.delete, path: ["rd", "thermostat"]),
    ] {
      let answer = try hop.plain(request, from: "thermostat")
      #expect(answer.response.code == .unauthorized && reason(answer.events) == .nodeUnproven, "\(request)")
    }
    #expect(hop.gateway.counters[.nodeUnproven] == 7)
    #expect(try hop.outbox().count == before)
  }

  @Test("An envelope that the node signed proves itself, with keys or without") func selfSigned() throws {
    let hop = try HopHome()
    _ = try hop.ask(CoAPRequest(.get, path: ["e"]), as: "lock")
    let envelope = try hop.home.envelope("lock", to: ["owner"], 1)
    #expect(hop.gateway.receive(hop.home.post(envelope.bytes), now: hop.now).response.code == .changed)
  }

  @Test("A rain gauge may speak plain, until it has keys") func noConsequence() throws {
    let hop = try HopHome()
    #expect(try hop.plain(hop.reading("1"), from: "rain").response.code == .changed)
    #expect(try hop.ask(hop.reading("2"), as: "rain").response?.code == .changed)
    let refused = try hop.plain(hop.reading("3"), from: "rain")
    #expect(refused.response.code == .unauthorized && reason(refused.events) == .nodeUnproven)
    #expect(try hop.outbox().count == 2)
  }

  @Test("A confidential node is never spoken for, nor one that signs for itself") func neverVouched() throws {
    let hop = try HopHome { if $0.name != "lock" { $0.traits.insert(.vouched) } }
    for node in ["occupancy", "lock"] {
      let (response, events, _, _) = try hop.ask(hop.reading("1"), as: node)
      #expect(response?.code == .forbidden && reason(events) == .envelopePlainRefused, "\(node)")
    }
    #expect(try hop.outbox().isEmpty)
  }

  @Test("What one node has proven is not another's, whatever radio it comes from") func otherRadio() throws {
    let hop = try HopHome()
    _ = try hop.ask(hop.reading("1"), as: "thermostat")
    let (response, _, _, _) = try hop.ask(hop.reading("2"), as: "thermostat", radio: "rain")
    #expect(response?.code == .changed)
    let names = try hop.outbox().compactMap(\.header.extensions.onBehalfOf)
    #expect(names == Array(repeating: .full(try hop.home.address("thermostat")), count: 2))
  }

  @Test("A recorded request is refused, and no reading is doubled") func replay() throws {
    let hop = try HopHome()
    _ = try hop.ask(hop.reading("1"), as: "thermostat")
    let (_, _, sent, _) = try hop.ask(hop.reading("2"), as: "thermostat")
    let again = try hop.plain(sent[0].request, from: "thermostat")
    #expect(again.response.code == .unauthorized && reason(again.events) == .oscoreReplay)
    #expect(try hop.outbox().count == 2)
  }

  @Test("A reading whose answer was lost with the gateway's power is not doubled when it comes again")
  func doubled() throws {
    let hop = try HopHome()
    _ = try hop.ask(hop.reading("0", tag: [0]), as: "thermostat")
    _ = try hop.ask(hop.reading("1", tag: [1]), as: "thermostat")
    try hop.restartGateway()
    // The node knows of no answer and says it again: it is challenged first.
    let (response, events, sent, _) = try hop.ask(hop.reading("1", tag: [1]), as: "thermostat")
    #expect(sent.count == 2 && response?.code == .changed && reason(events) == .coapDuplicate)
    #expect(try hop.ask(hop.reading("1", tag: [2]), as: "thermostat").response?.code == .changed)
    #expect(try hop.outbox().count == 3)
    // Also under new keys.
    let (_, more, _, _) = try hop.ask(hop.reading("1", tag: [2]), as: "thermostat", anew: true)
    #expect(reason(more) == .coapDuplicate)
    #expect(try hop.outbox().count == 3)
  }

  @Test("A node polls, confirms and registers under OSCORE") func polls() throws {
    let hop = try HopHome()
    let command = try hop.home.envelope("owner", to: ["thermostat"], 5)
    #expect(hop.gateway.deliver(command.bytes, now: hop.now).custody == .taken)
    let (held, _, _, _) = try hop.ask(CoAPRequest(.get, path: ["e"]), as: "thermostat")
    #expect(held?.payload == command.bytes)
    let number = try #require(held?.options[uint: .eTag])
    let (empty, _, _, _) = try hop.ask(
      CoAPRequest(.get, path: ["e"], query: ["done=\(number)"]), as: "thermostat")
    #expect(empty?.code == .content && empty?.payload.isEmpty == true)
    let registration = CoAPRequest(.post, path: ["rd"], query: ["ep=t"], contentFormat: .linkFormat)
    #expect(try hop.ask(registration, as: "thermostat").response?.code == .created)
  }

  @Test("A removed node loses its keys with the record, and gets no new ones") func removed() throws {
    let hop = try HopHome()
    _ = try hop.ask(hop.reading("1"), as: "thermostat")
    _ = try hop.ask(hop.reading("1"), as: "rain")
    try hop.publish { $0.members.removeAll { $0.name == "thermostat" } }
    #expect(!hop.gateway.security.hasContext(with: try hop.home.address("thermostat")))
    #expect(hop.gateway.security.hasContext(with: try hop.home.address("rain")))
    #expect(try hop.store.values(withPrefix: "oscore.").count == 1)
    for anew in [false, true] {
      let (response, _, _, failure) = try hop.ask(hop.reading("2"), as: "thermostat", anew: anew)
      #expect(response == nil && failure != nil)
    }
    #expect(hop.gateway.counters[.edhocCredentialUnknown] == 1)
    #expect(try hop.ask(hop.reading("2"), as: "rain").response?.code == .changed)
  }

  @Test("A node whose key-agreement key is another one in the new record agrees on keys with that") func otherKey()
    throws
  {
    let hop = try HopHome()
    _ = try hop.ask(hop.reading("1"), as: "thermostat")
    let other = try hop.home["stranger"].agreementKey.publicKey
    try hop.publish { record in
      for index in record.members.indices where record.members[index].name == "thermostat" {
        record.members[index].agreementKey = other
      }
    }
    #expect(!hop.gateway.security.hasContext(with: try hop.home.address("thermostat")))
    let (response, _, _, _) = try hop.ask(hop.reading("2"), as: "thermostat", anew: true)
    #expect(response == nil && hop.gateway.counters[.edhocAuthenticationFailed] == 1)
  }

  @Test("The link key goes to who has proven itself, and a new one is announced with the next answer")
  func linkKey() throws {
    let hop = try HopHome()
    #expect(try hop.ask(CoAPRequest(.get, path: ["key"]), as: "lock").response?.code == .notFound)
    func key(_ index: UInt8) -> LinkKey { LinkKey(index: index, key: [UInt8](repeating: index, count: 16)) }
    func publish(_ index: UInt8) throws {
      try hop.publish { record in
        for position in record.members.indices where record.members[position].name == "gateway" {
          record.members[position].linkKey = key(index)
        }
      }
    }
    for index in [UInt8(1), 2] {
      try publish(index)
      let poll = CoAPRequest(.get, path: ["e"])
      #expect(try hop.ask(poll, as: "lock").response?.locationQuery == ["key=\(index)"])
      let response = try hop.ask(CoAPRequest(.get, path: ["key"]), as: "lock").response
      #expect(LinkKey(try CBORValue(parsing: response?.payload ?? [])) == key(index))
      #expect(try hop.ask(poll, as: "lock").response?.locationQuery == [])
    }
    #expect(try hop.plain(CoAPRequest(.get, path: ["key"]), from: "rain").response.code == .unauthorized)
  }

  // MARK: Commands

  private static func server(_ member: inout Member) {
    if member.name == "thermostat" { member.traits = [.coapServer, .vouched] }
  }

  private func command(_ hop: HopHome, _ sequence: UInt64, _ code: CoAPCode = .put) throws -> SignedEnvelope {
    let message = EncapsulatedMessage(
      code: code.rawValue, options: [.init(CoAPOptionNumber.uriPath.rawValue, Array("target".utf8))], payload: [21])
    return try hop.home.envelope(
      "owner", to: ["thermostat"], sequence,
      content: .init(format: ContentFormats.coapMessage, bytes: try message.cbor()))
  }

  @Test("A command for a server that is vouched for waits for keys, and goes under them") func commands() throws {
    let hop = try HopHome(Self.server)
    #expect(hop.gateway.deliver(try command(hop, 7).bytes, now: hop.now).custody == .taken)
    let thermostat = try node("thermostat", hop.gateway)
    #expect(hop.gateway.awaitsKeys(thermostat))
    #expect(try hop.gateway.nextExchange(with: thermostat, now: hop.now).exchange == nil)
    _ = try hop.ask(hop.reading("hello"), as: "thermostat")
    let exchange = try #require(try hop.gateway.nextExchange(with: thermostat, now: hop.now).exchange)
    #expect(exchange.request.options.contains(.oscore) && exchange.request.uriPath.isEmpty)
    // Whoever answers without the keys is not believed.
    let forged = try hop.gateway.finish(exchange, with: CoAPResponse(.changed), now: hop.now)
    #expect(forged == [.exchangeFailed(exchange.command, .nodeUnreachable)])
    #expect(hop.gateway.counters[.oscoreUnprotected] == 1)
    let (asked, answer) = try hop.serve(exchange.request, as: "thermostat")
    #expect(asked?.uriPath == ["target"] && asked?.code == .put && asked?.payload == [21])
    let events = try hop.gateway.finish(exchange, with: answer, now: hop.now)
    guard case .exchanged(_, "2.04 Changed", .some) = events.last else {
      Issue.record("\(events)")
      return
    }
    let envelope = try #require(try hop.outbox().last)
    #expect(envelope.header.extensions.inReplyTo == 7)
  }

  @Test("A server that was reset asks for proof that the command is new, and gets it once") func challenged() throws {
    let hop = try HopHome(Self.server)
    _ = try hop.ask(hop.reading("hello"), as: "thermostat")
    try hop.resetNode("thermostat")
    #expect(hop.gateway.deliver(try command(hop, 7, .post).bytes, now: hop.now).custody == .taken)
    let thermostat = try node("thermostat", hop.gateway)
    let first = try #require(try hop.gateway.nextExchange(with: thermostat, now: hop.now).exchange)
    let (asked, challenge) = try hop.serve(first.request, as: "thermostat")
    #expect(asked == nil)
    let retried = hop.gateway.challenged(first, by: challenge)
    let again = try #require(retried)
    let (proven, answer) = try hop.serve(again.request, as: "thermostat")
    #expect(proven?.uriPath == ["target"] && proven?.code == .post)
    let third = hop.gateway.challenged(again, by: challenge)
    #expect(third == nil)
    _ = try hop.gateway.finish(again, with: answer, now: hop.now)
    #expect(try hop.gateway.queueUsage(of: thermostat) == Usage())
  }

  @Test("A POST that is answered without proof may have been obeyed: nobody knows, and it is not repeated")
  func unknown() throws {
    let hop = try HopHome(Self.server)
    _ = try hop.ask(hop.reading("hello"), as: "thermostat")
    #expect(hop.gateway.deliver(try command(hop, 7, .post).bytes, now: hop.now).custody == .taken)
    let thermostat = try node("thermostat", hop.gateway)
    let exchange = try #require(try hop.gateway.nextExchange(with: thermostat, now: hop.now).exchange)
    let events = try hop.gateway.finish(exchange, with: CoAPResponse(.unauthorized), now: hop.now)
    #expect(events == [.exchangeFailed(exchange.command, .envelopeOutcomeUnknown)])
    #expect(try hop.gateway.queueUsage(of: thermostat) == Usage())
  }
}
