import Wire

/// A request received, to be answered with it: see ``ExchangeLayer/respond(to:with:at:)``.
public struct ExchangeID<Peer: Hashable & Sendable>: Hashable, Sendable {
  /// Who asked.
  public let peer: Peer
  let number: UInt64
}

/// A request sent, which completes or fails under this name once.
public struct RequestID<Peer: Hashable & Sendable>: Hashable, Sendable {
  /// Who is asked.
  public let peer: Peer
  let number: UInt64
}

extension RequestID {
  /// The name of a request of a layer above, which may take several exchanges. No request of an endpoint has it.
  public init(layered number: UInt32, peer: Peer) {
    self.init(peer: peer, number: 1 << 63 | UInt64(number))
  }
}

/// Why a request has no response.
public enum RequestFailure: Error, Hashable, Sendable {
  /// No acknowledgement after all retransmissions.
  case timeout
  /// Acknowledged, or sent non-confirmable or over a reliable transport, and not answered in time.
  case noResponse
  /// The peer sent a reset: it lacks the context to answer.
  case reset
  /// ``ExchangeLimits`` leave no room for it, or ``CoAPStreamConfiguration/requestsInFlight``, or the peer's
  /// Max-Message-Size.
  case limit
  /// The request has no form on the wire.
  case notRepresentable
  /// The application took it back.
  case cancelled
  /// A block-wise transfer that cannot be completed: ``DropReason/coapBlockOutOfOrder`` or
  /// ``DropReason/coapBlockTooLarge``.
  case blockwise(DropReason)
  /// The response has a critical option that this end does not understand.
  case unacceptable(DropReason)
  /// The connection is closed or closing, with the request unanswered.
  case closed
}

/// What an exchange layer wants done, in order.
public enum ExchangeOutput<Peer: Hashable & Sendable>: Sendable {
  /// Send these bytes as one datagram.
  case transmit([UInt8], to: Peer)
  /// A new request, with the options that this endpoint understands.
  case request(ExchangeID<Peer>, CoAPRequest)
  /// The response to a request sent. Its request is over.
  case response(RequestID<Peer>, CoAPResponse)
  /// The answer to a ping. The ping is over.
  case pong(RequestID<Peer>)
  /// A request or a ping without an answer. It is over.
  case failed(RequestID<Peer>, RequestFailure)
  /// A separate response that was not acknowledged.
  case responseFailed(ExchangeID<Peer>, RequestFailure)
  /// A message that was not processed. Duplicates are among them.
  case dropped(DropReason, from: Peer)
}
