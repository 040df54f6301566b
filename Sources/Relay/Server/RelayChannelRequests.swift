import COSE
import CoAP
import Dispatch
import Envelope
import NIOCore
import Queue
import Wire

/// What a client asks for.
extension RelayChannelHandler {
  /// Takes `POST /e` in its plainest form without a detour; false for anything else.
  func receiveEnvelope(_ frame: RawSpan) -> Bool {
    guard let view = try? CoAPStreamMessageView(frame, framing: framing), view.code == .post, !view.payload.isEmpty
    else { return false }
    var isPath = false
    var noResponse: UInt8 = 0
    var options = view.options
    while let option = options.next() {
      switch option.number {
      case .uriPath:
        guard !isPath, option.value.byteCount == 1, option.uint == UInt64(UInt8(ascii: "e")) else { return false }
        isPath = true
      case .contentFormat:
        guard option.uint == UInt64(CoAPContentFormat.coseSign1.rawValue) else { return false }
      case .noResponse: noResponse = UInt8(truncatingIfNeeded: option.uint ?? 0)
      case .size1: break
      default: return false
      }
    }
    guard isPath else { return false }
    submit(view.payload.array(), RelayTicket(.token(view.token, noResponse: noResponse)))
    return true
  }

  func take(_ request: CoAPRequest, _ exchange: CoAPStreamConnection.ExchangeID) {
    switch (request.code, request.uriPath) {
    case (.get, ["hello"]): hello(exchange)
    case (.post, ["session"]): openSession(request, exchange)
    case (_, _) where session == nil || opening != nil: refuse(exchange, .sessionRequired)
    case (.get, ["session"]): if let peer { shared.inbox.put(.held(peer, exchange)) }
    case (.post, ["e"]):
      guard request.contentFormat == nil || request.contentFormat == .coseSign1 else {
        return respond(exchange, CoAPResponse(.unsupportedContentFormat))
      }
      submit(request.payload, RelayTicket(.exchange(exchange)))
    case (_, ["e"]), (_, ["hello"]), (_, ["session"]): respond(exchange, CoAPResponse(.methodNotAllowed))
    case (.get, [".well-known", "core"]):
      respond(
        exchange,
        CoAPResponse(
          .content, contentFormat: .linkFormat, payload: Array("</hello>,</session>,</e>;ct=18".utf8)))
    default: respond(exchange, CoAPResponse(.notFound))
    }
  }

  /// Refuses with the code of the reason, which stands in the body as well (RFC 9290).
  func refuse(_ exchange: CoAPStreamConnection.ExchangeID, _ reason: DropReason) {
    shared.metrics.count(reason)
    respond(exchange, Self.problem(reason, code: RelayCode.refusal(for: reason)))
  }

  static func problem(_ reason: DropReason, code: UInt8) -> CoAPResponse {
    var response = CoAPResponse(
      CoAPCode(rawValue: code), contentFormat: .problemDetails, payload: ProblemDetails(title: reason.name).encoded)
    if code == RelayCode.tooManyRequests || code == RelayCode.serviceUnavailable { response.maxAge = 1 }
    return response
  }

  // MARK: Session

  private func hello(_ exchange: CoAPStreamConnection.ExchangeID) {
    // Each costs a signature, and nobody needs many.
    hellos += 1
    guard hellos <= 16 else { return end(.rateExceeded) }
    let nonce = (0..<RelayHello.nonceLength).map { _ in UInt8.random(in: 0...255) }
    let hello = RelayHello(
      nonce: nonce, certificate: shared.identity.public.certificate, time: UInt64(max(0, now.seconds)),
      envelopeSize: UInt64(shared.members.current.limits.envelopeSize), window: UInt64(shared.limits.window))
    guard let bytes = try? hello.signed(with: shared.identity) else {
      return respond(exchange, CoAPResponse(.internalServerError))
    }
    self.nonce = nonce
    respond(exchange, CoAPResponse(.content, contentFormat: .coseSign1, payload: bytes))
  }

  private func openSession(_ request: CoAPRequest, _ exchange: CoAPStreamConnection.ExchangeID) {
    // A nonce is good for one attempt.
    guard let nonce = self.nonce, session == nil else { return refuse(exchange, .sessionRequired) }
    self.nonce = nil
    let members = shared.members.current
    do throws(ParseError) {
      let asked = try SessionRequest(verifying: request.payload) { (client) throws(ParseError) in
        guard let key = members.key(of: client) else { throw ParseError(members.unknown(.full(client))) }
        return key
      }
      guard asked.nonce == nonce, asked.relay == shared.identity.address else { throw ParseError(.sessionRequired) }
      guard asked.serving.count <= shared.limits.servedAddresses else { throw ParseError(.tooLong) }
      let session = try members.openSession(client: asked.client, serving: asked.serving)
      guard let peer, shared.inbox.put(.open(session, peer)) else { throw ParseError(.queueUnavailable) }
      self.session = session
      opening = exchange
    } catch { refuse(exchange, error.reason) }
  }

