import CoAP
import Envelope
import Node
import TestSupport
import Testing
import Wire

/// Freshness of commands at a node without a clock: RFC 9175 in spirit, envelope extensions 3 and 4.
@Suite struct EchoChallengeTests {
  private let household: Household
  private let held = Held()
  private let desk: Desk<EnvelopeNode>
  private let configuration: EnvelopeNodeConfiguration

  init() throws {
    household = try Household()
    var configuration = household.configuration(.authOnly)
    configuration.hasClock = false
    self.configuration = configuration
    desk = Desk(EnvelopeNode(configuration: configuration, random: SeededGenerator(seed: 5)), answers: held.answer)
  }

  private func hold(_ envelope: SignedEnvelope, for span: Duration = .seconds(700)) {
    held.messages.append((UInt64(held.messages.count) + 100, envelope.bytes))
    desk.run(for: span)
  }

  private func command(_ sequence: UInt64, _ text: String) throws -> SignedEnvelope {
    try household.command(sequence, text, lifetime: 86_400)
  }

  /// The challenges that were posted.
  private func challenges() -> [SignedEnvelope] { held.posted.filter { $0.header.extensions.echoChallenge != nil } }

  private func acted() -> [UInt64] {
    desk.takeEvents().compactMap { if case .acted(_, let sequence, _) = $0 { sequence } else { nil } }
  }

  private func echo(
    _ sequence: UInt64, _ text: String, of challenge: SignedEnvelope, bytes: [UInt8]? = nil,
    from sender: Identity? = nil
  ) throws -> SignedEnvelope {
    try household.command(
      sequence, text, from: sender, lifetime: 86_400,
      extensions: EnvelopeExtensions(
        inReplyTo: challenge.header.sequence, answerHash: challenge.answerHash,
        echoResponse: bytes ?? challenge.header.extensions.echoChallenge))
  }

  @Test("A command is challenged, obeyed when the challenge comes back, once, and receipted under its own number")
  func obeyed() throws {
    let command = try command(11, "open")
    hold(command)
    #expect(desk.takeEvents() == [.challenged(by: household.owner.address, sequence: 11)])
    #expect(desk.behavior.values.isEmpty && held.messages.isEmpty)
    let challenge = try #require(challenges().first)
    try challenge.verify(with: household.node.public.signingKey)
    let extensions = challenge.header.extensions
    #expect(extensions.inReplyTo == 11 && extensions.answerHash == command.answerHash)
    #expect(extensions.echoChallenge?.count == 8 && challenge.header.issuedAt == nil && challenge.payload.isEmpty)
    #expect(try held.receipts(for: household.owner).isEmpty)
    let echo = try echo(12, "open", of: challenge)
    hold(echo)
    #expect(acted() == [11] && desk.behavior.values == ["/v": Array("open".utf8)])
    // Neither of the two acts again, in any order, also after a reset.
    for isReset in [false, true] {
      if isReset { desk.reset(to: EnvelopeNode(configuration: configuration, memory: desk.behavior.memory), seed: 9) }
      for envelope in [command, echo, echo, command] { hold(envelope) }
      #expect(acted().isEmpty)
    }
    #expect(challenges().count == 1 && desk.behavior.memory.challenges.isEmpty)
    let receipts = try held.receipts(for: household.owner)
    #expect(receipts.map(\.sequence) == [11] && receipts[0].receipt == Receipt(.delivered))
    #expect(held.posted.last?.header.extensions.answerHash == command.answerHash)
  }

