import Wire

/// What a ``SoftwareRadio`` wants done, in order.
public enum SoftwareRadioAction: Sendable, Hashable {
  /// Put this PSDU on the medium; its FCS is there.
  case send([UInt8])
  /// A frame that passed the filters, as it came.
  case deliver(CapturedFrame)
  /// The transmission under way is over.
  case finished(TransmitOutcome)
  /// A frame was not taken.
  case dropped(DropReason)
}

/// What a ``SoftwareRadio`` can be made to do.
public struct SoftwareRadioConfiguration: Sendable, Hashable {
  /// How often a frame is sent again when its acknowledgment does not come (macMaxFrameRetries).
  public var maximumRetries = 3
  /// How long an acknowledgment is waited for (macAckWaitDuration). On the air that is 864 µs at 2.4 GHz; here the
  /// medium is software, with the delays of that.
  public var acknowledgmentWait: Duration = .milliseconds(20)
  /// Whether frames without a destination are for this radio (IEEE 802.15.4-2020, 6.6.2).
  public var isPANCoordinator = false
  /// Octets of the largest PSDU, the FCS included (aMaxPhyPacketSize).
  public var maximumLength = MACFrameView.maximumLength

  public init() {}
}

/// What a ``SoftwareRadio`` has done since it was made.
public struct SoftwareRadioCounters: Sendable, Hashable {
  /// Frames that were handed to it and put on the medium.
  public var sent: UInt64 = 0
  /// How often frames were sent again.
  public var retransmissions: UInt64 = 0
  /// Frames that were acknowledged.
  public var acknowledged: UInt64 = 0
  /// Frames whose acknowledgment never came.
  public var unacknowledged: UInt64 = 0
  /// Frames that were refused because of their length.
  public var failed: UInt64 = 0
  /// Frames that passed the filters.
  public var delivered: UInt64 = 0
  /// Acknowledgments given.
  public var acknowledgmentsSent: UInt64 = 0

  public init() {}
}
