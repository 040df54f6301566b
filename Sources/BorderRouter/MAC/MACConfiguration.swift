import IEEE802154
import Wire

/// How frames are secured (IEEE 802.15.4-2020, 9).
public struct LinkSecurity: Sendable, Hashable {
  public var level: SecurityLevel
  /// The key that frames are sent under.
  public var key: KeyIdentifier
  /// Whether commands that are not secured are refused, but for those of devices that join.
  public var isRequired = true
  /// How many frame counters are reserved at a time: a start costs so many at most.
  public var counterStep: UInt32 = 1_024

  public init(level: SecurityLevel = .encMIC32, key: KeyIdentifier) {
    self.level = level
    self.key = key
  }
}

/// What the coordinator's MAC is told to be, and the bounds it keeps.
public struct MACConfiguration: Sendable {
  /// The coordinator's addresses, its PAN and channel.
  public var radio: RadioSettings
  public var capabilities: RadioCapabilities
  /// `nil` sends all frames in the clear.
  public var security: LinkSecurity?
  /// Octets of a PSDU, the FCS included (aMaxPhyPacketSize).
  public var maximumFrameLength = MACFrameView.maximumLength

  /// Frames that wait for the radio at most.
  public var maximumQueuedFrames = 256
  /// Octets of those at most.
  public var maximumQueuedBytes = 32_768
  /// Frames that wait for the radio for one destination at most.
  public var maximumQueuedFramesPerDestination = 64
  /// How long a frame waits for the radio.
  public var queueTime: Duration = .seconds(10)

  /// Frames that wait for sleeping devices at most, all devices together.
  public var maximumIndirectFrames = 512
  /// Octets of those at most.
  public var maximumIndirectBytes = 65_536
  /// Frames that wait for one sleeping device at most.
  public var maximumIndirectFramesPerDevice = 32
  /// How long a frame waits for a sleeping device (macTransactionPersistenceTime; the standard's default is 7.68 s).
  public var transactionPersistence: Duration = .seconds(30)
  /// Devices at most of which only their data requests say that they sleep.
  public var maximumLearntSleepers = 1_024
  /// Empty answers to data requests in a second at most.
  public var emptyAnswersPerSecond = 100

  /// Short addresses that devices get; the coordinator's own is left out.
  public var shortAddresses: ClosedRange<UInt16> = 0x0001...0xfffd
  /// Devices that may have joined at most.
  public var maximumDevices = 1_024
  /// Devices that may be joining at a time; at most half of them may be about to be refused.
  public var maximumJoining = 32
  /// How long the answer to an association request waits.
  public var joiningPersistence: Duration = .microseconds(7_680_000)
  /// Beacons sent in a second at most, and coordinator realignments.
  public var beaconsPerSecond = 5
  /// What beacons say for the layer above.
  public var beaconPayload: [UInt8] = []

  /// How often a frame is tried again when the channel is busy or the radio fails.
  public var maximumRetries = 3
  /// How long after that.
  public var retryDelay: Duration = .milliseconds(50)
  /// How long the radio may take to say what became of a frame; then it has failed.
  public var transmitTime: Duration = .seconds(5)

  public init(radio: RadioSettings, capabilities: RadioCapabilities, security: LinkSecurity? = nil) {
    self.radio = radio
    self.capabilities = capabilities
    self.security = security
  }
}
