import Wire

extension CoAPStreamConnection {
  /// Sends a request with its whole body, in blocks if it is larger than the peer takes at once; before the peer's CSM it
  /// waits for that.
  ///
  /// It ends once, in a complete response or a failure. A request that wants no response of any class (No-Response 26, RFC
  /// 7967) is over when it is sent, and nothing is told of it unless it cannot be sent. With other values of No-Response,
  /// ``RequestFailure/noResponse`` may mean that all went well.
  public mutating func request(_ request: CoAPRequest, at now: Instant) -> RequestID {
    if phase != .closed { start(at: now) }
    let id = takeID()
    guard phase != .closed, !isReleased, releaseDue == nil else { return fail(id, .closed) }
    guard request.code.isRequest else { return fail(id, .notRepresentable) }
    guard operations.count + queued.count < configuration.requestsInFlight else { return fail(id, .limit) }
    if phase == .open {
      begin(request, id, at: now)
    } else {
      let due = now.advanced(by: configuration.requestTimeout)
      queued.append(Queued(number: id.number, request: request, due: due))
      schedule(due)
    }
    return id
  }

  /// Takes a request back. It fails as ``RequestFailure/cancelled`` unless it is over already.
  public mutating func cancel(_ id: RequestID, at now: Instant) {
    if let index = queued.firstIndex(where: { $0.number == id.number }) {
      queued.remove(at: index)
      _ = fail(id, .cancelled)
    } else if let operation = operations[token(of: id)], operation.number == id.number {
      hasAbandoned = true
      end(operation, with: .failed(id, .cancelled))
    }
  }

  /// Answers a request with a complete response, which goes out in blocks if it is larger than the peer takes at once, or if
  /// the peer asked for blocks.
  ///
  /// A response that the request's No-Response option excludes is not sent (RFC 7967). One that has no form on the wire, or
  /// that the peer cannot take, goes out as 5.00. False if the exchange was answered before or the connection is closed.
  @discardableResult
  public mutating func respond(to exchange: ExchangeID, with response: CoAPResponse, at now: Instant) -> Bool {
    guard phase == .open else { return false }
    guard exchange.wantsResponse else { return true }
    guard let received = exchanges.removeValue(forKey: exchange.number) else {
      drop(.coapExchangeUnknown)
      return false
    }
    if !received.request.suppresses(response.code) { answer(received, with: response, at: now) }
    settle(exchange.number)
    return true
  }

  private mutating func answer(_ received: Received, with response: CoAPResponse, at now: Instant) {
    if response.code.isResponse {
      if received.isPlain, server.openTransfers.responses == 0, transmit(response, token: received.token) { return }
      if server.carrier.reach(of: response, configuration.blockwise) != nil {
        let part = server.respond(to: received.request, from: Peer(), with: response, at: now)
        if transmit(part, token: received.token) { return }
      }
    }
    drop(.coapMessageTooLarge)
    transmit(CoAPResponse(.internalServerError), token: received.token)
  }

  /// Sends a response as it is. False if it has no form on the wire or is larger than the peer takes.
  @discardableResult
  mutating func transmit(_ response: CoAPResponse, token: CoAPToken) -> Bool {
    transmit(
      CoAPStreamMessage(
        code: response.code, token: token, options: response.options, payload: response.payload))
  }

  /// Sends a message unless it has no form on the wire or is larger than the peer takes.
  private mutating func transmit(_ message: CoAPStreamMessage) -> Bool {
    guard message.encodedLength(configuration.framing) <= Int(capabilities.maximumMessageSize),
      let frame = try? message.encoded(configuration.framing)
    else { return false }
    outputs.append(.transmit(frame))
    return true
  }

  /// An exchange is answered: pongs that waited for it may go.
  private mutating func settle(_ number: UInt64) {
    if !delayedPongs.isEmpty {
      for index in delayedPongs.indices where number <= delayedPongs[index].last {
        delayedPongs[index].outstanding -= 1
      }
      while let first = delayedPongs.first, first.outstanding <= 0 {
        delayedPongs.removeFirst()
        transmit(.pong(custody: true), token: first.token)
      }
    }
    closeIfSettled()
  }

