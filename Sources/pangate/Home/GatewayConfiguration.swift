import BorderRouter
import Bridge
import Envelope
import Foundation
import IEEE802154
import IPv6
import Queue
import Radio
import SixLoWPAN
import Wire

/// A gateway's configuration file, read and checked. Config/gateway.yaml is the commented example.
struct GatewayConfiguration {
  /// The prefix of the PAN.
  enum Prefix: Equatable {
    /// Link-local addresses only.
    case none
    /// One of RFC 4193, drawn at the first start and kept in the state directory.
    case generated
    case given(IPv6Prefix)
  }

  /// Where the relay is.
  enum RelayChoice {
    /// In this process.
    case embedded(EmbeddedRelay.Files)
    /// Those of the peer record, or of the configuration, over the network.
    case network(RelayClientSection)
  }

  /// Who the border router is, but for what only the radio or the state directory can tell.
  var panID: PANIdentifier
  var radio = RadioSection()
  var prefix = Prefix.none
  var contexts: [ContextOption] = []
  /// Bounds of the PAN side; addresses in it mean nothing.
  var bounds = PANConfiguration(panID: PANIdentifier(0), extendedAddress: ExtendedAddress(0))
  var keys = KeyStore()
  var security: LinkSecurity?
  var joining = JoiningSection()
  var reassembly = ReassemblyLimits()
  var identityFile: String
  var oracleFile: String
  var peerRecordFile: String
  var relay: RelayChoice
  var queues = QueueLimits()
  var limits = GatewayLimits()
  var service = ServiceSection()
  var ownerFile: String?
  var commands: [String] = []
  /// Whether the daemon prints what the owner receives.
  var printsDeliveries = false

  static func load(_ file: String) throws -> GatewayConfiguration {
    let root = try ConfigSection.load(file)
    let pan = try root.requiredSection("pan")
    guard let identifier = try pan.integer("id", in: 0...0xfffe) else {
      throw pan.error("id", "is missing: the PAN's identifier, for example 0xabcd")
    }
    let channel = try pan.integer("channel", in: 0...26)
    try pan.finish()
    let radio = try RadioSection(root.requiredSection("radio"), channel: channel)
    let identityFile = try root.requiredPath("identity")
    let group = try root.requiredSection("group")
    let oracleFile = try group.requiredPath("oracle")
    let peerRecordFile = try group.requiredPath("peer-record")
    try group.finish()
    var configuration = GatewayConfiguration(
      panID: PANIdentifier(UInt16(identifier)), identityFile: identityFile, oracleFile: oracleFile,
      peerRecordFile: peerRecordFile, relay: try readRelay(root))
    configuration.radio = radio
    try configuration.readAddresses(root)
    configuration.keys = try readKeys(root)
    if let section = try root.section("security") { try configuration.readSecurity(section) }
    if let section = try root.section("joining") { configuration.joining = try JoiningSection(section) }
    if let queue = try root.section("queue") { try configuration.readQueues(queue) }
    if let limits = try root.section("limits") { try configuration.readLimits(limits) }
    configuration.service = try ServiceSection(root)
    if let demo = try root.section("demo") {
      configuration.ownerFile = try demo.requiredPath("owner")
      configuration.commands = try demo.texts("commands")
      configuration.printsDeliveries = try demo.boolean("print") ?? false
      try demo.finish()
    }
    try root.finish()
    if case .network = configuration.relay, configuration.ownerFile != nil {
      throw root.error(
        "demo",
        "puts the owner into the gateway's process, which goes with a relay there only: remove it, and use "
          + "'pangate receive' and 'pangate send'")
    }
    if case .linux? = radio.url?.target, configuration.security != nil {
      throw root.error(
        "security", "cannot be used with a 'linux:' radio: the kernel handles link security itself; use a dongle")
    }
    return configuration
  }

  private static func readRelay(_ root: ConfigSection) throws -> RelayChoice {
    guard let section = try root.section("relay") else { return .network(RelayClientSection()) }
    guard section.holds("identity") || section.holds("access-list") else {
      let relays = try RelayClientSection(section)
      try section.finish()
      return .network(relays)
    }
    let files = EmbeddedRelay.Files(
      identity: try section.requiredPath("identity"), accessList: try section.requiredPath("access-list"))
    try section.finish()
    return .embedded(files)
  }

  /// The relay that the outbox is for: any of those that the client knows takes what is in it.
  func relayAddress(_ directory: PeerDirectory) throws -> Address {
    switch relay {
    case .embedded(let files): try IdentityFiles.publicIdentity(files.identity).address
    case .network(let section):
      if let file = section.certificateFile {
        try IdentityFiles.publicIdentity(file).address
      } else if let address = directory.record.relays.first?.address {
        address
      } else {
        throw Failure.cannotStart(
          "\(peerRecordFile): names no relay: give 'relay.urls' and 'relay.certificate' in the configuration")
      }
    }
  }

