import Envelope
import Queue
import Wire

/// Whether a receiver has taken custody of what a relay delivered.
public enum Custody: Sendable, Equatable {
  /// It is on disk, or was before: the relay may forget it.
  case taken
  /// It will never be taken: the relay gives up and tells the sender.
  case refused(DropReason)
  /// Not now: the relay keeps it and tries again.
  case later(DropReason)
}

extension Gateway {
  /// Takes an envelope that the relay delivers: commands for hosted nodes, and peer records for the gateway itself.
  ///
  /// The gateway checks everything itself: the relay's word counts for nothing.
  public mutating func deliver(_ bytes: [UInt8], now: Instant) -> (custody: Custody, events: [GatewayEvent]) {
    var refusal = Refusal(reason: .envelopeStructure, kind: .envelope, size: bytes.count)
    do throws(ParseError) {
      return (.taken, try accept(bytes, refusal: &refusal, now: now))
    } catch {
      refusal.reason = error.reason
      refusals.count(error.reason)
      let events: [GatewayEvent] = [.downlinkRefused(refusal)]
      switch error.reason {
      case .envelopeReplay: return (.taken, events)
      case .queueUnavailable: return (.later(error.reason), events)
      default: return (.refused(error.reason), events)
      }
    }
  }

  private mutating func accept(
    _ bytes: [UInt8], refusal: inout Refusal, now: Instant
  ) throws(ParseError) -> [GatewayEvent] {
    let envelope = try SignedEnvelope(parsing: bytes, maximumSize: limits.maximumEnvelope)
    let header = envelope.header
    refusal.sequence = header.sequence
    if header.sender.matches(oracle.address), header.recipients.contains(where: { $0.matches(identity.address) }) {
      return try obey(envelope, now: now)
    }
    let sender = try directory.verifiedSender(of: envelope)
    refusal.claimed = sender.name
    let deduplication = Deduplication(.downlink, digest: envelope.contentDigest.bytes32)
    try refuseReplay(of: header, from: sender, deduplication)
    try Freshness(skew: limits.clockSkew).check(header, arrival: now, now: now)
    guard header.class != .stream else { throw ParseError(.envelopeClassReserved) }
    let recipients = try directory.recipients(header.recipients).filter { $0.gateway == identity.address }
    guard !recipients.isEmpty else { throw ParseError(.envelopeNotForUs) }
    // The oracle tells each member its record.
    let isRecord = sender.address == oracle.address && header.class == .confidential
    for node in recipients {
      guard isRecord || node.commanders.contains(sender.address) else { throw ParseError(.envelopeNotAllowed) }
      guard envelope.satisfies(max(node.class, sender.class)) else { throw ParseError(.envelopeClassTooWeak) }
    }
    return try hold(envelope, from: sender, for: recipients, deduplication, now: now)
  }

  private mutating func hold(
    _ envelope: SignedEnvelope, from sender: Member, for nodes: [Member], _ deduplication: Deduplication,
    now: Instant
  ) throws(ParseError) -> [GatewayEvent] {
    let queues = nodes.map { queue(of: $0) }
    let deposit = envelope.deposit(from: sender.address, accepted: now)
    let result: PutResult
    do { result = try mailboxes.put(deposit, in: queues, deduplication: deduplication) } catch {
      throw ParseError(error.reason)
    }
    var events: [GatewayEvent] = result.displaced.map { .displaced(command($0.message), $0.reason) }
    switch result.outcome {
    case .alreadyHeld: throw ParseError(.envelopeReplay)
    case .refused(let reason): throw ParseError(reason)
    case .held(let numbers, let refused):
      for (node, number) in zip(nodes, numbers) {
        guard let number else { continue }
        events.append(
          .commandHeld(
            HeldCommand(
              node: node.name, number: number, from: sender.name, sequence: envelope.header.sequence,
              size: envelope.bytes.count)))
      }
      for refusal in refused {
        events.append(
          .downlinkRefused(
            Refusal(
              reason: refusal.reason, claimed: sender.name, radio: name(refusal.mailbox.address), kind: .envelope,
              size: envelope.bytes.count, sequence: envelope.header.sequence)))
      }
    }
    return events
  }

  private func refuseReplay(
    of header: EnvelopeHeader, from sender: Member, _ deduplication: Deduplication
  ) throws(ParseError) {
    let outcome: PutOutcome?
    do { outcome = try mailboxes.replayed(sender.address.bytes32, header.sequence, deduplication) } catch {
      throw ParseError(error.reason)
    }
    if let reason = outcome?.refusal { throw ParseError(reason) }
  }
}
