import Envelope
import Logging
import Queue
import Wire

/// What a ``RelayEngine`` does with access lists, its own and those that other relays have stored.
extension RelayEngine {
  /// Obeys what other relays have stored and nobody told: before there was anybody to tell, or while the store was away.
  func adoptStoredLists() {
    for (name, bytes) in (try? core.store.values(withPrefix: RelayKey.accessList)) ?? [] {
      if core.adopt(accessList: name, bytes) { obey() }
    }
  }

  func accept(_ envelope: SignedEnvelope, _ peer: RelayPeer, _ ticket: RelayTicket) {
    var outcome: SubmitOutcome
    do throws(ParseError) {
      outcome = try core.accept(accessList: envelope, now: clock())
    } catch {
      core.count(error.reason)
      outcome = .refused(error.reason)
    }
    metrics.count(outcome)
    // Connections check against the new list before whoever brought it is answered.
    if case .accepted = outcome { obey() }
    replies[peer, default: []].append(.answer(ticket, outcome))
  }

  /// Tells everyone of a new list, and ends the sessions of those who are on it no more.
  func obey() {
    members.replace(core.members)
    for list in core.members.lists {
      logger.notice(
        "access list", metadata: ["epoch": "\(list.list.version.epoch)", "members": "\(list.list.entries.count)"])
    }
    for (peer, client) in clients where !core.members.mayServe(client.session, client.session.client) {
      replies[peer, default: []].append(.end(.senderRevoked))
      close(peer)
    }
    for mailbox in core.takeTold() { wake(mailbox) }
  }
}
