import Wire

/// The parameters of message transmission (RFC 7252, 4.8) and what derives from them.
public struct TransmissionParameters: Sendable, Hashable {
  /// ACK_TIMEOUT: the least time before the first retransmission.
  public var ackTimeout: Swift.Duration = .seconds(2)
  /// ACK_RANDOM_FACTOR, 1.0 or more: the first timeout is drawn from `ackTimeout` to this multiple of it.
  public var ackRandomFactor: Double = 1.5
  /// MAX_RETRANSMIT, taken as 0 to 16.
  public var maxRetransmit: Int = 4
  /// NSTART, 1 or more: interactions outstanding towards one peer.
  public var nStart: Int = 1
  /// PROBING_RATE: bytes a second towards a peer that does not answer.
  public var probingRate: Int = 1
  /// MAX_LATENCY: the longest time that a datagram is taken to travel.
  public var maxLatency: Swift.Duration = .seconds(100)
  /// PROCESSING_DELAY; `nil` stands for `ackTimeout`, as in the RFC.
  public var processingDelay: Swift.Duration?

  public init() {}

  private var attempts: Int { min(max(maxRetransmit, 0), 16) }

  private func span(_ doublings: Int) -> Swift.Duration {
    .microseconds(Double(ackTimeout.wholeMicroseconds) * Double(1 << doublings - 1) * max(1, ackRandomFactor))
  }

  /// MAX_TRANSMIT_SPAN: from the first transmission to the last.
  public var maxTransmitSpan: Swift.Duration { span(attempts) }
  /// MAX_TRANSMIT_WAIT: from the first transmission until the sender gives up.
  public var maxTransmitWait: Swift.Duration { span(attempts + 1) }
  /// MAX_RTT.
  public var maxRTT: Swift.Duration { maxLatency * 2 + (processingDelay ?? ackTimeout) }
  /// EXCHANGE_LIFETIME: for how long the message ID of a confirmable message is taken.
  public var exchangeLifetime: Swift.Duration { maxTransmitSpan + maxRTT }
  /// NON_LIFETIME: the same for a non-confirmable one.
  public var nonLifetime: Swift.Duration { maxTransmitSpan + maxLatency }

  /// Retransmissions that are made, whatever ``maxRetransmit`` says.
  var retransmissions: Int { attempts }

  /// The first timeout of a confirmable message, drawn at random (4.2).
  func initialTimeout(using random: inout some RandomNumberGenerator) -> Swift.Duration {
    let least = max(1, ackTimeout.wholeMicroseconds)
    let most = max(least, Int64(Double(least) * max(1, ackRandomFactor)))
    return .microseconds(Int64.random(in: least...most, using: &random))
  }
}

/// What an exchange layer keeps at most. All bounds are on memory; none can be exceeded by any input.
public struct ExchangeLimits: Sendable, Hashable {
  /// Peers with state.
  public var peers = 1024
  /// Received messages remembered for each peer. With more, the oldest answered one is forgotten and a duplicate of it
  /// would be processed again; with so many unanswered requests, new ones are dropped.
  public var receivedPerPeer = 64
  /// Requests sent or waiting to be sent to one peer.
  public var requestsPerPeer = 32
  /// The same over all peers.
  public var requests = 4096
  /// Bytes of replies kept to answer duplicates, over all peers.
  public var replyBytes = 1 << 20

  public init() {}
}

/// How an exchange layer behaves.
public struct ExchangeConfiguration: Sendable, Hashable {
  public var parameters = TransmissionParameters()
  public var limits = ExchangeLimits()
  /// The options that this endpoint understands; other critical ones are refused (RFC 7252, 5.4.1).
  ///
  /// By default all known but those of proxies, OSCORE and EDHOC.
  public var recognizedOptions: Set<CoAPOptionNumber> = Set(CoAPOptionNumber.known)
    .subtracting([.proxyUri, .proxyScheme, .oscore, .edhoc])
  /// How long a confirmable request may wait for its response before it is acknowledged alone; under ACK_TIMEOUT.
  public var acknowledgementDelay: Swift.Duration = .milliseconds(500)
  /// How long a response is awaited after the request was acknowledged, or was sent non-confirmable.
  public var responseTimeout: Swift.Duration = .seconds(247)
  /// Bytes of random token on requests, 1 to 8 (RFC 7252, 5.3.1).
  public var tokenLength = 4

  public init() {}
}
