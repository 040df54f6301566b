import Queue
import Wire

/// What the queues must know of a message, as a header; the envelope is the payload.
///
///     1 SENDER SEQ CLASS ACCEPTED EXPIRES RECEIPT TOPIC
///
/// Version, address in hexadecimal, decimal numbers, instants in microseconds, `-` for none.
enum NATSDeposit {
  static func header(_ deposit: Deposit) -> String {
    let expires = deposit.expires.map { "\($0.microseconds)" } ?? "-"
    let topic = deposit.topic.map { "\($0)" } ?? "-"
    return "1 \(deposit.sender) \(deposit.seq) \(deposit.protectionClass) \(deposit.accepted.microseconds) \(expires) "
      + "\(deposit.receiptWanted ? 1 : 0) \(topic)"
  }

  /// `nil` for what a newer version wrote, or nobody of ours.
  static func parse(_ header: String?, bytes: [UInt8]) -> Deposit? {
    let fields = header?.split(separator: " ") ?? []
    guard fields.count == 8, fields[0] == "1", let address = [UInt8](hex: String(fields[1])),
      let sender = Bytes32(address), let seq = UInt64(fields[2]), let protectionClass = UInt8(fields[3]),
      let accepted = Int64(fields[4])
    else { return nil }
    let expires = Int64(fields[5])
    let topic = UInt64(fields[7])
    guard expires != nil || fields[5] == "-", topic != nil || fields[7] == "-" else { return nil }
    return Deposit(
      sender: sender, seq: seq, topic: topic, protectionClass: protectionClass,
      accepted: Instant(microseconds: accepted), expires: expires.map { Instant(microseconds: $0) },
      receiptWanted: fields[6] == "1", bytes: bytes)
  }
}
