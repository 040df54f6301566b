import Wire

extension CoAPStreamConnection {
  /// Pongs that may wait for answers; further pings are answered at once, without custody.
  private static var maximumDelayedPongs: Int { 8 }

  /// Takes one frame: exactly one TCP frame, or the data of one WebSocket message.
  ///
  /// A frame that is malformed, or larger than this end takes, ends the connection (RFC 8323, 5.6).
  public mutating func receive(_ frame: RawSpan, at now: Instant) {
    guard phase != .closed else { return }
    start(at: now)
    noteTraffic(at: now)
    guard frame.byteCount <= configuration.maximumMessageSize else {
      return abort(.coapMessageTooLarge, badOption: nil)
    }
    do throws(ParseError) {
      let view = try CoAPStreamMessageView(frame, framing: configuration.framing)
      // May always be sent, and means nothing (3.4).
      if view.code.isEmpty { return }
      if view.code.isSignal { return receiveSignal(CoAPStreamMessage(view), at: now) }
      // The CSM is the first message (3.3).
      guard phase == .open else { return abort(.coapCapabilitiesMissing, badOption: nil) }
      if view.code.isRequest { receiveRequest(view, at: now) } else { receiveResponse(view, at: now) }
    } catch {
      abort(error.reason, badOption: nil)
    }
  }

  private mutating func receiveSignal(_ message: CoAPStreamMessage, at now: Instant) {
    guard phase == .open || message.code == .csm || message.code == .abort else {
      return abort(.coapCapabilitiesMissing, badOption: nil)
    }
    let signal: CoAPSignal
    do {
      signal = try CoAPSignal(message, after: capabilities)
    } catch {
      guard error.reason != .coapSignalUnknown else { return drop(.coapSignalUnknown) }
      return abort(error.reason, badOption: message.code == .csm ? error.number : nil)
    }
    switch signal {
    case .capabilities(let capabilities):
      self.capabilities = capabilities
      updateCarrier()
      guard phase != .open else { return }
      phase = .open
      outputs.append(.ready(capabilities))
      beginQueued(at: now)
    case .ping(let custody): receivePing(custody: custody, token: message.token)
    // Whatever comes shows that the peer is there.
    case .pong: break
    case .release(let alternatives, let holdOff):
      isReleased = true
      outputs.append(.released(alternatives: alternatives, holdOff: holdOff))
      closeIfSettled()
    case .abort(_, let diagnostic):
      self.diagnostic = String(diagnostic.prefix(200))
      finish()
      outputs.append(.close(.coapPeerAborted))
    }
  }

  private mutating func receivePing(custody: Bool, token: CoAPToken) {
    guard custody, !exchanges.isEmpty else { return transmit(.pong(custody: custody), token: token) }
    guard delayedPongs.count < Self.maximumDelayedPongs else {
      return transmit(.pong(custody: false), token: token)
    }
    delayedPongs.append(DelayedPong(token: token, last: lastNumber, outstanding: exchanges.count))
  }

  private mutating func receiveRequest(_ view: borrowing CoAPStreamMessageView, at now: Instant) {
    let options: CoAPOptions
    do {
      options = try CoAPOptions(view.content).recognized(configuration.recognizedOptions)
    } catch {
      let isForProxy = error.number == .proxyUri || error.number == .proxyScheme
      refuse(view, with: CoAPResponse(isForProxy ? .proxyingNotSupported : .badOption), error.reason)
      return
    }
    guard exchanges.count < configuration.receivedInFlight else {
      var response = CoAPResponse(.serviceUnavailable)
      response.maxAge = 1
      return refuse(view, with: response, .coapExchangeLimit)
    }
    var request = CoAPRequest(code: view.code, options: options, payload: view.payload.array())
    // As it came, without its payload.
    let asked = CoAPRequest(code: view.code, options: options)
    let isPlain = !options.contains { $0.number.isBlockwise }
    if !isPlain || request.payload.count > configuration.blockwise.maximumRequestBody {
      switch server.receive(request, from: Peer(), at: now) {
      case .deliver(let whole): request = whole
      case .answer(let response, let reason):
        if response.code == .continue || !asked.suppresses(response.code) {
          transmit(response, token: view.token)
        }
        if let reason { drop(reason) }
        return
      }
    }
    let exchange = ExchangeID(number: nextNumber(), wantsResponse: asked.wantsResponse)
    if exchange.wantsResponse {
      exchanges[exchange.number] = Received(token: view.token, request: asked, isPlain: isPlain)
    }
    outputs.append(.request(exchange, request))
  }

  /// Answers a request that is not passed on.
  private mutating func refuse(
    _ view: borrowing CoAPStreamMessageView, with response: CoAPResponse, _ reason: DropReason
  ) {
    let request = CoAPRequest(code: view.code, options: CoAPOptions(view.content))
    if !request.suppresses(response.code) { transmit(response, token: view.token) }
    drop(reason)
  }

  private mutating func receiveResponse(_ view: borrowing CoAPStreamMessageView, at now: Instant) {
    guard var operation = operations.removeValue(forKey: view.token) else {
      return drop(.coapExchangeUnknown)
    }
    do {
      let options = try CoAPOptions(view.content).recognized(configuration.recognizedOptions)
      let response = CoAPResponse(code: view.code, options: options, payload: view.payload.array())
      let step = operation.transfer.receive(response)
      take(step, of: operation, at: now)
    } catch {
      drop(error.reason)
      end(operation, with: .failed(RequestID(number: operation.number), .unacceptable(error.reason)))
    }
  }
}

extension CoAPOptionNumber {
  /// Whether the option belongs to block-wise transfer (RFC 7959, RFC 9175).
  fileprivate var isBlockwise: Bool {
    switch self {
    case .block1, .block2, .size1, .size2, .requestTag: true
    default: false
    }
  }
}
