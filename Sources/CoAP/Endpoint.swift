import Wire

/// A CoAP endpoint over UDP, client and server at once: ``ExchangeLayer`` with block-wise transfers in both directions.
///
/// The application sees complete requests and responses only. What is to be sent, and what was received, comes out of
/// ``takeOutputs()``; the time goes in with every call, and ``timeout(at:)`` is called when ``nextTimeout`` has come.
public struct CoAPEndpoint<Peer: Hashable & Sendable>: Sendable {
  private struct Operation: Sendable {
    var id: RequestID<Peer>
    var transfer: BlockwiseTransfer
    var key: OperationKey<Peer>
    var isConfirmable: Bool
  }

  private var exchanges: ExchangeLayer<Peer>
  private var server: BlockwiseServer<Peer>
  /// By the exchange that is in flight for them.
  private var operations: [RequestID<Peer>: Operation] = [:]
  private var outputs: [ExchangeOutput<Peer>] = []

  /// `random` draws tokens, the first message IDs and the spread of timeouts.
  public init(
    configuration: ExchangeConfiguration = ExchangeConfiguration(),
    blockwise: BlockwiseConfiguration = BlockwiseConfiguration(), random: any RandomNumberGenerator & Sendable
  ) {
    exchanges = ExchangeLayer(configuration: configuration, random: random)
    server = BlockwiseServer(configuration: blockwise)
  }

  /// When to call ``timeout(at:)``; `nil` for never. It may be early, never late.
  public var nextTimeout: Instant? {
    guard let first = exchanges.nextTimeout else { return server.nextTimeout }
    return server.nextTimeout.map { min($0, first) } ?? first
  }

  /// Peers with state, and requests of this endpoint that are not over.
  public var openState: (peers: Int, operations: Int) { (exchanges.peerCount, operations.count) }

  /// What is to be done since the last call, in order.
  public mutating func takeOutputs() -> [ExchangeOutput<Peer>] {
    let taken = outputs
    outputs.removeAll()
    return taken
  }

  /// Takes a datagram; see ``ExchangeLayer/receive(_:from:at:multicast:)``.
  public mutating func receive(
    _ datagram: RawSpan, from peer: Peer, at now: Instant, multicast: Bool = false
  ) {
    exchanges.receive(datagram, from: peer, at: now, multicast: multicast)
    settle(at: now)
  }

  /// Does what is due.
  public mutating func timeout(at now: Instant) {
    exchanges.timeout(at: now)
    server.timeout(at: now)
    settle(at: now)
  }

  /// Sends a request with its whole body, in blocks where it is large. It ends once, in a complete response or a failure.
  public mutating func request(
    _ request: CoAPRequest, to peer: Peer, confirmable: Bool = true, at now: Instant
  ) -> RequestID<Peer> {
    let key = OperationKey(request, peer: peer)
    // A GET may be repeated and needs no tag; of other methods each operation has its own state at the server, also if only
    // the response is large.
    let tag = request.code == .get ? nil : freeTag(for: key)
    var transfer = BlockwiseTransfer(request, requestTag: tag, configuration: server.configuration)
    guard case .send(let first) = transfer.start() else {
      let id = RequestID(peer: peer, number: exchanges.nextNumber())
      outputs.append(.failed(id, .blockwise(.coapBlockTooLarge)))
      return id
    }
    let id = exchanges.request(first, to: peer, confirmable: confirmable, at: now)
    operations[id] = Operation(id: id, transfer: transfer, key: key, isConfirmable: confirmable)
    settle(at: now)
    return id
  }

  /// Asks whether the peer is there; see ``ExchangeLayer/ping(_:at:)``.
  public mutating func ping(_ peer: Peer, at now: Instant) -> RequestID<Peer> {
    let id = exchanges.ping(peer, at: now)
    settle(at: now)
    return id
  }

  /// Takes a request back. It fails as ``RequestFailure/cancelled`` unless it is over already.
  public mutating func cancel(_ id: RequestID<Peer>, at now: Instant) {
    let current = operations.first { $0.value.id == id }?.key ?? id
    exchanges.cancel(current, at: now)
    settle(at: now)
  }

  /// Answers a request with a complete response, which goes out in blocks where it is large. False if the exchange was
  /// answered before or has expired.
  @discardableResult
  public mutating func respond(
    to exchange: ExchangeID<Peer>, with response: CoAPResponse, at now: Instant
  ) -> Bool {
    var part = response
    if let request = exchanges.pendingRequest(exchange) {
      part = server.respond(to: request, from: exchange.peer, with: response, at: now)
    }
    let isKnown = exchanges.respond(to: exchange, with: part, at: now)
    settle(at: now)
    return isKnown
  }

  /// A Request-Tag that no operation with the same key uses; `nil` if there is none (RFC 9175, 3.5.2).
  private func freeTag(for key: OperationKey<Peer>) -> [UInt8]? {
    let others = operations.values.filter { $0.key == key }
    guard !others.isEmpty else { return nil }
    let used = Set(others.map { $0.transfer.requestTag })
    for number in UInt64(0)... {
      let tag = CoAPOption(.requestTag, uint: number).value
      if !used.contains(tag) { return tag }
    }
    return nil
  }

  /// Passes on what the exchange layer says until it says no more.
  private mutating func settle(at now: Instant) {
    while true {
      let batch = exchanges.takeOutputs()
      guard !batch.isEmpty else { return }
      for output in batch {
        switch output {
        case .request(let exchange, let request): receive(request, exchange, at: now)
        case .response(let id, let response): advance(id, response, at: now)
        case .failed(let id, let failure):
          outputs.append(.failed(operations.removeValue(forKey: id)?.id ?? id, failure))
        case .transmit, .pong, .responseFailed, .dropped: outputs.append(output)
        }
      }
    }
  }

  private mutating func receive(_ request: CoAPRequest, _ exchange: ExchangeID<Peer>, at now: Instant) {
    switch server.receive(request, from: exchange.peer, at: now) {
    case .deliver(let whole): outputs.append(.request(exchange, whole))
    case .answer(let response, let reason):
      exchanges.respond(to: exchange, with: response, at: now)
      if let reason { outputs.append(.dropped(reason, from: exchange.peer)) }
    }
  }

  private mutating func advance(_ id: RequestID<Peer>, _ response: CoAPResponse, at now: Instant) {
    guard var operation = operations.removeValue(forKey: id) else { return }
    switch operation.transfer.receive(response) {
    case .complete(let whole): outputs.append(.response(operation.id, whole))
    case .fail(let reason): outputs.append(.failed(operation.id, .blockwise(reason)))
    case .send(let next):
      let follower = exchanges.continuation(
        next, to: id.peer, confirmable: operation.isConfirmable, at: now)
      operations[follower] = operation
    }
  }
}
