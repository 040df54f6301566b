import Wire

/// How one end of a connection behaves (RFC 8323).
public struct CoAPStreamConfiguration: Sendable, Hashable {
  public var framing: CoAPStreamFraming
  /// Bytes of the largest message that this end takes, header and options included: announced as Max-Message-Size, and a
  /// larger one ends the connection. By default a body of 64 KiB and 512 bytes besides.
  ///
  /// Over 1,152 this end takes BERT blocks, too.
  public var maximumMessageSize = 65_536 + 512
  /// Requests of this end that wait for their response. Further ones fail as ``RequestFailure/limit``.
  public var requestsInFlight = 256
  /// Requests of the peer that wait for their response. Further ones are answered with 5.03.
  public var receivedInFlight = 1024
  /// How long the peer's first message, a CSM, is awaited.
  public var capabilitiesTimeout: Swift.Duration = .seconds(10)
  /// How long a response is awaited; in a block-wise transfer the one to each of its requests.
  public var requestTimeout: Swift.Duration = .seconds(30)
  /// After so long without anything from the peer it is pinged; `nil` for never.
  public var pingInterval: Swift.Duration? = .seconds(120)
  /// How long anything at all is awaited after a ping.
  public var pongTimeout: Swift.Duration = .seconds(15)
  /// How long the peer may take to close the connection after this end's Release.
  public var releaseTimeout: Swift.Duration = .seconds(30)
  /// Block-wise transfers. The bounds hold for this connection; the bytes kept are fewer than over UDP by default, as each
  /// connection has its own. BERT is used with a preferred exponent of 6.
  public var blockwise: BlockwiseConfiguration
  /// The options that this end understands; other critical ones are refused (RFC 7252, 5.4.1).
  ///
  /// By default all known but those of proxies, OSCORE and EDHOC, and Observe.
  public var recognizedOptions: Set<CoAPOptionNumber> = CoAPStreamConfiguration.defaultOptions

  // One set for all connections.
  private static let defaultOptions = Set(CoAPOptionNumber.known)
    .subtracting([.proxyUri, .proxyScheme, .oscore, .edhoc, .observe])

  public init(framing: CoAPStreamFraming = .tcp) {
    self.framing = framing
    blockwise = BlockwiseConfiguration()
    blockwise.assemblyBytes = 1 << 18
    blockwise.responseBytes = 1 << 18
  }

  /// What this end announces.
  public var capabilities: CoAPCapabilities {
    CoAPCapabilities(maximumMessageSize: UInt32(clamping: maximumMessageSize), supportsBlockwise: true)
  }
}

/// A configuration that many connections have in common and that is in memory once.
public final class CoAPStreamSettings: Sendable {
  public let configuration: CoAPStreamConfiguration
  let blockwise: SharedBlockwiseConfiguration

  public init(_ configuration: CoAPStreamConfiguration) {
    self.configuration = configuration
    blockwise = SharedBlockwiseConfiguration(configuration.blockwise)
  }
}
