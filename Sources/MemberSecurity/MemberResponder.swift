import CoAP
import Crypto
import Envelope
import OSCORE
import Wire

/// An EDHOC session whose initiator has not proven who it is.
struct HalfOpenSession: Sendable {
  var responder: EDHOCResponder
  /// Who has signed what carried message_1, if anybody has.
  var sender: Address?
  var expires: Instant
}

/// What a request turned out to be.
public enum ReceivedRequest: Sendable {
  /// Neither protected nor part of EDHOC: whoever sent it has proven nothing.
  case unprotected
  /// There is nothing to act on, but this is to be answered: a message of EDHOC, a challenge, or a refusal for `reason`.
  case answered(CoAPResponse, reason: DropReason?)
  /// `member` has asked this, nobody else can have, and nobody has asked it before. The answer goes through
  /// ``MemberContexts/protect(_:to:in:keep:)``.
  case request(CoAPRequest, member: Address, OSCOREExchange)
}

extension MemberContexts {
  /// Takes a request: EDHOC message_1 or message_3 to `/.well-known/edhoc`, an OSCORE request, or both in one (RFC 9668).
  ///
  /// Keys are agreed with members of `roster` only. A new session replaces the context with a member when its message_3 has
  /// authenticated the member, and not before. Refusals are counted.
  ///
  /// `sender` has signed what carries the request, if anybody has: then whatever proves to be another's is refused with
  /// ``DropReason/oscoreContextOther``, without a trace in the contexts of that other.
  public mutating func receive(
    _ request: CoAPRequest, from roster: MemberRoster, signedBy sender: Address? = nil, now: Instant, keep: Keep
  ) -> ReceivedRequest {
    halfOpen.removeAll { $0.expires <= now }
    var request = request
    let roster = sender.map { address in MemberRoster(roster[address].map { [$0] } ?? []) } ?? roster
    if request.options.contains(.oscore) || request.isEDHOCCombined {
      if request.isEDHOCCombined {
        if let answer = takeMessage3(of: &request, from: roster, sender, keep) { return answer }
      }
      if let sender, let kid = try? OSCOREOptionValue(parsing: request.options[value: .oscore] ?? []).kid,
        kid != table[sender]?.recipientID.bytes, (try? OSCOREIdentifier(kid)).map(table.contains) == true
      {
        return refused(OSCORERefusal(.oscoreContextOther))
      }
      return unprotect(request, from: roster, sender, keep)
    }
    guard request.uriPath == CoAPRequest.edhocPath else { return .unprotected }
    let payload: EDHOCRequestPayload
    do { payload = try request.edhocPayload() } catch {
      return refused(CoAPResponse(request.code == .post ? .badRequest : .methodNotAllowed), error.reason)
    }
    do throws(EDHOCFailure) {
      switch payload {
      case .message1(let message): return .answered(try begin(message, sender, now: now), reason: nil)
      case .identified(let identifier, let message):
        try finish(identifier.bytes, message, roster, sender, keep)
        return .answered(CoAPResponse(edhocMessage: []), reason: nil)
      // Who wants to be the Responder can ask nobody here to be the Initiator.
      case .trigger: throw EDHOCFailure(.edhocUnexpectedMessage)
      }
    } catch { return refused(error) }
  }

  private mutating func begin(
    _ message1: [UInt8], _ sender: Address?, now: Instant
  ) throws(EDHOCFailure) -> CoAPResponse {
    var responder = EDHOCResponder(profile: Self.profile)
    let message = try responder.processMessage1(message1)
    guard let own = identity.edhocIdentity(signs: message.method.responderSigns), let key = ephemeralKey() else {
      throw EDHOCFailure(.edhocCredentialInvalid, reply: .unspecified("Not possible"))
    }
    let message2 = try responder.composeMessage2(
      identity: own, connectionIdentifier: freeIdentifier(besides: message.connectionIdentifier), ephemeralKey: key)
    while halfOpen.count >= max(1, limits.halfOpen) {
      halfOpen.removeFirst()
      counters.count(.edhocSessionDropped)
    }
    halfOpen.append(
      HalfOpenSession(responder: responder, sender: sender, expires: now.advanced(by: limits.halfOpenLifetime)))
    return CoAPResponse(edhocMessage: message2)
  }

