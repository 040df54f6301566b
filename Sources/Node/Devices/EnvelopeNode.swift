import BorderRouter
import CoAP
import Envelope
import MemberSecurity
import Wire

/// A node that signs for itself: it posts envelopes, asks for held ones (`GET /e`), obeys each command once, confirms it
/// (`GET /e?done=N`) and posts a receipt. A command whose freshness it cannot judge it answers by a challenge, and obeys it
/// when its commander has sent that back.
///
/// What it must not forget is in ``memory``; after a reset a new one begins with that.
public struct EnvelopeNode: DeviceBehavior {
  /// What is under way; one request at a time.
  enum Activity: Sendable, Equatable {
    case post(Int)
    /// Asks for the oldest held message; the number is confirmed by it.
    case poll(done: UInt64?)
    case registration
  }

  /// An envelope that is to be posted, the same bytes each time.
  struct Outgoing: Sendable {
    enum Kind: Sendable, Hashable {
      case report(UInt64)
      case receipt(OwedReceipt)
      case challenge([UInt8])
    }

    var number: Int
    var kind: Kind
    var sequence: UInt64
    var bytes: [UInt8]
    var failures = 0
    var notBefore: Instant
  }

  public internal(set) var configuration: EnvelopeNodeConfiguration
  /// To be kept over a reset.
  public internal(set) var memory: EnvelopeMemory
  /// What was last written by commands, by path.
  public internal(set) var values: [String: [UInt8]] = [:]
  private var upcoming: UInt64
  private var reports: [(label: UInt64, content: SignedEnvelope.Content)] = []
  private var outgoing: [Outgoing] = []
  private var lastNumber = 0
  /// The report that was taken last, and the sequence number that it had.
  private var lastReported: (label: UInt64, sequence: UInt64)?
  private var current: (id: RequestID<PANPeer>, activity: Activity)?
  /// The number of a held message that was dealt with.
  private var unconfirmed: UInt64?
  private var pollDue = Instant(seconds: 0)
  private var pollFailures = 0
  private var registrationDue: Instant?
  /// There is no router.
  private var isBlocked = false
  var events: [DeviceEvent] = []
  /// When each challenge was made, or first seen after a reset.
  var challenged: [[UInt8]: Instant] = [:]
  /// Questions for an echo since the last challenge was posted.
  private var echoPolls = 0
  var random: any RandomNumberGenerator & Sendable
  /// Keys shared with commanders, if the node agrees on any; see ``enableEndToEnd(random:)``.
  var endToEnd: MemberContexts?
  /// What a commander is to send back before its next command end to end is obeyed.
  var endToEndChallenges: [Address: [UInt8]] = [:]

  /// `random` makes the challenges: nobody may foresee them.
  public init(
    configuration: EnvelopeNodeConfiguration, memory: EnvelopeMemory = EnvelopeMemory(),
    random: some RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
  ) {
    self.configuration = configuration
    self.memory = memory
    self.random = random
    upcoming = memory.sequenceLimit + 1
    registrationDue = configuration.endpointName == nil ? nil : Instant(seconds: 0)
    adoptKeptRecord()
  }

  /// Signs, and seals if the class says so, what is to be told to the readers, and posts it until the gateway has it; of
  /// too many that wait the oldest is lost.
  public mutating func report(_ content: SignedEnvelope.Content, label: UInt64) {
    reports.append((label, content))
    let waiting = reports.count + outgoing.count { if case .report = $0.kind { true } else { false } }
    guard waiting > configuration.maximumReports else { return }
    let busy = current?.activity
    let oldest = outgoing.firstIndex { item in
      if case .report = item.kind { busy != .post(item.number) } else { false }
    }
    if let oldest, case .report(let label) = outgoing.remove(at: oldest).kind {
      events.append(.reportLost(label))
    } else {
      events.append(.reportLost(reports.removeFirst().label))
    }
  }

  /// The sequence number of a report that was just answered.
  func sequence(of label: UInt64) -> UInt64? { lastReported.flatMap { $0.label == label ? $0.sequence : nil } }

  public mutating func takeEvents() -> [DeviceEvent] {
    defer { events.removeAll() }
    return events
  }

  // MARK: What comes next

  public var nextTimeout: Instant? {
    guard current == nil, !isBlocked else { return nil }
    let posts = outgoing.lazy.map(\.notBefore).min()
    return [posts, pollDue, registrationDue].compactMap { $0 }.min()
  }

