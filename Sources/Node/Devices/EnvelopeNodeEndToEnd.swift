import CoAP
import Envelope
import MemberSecurity
import OSCORE
import Wire

// Commands end to end: EDHOC and OSCORE in envelopes of format 65004. The node answers by envelopes of its own.
extension EnvelopeNode {
  /// From now on the node agrees on keys with its commanders, and serves what they ask under them. `random` draws keys and
  /// challenges: it must be fit for that.
  public mutating func enableEndToEnd(random: some RandomNumberGenerator & Sendable) {
    var limits = MemberSecurityLimits()
    limits.contexts = 8
    limits.halfOpen = 4
    // Between two envelopes may lie a night's sleep.
    limits.halfOpenLifetime = .seconds(86_400)
    let known = Set(configuration.commanders.map(\.address))
    let states = memory.endToEnd.filter { known.contains($0.key) }.compactMap { member, bytes in
      (try? OSCOREDurableState(parsing: bytes)).map { (member, $0) }
    }
    endToEnd = MemberContexts(
      identity: configuration.identity, limits: limits, restoring: states, random: random)
    endToEndChallenges = [:]
  }

  /// Serves a command that is protected end to end, whose signature is good and which is new. False if it is none, so that
  /// it is to be judged as every other.
  ///
  /// Throws ``DropReason/unsupported`` if the node does not do that, the reasons of ``Freshness``, and why the message was
  /// refused: ``DropReason/oscoreContextOther`` if the commander has signed what another has encrypted. Whatever is
  /// thrown for, the commander is answered if the protocols have an answer.
  mutating func serveEndToEnd(
    _ envelope: SignedEnvelope, from commander: Member, now: Instant
  ) throws(ParseError) -> Bool {
    guard envelope.endToEnd != nil, let message = try? EncapsulatedMessage(parsing: Array(envelope.payload)),
      let request = try? message.request()
    else { return false }
    if configuration.hasClock { try Freshness().check(envelope.header, arrival: now, now: now) }
    memory.windows[commander.address, default: ReplayWindow()]
      .record(envelope.header.sequence, envelope.contentDigest)
    guard var contexts = endToEnd else {
      owe(envelope, to: commander, .rejected(.unsupported))
      throw ParseError(.unsupported)
    }
    var kept = memory.endToEnd
    func keep(_ member: Address, _ state: OSCOREDurableState?) -> Bool {
      kept[member] = state.flatMap { try? $0.encoded() }
      return true
    }
    var refusal: DropReason?
    var response: CoAPResponse
    let received = contexts.receive(
      request, from: MemberRoster(configuration.commanders), signedBy: commander.address, now: now, keep: keep)
    switch received {
    case .unprotected: return false
    case .answered(let answer, let reason): (response, refusal) = (answer, reason)
    case .request(let inner, let member, let exchange):
      response = serve(inner, envelope, from: commander, &contexts)
      do { response = try contexts.protect(response, to: member, in: exchange, keep: keep) } catch {
        (response, refusal) = (CoAPResponse(.unauthorized), error.reason)
      }
    }
    (endToEnd, memory.endToEnd) = (contexts, kept)
    owe(envelope, to: commander, Receipt(.delivered), answer: try? EncapsulatedMessage(response).cbor())
    if let refusal { throw ParseError(refusal) }
    return true
  }

  private mutating func owe(
    _ envelope: SignedEnvelope, to commander: Member, _ receipt: Receipt, answer: [UInt8]? = nil
  ) {
    memory.owed.append(
      OwedReceipt(
        commander: commander.address, sequence: envelope.header.sequence, answerHash: envelope.answerHash,
        receipt: receipt, answer: answer))
  }

  /// Obeys a request that only `commander` can have made: GET reads what was written, the rest writes.
  private mutating func serve(
    _ request: CoAPRequest, _ envelope: SignedEnvelope, from commander: Member, _ contexts: inout MemberContexts
  ) -> CoAPResponse {
    let message = EncapsulatedMessage(request)
    if request.code == .get {
      guard let value = values[message.path] else { return CoAPResponse(.notFound) }
      return CoAPResponse(.content, contentFormat: .textPlain, payload: value)
    }
    // Without a clock, what was held back on the way looks new: the commander proves that it wants it now (RFC 9175, 2.3).
    if !configuration.hasClock {
      let expected = endToEndChallenges.removeValue(forKey: commander.address)
      guard let expected, request.echo == expected else {
        let challenge = contexts.drawChallenge()
        endToEndChallenges[commander.address] = challenge
        var response = CoAPResponse(.unauthorized)
        response.echo = challenge
        return response
      }
    }
    values[message.path] = request.payload
    events.append(.acted(by: commander.address, sequence: envelope.header.sequence, message))
    return CoAPResponse(.changed)
  }
}
