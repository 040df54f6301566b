import Wire

extension ExchangeLayer {
  /// Sends a request, or queues it behind others to the same peer (NSTART). How it ends comes out as an output, also if it
  /// cannot be sent at all.
  public mutating func request(
    _ request: CoAPRequest, to peer: Peer, confirmable: Bool = true, at now: Instant
  ) -> RequestID<Peer> {
    submit(request, purpose: .request, to: peer, confirmable: confirmable, at: now)
  }

  /// Sends the next request of a block-wise operation, before those that wait to begin one.
  mutating func continuation(
    _ request: CoAPRequest, to peer: Peer, confirmable: Bool, at now: Instant
  ) -> RequestID<Peer> {
    submit(request, purpose: .request, to: peer, confirmable: confirmable, isFirst: true, at: now)
  }

  /// Asks whether the peer is there, with an empty confirmable message ("CoAP ping", RFC 7252, 4.3).
  public mutating func ping(_ peer: Peer, at now: Instant) -> RequestID<Peer> {
    submit(CoAPRequest(code: .empty), purpose: .ping, to: peer, confirmable: true, at: now)
  }

  private mutating func submit(
    _ request: CoAPRequest, purpose: OutgoingMessage.Purpose, to peer: Peer, confirmable: Bool,
    isFirst: Bool = false, at now: Instant
  ) -> RequestID<Peer> {
    let id = RequestID(peer: peer, number: nextNumber())
    guard requestCount < limits.requests, let position = admit(peer, at: now),
      peers[position].outgoing.count < limits.requestsPerPeer
    else {
      outputs.append(.failed(id, .limit))
      return id
    }
    let token = purpose == .ping ? CoAPToken() : freshToken(of: position)
    let messageID = takeMessageID(of: position, at: now)
    let message = CoAPMessage(
      type: confirmable ? .confirmable : .nonConfirmable, code: request.code, messageID: messageID,
      token: token,
      options: request.options, payload: request.payload)
    guard request.code.isRequest || purpose == .ping, let datagram = try? message.encoded() else {
      outputs.append(.failed(id, .notRepresentable))
      return id
    }
    requestCount += 1
    let outgoing = OutgoingMessage(
      number: id.number, purpose: purpose, isConfirmable: confirmable, messageID: messageID, token: token,
      datagram: datagram, firstTimeout: parameters.initialTimeout(using: &random))
    let firstQueued = peers[position].outgoing.firstIndex { message in
      if case .queued = message.phase { true } else { false }
    }
    let end = peers[position].outgoing.count
    peers[position].outgoing.insert(outgoing, at: isFirst ? firstQueued ?? end : end)
    startQueued(of: position, at: now)
    return id
  }

  /// Takes a request back. It fails as ``RequestFailure/cancelled`` unless it is over already.
  public mutating func cancel(_ id: RequestID<Peer>, at now: Instant) {
    guard let position = position(of: id.peer),
      let index = peers[position].outgoing.firstIndex(where: {
        $0.number == id.number && $0.purpose != .response
      })
    else { return }
    finish(index, of: position, with: .failed(id, .cancelled), at: now)
  }

  /// Answers a request: in the acknowledgement if that has not gone out, else in a message of its own (RFC 7252, 5.2).
  ///
  /// A response that the request's No-Response option excludes is not sent (RFC 7967). One that cannot be written goes out
  /// as 5.00. False, and dropped as ``DropReason/coapExchangeUnknown``, if the exchange was answered or has expired.
  @discardableResult
  public mutating func respond(
    to exchange: ExchangeID<Peer>, with response: CoAPResponse, at now: Instant
  ) -> Bool {
    defer { trimReplies() }
    guard let position = position(of: exchange.peer),
      let index = peers[position].received.firstIndex(where: { $0.pending?.number == exchange.number }),
      let pending = peers[position].received[index].pending
    else {
      drop(.coapExchangeUnknown, from: exchange.peer)
      return false
    }
    let record = peers[position].received[index]
    peers[position].received[index].pending = nil
    let isAcknowledged = record.reply != nil
    if pending.request.suppresses(response.code) {
      if record.isConfirmable, !isAcknowledged { acknowledge(index, of: position) }
      return true
    }
    let type: CoAPMessageType =
      !record.isConfirmable ? .nonConfirmable : isAcknowledged ? .confirmable : .acknowledgement
    let messageID = type == .acknowledgement ? record.messageID : takeMessageID(of: position, at: now)
    let datagram = encode(response, type: type, messageID: messageID, token: pending.token)
    switch type {
    case .acknowledgement: reply(datagram, to: index, of: position)
    case .confirmable:
      peers[position].outgoing.append(
        OutgoingMessage(
          number: exchange.number, purpose: .response, isConfirmable: true, messageID: messageID,
          token: pending.token, datagram: datagram, firstTimeout: parameters.initialTimeout(using: &random)))
      start(peers[position].outgoing.count - 1, of: position, at: now)
    default: outputs.append(.transmit(datagram, to: exchange.peer))
    }
    return true
  }

