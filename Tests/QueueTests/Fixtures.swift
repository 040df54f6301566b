import Queue
import TestSupport
import Wire

/// An address of which all bytes are `byte`.
func address(_ byte: UInt8) -> Bytes32 { Bytes32([UInt8](repeating: byte, count: 32)) ?? .zero }

func nodeQueue(_ byte: UInt8) -> Mailbox { Mailbox(.nodeQueue, address(byte)) }

/// A deposit whose bytes say its sequence number.
func deposit(
  _ seq: UInt64, from sender: UInt8 = 1, topic: UInt64? = nil, protection: UInt8 = 1, size: Int = 10,
  expires: Int64? = nil
) -> Deposit {
  Deposit(
    sender: address(sender), seq: seq, topic: topic, protectionClass: protection,
    accepted: Instant(seconds: 1),
    expires: expires.map { Instant(seconds: $0) },
    bytes: [UInt8](repeating: UInt8(truncatingIfNeeded: seq), count: size))
}

extension PutResult {
  /// The number under which the first mailbox took it.
  var number: UInt64? {
    if case .held(let numbers, _) = outcome { return numbers.first ?? nil }
    return nil
  }
}
