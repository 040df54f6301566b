import CoAP
import IEEE802154
import SixLoWPAN

/// Who a node is on its PAN, and how it behaves there.
public struct NodeConfiguration: Sendable {
  public var extendedAddress: ExtendedAddress
  public var panID: PANIdentifier
  public var channel: UInt8
  /// A short address that was configured; one that association gives takes its place.
  public var shortAddress: ShortAddress?
  /// Whether the node joins by association before it looks for a router (IEEE 802.15.4-2020, 6.4.1).
  public var associates = false
  /// When a node listens that is asleep most of the time; `nil` for one that always listens.
  public var sleep: SleepSchedule?
  /// UDP port of the CoAP endpoint.
  public var coapPort: UInt16 = 5683
  /// Octets of a PSDU, the FCS included (aMaxPhyPacketSize).
  public var maximumFrameLength = MACFrameView.maximumLength
  /// Lifetime of address registrations, minutes (RFC 6775, 4.1).
  public var registrationLifetime: UInt16 = 60
  /// Frames that wait for the radio at most.
  public var maximumQueuedFrames = 32
  public var exchange = ExchangeConfiguration()
  /// Blocks of 64 bytes, which fit a frame.
  public var blockwise: BlockwiseConfiguration
  /// Two datagrams at a time.
  public var reassembly = ReassemblyLimits(maximumDatagrams: 2, bytesPerSource: 2 * 1_280, maximumDatagramSize: 1_280)

  public init(extendedAddress: ExtendedAddress, panID: PANIdentifier, channel: UInt8) {
    self.extendedAddress = extendedAddress
    self.panID = panID
    self.channel = channel
    blockwise = BlockwiseConfiguration()
    blockwise.preferredSZX = 2
    blockwise.negotiatesEarly = true
    blockwise.maximumRequestBody = 4_096
    // A peer record is the largest that comes.
    blockwise.maximumResponseBody = 8_192
    exchange.limits.peers = 4
    exchange.limits.receivedPerPeer = 16
    exchange.limits.requestsPerPeer = 8
    exchange.limits.replyBytes = 4_096
  }
}

/// When a node listens that has its receiver off while idle, and fetches what waits for it (IEEE 802.15.4-2020, 6.7.3).
public struct SleepSchedule: Sendable, Hashable {
  /// Between data requests while nothing is expected.
  public var pollInterval: Duration = .seconds(300)
  /// Between data requests while an answer is expected.
  public var expectingInterval: Duration = .milliseconds(500)
  /// How long the node listens after an acknowledgment that said that a frame waits (macMaxFrameTotalWaitTime; radios made
  /// of software are slower).
  public var listeningTime: Duration = .milliseconds(200)
  /// How long after its last exchange the node still asks often, for what its peer may have to say because of it.
  public var lingering: Duration = .seconds(1)

  public init() {}
}
