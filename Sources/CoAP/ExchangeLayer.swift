import Wire

/// Messages and request/response matching over UDP (RFC 7252, 4 and 5.2 to 5.3), towards any number of peers.
///
/// A peer is what a datagram comes from and goes to: address and port. Bytes and the time come in through
/// ``receive(_:from:at:multicast:)``, ``request(_:to:confirmable:at:)``, ``respond(to:with:at:)`` and ``timeout(at:)``; what is
/// to be done comes out of ``takeOutputs()``. Every request ends in one of response, pong or failure, once. Every received
/// message is passed on once within EXCHANGE_LIFETIME, as far as ``ExchangeLimits`` allow; a duplicate of a confirmable one
/// is answered with the same bytes again.
public struct ExchangeLayer<Peer: Hashable & Sendable>: Sendable {
  public let configuration: ExchangeConfiguration
  var random: any RandomNumberGenerator & Sendable
  var peers: [PeerState<Peer>] = []
  var positions: [Peer: Int] = [:]
  var outputs: [ExchangeOutput<Peer>] = []
  /// No deadline is before this.
  var earliest: Instant?
  var lastNumber: UInt64 = 0
  /// Requests and pings over all peers.
  var requestCount = 0
  /// Bytes of replies kept over all peers.
  var replyBytes = 0

  /// `random` draws tokens, the first message IDs and the spread of timeouts.
  public init(
    configuration: ExchangeConfiguration = ExchangeConfiguration(),
    random: any RandomNumberGenerator & Sendable
  ) {
    self.configuration = configuration
    self.random = random
  }

  var parameters: TransmissionParameters { configuration.parameters }
  var limits: ExchangeLimits { configuration.limits }

  /// When to call ``timeout(at:)``; `nil` for never. It may be early, never late.
  public var nextTimeout: Instant? { earliest }

  /// How many peers have state.
  public var peerCount: Int { peers.count }

  /// What is to be done since the last call, in order.
  public mutating func takeOutputs() -> [ExchangeOutput<Peer>] {
    let taken = outputs
    outputs.removeAll()
    return taken
  }

  /// The request of an exchange that is still to be answered, without its payload; `nil` after the response or
  /// EXCHANGE_LIFETIME.
  public func pendingRequest(_ exchange: ExchangeID<Peer>) -> CoAPRequest? {
    guard let position = positions[exchange.peer] else { return nil }
    return peers[position].received.first { $0.pending?.number == exchange.number }?.pending?.request
  }

  // MARK: Peers

  func position(of peer: Peer) -> Int? { positions[peer] }

  /// The state of `peer`, made if there is none; `nil` if there is no room.
  mutating func admit(_ peer: Peer, at now: Instant) -> Int? {
    if let position = positions[peer] {
      peers[position].lastActivity = now
      return position
    }
    if peers.count >= limits.peers {
      let dispensable = peers.indices.filter { peers[$0].isDispensable }
      guard let oldest = dispensable.min(by: { peers[$0].lastActivity < peers[$1].lastActivity }) else {
        return nil
      }
      removePeer(at: oldest)
    }
    positions[peer] = peers.count
    peers.append(PeerState(peer: peer, lastActivity: now))
    return peers.count - 1
  }

  /// Removes a peer without outgoing messages.
  mutating func removePeer(at position: Int) {
    for message in peers[position].received { replyBytes -= message.reply?.count ?? 0 }
    positions[peers[position].peer] = nil
    let last = peers.removeLast()
    if position < peers.count {
      peers[position] = last
      positions[last.peer] = position
    }
  }

  // MARK: Received messages

  /// Remembers a message. False if the peer has too many unanswered requests.
  mutating func remember(_ message: ReceivedMessage, of position: Int) -> Bool {
    if peers[position].received.count >= limits.receivedPerPeer {
      guard let oldest = peers[position].received.firstIndex(where: { $0.pending == nil }) else {
        return false
      }
      replyBytes -= peers[position].received[oldest].reply?.count ?? 0
      peers[position].received.remove(at: oldest)
    }
    peers[position].received.append(message)
    replyBytes += message.reply?.count ?? 0
    scheduleExpiry(message.expires)
    if let acknowledgeAt = message.acknowledgeAt { schedule(acknowledgeAt) }
    return true
  }

  /// Keeps the reply to a received message and sends it.
  mutating func reply(_ datagram: [UInt8], to index: Int, of position: Int) {
    replyBytes += datagram.count - (peers[position].received[index].reply?.count ?? 0)
    peers[position].received[index].reply = datagram
    peers[position].received[index].acknowledgeAt = nil
    outputs.append(.transmit(datagram, to: peers[position].peer))
  }

  /// Forgets answered messages, of the peer that was silent longest first, until the replies fit.
  mutating func trimReplies() {
    while replyBytes > limits.replyBytes {
      let holders = peers.indices.filter {
        peers[$0].received.contains { $0.pending == nil && $0.reply != nil }
      }
      guard let victim = holders.min(by: { peers[$0].lastActivity < peers[$1].lastActivity }),
        let index = peers[victim].received.firstIndex(where: { $0.pending == nil && $0.reply != nil })
      else { return }
      replyBytes -= peers[victim].received[index].reply?.count ?? 0
      peers[victim].received.remove(at: index)
    }
  }

  // MARK: Time

  mutating func schedule(_ deadline: Instant) { earliest = earliest.map { min($0, deadline) } ?? deadline }

  /// Schedules what needs no precision, so that many such deadlines fall together.
  mutating func scheduleExpiry(_ deadline: Instant) {
    let step: Int64 = 8_000_000
    schedule(Instant(microseconds: (deadline.microseconds / step &+ 1) &* step))
  }

  mutating func drop(_ reason: DropReason, from peer: Peer) { outputs.append(.dropped(reason, from: peer)) }

  mutating func nextNumber() -> UInt64 {
    lastNumber += 1
    return lastNumber
  }
}
