import Wire

extension ExchangeLayer {
  /// Takes a datagram.
  ///
  /// `multicast` says that it was sent to a multicast address: then nothing is rejected with a reset, and confirmable
  /// messages are dropped (RFC 7252, 8.1).
  public mutating func receive(
    _ datagram: RawSpan, from peer: Peer, at now: Instant, multicast: Bool = false
  ) {
    defer { trimReplies() }
    let message: CoAPMessage
    do {
      message = CoAPMessage(try CoAPMessageView(datagram))
    } catch {
      if !multicast { rejectMalformed(datagram, from: peer) }
      return drop(error.reason, from: peer)
    }
    if multicast && message.type != .nonConfirmable { return drop(.reservedValue, from: peer) }
    switch message.type {
    case .acknowledgement: receiveAcknowledgement(message, from: peer, at: now)
    case .reset: receiveReset(message, from: peer, at: now)
    case .confirmable, .nonConfirmable:
      if message.code.isEmpty {
        // An empty confirmable message is a ping; an empty non-confirmable one has no meaning (4.2, 4.3).
        guard message.type == .confirmable else { return drop(.reservedValue, from: peer) }
        transmitReset(message.messageID, to: peer)
      } else if answerDuplicate(message, from: peer, at: now) {
        drop(.coapDuplicate, from: peer)
      } else if message.code.isRequest {
        receiveRequest(message, from: peer, at: now, multicast: multicast)
      } else {
        receiveResponse(message, from: peer, at: now, multicast: multicast)
      }
    }
  }

  /// Answers a confirmable message with a format error with a reset (4.2); a message of another version is ignored (3).
  private mutating func rejectMalformed(_ datagram: RawSpan, from peer: Peer) {
    var reader = ByteReader(datagram)
    guard let word = try? reader.u32(), word >> 28 == 0b0100 else { return }
    transmitReset(UInt16(truncatingIfNeeded: word), to: peer)
  }

  /// True for a message that was received before, which is then answered as it was before (4.5).
  private mutating func answerDuplicate(_ message: CoAPMessage, from peer: Peer, at now: Instant) -> Bool {
    guard let position = position(of: peer),
      let known = peers[position].received.first(where: {
        $0.messageID == message.messageID && $0.expires > now
      })
    else { return false }
    if message.type == .confirmable, let reply = known.reply { outputs.append(.transmit(reply, to: peer)) }
    return true
  }

  private mutating func receiveRequest(
    _ message: CoAPMessage, from peer: Peer, at now: Instant, multicast: Bool
  ) {
    guard let position = admit(peer, at: now) else { return drop(.coapExchangeLimit, from: peer) }
    let isConfirmable = message.type == .confirmable
    let lifetime = isConfirmable ? parameters.exchangeLifetime : parameters.nonLifetime
    var record = ReceivedMessage(
      messageID: message.messageID, isConfirmable: isConfirmable, expires: now.advanced(by: lifetime))
    // A message ID that has come round again stands for the new message.
    peers[position].received.removeAll { known in
      guard known.expires <= now, known.pending == nil else { return false }
      replyBytes -= known.reply?.count ?? 0
      return true
    }
    do {
      let options = try message.options.recognized(configuration.recognizedOptions)
      let number = nextNumber()
      record.pending = ReceivedMessage.Pending(
        number: number, token: message.token, request: CoAPRequest(code: message.code, options: options))
      if isConfirmable { record.acknowledgeAt = now.advanced(by: configuration.acknowledgementDelay) }
      guard remember(record, of: position) else { return drop(.coapExchangeLimit, from: peer) }
      let request = CoAPRequest(code: message.code, options: options, payload: message.payload)
      outputs.append(.request(ExchangeID(peer: peer, number: number), request))
    } catch {
      if isConfirmable {
        let isForProxy = error.number == .proxyUri || error.number == .proxyScheme
        let refusal = CoAPMessage(
          type: .acknowledgement, code: isForProxy ? .proxyingNotSupported : .badOption,
          messageID: message.messageID, token: message.token)
        record.reply = try? refusal.encoded()
        guard remember(record, of: position) else { return drop(.coapExchangeLimit, from: peer) }
        if let reply = record.reply { outputs.append(.transmit(reply, to: peer)) }
      } else {
        _ = remember(record, of: position)
        if !multicast { transmitReset(message.messageID, to: peer) }
      }
      drop(error.reason, from: peer)
    }
  }

