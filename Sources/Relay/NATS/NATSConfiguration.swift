import Queue
import Wire

extension NATSRelayStore {
  /// Where the cluster is and how a relay uses it. All relays of one cluster have the same prefix, replicas and limits.
  public struct Configuration: Sendable {
    /// Such as `nats://10.0.0.1:4222` or `tls://relay:password@nats.example:4222`; more than one, so that a relay finds
    /// the cluster when a server is down.
    public var servers: [String]
    /// Begins the names of streams and subjects: letters, digits, `-` and `_`.
    public var prefix: String
    /// On how many servers everything is kept: 1, or 3, of which one may fail.
    public var replicas: Int

    /// A file with the credentials of a NATS account (JWT and seed).
    public var credentialsFile: String?
    /// A file with the certificates of authorities that sign the servers' certificates; asks for TLS.
    public var authoritiesFile: String?
    /// A certificate chain and its private key, for servers that want one.
    public var certificateFile: String?
    public var keyFile: String?

    /// How long one round trip may take; what is not acknowledged then counts as not stored.
    public var timeout: Duration
    /// How long opening the store may take, a cluster that is still electing its leaders included.
    public var connectTimeout: Duration
    /// Between attempts to reach a server again.
    public var reconnectWait: Duration

    /// Of these, `mailbox.messages` and `total` count here; see ``NATSRelayStore``.
    public var limits: QueueLimits
    /// Mail older than this is dropped by the servers, and nobody is told; `nil` for never.
    public var maximumAge: Duration?
    /// For how long replay records are kept. A record takes the servers about 200 bytes of memory.
    public var replayAge: Duration

    /// Messages of one mailbox that are here and not confirmed.
    public var window: Int
    /// How often the servers say that a mailbox is still served; after three of these it is asked for again.
    public var heartbeat: Duration
    /// How often everything held is looked through for what expires and nobody delivers.
    public var sweepInterval: Duration

    public init(
      servers: [String] = ["nats://127.0.0.1:4222"], prefix: String = "pangate", replicas: Int = 1,
      timeout: Duration = .seconds(5), connectTimeout: Duration = .seconds(10), reconnectWait: Duration = .seconds(1),
      limits: QueueLimits = QueueLimits(total: Usage(messages: 2_000_000, bytes: 4 << 30)), maximumAge: Duration? = nil,
      replayAge: Duration = .seconds(8 * 86_400), window: Int = 64,
      heartbeat: Duration = .seconds(5), sweepInterval: Duration = .seconds(600)
    ) {
      self.servers = servers
      self.prefix = prefix
      self.replicas = replicas
      self.timeout = timeout
      self.connectTimeout = connectTimeout
      self.reconnectWait = reconnectWait
      self.limits = limits
      self.maximumAge = maximumAge
      self.replayAge = replayAge
      self.window = window
      self.heartbeat = heartbeat
      self.sweepInterval = sweepInterval
    }
  }
}

extension NATSRelayStore.Configuration {
  /// Throws ``StoreError`` for what no server would take.
  func check() throws(StoreError) {
    func require(_ condition: Bool, _ detail: String) throws(StoreError) {
      guard condition else { throw StoreError(.failed, detail: "configuration of the cluster: \(detail)") }
    }
    let letters = prefix.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
        true
      default: false
      }
    }
    try require(!servers.isEmpty, "no servers")
    try require(!prefix.isEmpty && letters, "prefix '\(prefix)' is not of letters, digits, '-' and '_'")
    try require([1, 3, 5].contains(replicas), "\(replicas) replicas; possible are 1, 3 and 5")
    try require((certificateFile == nil) == (keyFile == nil), "a certificate needs its key, and a key its certificate")
    try require(window > 0, "window must be at least 1")
    try require(limits.mailbox.messages > 0, "a mailbox must hold at least 1 message")
    try require(heartbeat >= .milliseconds(100), "heartbeat must be at least 100 ms")
    try require(replayAge >= .seconds(1), "replay records must be kept for a second at least")
    if let maximumAge { try require(maximumAge >= .seconds(1), "mail must be kept for a second at least") }
  }

  func connectionOptions(name: String) -> NATSConnectionOptions {
    var options = NATSConnectionOptions(
      name: name, servers: servers, credentials: credentialsFile, authorities: authoritiesFile, certificate: nil,
      connectTimeout: connectTimeout, writeTimeout: timeout, reconnectWait: reconnectWait)
    if let certificateFile, let keyFile { options.certificate = (certificateFile, keyFile) }
    return options
  }
}
