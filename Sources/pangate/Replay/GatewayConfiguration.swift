import BorderRouter
import Bridge
import Foundation
import IEEE802154
import IPv6
import Queue
import SixLoWPAN
import Wire

/// A gateway's configuration file, read and checked. Config/gateway.yaml is the commented example.
struct GatewayConfiguration {
  var pan: PANConfiguration
  var keys = KeyStore()
  var reassembly = ReassemblyLimits()
  var identityFile: String
  var oracleFile: String
  var peerRecordFile: String
  var relayIdentityFile: String
  var accessListFile: String
  var queues = QueueLimits()
  var limits = GatewayLimits()
  var ownerFile: String?
  var commands: [String] = []

  static func load(_ file: String) throws -> GatewayConfiguration {
    let root = try ConfigSection.load(file)
    var pan = try readPAN(root)
    let keys = try readKeys(root)
    let identityFile = try root.requiredPath("identity")
    let group = try root.requiredSection("group")
    let oracleFile = try group.requiredPath("oracle")
    let peerRecordFile = try group.requiredPath("peer-record")
    try group.finish()
    let relay = try root.requiredSection("relay")
    let relayIdentityFile = try relay.requiredPath("identity")
    let accessListFile = try relay.requiredPath("access-list")
    try relay.finish()

    var configuration = GatewayConfiguration(
      pan: pan, keys: keys, identityFile: identityFile, oracleFile: oracleFile, peerRecordFile: peerRecordFile,
      relayIdentityFile: relayIdentityFile, accessListFile: accessListFile)
    if let queue = try root.section("queue") { try configuration.readQueues(queue) }
    if let limits = try root.section("limits") {
      try configuration.readLimits(limits, pan: &pan)
      configuration.pan = pan
    }
    if let demo = try root.section("demo") {
      configuration.ownerFile = try demo.requiredPath("owner")
      configuration.commands = try demo.texts("commands")
      try demo.finish()
    }
    try root.finish()
    return configuration
  }

  private static func readPAN(_ root: ConfigSection) throws -> PANConfiguration {
    let section = try root.requiredSection("pan")
    guard let identifier = try section.integer("id", in: 0...0xfffe) else {
      throw section.error("id", "is missing: the PAN's identifier, for example 0xabcd")
    }
    _ = try section.integer("channel", in: 11...26)
    try section.finish()
    let radio = try root.requiredSection("radio")
    let extended = try radio.requiredValue("eui64", "an EUI-64 of 16 hexadecimal digits") { ExtendedAddress($0) }
    let short = try radio.integer("short", in: 0...0xfffd).map { ShortAddress(UInt16($0)) }
    try radio.finish()
    let prefix = try root.value("prefix", "an IPv6 prefix of 64 bits, for example fd00:1:2:3::/64") { text in
      IPv6Prefix(text).flatMap { $0.length == 64 ? $0 : nil }
    }
    var pan = PANConfiguration(
      panID: PANIdentifier(UInt16(identifier)), extendedAddress: extended, shortAddress: short, prefix: prefix)
    for text in try root.texts("contexts") {
      guard let context = try? ContextOption(text) else {
        throw root.error("contexts", "must be a list like '1=fd00:1::/64', not '\(text)'")
      }
      pan.contexts.set(context.identifier, prefix: context.prefix, compress: true, expires: nil)
    }
    return pan
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

  private mutating func readLimits(_ section: ConfigSection, pan: inout PANConfiguration) throws {
    if let number = try section.integer("reassembly-datagrams", in: 1...65_536) {
      reassembly.maximumDatagrams = number
    }
    if let number = try section.integer("reassembly-bytes-per-node", in: 64...(1 << 24)) {
      reassembly.bytesPerSource = number
    }
    if let number = try section.integer("reassembly-seconds", in: 1...60) {
      reassembly.timeout = .seconds(number)
    }
    if let number = try section.integer("neighbors", in: 1...1_000_000) { pan.maximumNeighbors = number }
    if let number = try section.integer("addresses-per-radio", in: 1...1024) { pan.maximumAddressesPerRadio = number }
    if let number = try section.integer("icmp-errors-per-second", in: 0...1000) { pan.errorsPerSecond = number }
    if let number = try section.integer("envelope-bytes", in: 256...(1 << 20)) { limits.maximumEnvelope = number }
    if let number = try section.integer("clock-skew-seconds", in: 0...86_400) { limits.clockSkew = UInt64(number) }
    if let number = try section.integer("reading-lifetime-seconds", in: 1...(1 << 31)) {
      limits.readingLifetime = UInt64(number)
    }
    try section.finish()
  }
}
