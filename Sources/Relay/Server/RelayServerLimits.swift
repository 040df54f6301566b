import Wire

/// The bounds of a relay's server. Each has a safe default and a key in Config/relay.yaml.
public struct RelayServerLimits: Sendable, Hashable {
  /// Connections at a time, over all ports, and from one address.
  public var connections = 20_000
  public var connectionsPerAddress = 1_000
  /// From the first byte, or none, to a session.
  public var handshakeTime: Duration = .seconds(10)
  /// From the first to the last byte of one message.
  public var messageTime: Duration = .seconds(30)
  /// For which a client may leave what it was sent unread, or unanswered.
  public var silentTime: Duration = .seconds(30)
  /// Without a word for so long, the relay asks whether a client is there.
  public var pingInterval: Duration = .seconds(120)
  /// Envelopes that a client may send in a second on average, and at once.
  public var envelopesPerSecond = 20_000
  public var envelopesInBurst = 20_000
  /// Envelopes of one sender in a second on average, and at once.
  public var envelopesPerSenderPerSecond = 20_000
  public var envelopesPerSenderInBurst = 20_000
  /// Bytes of a connection's envelopes that wait to be stored before it is read no further.
  public var waitingBytes = 1 << 20
  /// Bytes of all envelopes that wait to be stored; more are refused with 5.03.
  public var waitingBytesOfAll = 256 << 20
  /// Envelopes that are stored at one sync.
  public var envelopesInGroup = 1024
  /// After a group of so many, the next one is waited for a little: ``gatherTime``.
  public var envelopesWorthWaiting = 16
  /// How long more envelopes are waited for under load before they are stored together; none are when there is little to do.
  public var gatherTime: Duration = .milliseconds(4)
  /// Envelopes on their way to a client, and their bytes, before the first is answered.
  public var window = 64
  public var windowBytes = 256 << 10
  /// Chunks of streams on their way to a client without an answer to one; further ones are dropped.
  public var chunkWindow = 64
  /// Nodes that one gateway may have served.
  public var servedAddresses = 10_000
  /// Bytes of a request's body: the largest envelope, or access list.
  public var messageSize = 1 << 20

  public init() {}
}

/// How often something may happen: a bucket of tokens.
struct RateLimit: Sendable {
  private let rate: Double
  private let burst: Double
  private var tokens: Double
  private var last: Instant

  init(perSecond rate: Int, burst: Int, now: Instant) {
    self.rate = Double(max(1, rate))
    self.burst = Double(max(1, burst))
    tokens = Double(max(1, burst))
    last = now
  }

  /// Whether it may happen now.
  mutating func take(at now: Instant) -> Bool {
    if now > last {
      tokens = min(burst, tokens + Double(now.microseconds - last.microseconds) / 1e6 * rate)
      last = now
    }
    guard tokens >= 1 else { return false }
    tokens -= 1
    return true
  }
}
