import Envelope
import Foundation
import Queue
import Relay
import Wire

/// A relay's configuration file, read and checked. Config/relay.yaml is the commented example.
struct RelayConfigurationFile {
  /// One group of members: whose word on them is obeyed, and the list to start with.
  struct Group {
    var oracleFile: String
    var accessListFile: String?
  }

  var identityFile: String
  var groups: [Group] = []
  var server = RelayServerConfiguration(listen: [])
  var limits = RelayLimits()
  var queues = QueueLimits()
  var state: String?
  var nats: NATSRelayStore.Configuration?
  var maximumBytes: Int?
  var control: String?
  var metricsPort: Int?

  static func load(_ file: String) throws -> RelayConfigurationFile {
    let root = try ConfigSection.load(file)
    var configuration = RelayConfigurationFile(identityFile: try root.requiredPath("identity"))
    for text in try root.texts("listen") {
      guard let url = RelayURL(text) else {
        throw root.error(
          "listen", "must be a list of coaps+tcp://, coaps+ws://, coap+tcp:// or coap+ws:// URLs, not '\(text)'")
      }
      guard url.scheme.isSecure || url.isLoopback else {
        throw root.error(
          "listen", "'\(text)' would be readable on the network: use coaps+tcp:// or coaps+ws://, or 127.0.0.1")
      }
      configuration.server.listen.append(url)
    }
    guard !configuration.server.listen.isEmpty else {
      throw root.error("listen", "is missing: where to listen, for example [coaps+tcp://0.0.0.0:5684]")
    }
    if let tls = try root.section("tls") {
      configuration.server.certificateFile = try tls.requiredPath("certificate")
      configuration.server.keyFile = try tls.requiredPath("key")
      try tls.finish()
    }
    for section in try root.sections("groups") {
      configuration.groups.append(
        Group(oracleFile: try section.requiredPath("oracle"), accessListFile: try section.path("access-list")))
      try section.finish()
    }
    guard !configuration.groups.isEmpty else {
      throw root.error("groups", "is missing: a list with the 'oracle' of each group that is served")
    }
    let store = try root.requiredSection("store")
    configuration.state = try store.path("state")
    configuration.maximumBytes = try store.integer("maximum-bytes", in: (1 << 20)...(1 << 44))
    try configuration.readNATS(store)
    try store.finish()
    if let queue = try root.section("queue") { try configuration.readQueues(queue) }
    if let limits = try root.section("limits") { try configuration.readLimits(limits) }
    configuration.control = try root.path("control")
    configuration.metricsPort = try root.integer("metrics-port", in: 0...65_535)
    try root.finish()
    return configuration
  }

  private mutating func readNATS(_ store: ConfigSection) throws {
    guard let section = try store.section("nats") else {
      guard state != nil else {
        throw store.error("state", "is missing: the directory of the relay's database; or 'nats', for a cluster")
      }
      return
    }
    guard state == nil else { throw store.error("nats", "and 'state' exclude each other") }
    var nats = NATSRelayStore.Configuration()
    nats.servers = try section.texts("servers")
    guard !nats.servers.isEmpty else {
      throw section.error("servers", "is missing: for example [nats://127.0.0.1:4222]")
    }
    if let prefix = try section.text("prefix") { nats.prefix = prefix }
    if let replicas = try section.integer("replicas", in: 1...5) { nats.replicas = replicas }
    nats.credentialsFile = try section.path("credentials")
    nats.authoritiesFile = try section.path("authorities")
    nats.certificateFile = try section.path("certificate")
    nats.keyFile = try section.path("key")
    if let seconds = try section.integer("timeout-seconds", in: 1...600) { nats.timeout = .seconds(seconds) }
    if let seconds = try section.integer("connect-seconds", in: 1...600) { nats.connectTimeout = .seconds(seconds) }
    self.nats = nats
    try section.finish()
  }

