import CoAP
import Envelope
import OSCORE
import Wire

/// A request to a member on its way through EDHOC and OSCORE, without a transport: it says what to send, takes the
/// response, and says what comes next.
///
/// Without a context it sends message_1, then message_3 combined with the request (RFC 9668); with one, the request alone.
/// The new context counts when the first response has proven that the peer has it too; until then the old one stays.
public struct ProtectedRequest: Sendable {
  /// How far it is.
  enum Stage: Sendable {
    /// Nothing was sent, or nothing that counts.
    case waiting
    /// message_1 was sent.
    case handshake(MemberHandshake)
    /// message_3 was sent with the request.
    case first(OSCORESecurityContext, OSCOREExchange)
    /// The request was sent under the context that there is.
    case sent(OSCOREExchange)
  }

  /// What a response has led to.
  public enum Step: Sendable {
    /// The next message to the peer.
    case send(CoAPRequest)
    /// The peer's answer, verified.
    case response(CoAPResponse)
    /// Nothing was proven, for this reason. The request can be started again, `anew` if the context is of no use to the
    /// peer. An attacker can cause this as well: wait before.
    case failed(DropReason)
  }

  /// Who is asked.
  public let peer: Member
  /// What is asked.
  public let request: CoAPRequest
  /// How both authenticate where keys are to be agreed.
  public let method: EDHOCMethod
  var stage = Stage.waiting
  /// The Echo value that the peer asked for (RFC 8613, B.1.2; RFC 9175, 2).
  private var echo: [UInt8]?
  /// How often it asked: after a restart, and because it has no clock.
  var challenges = 0
  private static let maximumChallenges = 2

  public init(_ request: CoAPRequest, to peer: Member, method: EDHOCMethod = .staticDH) {
    self.request = request
    self.peer = peer
    self.method = method
  }

  /// Whether it waits for message_2, so that others to the same peer should wait too.
  public var isAgreeing: Bool {
    switch stage {
    case .handshake, .first: true
    case .waiting, .sent: false
    }
  }

  /// Whether something was sent that may be answered.
  public var isUnderWay: Bool { if case .waiting = stage { false } else { true } }

  /// Begins, or begins again: what to send. `anew` agrees on new keys even if there is a context.
  ///
  /// Throws what ``MemberContexts/protect(_:to:keep:)`` throws, and the reasons of ``EDHOCInitiator``.
  public mutating func start(
    anew: Bool = false, _ contexts: inout MemberContexts, keep: MemberContexts.Keep
  ) throws(OSCOREError) -> CoAPRequest {
    echo = nil
    challenges = 0
    stage = .waiting
    guard anew || !contexts.hasContext(with: peer.address) else { return try protect(&contexts, keep) }
    do { return try begin(.suite2, &contexts) } catch { throw OSCOREError(error.reason) }
  }

  private mutating func begin(
    _ suite: EDHOCCipherSuite, _ contexts: inout MemberContexts
  ) throws(EDHOCFailure) -> CoAPRequest {
    let handshake = try contexts.begin(with: peer.address, method: method, suite: suite)
    guard let message = try? CoAPRequest(edhoc: .message1(handshake.message1())) else {
      throw EDHOCFailure(.edhocMalformed)
    }
    stage = .handshake(handshake)
    return message
  }

  private mutating func protect(
    _ contexts: inout MemberContexts, _ keep: MemberContexts.Keep
  ) throws(OSCOREError) -> CoAPRequest {
    var inner = request
    inner.echo = echo ?? inner.echo
    let (outer, exchange) = try contexts.protect(inner, to: peer.address, keep: keep)
    stage = .sent(exchange)
    return outer
  }

  /// Takes the response to what was sent last.
  public mutating func receive(
    _ response: CoAPResponse, _ contexts: inout MemberContexts, keep: MemberContexts.Keep
  ) -> Step {
    let current = stage
    stage = .waiting
    do throws(OSCOREError) {
      switch current {
      case .waiting: throw OSCOREError(.coapExchangeUnknown)
      case .handshake(let handshake): return .send(try agree(handshake, response, &contexts))
      case .first(let context, var exchange):
        let inner = try context.unprotectResponse(response, in: &exchange)
        try contexts.adopt(context, with: peer.address, keep: keep)
        return try conclude(inner, &contexts, keep)
      case .sent(var exchange):
        let inner = try contexts.unprotect(response, from: peer.address, in: &exchange)
        return try conclude(inner, &contexts, keep)
      }
    } catch {
      contexts.counters.count(error.reason)
      return .failed(error.reason)
    }
  }

  /// message_2 has come: message_3 and the request go together.
  private mutating func agree(
    _ handshake: MemberHandshake, _ response: CoAPResponse, _ contexts: inout MemberContexts
  ) throws(OSCOREError) -> CoAPRequest {
    do throws(EDHOCFailure) {
      let message2: [UInt8]
      do { message2 = try response.edhocMessage() } catch { throw EDHOCFailure(error.reason) }
      let (message3, agreed) = try handshake.finish(
        message2, with: peer, as: contexts.identity, contexts.limits.context)
      var context = agreed
      guard let (protected, exchange) = try? context.protectRequest(request) else {
        throw EDHOCFailure(.oscoreMalformed)
      }
      var outer = protected
      do { try outer.combine(edhocMessage3: message3) } catch { throw EDHOCFailure(.oscoreMalformed) }
      // It is nowhere on disk before it counts, and a restart has forgotten it: no number of it can be used twice.
      if let reservation = context.reservation { context.persisted(reservation) }
      stage = .first(context, exchange)
      return outer
    } catch {
      // The Responder has no suite 2: with suite 3 the same once more, and never back.
      if case .wrongSelectedCipherSuite(let suites) = error.received, suites.contains(.suite3),
        handshake.suite == .suite2, let again = try? begin(.suite3, &contexts)
      {
        return again
      }
      throw OSCOREError(error.reason)
    }
  }

  private mutating func conclude(
    _ inner: CoAPResponse, _ contexts: inout MemberContexts, _ keep: MemberContexts.Keep
  ) throws(OSCOREError) -> Step {
    // The peer has not acted on the request: it wants to see the value again.
    guard inner.code == .unauthorized, let value = inner.echo, challenges < Self.maximumChallenges else {
      return .response(inner)
    }
    challenges += 1
    echo = value
    return .send(try protect(&contexts, keep))
  }
}
