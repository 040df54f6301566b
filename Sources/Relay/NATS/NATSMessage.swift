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

  /// Whether it says that nobody can answer now: nobody is there, or JetStream has no leader.
  var isUnavailable: Bool {
    if let status { return status == 503 }
    return isShort(with: #""code":503"#)
  }

  /// Whether JetStream says that there is no such message.
  var isMessageNotFound: Bool { status == nil && isShort(with: #""err_code":10037"#) }

  /// Whether it is an answer in JSON that is too short for a message, and holds a text.
  private func isShort(with text: String) -> Bool {
    guard bytes.count < 256, bytes.first == UInt8(ascii: "{") else { return false }
    return bytes.indices.contains { bytes[$0...].starts(with: text.utf8) }
  }
}

/// What goes out.
struct NATSRequest: Sendable {
  var subject: String
  var headers: [(NATSHeader, String)] = []
  var bytes: [UInt8] = []

  /// Whether it does the same when it comes twice, and is answered alike.
  var mayComeTwice: Bool {
    NATSRequest.repeatable.contains { subject.hasPrefix($0) }
  }

  private static let repeatable = [
    "DIRECT.GET.", "STREAM.MSG.GET.", "STREAM.INFO.", "STREAM.CREATE.", "STREAM.UPDATE.", "CONSUMER.INFO.",
    "CONSUMER.DURABLE.CREATE.",
  ].map { NATSRequest.api + $0 }

  /// What the subjects of requests to JetStream begin with.
  static let api = "$JS.API."
}
