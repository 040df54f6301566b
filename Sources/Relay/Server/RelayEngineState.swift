import Queue
import Wire

/// What a ``RelayEngine`` knows of connections and mailboxes.
extension RelayEngine {
  /// A mailbox that a connection collects.
  struct Served {
    var peer: RelayPeer
    /// The number that was handed out last.
    var cursor: UInt64 = 0
    /// There may be more behind the cursor.
    var hasBacklog = true
  }

  /// A connection with a session.
  struct Client {
    var session: RelaySession
    /// What was handed out and not answered.
    var inFlight: [MessageName: HeldMessage] = [:]
    var bytes = 0
    /// Mailboxes with a backlog, in the order in which they get their turn.
    var waiting: [Mailbox] = []
    var wasOpened: Instant
  }

  /// What is stored at one sync.
  struct Group {
    var submits: [(RelayDirectory.Admitted, RelayPeer, RelayTicket)] = []
    var taken: [(MessageName, RelayPeer)] = []
    var isEmpty: Bool { submits.isEmpty && taken.isEmpty }
  }
}
