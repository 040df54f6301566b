import Envelope
import Queue
import Wire

extension Gateway {
  /// Name of the stored value: the envelope of the peer record that is obeyed.
  static var peerRecordKey: String { "gateway.peer-record" }

  /// A new peer record: from now on, and after a restart, it is what counts.
  ///
  /// Held commands that it does not allow any more are not handed out: what a stolen phone left for a sleeping lock must
  /// not open it. Their senders are told, if they are still members.
  mutating func obey(_ envelope: SignedEnvelope, now: Instant) throws(ParseError) -> [GatewayEvent] {
    let stored: [UInt8]?
    do { stored = try mailboxes.store.value(Self.peerRecordKey) } catch { throw ParseError(error.reason) }
    // It was taken, and the relay did not learn that.
    guard stored != envelope.bytes else { throw ParseError(.envelopeReplay) }
    let new = try PeerDirectory.accept(
      envelope, for: identity, oracle: oracle, current: directory.record.version)
    let queues = nodes.map { queue(of: $0) }
    var sequence = sequence
    let (identity, limits, outbox, oracle) = (identity, limits, outbox, oracle.address.bytes32)
    let withdrawn: [(message: HeldMessage, reason: DropReason)]
    do throws(StoreError) {
      withdrawn = try mailboxes.transaction { (mailboxes) throws(StoreError) in
        try mailboxes.store.setValue(Self.peerRecordKey, to: envelope.bytes)
        var withdrawn: [(message: HeldMessage, reason: DropReason)] = []
        for queue in queues {
          for message in try mailboxes.list(queue) where message.sender != oracle {
            guard let reason = Self.refusal(of: message, under: new, host: identity.address) else { continue }
            try mailboxes.confirm(message.number, in: queue)
            withdrawn.append((message, reason))
            guard let sender = Address(message.sender).flatMap({ new.member($0) }),
              let held = try? SignedEnvelope(parsing: message.bytes, maximumSize: .max),
              let receipt = Self.receipt(
                .rejected(reason), for: held, to: sender, from: identity, sequence: try sequence.next(),
                lifetime: limits.receiptLifetime, now: now)
            else { continue }
            _ = try mailboxes.put(receipt.deposit(from: identity.address, accepted: now), in: outbox)
          }
        }
        return withdrawn
      }
    } catch { throw ParseError(error.reason) }
    self.sequence = sequence
    let events = withdrawn.map { GatewayEvent.displaced(command($0.message), $0.reason) }
    for (_, reason) in withdrawn { refusals.count(reason) }
    directory = new
    forgetRemovedNodes()
    return [.peerRecord(epoch: new.record.version.epoch)] + events
  }

  /// Why a held command must not be handed out under `directory`; `nil` if it may.
  private static func refusal(of message: HeldMessage, under directory: PeerDirectory, host: Address) -> DropReason? {
    guard let sender = Address(message.sender), directory.member(sender) != nil else { return .senderRevoked }
    guard let node = Address(message.mailbox.address).flatMap({ directory.member($0) }), node.gateway == host else {
      return .envelopeNotForUs
    }
    return node.commanders.contains(sender) ? nil : .envelopeNotAllowed
  }
}
