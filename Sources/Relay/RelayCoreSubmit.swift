import Envelope
import Queue
import Wire

/// What a group of envelopes brought: the answers, and what is to be delivered.
public struct CommitResult: Sendable {
  /// In the order of the envelopes.
  public var outcomes: [SubmitOutcome] = []
  /// What was put into mailboxes, but for the relay's own reports, each mailbox's in order.
  public var arrivals: [HeldMessage] = []
}

extension RelayCore {
  /// Takes custody of an envelope that a session hands in, or says why not.
  ///
  /// In this order: size, structure, access list, signature, directions, class, freshness, replay, quota;
  /// then it is stored for every recipient, and only then accepted. A recipient whose mailbox is full does
  /// not keep it from the others; the sender is told by a signed report.
  public mutating func submit(_ bytes: [UInt8], session: RelaySession, now: Instant) -> SubmitOutcome {
    do throws(ParseError) {
      switch try members.admit(bytes, session: session) {
      case .accessList(let envelope): return try accept(accessList: envelope, now: now)
      case .envelope(let admitted): return commit([admitted], now: now).outcomes[0]
      }
    } catch {
      refusals.count(error.reason)
      return .refused(error.reason)
    }
  }

  /// Takes custody of a group of admitted envelopes, at one sync of the disk or one round trip to the cluster.
  ///
  /// No outcome may leave before this returns. If the store fails, each is refused with ``DropReason/queueUnavailable``; if
  /// it is full, as many are stored as there is room for.
  public mutating func commit(_ group: [RelayDirectory.Admitted], now: Instant) -> CommitResult {
    var result = CommitResult()
    result.outcomes = Array(repeating: .refused(.queueUnavailable), count: group.count)
    do throws(StoreError) {
      try reserve(group.count)
      // If the transaction is undone, so is what it counted.
      let counted = refusals
      do throws(StoreError) {
        try transaction { (self) throws(StoreError) in try self.commit(group, now: now, &result) }
      } catch {
        refusals = counted
        throw error
      }
    } catch {
      if error.kind == .full, group.count > 1 {
        // There may be room for some of it.
        var halves = commit(Array(group[..<(group.count / 2)]), now: now)
        let second = commit(Array(group[(group.count / 2)...]), now: now)
        halves.outcomes += second.outcomes
        halves.arrivals += second.arrivals
        return halves
      }
      result = CommitResult(outcomes: Array(repeating: .refused(error.reason), count: group.count))
      for _ in group { refusals.count(error.reason) }
    }
    return result
  }

  private mutating func commit(
    _ group: [RelayDirectory.Admitted], now: Instant, _ result: inout CommitResult
  ) throws(StoreError) {
    var deposits: [RelayDeposit] = []
    var indexes: [Int] = []
    deposits.reserveCapacity(group.count)
    indexes.reserveCapacity(group.count)
    for (index, admitted) in group.enumerated() {
      do throws(ParseError) {
        let current =
          admitted.generation == members.generation
          ? admitted : try members.admit(admitted.envelope, client: admitted.client)
        guard let deposit = try deposit(current, now: now, &result.outcomes[index]) else { continue }
        deposits.append(deposit)
        indexes.append(index)
      } catch {
        refusals.count(error.reason)
        result.outcomes[index] = .refused(error.reason)
      }
    }
    guard !deposits.isEmpty else { return }
    let outcomes = try store.put(deposits)
    for ((index, item), outcome) in zip(zip(indexes, deposits), outcomes) {
      switch outcome {
      case .held(let numbers, let refused):
        for (mailbox, number) in zip(item.mailboxes, numbers) {
          guard let number else { continue }
          result.arrivals.append(HeldMessage(mailbox: mailbox, number: number, deposit: item.deposit))
        }
        for refusal in refused { try report(item.deposit, .rejected(refusal.reason), now: now) }
        result.outcomes[index] = .accepted(
          item.mailboxes.compactMap { mailbox in
            refused.contains { $0.mailbox == mailbox } ? nil : Address(mailbox.address)
          })
      case .alreadyHeld: result.outcomes[index] = .alreadyInCustody
      // The queue has counted its own refusals.
      case .refused(let reason): result.outcomes[index] = .refused(reason)
      }
    }
  }

