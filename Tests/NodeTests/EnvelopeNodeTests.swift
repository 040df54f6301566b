import CoAP
import Envelope
import Node
import Testing
import Wire

@Suite struct EnvelopeNodeTests {
  @Test("A report is signed, and sealed where the class says so, for the readers", arguments: [false, true])
  func report(isConfidential: Bool) throws {
    let household = try Household()
    let held = Held()
    let desk = Desk(
      EnvelopeNode(configuration: household.configuration(isConfidential ? .confidential : .authOnly)),
      answers: held.answer)
    desk.perform { $0.report(.init(format: 0, bytes: [1, 2, 3]), label: 5) }
    #expect(desk.takeEvents() == [.reported(5)])
    let envelope = try #require(held.posted.first)
    try envelope.verify(with: household.node.public.signingKey)
    #expect(envelope.header.class == (isConfidential ? .confidential : .authOnly))
    #expect(envelope.header.recipients == [.short(household.owner.address.short)])
    #expect(envelope.header.issuedAt == UInt64(desk.now.seconds) && (envelope.sealed != nil) == isConfidential)
    #expect(try envelope.open(with: household.owner) == .init(format: 0, bytes: [1, 2, 3]))
  }

  @Test("Held commands are obeyed in order, confirmed, and answered by receipts", arguments: [false, true])
  func obey(isConfidential: Bool) throws {
    let household = try Household()
    let held = Held()
    let protection: EnvelopeClass = isConfidential ? .confidential : .authOnly
    let commands = try (1...3).map { try household.command($0 + 10, "\($0)", class: protection) }
    held.messages = commands.enumerated().map { (UInt64($0 + 1), $1.bytes) }
    let desk = Desk(EnvelopeNode(configuration: household.configuration(protection)), answers: held.answer)
    desk.run(for: .seconds(20))
    var acted: [UInt64] = []
    for case .acted(by: household.owner.address, let sequence, let message) in desk.takeEvents() {
      acted.append(sequence)
      #expect(message.payload == Array("\(sequence - 10)".utf8) && message.path == "/v")
    }
    #expect(acted == [11, 12, 13] && held.messages.isEmpty)
    #expect(desk.behavior.values == ["/v": Array("3".utf8)])
    #expect(desk.behavior.memory.owed.isEmpty)
    let receipts = try held.receipts(for: household.owner)
    #expect(receipts.map(\.sequence) == [11, 12, 13] && receipts.allSatisfy { $0.receipt == Receipt(.delivered) })
    #expect(held.posted.map(\.header.extensions.answerHash) == commands.map(\.answerHash))
    #expect(held.posted.allSatisfy { $0.header.class == protection })
  }

  @Test("A command that comes again has no effect again, also after a reset") func again() throws {
    let household = try Household()
    let held = Held()
    let bytes = try household.command(11, "on").bytes
    held.messages = [(1, bytes)]
    let configuration = household.configuration(.authOnly)
    let desk = Desk(EnvelopeNode(configuration: configuration), answers: held.answer)
    desk.run(for: .seconds(20))
    #expect(desk.takeEvents().count == 2)
    held.messages = [(2, bytes)]
    desk.run(for: .seconds(600))
    #expect(desk.takeEvents() == [.refused(.envelopeReplay)] && held.messages.isEmpty)
    held.messages = [(3, bytes)]
    desk.reset(to: EnvelopeNode(configuration: configuration, memory: desk.behavior.memory), seed: 9)
    desk.run(for: .seconds(20))
    #expect(desk.takeEvents() == [.refused(.envelopeReplay)] && held.messages.isEmpty)
    #expect(try held.receipts(for: household.owner).count == 1)
  }

  @Test("A reset between obeying and the receipt loses no receipt and uses no number twice") func resetInBetween()
    throws
  {
    let household = try Household()
    let held = Held()
    held.messages = [(1, try household.command(11, "on").bytes)]
    let configuration = household.configuration(.authOnly)
    // The receipt gets no answer, then the power goes; confirmed it was.
    let desk = Desk(EnvelopeNode(configuration: configuration)) { request in
      request.code == .post ? nil : held.answer(request)
    }
    desk.run(for: .seconds(2))
    #expect(held.messages.isEmpty && desk.behavior.memory.owed.map(\.sequence) == [11])
    let lost = try #require(desk.takeRequests().last { $0.code == .post })
    desk.answers = held.answer
    desk.reset(to: EnvelopeNode(configuration: configuration, memory: desk.behavior.memory), seed: 9)
    desk.run(for: .seconds(20))
    #expect(try held.receipts(for: household.owner).map(\.sequence) == [11])
    #expect(desk.behavior.memory.owed.isEmpty)
    let first = try SignedEnvelope(parsing: lost.payload).header.sequence
    #expect(try #require(held.posted.last).header.sequence > first)
  }

