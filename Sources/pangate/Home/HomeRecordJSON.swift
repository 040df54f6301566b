import Bridge
import Envelope
import Wire

/// A record as one JSON object: `time` (seconds since 1970), `frame`, `event`, and what belongs to the event.
struct HomeRecordJSON: Encodable {
  var time: Double
  var frame: Int?
  var event: String
  var from: String?
  var to: [String]?
  var `class`: String?
  var kind: String?
  var size: Int?
  var envelopeSize: Int?
  var sequence: UInt64?
  var queueNumber: UInt64?
  var more: Int?
  var inReplyTo: UInt64?
  var readableBy: [String]?
  var reason: String?
  var radio: String?
  var command: String?
  var vouchedBy: String?
  var outcome: String?
  var content: [String]?

  init(_ record: HomeRecord) {
    time = Double(record.time.microseconds) / 1e6
    frame = record.frame
    event = ""
    switch record.event {
    case .gateway(let event): fill(event)
    case .commandGiven(let text, let number): (self.event, command, sequence) = ("command", text, number)
    case .delivered(let message):
      event = message.receipt == nil ? "delivered" : "receipt"
      (from, vouchedBy, self.class) = (message.from, message.vouchedBy, message.class.name)
      (sequence, size, command) = (message.sequence, message.content.bytes.count, message.answers)
      outcome = message.receipt.map { "\($0.outcome)" }
      reason = message.receipt?.reason
      content = ContentText.lines(message.content, KnownParties(own: nil))
    case .ownerRefused(let reason): (event, self.reason) = ("ownerRefused", reason.name)
    case .relayRefused(let reason, let sender, let number):
      (event, self.reason, from, sequence) = ("relayRefused", reason.name, sender, number)
    case .dropped(let reason): (event, self.reason) = ("dropped", reason.name)
    }
  }

  private mutating func fill(_ gateway: GatewayEvent) {
    switch gateway {
    case .accepted(let report):
      (event, kind, from, to) = ("accepted", report.kind.rawValue, report.from, report.to)
      (self.class, sequence, size) = (report.class.name, report.sequence, report.size)
      (envelopeSize, inReplyTo, readableBy) = (report.envelopeSize, report.inReplyTo, report.readableBy)
    case .refused(let refusal): fill("refused", refusal)
    case .downlinkRefused(let refusal): fill("downlinkRefused", refusal)
    case .commandHeld(let held): fill("held", held)
    case .handed(let held, let more):
      fill("handed", held)
      self.more = more
    case .confirmed(let held): fill("confirmed", held)
    case .nothingHeld(let node): (event, from) = ("nothingHeld", node)
    case .displaced(let held, let reason):
      fill("displaced", held)
      self.reason = reason.name
    case .expired(let held, _): fill("expired", held)
    case .exchanging(let held): fill("asked", held)
    case .exchanged(let held, let code, let number):
      fill("answered", held)
      (outcome, inReplyTo, sequence) = (code, held.sequence, number)
    case .exchangeFailed(let held, let reason):
      fill("noAnswer", held)
      self.reason = reason.name
    case .registered(let node, let endpoint, let lifetime):
      (event, from, kind, size) = ("registered", node, endpoint, Int(lifetime))
    case .deregistered(let node): (event, from) = ("deregistered", node)
    case .peerRecord(let epoch): (event, sequence) = ("peerRecord", epoch)
    }
  }

  private mutating func fill(_ name: String, _ refusal: Refusal) {
    (event, reason, from, radio) = (name, refusal.reason.name, refusal.claimed, refusal.radio)
    (kind, size, sequence) = (refusal.kind.rawValue, refusal.size, refusal.sequence)
  }

  private mutating func fill(_ name: String, _ held: HeldCommand) {
    (event, from, to, queueNumber) = (name, held.from, [held.node], held.number)
    (sequence, size) = (held.sequence, held.size)
  }
}
