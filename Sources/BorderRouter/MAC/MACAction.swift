import IEEE802154
import Wire

/// What became of an ``OutgoingFrame``; each has exactly one.
@frozen
public enum MACOutcome: Sendable, Hashable {
  /// Acknowledged, or, as far as a radio can tell that reports no acknowledgments, arrived.
  case delivered
  /// Sent without asking for an acknowledgment.
  case sent
  /// No acknowledgment came, after all repetitions of the radio.
  case noAcknowledgment
  /// The channel was busy at every attempt.
  case channelAccessFailure
  /// The radio took it at no attempt.
  case failed
  /// Its time was over before it could be sent, or before the device asked for it.
  case expired
  /// It was not sent.
  case dropped(DropReason)

  /// Whether, as far as is known, the frame has arrived.
  @inlinable public var isSuccess: Bool { self == .delivered || self == .sent }
}

/// What a ``MACEngine`` wants done, in order.
public enum MACAction: Sendable, Hashable {
  /// Hand this PSDU, without FCS, to the radio, and its outcome to ``MACEngine/transmitted(_:now:)``. None follows before that.
  case transmit([UInt8])
  /// The devices for which frames wait have changed. Only for radios that know of such
  /// (``RadioCapabilities/sourceMatch``).
  case sourceMatch(SourceMatch)
  /// A frame of the caller's is done with.
  case finished(UInt64, MACOutcome)
  /// A device has joined, or joined again, or was sent the answer that says so and did not acknowledge it.
  /// ``ShortAddress/unassigned``: it uses its EUI-64 only.
  case associated(ExtendedAddress, ShortAddress)
  /// A device has left, was removed, or made room for another.
  case disassociated(ExtendedAddress)
  /// Store durably that all frame counters below this are used, then call ``MACEngine/frameCounterReserved(upTo:now:)``.
  /// Secured frames wait for it.
  case reserveFrameCounter(upTo: UInt32)
  /// A command was not obeyed, or an answer to one not sent.
  case dropped(DropReason)
}

/// What a ``MACEngine`` does and has done.
public struct MACStatistics: Sendable, Hashable {
  /// Frames that wait for the radio now, the one it has included.
  public var queued = 0
  /// Octets of those.
  public var queuedBytes = 0
  /// Frames that wait now until their devices ask for them.
  public var indirectPending = 0
  /// Octets of those.
  public var indirectBytes = 0
  /// Frames that were sent, and acknowledged where that was asked for.
  public var sent: UInt64 = 0
  /// Attempts that failed; an indirect frame may have several.
  public var failed: UInt64 = 0
  /// Attempts made again because the channel was busy or the radio failed.
  public var retries: UInt64 = 0
  /// Frames whose time was over.
  public var expired: UInt64 = 0
  /// Data requests that were obeyed.
  public var polls: UInt64 = 0
  /// Empty frames sent to devices that asked in vain.
  public var emptyAnswers: UInt64 = 0
  public var beacons: UInt64 = 0
  /// Devices that joined, or joined again.
  public var associations: UInt64 = 0
  /// Association requests that were answered with a refusal.
  public var associationsRefused: UInt64 = 0

  public init() {}
}
