import Bridge
import Envelope
import Wire

/// One thing that happened in a replay.
struct HomeRecord {
  enum Event {
    case gateway(GatewayEvent)
    /// The owner gave a command, as it was typed.
    case commandGiven(String, sequence: UInt64)
    /// The owner took an envelope.
    case delivered(DeliveredMessage)
    case ownerRefused(DropReason)
    case relayRefused(DropReason, from: String, sequence: UInt64)
    /// A frame or message that the PAN side dropped.
    case dropped(DropReason)
  }

  var time: Instant
  /// The capture's frame number, from 1; `nil` before the first frame.
  var frame: Int?
  var event: Event

  /// Whether it says that something in the input was wrong.
  var isRefusal: Bool {
    switch event {
    case .gateway(.refused), .gateway(.downlinkRefused), .ownerRefused, .relayRefused: true
    case .dropped(let reason): !Self.passedOver.contains(reason)
    default: false
    }
  }

  /// What is no error: the gateway's own frames in the recording, frames for others, and copies.
  static let passedOver: Set<DropReason> = [
    .macOwnFrame, .macNotForUs, .macDuplicate, .coapDuplicate, .fragmentDuplicate,
  ]
  /// What is not even worth a line.
  static let unlisted: Set<DropReason> = [.macOwnFrame, .macNotForUs]
}

/// ``Endpoint/Delivery`` without the store's type.
struct DeliveredMessage {
  var from: String
  var vouchedBy: String?
  var `class`: EnvelopeClass
  var sequence: UInt64
  var content: SignedEnvelope.Content
  var answers: String?
  var receipt: Receipt?
}

extension HomeRecord {
  /// The record as a line of the table: event, from, to, class, size, detail.
  var cells: [String] {
    switch event {
    case .gateway(let event): Self.cells(event)
    case .commandGiven(let text, let sequence):
      ["command", "owner", Self.node(of: text), "", "", "\(text) (seq \(sequence))"]
    case .delivered(let message): Self.cells(message, to: "owner")
    case .ownerRefused(let reason): ["REFUSED", "", "owner", "", "", "by the owner: \(reason.name)"]
    case .relayRefused(let reason, let sender, let sequence):
      ["REFUSED", sender, "relay", "", "", "by the relay: \(reason.name) (seq \(sequence))"]
    case .dropped(let reason):
      [Self.passedOver.contains(reason) ? "duplicate" : "DROPPED", "", "", "", "", reason.name]
    }
  }

  private static func node(of command: String) -> String { CommandText(command)?.node ?? "" }

  /// The same of what another endpoint than the owner has taken.
  func cells(to name: String) -> [String] {
    if case .delivered(let message) = event { return Self.cells(message, to: name) }
    return cells
  }

  private static func cells(_ message: DeliveredMessage, to name: String) -> [String] {
    let text = ContentText.lines(message.content, KnownParties(own: nil)).joined(separator: "; ")
    var detail = "reads: \(text)"
    if let receipt = message.receipt {
      detail =
        "receipt \(receipt.outcome)" + (message.answers.map { " for '\($0)'" } ?? "")
        + (receipt.reason.map { ": \(Printable.line($0))" } ?? "")
    }
    if let gateway = message.vouchedBy { detail += " (vouched for by \(gateway))" }
    return ["delivered", message.from, name, message.class.name, "\(message.content.bytes.count)", detail]
  }

  private static func cells(_ event: GatewayEvent) -> [String] {
    switch event {
    case .accepted(let report):
      let made =
        report.kind == .plain
        ? "plain, signed by the gateway: \(report.envelopeSize) B"
        : report.kind == .receipt
          ? "receipt for seq \(report.inReplyTo.map(String.init) ?? "-")" : "signed by the node"
      return [
        "envelope", report.from, report.to.joined(separator: ","), report.class.name, "\(report.size)",
        "\(made), seq \(report.sequence); readable by \(report.readableBy.joined(separator: ", "))",
      ]
    case .refused(let refusal): return cells(refusal, "")
    case .downlinkRefused(let refusal): return cells(refusal, "from the relay: ")
    case .commandHeld(let held):
      return ["held", held.from, held.node, "", "\(held.size)", "number \(held.number) in its queue, until it polls"]
    case .handed(let held, let more):
      return [
        "handed", held.from, held.node, "", "\(held.size)",
        "number \(held.number)" + (more > 0 ? ", \(more) more wait" : ""),
      ]
    case .confirmed(let held):
      return ["confirmed", held.node, "", "", "", "number \(held.number) left the queue"]
    case .nothingHeld(let node): return ["poll", node, "", "", "", "nothing held"]
    case .displaced(let held, let reason):
      return ["displaced", held.from, held.node, "", "\(held.size)", "number \(held.number): \(reason.name)"]
    case .expired(let held, let sender):
      return ["expired", held.from, held.node, "", "\(held.size)", "number \(held.number); \(sender) gets a receipt"]
    case .exchanging(let held):
      return ["asked", held.from, held.node, "", "\(held.size)", "number \(held.number) as a CoAP request"]
    case .exchanged(let held, let code, let sequence):
      return [
        "answered", held.node, held.from, "", "",
        "\(code) to number \(held.number)" + (sequence.map { ", seq \($0)" } ?? "; its commander has left"),
      ]
    case .exchangeFailed(let held, let reason):
      return ["NO ANSWER", held.node, held.from, "", "", "number \(held.number): \(reason.name)"]
    case .registered(let node, let endpoint, let lifetime):
      return ["registered", node, "gateway", "", "", "as \(Printable.line(endpoint)) for \(lifetime) s"]
    case .deregistered(let node): return ["registered", node, "gateway", "", "", "no more"]
    case .peerRecord(let epoch): return ["peers", "oracle", "gateway", "", "", "peer record of epoch \(epoch) obeyed"]
    }
  }

  private static func cells(_ refusal: Refusal, _ prefix: String) -> [String] {
    var detail = prefix + refusal.reason.name + " (\(refusal.kind.rawValue)"
    if let sequence = refusal.sequence { detail += ", seq \(sequence)" }
    detail += ")"
    if refusal.claimed != nil, refusal.radio != refusal.claimed {
      detail += "; came from \(refusal.radio.map { "the radio of \($0)" } ?? "an unknown radio")"
    }
    return ["REFUSED", refusal.claimed ?? refusal.radio ?? "unknown", "", "", "\(refusal.size)", detail]
  }
}

extension DeliveredMessage {
  /// Who says what, as one line.
  var line: String {
    "\(from): " + ContentText.lines(content, KnownParties(own: nil)).joined(separator: "; ")
      + (answers.map { " for '\($0)'" } ?? "")
  }

  init<Store>(_ delivery: Endpoint<Store>.Delivery) {
    self.init(
      from: delivery.from, vouchedBy: delivery.vouchedBy, class: delivery.class, sequence: delivery.sequence,
      content: delivery.content, answers: delivery.answers, receipt: delivery.receipt)
  }
}