  @Test("A reset before the echo, and a challenge that was not taken yet, are survived") func reset() throws {
    desk.answers = { [held] in $0.code == .post ? nil : held.answer($0) }
    hold(try command(11, "open"))
    let lost = try #require(
      desk.takeRequests().last { $0.code == .post }.flatMap { try? SignedEnvelope(parsing: $0.payload) })
    desk.answers = held.answer
    desk.reset(to: EnvelopeNode(configuration: configuration, memory: desk.behavior.memory), seed: 9)
    desk.run(for: .seconds(60))
    // Posted anew under a higher number, the same challenge: an echo of either is one.
    let challenge = try #require(challenges().first)
    #expect(challenge.header.sequence > lost.header.sequence)
    #expect(challenge.header.extensions.echoChallenge == lost.header.extensions.echoChallenge)
    desk.reset(to: EnvelopeNode(configuration: configuration, memory: desk.behavior.memory), seed: 10)
    hold(try echo(12, "open", of: lost))
    hold(try echo(13, "open", of: challenge))
    #expect(acted() == [11])
    let receipts = try held.receipts(for: household.owner)
    #expect(receipts.map(\.sequence) == [11, 13])
    #expect(receipts.map(\.receipt) == [Receipt(.delivered), .rejected(.envelopeEchoMismatch)])
  }

  @Test("An echo of another challenge, of another commander, or with another command does not act, and uses it up")
  func mismatch() throws {
    hold(try command(11, "open"))
    let challenge = try #require(challenges().first)
    hold(try echo(12, "open", of: challenge, bytes: [UInt8](repeating: 7, count: 8)))
    hold(try echo(13, "open", of: challenge, from: household.stranger))
    #expect(desk.behavior.memory.challenges.count == 1)
    hold(try echo(14, "shut", of: challenge))
    hold(try echo(15, "open", of: challenge))
    #expect(acted().isEmpty && desk.behavior.values.isEmpty)
    let receipts = try held.receipts(for: household.owner)
    #expect(receipts.map(\.sequence) == [12, 14, 15])
    #expect(receipts.allSatisfy { $0.receipt == .rejected(.envelopeEchoMismatch) })
  }

  @Test("An echo after the command's lifetime comes too late", arguments: [(58, true), (62, false)])
  func late(_ seconds: Int64, _ isInTime: Bool) throws {
    var configuration = configuration
    configuration.pollInterval = .seconds(1)
    desk.reset(to: EnvelopeNode(configuration: configuration), seed: 2)
    hold(try household.command(11, "open", lifetime: 60), for: .seconds(2))
    desk.run(for: .seconds(seconds - 2))
    hold(try echo(12, "open", of: try #require(challenges().first)), for: .seconds(10))
    let receipts = try held.receipts(for: household.owner)
    #expect(receipts.map(\.receipt.outcome) == [isInTime ? .delivered : .expired])
    #expect(receipts.map(\.sequence) == [isInTime ? 11 : 12] && acted() == (isInTime ? [11] : []))
  }

  @Test("Challenges are bounded: the oldest gives way, and its echo is rejected") func bounded() throws {
    for sequence in 1...6 as ClosedRange<UInt64> { hold(try command(sequence, "\(sequence)")) }
    #expect(desk.behavior.memory.challenges.map(\.sequence) == [3, 4, 5, 6])
    let all = challenges()
    #expect(all.count == 6 && Set(all.compactMap(\.header.extensions.echoChallenge)).count == 6)
    hold(try echo(11, "1", of: all[0]))
    hold(try echo(16, "6", of: all[5]))
    hold(try echo(13, "3", of: all[2]))
    #expect(acted() == [6, 3])
    #expect(try held.receipts(for: household.owner).map(\.sequence) == [11, 6, 3])
  }

  @Test("While challenges cannot be posted, no more commands are taken than there is room for") func crowded() throws {
    desk.answers = { [held] in $0.code == .post ? CoAPResponse(.serviceUnavailable) : held.answer($0) }
    for sequence in 1...6 as ClosedRange<UInt64> {
      held.messages.append((sequence, try command(sequence, "\(sequence)").bytes))
    }
    desk.run(for: .seconds(700))
    #expect(desk.behavior.memory.challenges.count == 4 && held.messages.count == 2)
    desk.answers = held.answer
    desk.run(for: .seconds(2_400))
    #expect(held.messages.isEmpty && challenges().compactMap(\.header.extensions.inReplyTo).sorted() == Array(1...6))
  }

  @Test(
    "A node with a clock challenges what does not say when it was issued, and all if it is told to",
    arguments: [(false, false), (false, true), (true, true)])
  func configured(_ demands: Bool, _ isUndated: Bool) throws {
    var configuration = household.configuration(.confidential)
    #expect(!configuration.demandsEcho)
    configuration.demandsEcho = demands
    desk.reset(to: EnvelopeNode(configuration: configuration, random: SeededGenerator(seed: 6)), seed: 2)
    let command = try household.command(
      11, "open", class: .confidential, at: isUndated ? nil : desk.now.seconds, lifetime: 86_400)
    hold(command)
    let challenge = challenges().first
    #expect((challenge != nil) == (demands || isUndated))
    guard let challenge else { return #expect(acted() == [11]) }
    // Sealed as all it says; so is the echo, under another key each time.
    #expect(challenge.sealed != nil && acted().isEmpty)
    hold(
      try household.command(
        12, "open", class: .confidential, at: desk.now.seconds, lifetime: 86_400,
        extensions: EnvelopeExtensions(echoResponse: challenge.header.extensions.echoChallenge)))
    #expect(acted() == [11])
  }
}