  /// Takes message_3 out of a combined request. What is to be answered, if the request goes no further.
  private mutating func takeMessage3(
    of request: inout CoAPRequest, from roster: MemberRoster, _ sender: Address?, _ keep: Keep
  ) -> ReceivedRequest? {
    do throws(EDHOCFailure) {
      let (message3, kid): ([UInt8], [UInt8])
      do throws(ParseError) {
        message3 = try request.takeEDHOCMessage3()
        kid = try OSCOREOptionValue(parsing: request.options[value: .oscore] ?? []).kid ?? []
      } catch {
        if error.reason == .coapOptionUnknownCritical { return refused(CoAPResponse(.badOption), error.reason) }
        throw EDHOCFailure(error.reason, reply: .unspecified("message_3 not accepted"))
      }
      let isHalfOpen = halfOpen.contains { $0.responder.connectionIdentifier?.bytes == kid }
      // The session is over already, and this is a repetition whose answer was lost: OSCORE tells.
      if !isHalfOpen, let identifier = try? OSCOREIdentifier(kid), table.contains(recipientID: identifier) {
        return nil
      }
      try finish(kid, message3, roster, sender, keep)
      return nil
    } catch {
      guard error.reason != .edhocUnexpectedMessage else { return refused(OSCORERefusal(.oscoreContextUnknown)) }
      return refused(error)
    }
  }

  /// Takes message_3 of the session with this C_R, which ends with it. From now on there is a context with whoever sent it.
  private mutating func finish(
    _ identifier: [UInt8], _ message3: [UInt8], _ roster: MemberRoster, _ sender: Address?, _ keep: Keep
  ) throws(EDHOCFailure) {
    guard
      let index = halfOpen.firstIndex(where: {
        $0.responder.connectionIdentifier?.bytes == identifier && $0.sender == sender
      })
    else {
      throw EDHOCFailure(.edhocUnexpectedMessage, reply: .unspecified("No such session"))
    }
    var responder = halfOpen.remove(at: index).responder
    let claim = try responder.processMessage3(message3)
    let candidates = roster.candidates(for: claim.identifier)
    let credential = try responder.authenticate(candidates.map(\.credential))
    let member = candidates.first { $0.credential == credential }?.member
    guard let member, let context = responder.session.flatMap({ OSCORESecurityContext($0, limits.context) }) else {
      throw EDHOCFailure(.edhocCredentialUnknown, reply: .unknownCredential)
    }
    do { try adopt(context, with: member.address, keep: keep) } catch {
      throw EDHOCFailure(error.reason, reply: .unspecified("Not now"))
    }
  }

  private mutating func unprotect(
    _ request: CoAPRequest, from roster: MemberRoster, _ sender: Address?, _ keep: Keep
  ) -> ReceivedRequest {
    do throws(OSCORERefusal) {
      let (member, outcome) = try unprotect(request, signedBy: sender)
      guard roster[member] != nil else {
        remove(member, keep: keep)
        throw OSCORERefusal(.senderRevoked)
      }
      do { try settle(member, keep) } catch { return refused(CoAPResponse(.serviceUnavailable), error.reason) }
      switch outcome {
      case .request(let inner, let exchange): return .request(inner, member: member, exchange)
      case .challenge(let response): return .answered(response, reason: nil)
      }
    } catch { return refused(error) }
  }

  private mutating func unprotect(
    _ request: CoAPRequest, signedBy sender: Address?
  ) throws(OSCORERefusal) -> (Address, OSCORERequestOutcome) {
    guard let sender else {
      let (member, outcome) = try table.unprotectRequest(request)
      return (member, outcome)
    }
    var verdict: Result<OSCORERequestOutcome, OSCORERefusal> = .failure(OSCORERefusal(.oscoreContextUnknown))
    try? table.withContext(of: sender) { (context) throws(OSCOREError) in
      do throws(OSCORERefusal) { verdict = .success(try context.unprotectRequest(request)) } catch {
        verdict = .failure(error)
      }
    }
    return (sender, try verdict.get())
  }

  // MARK: Refusals

  private mutating func refused(_ response: CoAPResponse, _ reason: DropReason) -> ReceivedRequest {
    counters.count(reason)
    return .answered(response, reason: reason)
  }

  private mutating func refused(_ refusal: OSCORERefusal) -> ReceivedRequest {
    refused(refusal.response, refusal.reason)
  }

  private mutating func refused(_ failure: EDHOCFailure) -> ReceivedRequest {
    let isServerFault = [.queueUnavailable, .oscoreContextLimit].contains(failure.reason)
    let response = failure.reply.flatMap { try? CoAPResponse(edhocError: $0, isServerFault: isServerFault) }
    return refused(response ?? CoAPResponse(.badRequest), failure.reason)
  }

  /// Both parties sign, or both have static keys; message_4 is not needed, since the first response proves as much.
  static var profile: EDHOCProfile { EDHOCProfile(methods: [.staticDH, .signature]) }
}

extension OSCORESecurityContext {
  /// The context that a completed session leaves (RFC 9528, A.1); `nil` for identifiers that OSCORE cannot use.
  init?(_ session: EDHOCSession, _ configuration: Configuration) {
    guard let parameters = try? session.oscoreParameters(),
      let sender = try? OSCOREIdentifier(parameters.senderID),
      let recipient = try? OSCOREIdentifier(parameters.recipientID)
    else { return nil }
    try? self.init(
      masterSecret: .init(data: parameters.masterSecret), masterSalt: parameters.masterSalt, senderID: sender,
      recipientID: recipient, configuration: configuration)
  }
}
