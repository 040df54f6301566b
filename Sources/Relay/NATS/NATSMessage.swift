/// The headers that are written and read; every other one is passed over.
enum NATSHeader: String, Sendable {
  /// What the queues must know of a message (``NATSDeposit``).
  case deposit = "Pangate-Deposit"
  /// Which relay wrote a value.
  case relay = "Pangate-Relay"
  /// Stores a message only if the last one with its subject is this; 0 for none.
  case expectedLastSubjectSequence = "Nats-Expected-Last-Subject-Sequence"
  /// Of a stored message that was asked for.
  case subject = "Nats-Subject"
  case sequence = "Nats-Sequence"
  /// A number of HTTP's kind: 100 for a heartbeat, 404 for nothing found, 503 for nobody there.
  case status = "Status"

  /// Those that are looked for in what comes.
  static let received: [NATSHeader] = [.status, .deposit, .relay, .sequence, .subject]
}

/// What comes in.
struct NATSMessage: Sendable {
  var subject: String
  var reply: String?
  var headers: [NATSHeader: String] = [:]
  var bytes: [UInt8]

  var status: Int? { headers[.status].flatMap { Int($0) } }
}

/// What goes out.
struct NATSRequest: Sendable {
  var subject: String
  var headers: [(NATSHeader, String)] = []
  var bytes: [UInt8] = []
}