  @Test("What is not answered is posted again, the same bytes, until it is taken") func retry() throws {
    let household = try Household()
    let desk = Desk(EnvelopeNode(configuration: household.configuration(.authOnly)))
    var answers: [CoAPResponse?] = [nil, CoAPResponse(.serviceUnavailable), CoAPResponse(.changed)]
    desk.answers = { request in request.code == .post ? answers.removeFirst() : CoAPResponse(.content) }
    desk.perform { $0.report(.init(format: 0, bytes: [1]), label: 1) }
    desk.run(for: .seconds(600))
    #expect(desk.takeEvents() == [.reported(1)] && answers.isEmpty)
    let posts = desk.takeRequests().filter { $0.code == .post }.map(\.payload)
    #expect(posts.count == 3 && Set(posts).count == 1)
  }

  @Test("Commands of others, weak ones, late ones and damaged ones are not obeyed") func refused() throws {
    let household = try Household()
    let held = Held()
    let late = try household.command(13, "late", at: 1_767_225_000)
    var damaged = try household.command(14, "damaged").bytes
    damaged[damaged.count - 70] ^= 1
    held.messages = [
      (1, try household.command(11, "stranger", from: household.stranger).bytes),
      (2, try household.command(12, "other", to: household.stranger).bytes),
      (3, late.bytes), (4, damaged), (5, try household.command(15, "weak").bytes),
    ]
    let desk = Desk(EnvelopeNode(configuration: household.configuration(.confidential)), answers: held.answer)
    desk.run(for: .seconds(20))
    var reasons: [DropReason] = []
    for case .refused(let reason) in desk.takeEvents() { reasons.append(reason) }
    // The late one is a weak one, too.
    #expect(
      reasons == [
        .envelopeNotAllowed, .envelopeNotForUs, .envelopeClassTooWeak, .coseSignatureInvalid, .envelopeClassTooWeak,
      ])
    // Who may command learns it; nobody else does.
    let receipts = try held.receipts(for: household.owner)
    #expect(receipts.map(\.sequence) == [13, 15] && receipts.allSatisfy { $0.receipt.outcome == .rejected })
    #expect(held.messages.isEmpty && desk.behavior.values.isEmpty)
  }

  @Test("A late command is answered as expired") func late() throws {
    let household = try Household()
    let held = Held()
    held.messages = [(1, try household.command(13, "late", at: 1_767_225_000).bytes)]
    let desk = Desk(EnvelopeNode(configuration: household.configuration(.authOnly)), answers: held.answer)
    desk.run(for: .seconds(20))
    #expect(try held.receipts(for: household.owner).map(\.receipt.outcome) == [.expired])
  }

  @Test("With too many receipts owed nothing more is obeyed until they are taken") func owed() throws {
    let household = try Household()
    let held = Held()
    held.messages = try (1...12).map { ($0, try household.command($0, "\($0)").bytes) }
    let desk = Desk(EnvelopeNode(configuration: household.configuration(.authOnly))) { request in
      request.code == .post ? CoAPResponse(.serviceUnavailable) : held.answer(request)
    }
    desk.run(for: .seconds(30))
    #expect(held.messages.count == 4 && desk.behavior.memory.owed.count == 8)
    desk.answers = held.answer
    desk.run(for: .seconds(1_200))
    #expect(held.messages.isEmpty && desk.behavior.memory.owed.isEmpty)
    #expect(try held.receipts(for: household.owner).compactMap(\.sequence).sorted() == Array(1...12))
  }

  @Test("A node that takes envelopes itself registers for it, and obeys what is posted to it") func served() throws {
    let household = try Household()
    var configuration = household.configuration(.authOnly)
    configuration.endpointName = "node"
    let held = Held()
    let desk = Desk(EnvelopeNode(configuration: configuration), answers: held.answer)
    desk.run(for: .seconds(20))
    let registration = try #require(desk.takeRequests().first { $0.uriPath == ["rd"] })
    #expect(registration.uriQuery.contains("ep=node") && registration.contentFormat == .linkFormat)
    let command = CoAPRequest(
      .post, path: ["e"], contentFormat: .coseSign1, payload: try household.command(11, "on").bytes)
    desk.ask(command)
    desk.run(for: .seconds(5))
    desk.ask(command)
    desk.run(for: .seconds(5))
    desk.ask(CoAPRequest(.post, path: ["e"], payload: [1, 2, 3]))
    desk.run(for: .seconds(5))
    #expect(desk.responses.map(\.code) == [.changed, .changed, .forbidden])
    #expect(try held.receipts(for: household.owner).map(\.sequence) == [11])
  }
}