  // MARK: Requests

  /// A name whose token no other request in flight has.
  private mutating func takeID() -> RequestID {
    while true {
      let id = RequestID(number: nextNumber())
      if operations[token(of: id)] == nil { return id }
    }
  }

  func token(of id: RequestID) -> CoAPToken {
    CoAPToken(value: UInt64(firstToken &+ UInt32(truncatingIfNeeded: id.number)), count: 4)
  }

  /// Sends the requests that waited for the peer's CSM.
  mutating func beginQueued(at now: Instant) {
    let waiting = queued
    queued = []
    for first in waiting { begin(first.request, RequestID(number: first.number), at: now) }
  }

  /// Whether a response that this end would accept may be too large for one message: then requests under way at once are
  /// told apart by Request-Tag, although they are small (RFC 9175, 3.5.2). A GET may be repeated and needs none.
  private var collectsResponses: Bool {
    configuration.maximumMessageSize < configuration.blockwise.maximumResponseBody
  }

  private mutating func begin(_ request: CoAPRequest, _ id: RequestID, at now: Instant) {
    let whole = CoAPStreamMessage(
      code: request.code, token: token(of: id), options: request.options, payload: request.payload)
    let fits = whole.encodedLength(configuration.framing) <= Int(capabilities.maximumMessageSize)
    var request = request
    let isSilent = !request.wantsResponse
    if fits, isSilent {
      if !transmit(whole) { _ = fail(id, .notRepresentable) }
      return
    }
    if !fits {
      // Every block but the last would go unanswered.
      request.options.remove(.noResponse)
    }
    if !fits || collectsResponses, request.code != .get, hasAbandoned || !operations.isEmpty {
      request.requestTag = CoAPOption(.requestTag, uint: id.number).value
    }
    var reach = server.carrier.reach(of: request, configuration.blockwise)
    if fits {
      // The estimate is a little low.
      var exact = reach ?? BlockwiseReach(whole: 0, szx: 0)
      exact.whole = max(exact.whole, request.payload.count)
      reach = exact
    }
    guard let reach else {
      _ = fail(id, .limit)
      return
    }
    let transfer = BlockwiseTransfer(
      request, over: server.carrier, reach: reach, configuration: configuration.blockwise)
    var operation = Operation(number: id.number, transfer: transfer, due: now, isSilent: isSilent)
    let step = operation.transfer.start()
    take(step, of: operation, at: now)
  }

  /// Does the next step of a request.
  mutating func take(_ step: BlockwiseTransfer.Step, of operation: Operation, at now: Instant) {
    let id = RequestID(number: operation.number)
    switch step {
    case .complete(let response): end(operation, with: .response(id, response))
    case .fail(let reason): end(operation, with: .failed(id, .blockwise(reason)))
    case .send(let request):
      let token = token(of: id)
      let message = CoAPStreamMessage(
        code: request.code, token: token, options: request.options, payload: request.payload)
      guard message.encodedLength(configuration.framing) <= Int(capabilities.maximumMessageSize) else {
        return end(operation, with: .failed(id, .limit))
      }
      guard transmit(message) else { return end(operation, with: .failed(id, .notRepresentable)) }
      var operation = operation
      operation.due = now.advanced(by: configuration.requestTimeout)
      operations[token] = operation
      schedule(operation.due)
    }
  }

  /// A request is over.
  mutating func end(_ operation: Operation, with output: Output) {
    operations[token(of: RequestID(number: operation.number))] = nil
    if !operation.isSilent { outputs.append(output) }
    closeIfSettled()
  }

  private mutating func fail(_ id: RequestID, _ failure: RequestFailure) -> RequestID {
    outputs.append(.failed(id, failure))
    return id
  }
}

extension CoAPRequest {
  /// Whether No-Response leaves a class of responses that it wants (RFC 7967, 2.1).
  var wantsResponse: Bool {
    guard let noResponse else { return true }
    return noResponse & 26 != 26
  }
}