  public mutating func timeout(at now: Instant, stack: inout NodeStack) {
    guard current == nil else { return }
    write(now: now)
    guard let activity = next(now: now) else { return }
    let request: CoAPRequest
    switch activity {
    case .post(let number):
      guard let item = outgoing.first(where: { $0.number == number }) else { return }
      request = CoAPRequest(.post, path: ["e"], contentFormat: .coseSign1, payload: item.bytes)
    case .poll(let done): request = CoAPRequest(.get, path: ["e"], query: done.map { ["done=\($0)"] } ?? [])
    case .registration:
      request = CoAPRequest(
        .post, path: ["rd"], query: ["ep=\(configuration.endpointName ?? "")", "lt=\(Self.registrationLifetime)"],
        contentFormat: .linkFormat, payload: Array("</e>;ct=18".utf8))
    }
    let id = stack.request(request, to: configuration.destination, now: now)
    isBlocked = id == nil
    current = id.map { ($0, activity) }
  }

  /// Seconds of a registration with the resource directory.
  private static var registrationLifetime: Int64 { 7_200 }

  private func next(now: Instant) -> Activity? {
    if let unconfirmed { return .poll(done: unconfirmed) }
    let due = outgoing.filter { $0.notBefore <= now }
    let answer = due.first { if case .report = $0.kind { false } else { true } }
    if let item = answer ?? due.first { return .post(item.number) }
    if let registrationDue, registrationDue <= now { return .registration }
    return pollDue <= now && hasRoom ? .poll(done: nil) : nil
  }

  /// Makes envelopes of what is to be said.
  private mutating func write(now: Instant) {
    noteAge(now: now)
    for owed in memory.owed where !outgoing.contains(where: { $0.kind == .receipt(owed) }) {
      guard let commander = configuration.commanders.first(where: { $0.address == owed.commander }),
        let content = try? owed.content
      else {
        memory.owed.removeAll { $0 == owed }
        continue
      }
      queue(
        .receipt(owed), content, to: [commander],
        EnvelopeExtensions(inReplyTo: owed.sequence, answerHash: owed.answerHash), now: now)
    }
    for challenge in memory.challenges where !challenge.isTaken {
      guard !outgoing.contains(where: { $0.kind == .challenge(challenge.challenge) }) else { continue }
      guard let commander = configuration.commanders.first(where: { $0.address == challenge.commander }) else {
        memory.challenges.removeAll { $0 == challenge }
        continue
      }
      queue(
        .challenge(challenge.challenge), .init(format: nil, bytes: []), to: [commander],
        EnvelopeExtensions(
          inReplyTo: challenge.sequence, answerHash: challenge.answerHash, echoChallenge: challenge.challenge), now: now
      )
    }
    for report in reports { queue(.report(report.label), report.content, to: configuration.readers, now: now) }
    reports.removeAll()
  }

  private mutating func queue(
    _ kind: Outgoing.Kind, _ content: SignedEnvelope.Content, to recipients: [Member],
    _ extensions: EnvelopeExtensions = EnvelopeExtensions(), now: Instant
  ) {
    // What is protected end to end already is not sealed once more.
    let isProtected =
      content.format == ContentFormats.coapMessage
      && (try? EncapsulatedMessage(parsing: content.bytes))?.endToEnd != nil
    let draft = EnvelopeDraft(
      class: isProtected ? .authOnly : max(configuration.class, recipients.map(\.class).max() ?? .noConsequence),
      recipients: recipients.map { .init($0) }, sequence: nextSequence(),
      issuedAt: configuration.hasClock ? UInt64(max(0, now.seconds)) : nil, lifetime: configuration.lifetime,
      extensions: extensions, content: content, addressForm: .short)
    var generator = SystemRandomNumberGenerator()
    guard
      let envelope = try? SignedEnvelope.make(
        draft, from: configuration.identity, maximumSize: configuration.maximumEnvelope, using: &generator)
    else {
      if case .report(let label) = kind { events.append(.reportLost(label)) }
      if case .receipt(let owed) = kind { memory.owed.removeAll { $0 == owed } }
      if case .challenge(let bytes) = kind { memory.challenges.removeAll { $0.challenge == bytes } }
      return
    }
    lastNumber += 1
    outgoing.append(
      Outgoing(
        number: lastNumber, kind: kind, sequence: envelope.header.sequence, bytes: envelope.bytes, notBefore: now))
  }