  private mutating func receiveResponse(
    _ message: CoAPMessage, from peer: Peer, at now: Instant, multicast: Bool
  ) {
    guard let position = position(of: peer),
      let index = peers[position].outgoing.firstIndex(where: { request in
        guard request.purpose == .request, request.token == message.token else { return false }
        if case .queued = request.phase { return false }
        return true
      })
    else {
      if !multicast { transmitReset(message.messageID, to: peer) }
      return drop(.coapExchangeUnknown, from: peer)
    }
    guard let options = understoodOptions(message, from: peer, resets: !multicast) else { return }
    let isConfirmable = message.type == .confirmable
    let lifetime = isConfirmable ? parameters.exchangeLifetime : parameters.nonLifetime
    var record = ReceivedMessage(
      messageID: message.messageID, isConfirmable: isConfirmable, expires: now.advanced(by: lifetime))
    if isConfirmable {
      record.reply = try? CoAPMessage.empty(.acknowledgement, messageID: message.messageID).encoded()
    }
    peers[position].lastActivity = now
    // Without room its sender repeats the response, and then there may be room.
    guard remember(record, of: position) else { return drop(.coapExchangeLimit, from: peer) }
    if let reply = record.reply { outputs.append(.transmit(reply, to: peer)) }
    let response = CoAPResponse(code: message.code, options: options, payload: message.payload)
    finish(index, of: position, with: .response(requestID(index, of: position), response), at: now)
  }

  private mutating func receiveAcknowledgement(_ message: CoAPMessage, from peer: Peer, at now: Instant) {
    guard !message.code.isRequest else { return drop(.reservedValue, from: peer) }
    guard let position = position(of: peer),
      let index = peers[position].outgoing.firstIndex(where: {
        guard $0.isConfirmable, $0.messageID == message.messageID else { return false }
        if case .queued = $0.phase { return false }
        return true
      })
    else { return drop(.coapExchangeUnknown, from: peer) }
    peers[position].lastActivity = now
    let outgoing = peers[position].outgoing[index]
    if message.code.isResponse {
      guard outgoing.purpose == .request, outgoing.token == message.token else {
        return drop(.coapExchangeUnknown, from: peer)
      }
      // To reject an acknowledgement is to ignore it (4.2): the request is repeated, and times out in the end.
      guard let options = understoodOptions(message, from: peer, resets: false) else { return }
      let response = CoAPResponse(code: message.code, options: options, payload: message.payload)
      return finish(index, of: position, with: .response(requestID(index, of: position), response), at: now)
    }
    switch outgoing.purpose {
    case .ping: finish(index, of: position, with: .pong(requestID(index, of: position)), at: now)
    case .response: finish(index, of: position, with: nil, at: now)
    case .request:
      guard case .unacknowledged = outgoing.phase else { return }
      let due = now.advanced(by: configuration.responseTimeout)
      peers[position].outgoing[index].phase = .awaitingResponse(due: due)
      schedule(due)
      startQueued(of: position, at: now)
    }
  }

  private mutating func receiveReset(_ message: CoAPMessage, from peer: Peer, at now: Instant) {
    guard message.code.isEmpty else { return drop(.coapEmptyMessageNotEmpty, from: peer) }
    guard let position = position(of: peer),
      let index = peers[position].outgoing.firstIndex(where: {
        guard $0.messageID == message.messageID else { return false }
        if case .queued = $0.phase { return false }
        return true
      })
    else { return drop(.coapExchangeUnknown, from: peer) }
    peers[position].lastActivity = now
    let outgoing = peers[position].outgoing[index]
    switch outgoing.purpose {
    case .ping: finish(index, of: position, with: .pong(requestID(index, of: position)), at: now)
    case .request:
      finish(index, of: position, with: .failed(requestID(index, of: position), .reset), at: now)
    case .response:
      finish(
        index, of: position,
        with: .responseFailed(ExchangeID(peer: peer, number: outgoing.number), .reset), at: now)
    }
  }

  /// The options of a response; `nil`, and the message dropped, if it must be rejected for one (5.4.1).
  private mutating func understoodOptions(
    _ message: CoAPMessage, from peer: Peer, resets: Bool
  ) -> CoAPOptions? {
    do {
      return try message.options.recognized(configuration.recognizedOptions)
    } catch {
      if resets { transmitReset(message.messageID, to: peer) }
      drop(error.reason, from: peer)
      return nil
    }
  }

  private mutating func transmitReset(_ messageID: UInt16, to peer: Peer) {
    guard let datagram = try? CoAPMessage.empty(.reset, messageID: messageID).encoded() else { return }
    outputs.append(.transmit(datagram, to: peer))
  }
}
