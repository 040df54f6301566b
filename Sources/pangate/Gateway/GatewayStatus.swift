import BorderRouter
import Bridge
import Envelope
import Foundation
import IEEE802154
import IPv6
import Queue
import Radio
import Wire

/// How a gateway does: what `pangate status` shows.
struct GatewayStatus: Codable, Sendable {
  struct Radio: Codable, Sendable {
    var url: String
    var name: String
    var isUp: Bool
    var since: Double?
    var outages: Int
    var lastError: String?
    var received: UInt64
    var transmitted: UInt64
    var retransmissions: UInt64
    var noAcknowledgment: UInt64
    var channelAccessFailures: UInt64
    var errors: UInt64
    var malformed: UInt64
    var overruns: UInt64
    var resets: UInt64
  }

  struct Node: Codable, Sendable {
    var name: String
    var `class`: String
    var traits: [String]
    var eui64: String?
    /// Seconds since 1970.
    var lastHeard: Double?
    var frames: UInt64
    var rssi: Int?
    var lqi: Int?
    var addresses: [String]
    var endpoint: String?
    var held: Int
    var heldBytes: Int
  }

  /// Seconds since 1970.
  var time: Double
  var started: Double
  var eui64: String?
  var panID: String?
  var prefix: String?
  var epoch: UInt64?
  var radio: Radio
  var nodes: [Node] = []
  var strangers: [String] = []
  var outbox = 0
  /// Frames that wait for the radio, and for devices that sleep.
  var queuedFrames = 0
  var indirectFrames = 0
  var neighbors = 0
  var registered = 0
  /// By reason, since the start.
  var drops: [String: UInt64] = [:]

  init(
    home: Home?, radio: GatewayLoop.RadioState, url: String, statistics: RadioStatistics, started: Instant, now: Instant
  ) {
    time = Self.seconds(now)
    self.started = Self.seconds(started)
    self.radio = Radio(
      url: url, name: radio.name, isUp: radio.isUp, since: radio.since.map(Self.seconds), outages: radio.outages,
      lastError: radio.lastError, received: statistics.received, transmitted: statistics.transmitted,
      retransmissions: statistics.retransmissions, noAcknowledgment: statistics.noAcknowledgment,
      channelAccessFailures: statistics.channelAccessFailures, errors: statistics.transmitErrors,
      malformed: statistics.malformed, overruns: statistics.overruns, resets: statistics.resets)
    guard let home else { return }
    fill(home, now: now)
  }

  private static func seconds(_ instant: Instant) -> Double { Double(instant.microseconds) / 1e6 }

  private mutating func fill(_ home: Home, now: Instant) {
    let pan = home.gateway.stack.configuration
    eui64 = pan.extendedAddress.description
    panID = pan.panID.description
    prefix = pan.prefix?.description
    epoch = home.gateway.gateway.directory.record.version.epoch
    let neighbors = home.gateway.stack.neighbors.entries
    self.neighbors = neighbors.count
    registered = neighbors.values.count { $0.registeredUntil.map { $0 > now } ?? false }
    outbox = (try? home.gateway.gateway.outboxUsage().messages) ?? 0
    let mac = home.gateway.mac.statistics
    (queuedFrames, indirectFrames) = (mac.queued, mac.indirectPending)
    strangers = home.gateway.strangers.keys.map(\.description).sorted()
    for reason in DropReason.allCases {
      let count = home.gateway.drops[reason] + home.gateway.gateway.counters[reason]
      if count > 0 { drops[reason.name] = count }
    }
    for member in home.gateway.gateway.nodes { nodes.append(node(member, home, neighbors, now: now)) }
  }

  private func node(
    _ member: Member, _ home: Home, _ neighbors: [IPv6Address: NeighborCache.Entry], now: Instant
  ) -> Node {
    let device = member.eui64.map { ExtendedAddress($0) }
    let reception = device.flatMap { home.gateway.heard[$0] }
    let usage = try? home.gateway.gateway.queueUsage(of: member)
    let addresses = neighbors.filter { entry in
      entry.value.owner == device || device.map { entry.value.radio == .extended($0) } ?? false
        || reception.map { entry.value.radio == $0.radio } ?? false
    }
    return Node(
      name: member.name, class: member.class.name, traits: member.traits.names, eui64: device?.description,
      lastHeard: reception.map { Self.seconds($0.last) }, frames: reception?.frames ?? 0,
      rssi: reception?.rssi.map(Int.init), lqi: reception?.lqi.map(Int.init),
      addresses: addresses.keys.sorted().map(\.description),
      endpoint: home.gateway.gateway.registration(of: member, now: now)?.endpoint, held: usage?.messages ?? 0,
      heldBytes: usage?.bytes ?? 0)
  }

  /// For a terminal.
  var text: String {
    func ago(_ then: Double?) -> String {
      guard let then else { return "never" }
      let seconds = max(0, Int(time - then))
      switch seconds {
      case ..<120: return "\(seconds) s ago"
      case ..<7200: return "\(seconds / 60) min ago"
      case ..<172_800: return "\(seconds / 3600) h ago"
      default: return "\(seconds / 86_400) days ago"
      }
    }
    var lines = [
      "radio     \(radio.url) \(radio.isUp ? "up" : "DOWN") since \(ago(radio.since)), \(radio.name)",
      "          \(radio.received) frames received, \(radio.transmitted) sent, \(radio.retransmissions) again, "
        + "\(radio.noAcknowledgment) not acknowledged; \(radio.outages) outages, \(radio.resets) resets",
    ]
    if let error = radio.lastError { lines.append("          last error: \(error)") }
    if let eui64 {
      lines.append(
        "router    \(eui64) in PAN \(panID ?? "-"), prefix \(prefix ?? "none"), \(neighbors) neighbours, "
          + "\(registered) registered addresses")
      lines.append(
        "queues    outbox \(outbox); frames for the radio \(queuedFrames), for devices that sleep \(indirectFrames); "
          + "peer record of epoch \(epoch.map(String.init) ?? "-")")
    }
    var table = TextTable(
      ["node", "class", "heard", "frames", "rssi", "lqi", "held", "addresses"], rightAligned: [3, 4, 5, 6])
    for node in nodes.sorted(by: { $0.name < $1.name }) {
      table.add([
        node.name, node.class, ago(node.lastHeard), "\(node.frames)", node.rssi.map(String.init) ?? "-",
        node.lqi.map(String.init) ?? "-", "\(node.held)", node.addresses.joined(separator: " "),
      ])
    }
    lines += ["", table.text]
    if !strangers.isEmpty { lines += ["", "strangers \(strangers.joined(separator: " "))"] }
    if !drops.isEmpty {
      let list = drops.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value) \($0.key)" }
      lines += ["", "dropped   \(list.joined(separator: ", "))"]
    }
    return lines.joined(separator: "\n")
  }
}
