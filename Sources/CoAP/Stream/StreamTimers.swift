import Wire

extension CoAPStreamConnection {
  /// When to call ``timeout(at:)``; `nil` for never. It may be early, never late.
  public var nextTimeout: Instant? {
    var next: Instant?
    func consider(_ deadline: Instant?) {
      guard let deadline else { return }
      next = next.map { min($0, deadline) } ?? deadline
    }
    switch phase {
    case .new, .closed: return nil
    case .waiting(let until): consider(until)
    case .open: consider(pongDue ?? pingDue)
    }
    consider(earliest)
    consider(releaseDue)
    consider(server.nextTimeout)
    return next
  }

  /// When a silent peer is pinged.
  private var pingDue: Instant? {
    configuration.pingInterval.map { lastReceived.advanced(by: $0) }
  }

  /// Does what is due: failures, pings, forgetting and closing.
  public mutating func timeout(at now: Instant) {
    server.timeout(at: now)
    switch phase {
    case .new, .closed: return
    case .waiting(let until):
      if until <= now { return abort(.coapCapabilitiesMissing, badOption: nil) }
    case .open: break
    }
    if let earliest, earliest <= now { sweepRequests(at: now) }
    // What timed out may have been the last that kept the connection.
    guard phase != .closed else { return }
    if let releaseDue, releaseDue <= now {
      finish()
      return outputs.append(.close(nil))
    }
    guard phase == .open else { return }
    if let pongDue {
      guard pongDue <= now else { return }
      finish()
      outputs.append(.close(.coapPeerSilent))
    } else if let pingDue, pingDue <= now {
      giveBackMemory()
      ping(at: now)
    }
  }

  mutating func schedule(_ deadline: Instant) { earliest = earliest.map { min($0, deadline) } ?? deadline }

  private mutating func sweepRequests(at now: Instant) {
    earliest = nil
    for operation in operations.values where operation.due > now { schedule(operation.due) }
    for request in queued where request.due > now { schedule(request.due) }
    for request in queued where request.due <= now && request.request.wantsResponse {
      outputs.append(.failed(RequestID(number: request.number), .noResponse))
    }
    queued.removeAll { $0.due <= now }
    let late = operations.values.filter { $0.due <= now }.sorted { $0.number < $1.number }
    if !late.isEmpty { hasAbandoned = true }
    for operation in late where phase != .closed {
      end(operation, with: .failed(RequestID(number: operation.number), .noResponse))
    }
  }

  /// Keeps nothing of what it once needed: for a connection that was silent for long, or will be.
  public mutating func giveBackMemory() {
    if operations.isEmpty { operations = [:] }
    if exchanges.isEmpty { exchanges = [:] }
    if outputs.isEmpty { outputs = [] }
  }
}