  /// What the store must know of an envelope; `nil` if the outcome is known without it.
  private mutating func deposit(
    _ admitted: RelayDirectory.Admitted, now: Instant, _ outcome: inout SubmitOutcome
  ) throws(ParseError) -> RelayDeposit? {
    let (envelope, route) = (admitted.envelope, admitted.route)
    let header = envelope.header
    // Chunks are forwarded and never stored, which is the server's business.
    guard header.class != .stream else { throw ParseError(.unsupported) }
    let sender = route.sender.address.opaque
    let deduplication = Deduplication(.relay, digest: envelope.contentDigest.opaque)
    do throws(ParseError) {
      try limits.freshness.check(header, arrival: now, now: now)
    } catch {
      // What was taken in time is acknowledged again even when its time is over.
      var known = false
      do throws(StoreError) {
        known = try store.replayed(sender, header.sequence, deduplication) == .alreadyHeld
      } catch { throw ParseError(error.reason) }
      refusals.count(known ? .envelopeReplay : error.reason)
      outcome = known ? .alreadyInCustody : .refused(error.reason)
      return nil
    }
    return RelayDeposit(
      Deposit(
        sender: sender, seq: header.sequence, topic: header.extensions.topic,
        protectionClass: header.class.rawValue, accepted: now, expires: header.expiry(arrival: now),
        receiptWanted: header.flags.contains(.receiptWanted), bytes: envelope.bytes),
      in: route.recipients.map(\.address.mailbox), deduplication: deduplication)
  }

  // MARK: Access lists

  /// Obeys a new access list, which its oracle must have signed and whose epoch must be higher than the
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

  /// The same for an envelope that ``RelayDirectory/admit(_:session:)`` has found to hold a list.
  public mutating func accept(accessList envelope: SignedEnvelope, now: Instant) throws(ParseError) -> SubmitOutcome {
    guard let position = members.groups.firstIndex(where: { envelope.header.sender.matches($0.oracle.address) }) else {
      throw ParseError(.peerRecordNotFromOracle)
    }
    let group = members.groups[position]
    let name = RelayKey.accessList(group.oracle.address)
    do throws(StoreError) {
      // A stored list, byte for byte the same, was checked when it was stored; if it is not the one that is obeyed, storing
      // it had seemed to fail.
      if try store.values(withPrefix: name).first?.value == envelope.bytes,
        let version = group.access?.list.version, let content = envelope.readableContent,
        (try? AccessList(parsing: content.bytes))?.version == version
      {
        return .alreadyInCustody
      }
    } catch { throw ParseError(error.reason) }
    let new = try AccessDirectory.accept(envelope, for: identity.address, oracle: group.oracle, current: nil)
    // The list that is obeyed, signed once more.
    if new.list == group.access?.list { return .alreadyInCustody }
    try new.list.version.checkNewer(than: group.access?.list.version)
    let before = members
    do throws(StoreError) {
      try reserve(limits.reportsAtOnce)
      try transaction { (self) throws(StoreError) in try self.obey(new, envelope, position, now: now) }
    } catch {
      members = before
      throw ParseError(error.reason)
    }
    return .accepted([identity.address])
  }

  /// Obeys a list that another relay of the cluster has stored. False if it is not newer, or not the oracle's.
  public mutating func adopt(accessList name: String, _ bytes: [UInt8]) -> Bool {
    guard name.hasPrefix(RelayKey.accessList),
      let position = Address(hex: name.dropFirst(RelayKey.accessList.count)).flatMap(members.position(ofOracle:)),
      let envelope = try? SignedEnvelope(parsing: bytes, maximumSize: .max),
      let access = try? AccessDirectory.accept(
        envelope, for: identity.address, oracle: members.groups[position].oracle,
        current: members.groups[position].access?.list.version)
    else { return false }
    replace(position, with: access)
    return true
  }

  /// Whom the new list has removed; and those whom it lets send to fewer.
  @discardableResult
  private mutating func replace(_ position: Int, with new: AccessDirectory) -> (
    removed: [Address], curtailed: [Address]
  ) {
    let old = members.groups[position].access
    var removed = members.groups[position].removed.filter { new.party($0) == nil }
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
    members.update(position) { group in
      group.access = new
      group.removed = removed
    }
    return (removed, curtailed)
  }

  private mutating func obey(
    _ new: AccessDirectory, _ envelope: SignedEnvelope, _ position: Int, now: Instant
  ) throws(StoreError) {
    let oracle = members.groups[position].oracle.address
    let (removed, curtailed) = replace(position, with: new)
    try store.setValue(RelayKey.accessList(oracle), to: envelope.bytes)
    try store.setValue(RelayKey.removed(oracle), to: removed.flatMap(\.bytes))
    for sender in curtailed { try withdraw(sender, now: now) }
    for address in removed { try store.removeAll(in: address.mailbox, reason: .senderRevoked) }
  }

  /// Removes what `sender` sent to whom it may not send any more.
  private mutating func withdraw(_ sender: Address, now: Instant) throws(StoreError) {
    let members = members
    let isMember = members.access(of: sender) != nil
    let messages = try store.remove(
      from: sender.opaque, reason: isMember ? .envelopeNotAllowed : .senderRevoked
    ) { message in
      guard let recipient = Address(message.mailbox.address) else { return true }
      return !members.mayDeliver(from: sender, to: recipient)
    }
    for message in messages where message.receiptWanted {
      try report(message.deposit, .rejected(.envelopeNotAllowed), now: now)
    }
  }
}