  private mutating func readAddresses(_ root: ConfigSection) throws {
    let prefix = try root.value("prefix", "'generate' or an IPv6 prefix of 64 bits, for example fd00:1:2:3::/64") {
      text -> Prefix? in
      if text == "generate" { return .generated }
      return IPv6Prefix(text).flatMap { $0.length == 64 ? .given($0) : nil }
    }
    self.prefix = prefix ?? .none
    contexts = try root.texts("contexts").map { text in
      guard let context = try? ContextOption(text) else {
        throw root.error("contexts", "must be a list like '1=fd00:1::/64', not '\(text)'")
      }
      return context
    }
  }

  private mutating func readSecurity(_ section: ConfigSection) throws {
    guard let index = try section.integer("key-index", in: 1...255) else {
      throw section.error("key-index", "is missing: the index of the key that frames are sent under")
    }
    let identifier = KeyIdentifier.index(UInt8(index))
    guard (try? keys.key(for: identifier)) != nil else {
      throw section.error("key-index", "\(index) is not among the keys of the file that 'keys' names")
    }
    let level = try section.value("level", "one of enc-mic-32, enc-mic-64, enc-mic-128, mic-32, mic-64, mic-128") {
      [
        "mic-32": SecurityLevel.mic32, "mic-64": .mic64, "mic-128": .mic128, "enc-mic-32": .encMIC32,
        "enc-mic-64": .encMIC64, "enc-mic-128": .encMIC128,
      ][$0]
    }
    var security = LinkSecurity(level: level ?? .encMIC32, key: identifier)
    security.isRequired = try section.boolean("required") ?? true
    self.security = security
    try section.finish()
  }

  private static func readKeys(_ root: ConfigSection) throws -> KeyStore {
    var keys = KeyStore()
    guard let file = try root.path("keys") else { return keys }
    for (number, line) in try InputFile.text(file).split(separator: "\n").enumerated() {
      let text = line.trimmingCharacters(in: .whitespaces)
      if text.isEmpty || text.hasPrefix("#") { continue }
      guard let option = try? KeyOption(text), let key = LinkKey(option.key) else {
        throw Failure.cannotStart("\(file):\(number + 1): a link key must be INDEX:32 hexadecimal digits")
      }
      keys.add(key, for: .index(option.index))
    }
    return keys
  }

  private mutating func readQueues(_ section: ConfigSection) throws {
    if let number = try section.integer("messages-per-node", in: 1...1_000_000) { queues.nodeQueue.messages = number }
    if let number = try section.integer("bytes-per-node", in: 1...(1 << 40)) { queues.nodeQueue.bytes = number }
    if let number = try section.integer("messages", in: 1...100_000_000) {
      queues.total.messages = number
      queues.outbox.messages = min(queues.outbox.messages, number)
    }
    if let number = try section.integer("bytes", in: 1...(1 << 40)) {
      queues.total.bytes = number
      queues.outbox.bytes = min(queues.outbox.bytes, number)
    }
    if let number = try section.integer("replay-records", in: 16...1_000_000) { queues.replayRecords = number }
    try section.finish()
  }

  private mutating func readLimits(_ section: ConfigSection) throws {
    if let number = try section.integer("reassembly-datagrams", in: 1...65_536) {
      reassembly.maximumDatagrams = number
    }
    if let number = try section.integer("reassembly-bytes-per-node", in: 64...(1 << 24)) {
      reassembly.bytesPerSource = number
    }
    if let number = try section.integer("reassembly-seconds", in: 1...60) {
      reassembly.timeout = .seconds(number)
    }
    if let number = try section.integer("neighbors", in: 1...1_000_000) { bounds.maximumNeighbors = number }
    if let number = try section.integer("addresses-per-radio", in: 1...1024) {
      bounds.maximumAddressesPerRadio = number
    }
    if let number = try section.integer("icmp-errors-per-second", in: 0...1000) { bounds.errorsPerSecond = number }
    if let number = try section.integer("envelope-bytes", in: 256...(1 << 20)) { limits.maximumEnvelope = number }
    if let number = try section.integer("clock-skew-seconds", in: 0...86_400) { limits.clockSkew = UInt64(number) }
    if let number = try section.integer("reading-lifetime-seconds", in: 1...(1 << 31)) {
      limits.readingLifetime = UInt64(number)
    }
    try section.finish()
  }
}