  // MARK: Envelopes

  /// Checks an envelope here, on this connection's thread, and hands it to the engine.
  private func submit(_ bytes: [UInt8], _ unsized: RelayTicket) {
    var ticket = unsized
    guard let session, let peer else { return answer(ticket, .refused(.sessionRequired)) }
    let now = now
    guard rate.take(at: now) else { return refuse(ticket, .rateExceeded) }
    let begun = DispatchTime.now()
    do throws(ParseError) {
      ticket.size = bytes.count
      let admission = try shared.members.current.admit(bytes, session: session)
      switch admission {
      case .accessList(let envelope):
        guard shared.inbox.put(.accessList(envelope, peer, ticket), bytes: bytes.count) else {
          throw ParseError(.queueUnavailable)
        }
      case .envelope(let admitted):
        shared.metrics.verified(nanoseconds: DispatchTime.now().uptimeNanoseconds - begun.uptimeNanoseconds)
        let sender = admitted.route.sender.address
        if sender != session.client {
          guard takeRate(of: sender, at: now) else { throw ParseError(.rateExceeded) }
        }
        if admitted.envelope.header.class == .stream { return forward(admitted, unsized) }
        guard shared.inbox.put(.submit(admitted, peer, ticket), bytes: bytes.count) else {
          throw ParseError(.queueUnavailable)
        }
      }
      waitingBytes += bytes.count
    } catch { refuse(unsized, error.reason) }
  }

  private func takeRate(of sender: Address, at now: Instant) -> Bool {
    var rate =
      senderRates[sender]
      ?? RateLimit(
        perSecond: shared.limits.envelopesPerSenderPerSecond, burst: shared.limits.envelopesPerSenderInBurst, now: now)
    defer { senderRates[sender] = rate }
    return rate.take(at: now)
  }

  private func refuse(_ ticket: RelayTicket, _ reason: DropReason) {
    shared.metrics.count(reason)
    answer(ticket, .refused(reason))
  }

  func answer(_ ticket: RelayTicket, _ outcome: SubmitOutcome) {
    let response: CoAPResponse
    switch outcome {
    case .accepted, .alreadyInCustody: response = CoAPResponse(.changed)
    case .refused(let reason, let code): response = Self.problem(reason, code: code)
    }
    switch ticket.request {
    case .exchange(let exchange): respond(exchange, response)
    case .token(let token, let noResponse):
      guard noResponse >> (response.code.class - 1) & 1 == 0 else { return }
      let message = CoAPStreamMessage(
        code: response.code, token: token, options: response.options, payload: response.payload)
      if let bytes = try? message.encoded(framing) { write(bytes) }
    }
  }

  // MARK: Streams

  /// Passes a chunk to those of its recipients who are connected, and to nobody later.
  private func forward(_ admitted: RelayDirectory.Admitted, _ ticket: RelayTicket) {
    guard let peer else { return }
    var peers: [RelayPeer] = []
    var elsewhere: [Address] = []
    for recipient in admitted.route.recipients {
      if let known = shared.registry.peer(recipient.address) {
        peers.append(known)
      } else if shared.isCluster {
        elsewhere.append(recipient.address)
      }
    }
    var wantsAnswer = true
    if case .token(_, let noResponse) = ticket.request { wantsAnswer = noResponse & 2 == 0 }
    guard peers.count + elsewhere.count > 0 else { return refuse(ticket, .recipientNotConnected) }
    var credit: RelayChunkCredit?
    if wantsAnswer {
      let clients = admitted.route.recipients.map(\.address)
      credit = RelayChunkCredit(recipients: peers.count + elsewhere.count) { isTaken in
        peer.tell([.answer(ticket, isTaken ? .accepted(clients) : .refused(.recipientNotConnected))])
      }
    }
    let chunk = RelayChunk(bytes: admitted.envelope.bytes, credit: credit)
    for recipient in peers { recipient.tell([.chunk(chunk)]) }
    if !elsewhere.isEmpty { shared.inbox.put(.chunk(chunk, elsewhere)) }
  }
}
