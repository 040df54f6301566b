import IEEE802154
import Wire

/// A frame that waits to be sent.
struct QueuedFrame: Sendable {
  /// Who wants it sent, and so what its end means.
  enum Purpose: Sendable {
    /// A frame of the caller's.
    case caller(UInt64)
    /// Answers an association request: with an acceptance, or `nil`.
    case associationResponse(ExtendedAddress, Acceptance?)
    /// Answers a data request in vain.
    case emptyAnswer
    case beacon
    case realignment
  }

  /// Tells it from all other frames of the engine.
  let serial: UInt64
  let purpose: Purpose
  var header: MACHeader
  let payload: [UInt8]
  let priority: FramePriority
  /// The engine is to secure it.
  let isSecured: Bool
  /// It waits where it waits, whether its device sleeps or not.
  let isPinned: Bool
  /// Octets that count for the bounds: those of the PSDU without FCS.
  let length: Int
  var deadline: Instant
  /// What was last sent, to be sent again as it is.
  var psdu: [UInt8]?
  /// The frame counter in ``psdu``.
  var counter: UInt32?
  /// Attempts made.
  var attempts = 0
  /// Whether it has its sequence number.
  var isNumbered = false

  var destination: MACAddress { header.destination }

  /// Whether ``psdu`` may be sent again. A secured frame may not once a group has been sent a higher counter, for the device
  /// would take it for a replay.
  func isFrozen(lastGroupCounter: UInt32?) -> Bool {
    guard psdu != nil else { return false }
    guard let counter, let lastGroupCounter else { return true }
    return counter > lastGroupCounter
  }
}
