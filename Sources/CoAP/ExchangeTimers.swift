import Wire

extension ExchangeLayer {
  /// Does what is due: acknowledgements, retransmissions, failures and forgetting.
  public mutating func timeout(at now: Instant) {
    guard let earliest, earliest <= now else { return }
    self.earliest = nil
    var position = 0
    while position < peers.count {
      sweepReceived(of: position, at: now)
      sweepOutgoing(of: position, at: now)
      if isIdle(position, at: now) { removePeer(at: position) } else { position += 1 }
    }
    trimReplies()
  }

  private func isIdle(_ position: Int, at now: Instant) -> Bool {
    let state = peers[position]
    guard state.received.isEmpty, state.outgoing.isEmpty else { return false }
    guard let lastSent = state.lastSent else { return true }
    return lastSent.advanced(by: parameters.exchangeLifetime) <= now
  }

  private mutating func sweepReceived(of position: Int, at now: Instant) {
    for index in peers[position].received.indices {
      guard let due = peers[position].received[index].acknowledgeAt else { continue }
      if due <= now { acknowledge(index, of: position) } else { schedule(due) }
    }
    peers[position].received.removeAll { message in
      guard message.expires <= now else { return false }
      replyBytes -= message.reply?.count ?? 0
      return true
    }
    if let expires = peers[position].received.map(\.expires).min() { scheduleExpiry(expires) }
    if let free = peers[position].lastSent?.advanced(by: parameters.exchangeLifetime), free > now {
      scheduleExpiry(free)
    }
  }

  private mutating func sweepOutgoing(of position: Int, at now: Instant) {
    var index = 0
    while index < peers[position].outgoing.count {
      let message = peers[position].outgoing[index]
      switch message.phase {
      case .queued: index += 1
      case .awaitingResponse(let due):
        if due <= now {
          finish(index, of: position, with: .failed(requestID(index, of: position), .noResponse), at: now)
        } else {
          schedule(due)
          if let until = message.outstandingUntil, until > now { schedule(until) }
          index += 1
        }
      case .unacknowledged(let retransmissions, let timeout, let due):
        if due > now {
          schedule(due)
          index += 1
        } else if retransmissions < parameters.retransmissions {
          retransmit(index, of: position, count: retransmissions, timeout: timeout, due: due, at: now)
          index += 1
        } else {
          let failure: ExchangeOutput<Peer> =
            message.purpose == .response
            ? .responseFailed(ExchangeID(peer: peers[position].peer, number: message.number), .timeout)
            : .failed(requestID(index, of: position), .timeout)
          finish(index, of: position, with: failure, at: now)
        }
      }
    }
    startQueued(of: position, at: now)
  }

  /// Sends a confirmable message again and doubles its timeout (RFC 7252, 4.2).
  private mutating func retransmit(
    _ index: Int, of position: Int, count: Int, timeout: Swift.Duration, due: Instant, at now: Instant
  ) {
    let message = peers[position].outgoing[index]
    let doubled = timeout * 2
    // Counted from when it was due, not from a late call; still ACK_TIMEOUT must lie between two transmissions.
    let next = max(due.advanced(by: doubled), now.advanced(by: parameters.ackTimeout))
    peers[position].outgoing[index].phase = .unacknowledged(
      retransmissions: count + 1, timeout: doubled, due: next)
    schedule(next)
    // All transmissions stay within MAX_TRANSMIT_SPAN, even if one is missed for it.
    if let first = message.firstSent, now <= first.advanced(by: parameters.maxTransmitSpan) {
      outputs.append(.transmit(message.datagram, to: peers[position].peer))
    }
  }
}
