import Envelope
import Queue
import Wire

extension RelayCore {
  /// Takes custody of an envelope that a session hands in, or says why not.
  ///
  /// In this order: size, structure, access list, signature, directions, class, freshness, replay, quota;
  /// then it is stored for every recipient, and only then accepted. A recipient whose mailbox is full does
  /// not keep it from the others; the sender is told by a signed report.
  public mutating func submit(_ bytes: [UInt8], session: RelaySession, now: Instant) -> SubmitOutcome {
    do throws(ParseError) {
      let envelope = try SignedEnvelope(parsing: bytes, maximumSize: limits.envelopeSize)
      if isAccessList(envelope) { return try accept(accessList: envelope, now: now) }
      let route = try admit(envelope, session: session)
      let outcome: SubmitOutcome
      do throws(StoreError) {
        outcome = try store(envelope, route, now: now)
      } catch { throw ParseError(error.reason) }
      // The queue has counted its own refusals.
      return outcome
    } catch {
      refusals.count(error.reason)
      return .refused(error.reason)
    }
  }

  /// Everything that needs no clock and no store.
  private func admit(
    _ envelope: SignedEnvelope, session: RelaySession
  ) throws(ParseError) -> AccessDirectory.Route {
    guard let directory else { throw ParseError(.queueUnavailable) }
    guard directory.party(session.client) != nil else { throw ParseError(unknown(.full(session.client))) }
    guard directory.party(envelope.header.sender) != nil else {
      throw ParseError(unknown(envelope.header.sender))
    }
    // Chunks are forwarded and never stored, which is the server's business.
    guard envelope.header.class != .stream else { throw ParseError(.unsupported) }
    let route = try directory.admit(envelope)
    // Handed in by its sender or by the gateway that hosts it.
    guard directory.mayServe(session.client, for: route.sender.address) else {
      throw ParseError(.envelopeNotAllowed)
    }
    // Whoever vouches has read it: nobody can vouch for what nobody but its recipients may read.
    if let node = route.onBehalfOf, node.class >= .confidential {
      throw ParseError(.envelopeOnBehalfOfRefused)
    }
    return route
  }

  private mutating func store(
    _ envelope: SignedEnvelope, _ route: AccessDirectory.Route, now: Instant
  ) throws(StoreError) -> SubmitOutcome {
    let header = envelope.header
    let sender = route.sender.address.opaque
    let deduplication = Deduplication(.relay, digest: envelope.contentDigest.opaque)
    do throws(ParseError) {
      try limits.freshness.check(header, arrival: now, now: now)
    } catch {
      // What was taken in time is acknowledged again even when its time is over.
      let known = try mailboxes.replayed(sender, header.sequence, deduplication) == .alreadyHeld
      refusals.count(known ? .envelopeReplay : error.reason)
      return known ? .alreadyInCustody : .refused(error.reason)
    }
    let deposit = Deposit(
      sender: sender, seq: header.sequence, topic: header.extensions.topic,
      protectionClass: header.class.rawValue, accepted: now, expires: header.expiry(arrival: now),
      receiptWanted: header.flags.contains(.receiptWanted), bytes: envelope.bytes)
    let recipients = route.recipients.map(\.address)
    let result = try transaction { (relay) throws(StoreError) -> PutResult in
      let result = try relay.mailboxes.put(
        deposit, in: recipients.map(\.mailbox), deduplication: deduplication)
      if case .held(_, let refused) = result.outcome {
        for refusal in refused { try relay.report(deposit, .rejected(refusal.reason), now: now) }
      }
      return result
    }
    switch result.outcome {
    case .held(_, let refused):
      return .accepted(recipients.filter { address in !refused.contains { $0.mailbox == address.mailbox } })
    case .alreadyHeld: return .alreadyInCustody
    case .refused(let reason): return .refused(reason)
    }
  }

  // MARK: Access lists

  /// Whether an envelope says that it is the oracle's access list for this relay.
  private func isAccessList(_ envelope: SignedEnvelope) -> Bool {
    envelope.header.contentFormat == ContentFormats.accessList
      && envelope.header.recipients.contains { $0.matches(identity.address) }
  }

  /// Obeys a new access list, which the oracle must have signed and whose epoch must be higher than the
  /// current one's.
  ///
  /// From here on removed members are refused. What they had sent, and what anyone had sent whom he may send
  /// to no more, is not delivered any more: a command that a stolen phone left for a sleeping lock must not
  /// open it. Senders that are still members and asked for a receipt are told. The mailboxes of removed
  /// members are emptied. All this is on disk, or none of it. The same list again is
  /// ``SubmitOutcome/alreadyInCustody``.
  public mutating func accept(accessList bytes: [UInt8], now: Instant) -> SubmitOutcome {
    do throws(ParseError) {
      return try accept(
        accessList: try SignedEnvelope(parsing: bytes, maximumSize: SignedEnvelope.maximumRecordSize), now: now)
    } catch {
      refusals.count(error.reason)
      return .refused(error.reason)
    }
  }

  private mutating func accept(accessList envelope: SignedEnvelope, now: Instant) throws(ParseError)
    -> SubmitOutcome
  {
    do throws(StoreError) {
      // A stored list, byte for byte the same, was checked when it was stored.
      if try mailboxes.store.value(RelayKey.accessList) == envelope.bytes { return .alreadyInCustody }
    } catch { throw ParseError(error.reason) }
    let new = try AccessDirectory.accept(
      envelope, for: identity.address, oracle: oracle, current: directory?.list.version)
    do throws(StoreError) {
      try transaction { (relay) throws(StoreError) in try relay.obey(new, envelope, now: now) }
    } catch { throw ParseError(error.reason) }
    return .accepted([identity.address])
  }

  private mutating func obey(
    _ new: AccessDirectory, _ envelope: SignedEnvelope, now: Instant
  ) throws(StoreError) {
    let old = directory
    directory = new
    removed.removeAll { new.party($0) != nil }
    var curtailed: [Address] = []
    for entry in old?.list.entries ?? [] {
      if new.party(entry.address) == nil { removed.append(entry.address) }
      let lost = entry.recipients.contains { index in
        guard let recipient = old?.list.entries[index].address else { return false }
        return !new.maySend(from: entry.address, to: recipient)
      }
      if lost { curtailed.append(entry.address) }
    }
    removed.removeFirst(max(0, removed.count - limits.removedMembers))
    try mailboxes.store.setValue(RelayKey.accessList, to: envelope.bytes)
    try mailboxes.store.setValue(RelayKey.removed, to: removed.flatMap(\.bytes))
    for sender in curtailed { try withdraw(sender, now: now) }
    for address in removed { _ = try mailboxes.removeAll(in: address.mailbox, reason: .senderRevoked) }
  }

  /// Removes what `sender` sent to whom it may not send any more.
  private mutating func withdraw(_ sender: Address, now: Instant) throws(StoreError) {
    let isMember = directory?.party(sender) != nil
    let messages = try mailboxes.remove(
      from: sender.opaque, reason: isMember ? .envelopeNotAllowed : .senderRevoked
    ) { message in
      guard let recipient = Address(message.mailbox.address) else { return true }
      return !(directory?.maySend(from: sender, to: recipient) ?? false)
    }
    for message in messages where message.receiptWanted {
      try report(message.deposit, .rejected(.envelopeNotAllowed), now: now)
    }
  }
}
