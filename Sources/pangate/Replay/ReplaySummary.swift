import Bridge
import Envelope
import Queue
import Wire

/// What a replay came to, for people and as JSON.
struct ReplaySummary: Encodable {
  struct Waiting: Encodable {
    var queue: String
    var messages: Int
    var bytes: Int
  }

  var frames = 0
  var ownFrames = 0
  var foreignFrames = 0
  var framesSent = 0
  /// Messages taken, by class.
  var taken: [String: Int] = [:]
  /// Messages refused by the gateway, by reason.
  var refused: [String: Int] = [:]
  /// Frames and messages dropped by the PAN side, by reason.
  var dropped: [String: Int] = [:]
  var commandsGiven = 0
  var commandsHanded = 0
  var commandsConfirmed = 0
  var receipts: [String: Int] = [:]
  var delivered = 0
  /// What the owner has, this run's and earlier ones', a line each.
  var inbox: [String]?
  var waiting: [Waiting] = []

  mutating func count(_ record: HomeRecord) {
    switch record.event {
    case .gateway(.accepted(let report)): taken[report.class.name, default: 0] += 1
    case .gateway(.refused(let refusal)), .gateway(.downlinkRefused(let refusal)):
      refused[refusal.reason.name, default: 0] += 1
    case .gateway(.handed): commandsHanded += 1
    case .gateway(.confirmed): commandsConfirmed += 1
    case .gateway: break
    case .commandGiven: commandsGiven += 1
    case .delivered(let message):
      if let receipt = message.receipt { receipts["\(receipt.outcome)", default: 0] += 1 } else { delivered += 1 }
    case .ownerRefused(let reason), .relayRefused(let reason, _, _): refused[reason.name, default: 0] += 1
    case .dropped(.macOwnFrame): ownFrames += 1
    case .dropped(.macNotForUs): foreignFrames += 1
    case .dropped(let reason): dropped[reason.name, default: 0] += 1
    }
  }

  var text: String {
    func list(_ counts: [String: Int]) -> String {
      counts.isEmpty
        ? "none"
        : counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value) \($0.key)" }
          .joined(separator: ", ")
    }
    var lines = [
      "Summary",
      "  frames       \(frames) in the recording: \(ownFrames) of the recording's own gateway and \(foreignFrames) for "
        + "others passed over; \(framesSent) sent in answer",
      "  envelopes    \(taken.values.reduce(0, +)) taken: \(list(taken))",
      "  refused      \(refused.values.reduce(0, +)): \(list(refused))",
      "  dropped      \(dropped.values.reduce(0, +)): \(list(dropped))",
      "  commands     \(commandsGiven) given, \(commandsHanded) handed to nodes that polled, "
        + "\(commandsConfirmed) confirmed; receipts: \(list(receipts))",
    ]
    if let inbox {
      lines.append("  owner        \(delivered) reports delivered in this run, \(inbox.count) envelopes in the inbox")
    }
    let depth = waiting.map { "\($0.queue) \($0.messages)" }.joined(separator: ", ")
    lines.append("  still held   \(depth)")
    return lines.joined(separator: "\n")
  }
}