  private mutating func readQueues(_ section: ConfigSection) throws {
    if let number = try section.integer("messages-per-mailbox", in: 1...10_000_000) { queues.mailbox.messages = number }
    if let number = try section.integer("bytes-per-mailbox", in: 1024...(1 << 40)) { queues.mailbox.bytes = number }
    queues.total = Usage(messages: 10_000_000, bytes: 16 << 30)
    if let number = try section.integer("messages", in: 1...1_000_000_000) { queues.total.messages = number }
    if let number = try section.integer("bytes", in: 1024...(1 << 44)) { queues.total.bytes = number }
    if let number = try section.integer("replay-records", in: 16...1_000_000) { queues.replayRecords = number }
    try section.finish()
  }

  private mutating func readLimits(_ section: ConfigSection) throws {
    func seconds(_ key: String, _ target: WritableKeyPath<RelayServerLimits, Duration>) throws {
      if let number = try section.integer(key, in: 1...86_400) { server.limits[keyPath: target] = .seconds(number) }
    }
    func number(_ key: String, _ range: ClosedRange<Int>, _ target: WritableKeyPath<RelayServerLimits, Int>) throws {
      if let value = try section.integer(key, in: range) { server.limits[keyPath: target] = value }
    }
    try number("connections", 1...10_000_000, \.connections)
    try number("connections-per-address", 1...10_000_000, \.connectionsPerAddress)
    try seconds("handshake-seconds", \.handshakeTime)
    try seconds("message-seconds", \.messageTime)
    try seconds("silent-seconds", \.silentTime)
    try seconds("ping-seconds", \.pingInterval)
    try number("envelopes-per-second", 1...10_000_000, \.envelopesPerSecond)
    try number("envelopes-in-burst", 1...10_000_000, \.envelopesInBurst)
    try number("envelopes-per-sender-per-second", 1...10_000_000, \.envelopesPerSenderPerSecond)
    try number("envelopes-per-sender-in-burst", 1...10_000_000, \.envelopesPerSenderInBurst)
    try number("waiting-bytes-per-connection", 1024...(1 << 30), \.waitingBytes)
    try number("waiting-bytes", 1024...(1 << 40), \.waitingBytesOfAll)
    try number("envelopes-per-commit", 1...100_000, \.envelopesInGroup)
    try number("gather-from", 1...100_000, \.envelopesWorthWaiting)
    if let time = try section.integer("gather-milliseconds", in: 0...1000) {
      server.limits.gatherTime = .milliseconds(time)
    }
    try number("window", 1...4096, \.window)
    try number("window-bytes", 1024...(1 << 30), \.windowBytes)
    try number("chunk-window", 1...4096, \.chunkWindow)
    try number("served-addresses", 1...1_000_000, \.servedAddresses)
    if let bytes = try section.integer("envelope-bytes", in: 256...(1 << 20)) { limits.envelopeSize = bytes }
    if let skew = try section.integer("clock-skew-seconds", in: 0...86_400) {
      limits.freshness = Freshness(skew: UInt64(skew))
    }
    if let days = try section.integer("status-lifetime-seconds", in: 60...(1 << 31)) {
      limits.statusLifetime = UInt64(days)
    }
    try section.finish()
  }

  /// Who the relay is, and whose word it obeys.
  func identities() throws -> (relay: RelayIdentity, oracles: [PublicIdentity]) {
    guard let relay = RelayIdentity(try IdentityFiles.identity(identityFile)) else {
      throw Failure.cannotStart("\(identityFile): its signing key is not the certificate's")
    }
    return (relay, try groups.map { try IdentityFiles.publicIdentity($0.oracleFile) })
  }

  /// The relay over `store`, with the access lists of the files if they are newer than those it had.
  func core<Store: RelayStore>(_ store: Store, now: Instant) throws -> RelayCore<Store> {
    let (identity, oracles) = try identities()
    var core: RelayCore<Store>
    do { core = try RelayCore(identity, oracles: oracles, store: store, limits: limits) } catch {
      throw Failure.cannotStart(error.description)
    }
    for file in groups.compactMap(\.accessListFile) { try core.obey(accessListFile: file, now: now) }
    return core
  }
}