  /// Numbers are kept as used in steps of 16.
  private mutating func nextSequence() -> UInt64 {
    if upcoming > memory.sequenceLimit { memory.sequenceLimit = upcoming + 15 }
    defer { upcoming += 1 }
    return upcoming
  }

  // MARK: What comes

  public mutating func handle(_ event: NodeEvent, stack: inout NodeStack, now: Instant) {
    isBlocked = false
    switch event {
    case .response(let id, let response):
      guard let done = current, done.id == id else { return }
      current = nil
      finish(done.activity, response, now: now)
    case .failed(let id, _):
      guard let done = current, done.id == id else { return }
      current = nil
      fail(done.activity, after: nil, now: now)
    case .request(let exchange, let request):
      stack.respond(to: exchange, with: answer(request, now: now), now: now)
    default: break
    }
  }

  private mutating func finish(_ activity: Activity, _ response: CoAPResponse, now: Instant) {
    guard response.code.class != 5 else {
      return fail(activity, after: .seconds(Int64(response.maxAge ?? 60)), now: now)
    }
    switch activity {
    case .post(let number): finishPost(number, response.code, now: now)
    case .poll(let done):
      if unconfirmed == done { unconfirmed = nil }
      pollFailures = 0
      pollDue = now.advanced(by: nextPoll())
      guard response.code.isSuccess, !response.payload.isEmpty, let number = response.options[uint: .eTag]
      else { return }
      // Without room for a receipt, the message stays where it is.
      guard hasRoom else { return }
      obey(response.payload, now: now)
      unconfirmed = number
    case .registration:
      let wait = response.code.isSuccess ? Self.registrationLifetime / 2 : Self.registrationLifetime
      registrationDue = now.advanced(by: .seconds(wait))
    }
  }

  private mutating func finishPost(_ number: Int, _ code: CoAPCode, now: Instant) {
    guard let index = outgoing.firstIndex(where: { $0.number == number }) else { return }
    // The blocks came apart: the gateway was started again in between.
    if code == .requestEntityIncomplete { return fail(.post(number), after: .seconds(1), now: now) }
    let sequence = outgoing[index].sequence
    switch outgoing.remove(at: index).kind {
    case .report(let label):
      lastReported = (label, sequence)
      events.append(code.isSuccess ? .reported(label) : .reportLost(label))
    case .receipt(let owed):
      memory.owed.removeAll { $0 == owed }
      if code.isSuccess { events.append(.receiptTaken(owed.sequence)) }
    case .challenge(let bytes):
      guard let index = memory.challenges.firstIndex(where: { $0.challenge == bytes }) else { break }
      guard code.isSuccess else {
        memory.challenges.remove(at: index)
        break
      }
      memory.challenges[index].isTaken = true
      echoPolls = 0
      pollDue = min(pollDue, now.advanced(by: nextPoll()))
    }
  }

  /// Until the next question for held messages: sooner while an echo is to come.
  private mutating func nextPoll() -> Duration {
    guard memory.challenges.contains(where: \.isTaken) else { return configuration.pollInterval }
    defer { echoPolls += 1 }
    return min(configuration.pollInterval, configuration.echoPollInterval * (1 << min(echoPolls, 16)))
  }

  /// It is tried again: after `wait`, or after one that doubles each time.
  private mutating func fail(_ activity: Activity, after wait: Duration?, now: Instant) {
    func retry(_ failures: Int) -> Instant {
      let doubled = configuration.firstRetry * (1 << min(failures, 10))
      return now.advanced(by: wait ?? min(configuration.longestRetry, doubled))
    }
    switch activity {
    case .post(let number):
      guard let index = outgoing.firstIndex(where: { $0.number == number }) else { return }
      outgoing[index].notBefore = retry(outgoing[index].failures)
      outgoing[index].failures += 1
    case .poll:
      // What is to be confirmed comes again.
      unconfirmed = nil
      pollDue = retry(pollFailures)
      pollFailures += 1
    case .registration: registrationDue = retry(0)
    }
  }

  /// An envelope that the gateway brings.
  private mutating func answer(_ request: CoAPRequest, now: Instant) -> CoAPResponse {
    guard configuration.endpointName != nil, request.uriPath == ["e"] else { return CoAPResponse(.notFound) }
    guard request.code == .post else { return CoAPResponse(.methodNotAllowed) }
    guard hasRoom else { return CoAPResponse(.serviceUnavailable) }
    switch obey(request.payload, now: now) {
    case nil, .envelopeReplay: return CoAPResponse(.changed)
    default: return CoAPResponse(.forbidden)
    }
  }
}
