import Envelope
import Queue
import Wire

/// How a relay does, for `pangate relay status`.
public struct RelayStatus: Codable, Sendable, Equatable {
  public struct Group: Codable, Sendable, Equatable {
    /// The group's identifier in hexadecimal.
    public var group: String
    public var epoch: UInt64
    public var members: Int
  }

  public struct Session: Codable, Sendable, Equatable {
    /// The address of the client.
    public var client: String
    /// Its own mailbox and those of the nodes it hosts.
    public var mailboxes: Int
    /// Envelopes on their way to it.
    public var inFlight: Int
    /// Seconds since 1970.
    public var since: Int64
  }

  public var groups: [Group]
  public var sessions: [Session]
  public var heldMessages: Int
  public var heldBytes: Int
  /// Whether the store takes envelopes.
  public var isReady: Bool
  /// What was refused since the start, by reason.
  public var refusals: [String: UInt64]
}

extension RelayStatus {
  init<Store: RelayStore>(_ core: RelayCore<Store>, sessions: [Session], isReady: Bool) {
    let usage = try? core.store.totalUsage()
    self.init(
      groups: core.members.lists.map { access in
        Group(
          group: access.list.version.group.hex, epoch: access.list.version.epoch, members: access.list.entries.count)
      },
      sessions: sessions.sorted { $0.client < $1.client }, heldMessages: usage?.messages ?? 0,
      heldBytes: usage?.bytes ?? 0, isReady: isReady,
      refusals: Dictionary(uniqueKeysWithValues: core.counters.nonZero.map { ($0.reason.name, $0.count) }))
  }
}
