import Wire

/// Sequence numbers that durable storage has to cover (RFC 8613, B.1.1): all below ``bound`` are taken.
public struct OSCOREReservation: Hashable, Sendable {
  /// Where a restart continues.
  public let bound: UInt64
}

/// The Sender Sequence Number (RFC 8613, 7.2), reserved in steps.
struct SenderSequence: Hashable, Sendable {
  /// The next number to use.
  private(set) var next: UInt64
  /// Numbers below may be used once this bound is stored.
  private(set) var reserved: UInt64
  /// The highest bound that is stored.
  private var durable: UInt64
  private let step: UInt32

  /// `next` is a bound that is stored already, or 0.
  init(from next: UInt64, step: UInt32) {
    self.next = next
    reserved = next
    durable = next
    self.step = max(1, step)
  }

  /// The one after the last number that a Partial IV can hold.
  static let end = OSCOREOptionValue.maximumPartialIV + 1

  /// Uses a number up. Throws ``DropReason/oscoreSequenceExhausted`` for ever after 2^40 - 1.
  mutating func take() throws(OSCOREError) -> UInt64 {
    guard next < Self.end else { throw OSCOREError(.oscoreSequenceExhausted) }
    let number = next
    next += 1
    if next > reserved { reserved = min(number + UInt64(step), Self.end) }
    return number
  }

  var reservation: OSCOREReservation? { reserved > durable ? OSCOREReservation(bound: reserved) : nil }

  mutating func persisted(_ reservation: OSCOREReservation) {
    durable = max(durable, min(reservation.bound, reserved))
  }
}