  private func encode(
    _ response: CoAPResponse, type: CoAPMessageType, messageID: UInt16, token: CoAPToken
  ) -> [UInt8] {
    let message = CoAPMessage(
      type: type, code: response.code, messageID: messageID, token: token, options: response.options,
      payload: response.payload)
    if response.code.isResponse, let datagram = try? message.encoded() { return datagram }
    let error = CoAPMessage(type: type, code: .internalServerError, messageID: messageID, token: token)
    // A header and a token always have a form.
    return (try? error.encoded()) ?? []
  }

  /// Sends an empty acknowledgement of a received message.
  mutating func acknowledge(_ index: Int, of position: Int) {
    let messageID = peers[position].received[index].messageID
    guard let datagram = try? CoAPMessage.empty(.acknowledgement, messageID: messageID).encoded() else {
      return
    }
    reply(datagram, to: index, of: position)
  }

  /// A token that no other request to the peer has.
  private mutating func freshToken(of position: Int) -> CoAPToken {
    while true {
      let token = CoAPToken(
        value: UInt64.random(in: 0 ... .max, using: &random), count: min(max(configuration.tokenLength, 1), 8)
      )
      if !peers[position].outgoing.contains(where: { $0.purpose == .request && $0.token == token }) {
        return token
      }
    }
  }

  private mutating func takeMessageID(of position: Int, at now: Instant) -> UInt16 {
    let id = peers[position].nextMessageID ?? UInt16.random(in: 0 ... .max, using: &random)
    peers[position].nextMessageID = id &+ 1
    peers[position].lastSent = now
    scheduleExpiry(now.advanced(by: parameters.exchangeLifetime))
    return id
  }

  func requestID(_ index: Int, of position: Int) -> RequestID<Peer> {
    RequestID(peer: peers[position].peer, number: peers[position].outgoing[index].number)
  }

  /// Ends an outgoing message and lets the next one go.
  mutating func finish(_ index: Int, of position: Int, with output: ExchangeOutput<Peer>?, at now: Instant) {
    let ended = peers[position].outgoing.remove(at: index)
    if ended.purpose != .response { requestCount -= 1 }
    if let output { outputs.append(output) }
    startQueued(of: position, at: now)
  }

  /// Sends queued requests as far as NSTART allows.
  mutating func startQueued(of position: Int, at now: Instant) {
    var room = max(1, parameters.nStart) - peers[position].outgoing.count { $0.isOutstanding(at: now) }
    for index in peers[position].outgoing.indices where room > 0 {
      guard case .queued = peers[position].outgoing[index].phase else { continue }
      start(index, of: position, at: now)
      room -= 1
    }
  }

  /// Transmits a message for the first time.
  private mutating func start(_ index: Int, of position: Int, at now: Instant) {
    let message = peers[position].outgoing[index]
    peers[position].outgoing[index].firstSent = now
    peers[position].lastSent = now
    scheduleExpiry(now.advanced(by: parameters.exchangeLifetime))
    if message.isConfirmable {
      let due = now.advanced(by: message.firstTimeout)
      peers[position].outgoing[index].phase = .unacknowledged(
        retransmissions: 0, timeout: message.firstTimeout, due: due)
      schedule(due)
    } else {
      let due = now.advanced(by: configuration.responseTimeout)
      let seconds = message.datagram.count / max(1, parameters.probingRate)
      let until = min(due, now.advanced(by: .seconds(seconds)))
      peers[position].outgoing[index].phase = .awaitingResponse(due: due)
      peers[position].outgoing[index].outstandingUntil = until
      schedule(until)
      schedule(due)
    }
    outputs.append(.transmit(message.datagram, to: peers[position].peer))
  }
}
