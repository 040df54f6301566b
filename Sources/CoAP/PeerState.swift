import Wire

/// A received message that is remembered, so that a duplicate is known (RFC 7252, 4.5).
struct ReceivedMessage: Sendable {
  /// A request that the application has not answered.
  struct Pending: Sendable {
    var number: UInt64
    var token: CoAPToken
    /// Without its payload.
    var request: CoAPRequest
  }

  var messageID: UInt16
  var isConfirmable: Bool
  var expires: Instant
  /// The acknowledgement or reset that answered it, for duplicates.
  var reply: [UInt8]?
  var pending: Pending?
  /// When an acknowledgement must go out if there is no response before.
  var acknowledgeAt: Instant?
}

/// A message that this endpoint sends and still cares for.
struct OutgoingMessage: Sendable {
  enum Purpose: Sendable, Equatable {
    case request
    case ping
    /// A separate response; the number of its exchange is the message's.
    case response
  }

  enum Phase: Sendable {
    /// Waits for its turn (NSTART).
    case queued
    /// Confirmable, sent, not acknowledged.
    case unacknowledged(retransmissions: Int, timeout: Swift.Duration, due: Instant)
    /// Acknowledged, or non-confirmable: the response must come before `due`.
    case awaitingResponse(due: Instant)
  }

  var number: UInt64
  var purpose: Purpose
  var isConfirmable: Bool
  var messageID: UInt16
  var token: CoAPToken
  var datagram: [UInt8]
  /// Drawn when the message was handed in.
  var firstTimeout: Swift.Duration
  var phase = Phase.queued
  var firstSent: Instant?
  /// A non-confirmable request counts towards NSTART until then (PROBING_RATE).
  var outstandingUntil: Instant?

  /// Whether it counts towards NSTART (RFC 7252, 4.7).
  func isOutstanding(at now: Instant) -> Bool {
    guard purpose != .response else { return false }
    switch phase {
    case .queued: return false
    case .unacknowledged: return true
    case .awaitingResponse:
      guard let outstandingUntil else { return false }
      return now < outstandingUntil
    }
  }
}

/// What is kept of one peer.
struct PeerState<Peer: Hashable & Sendable>: Sendable {
  let peer: Peer
  /// In order of reception.
  var received: [ReceivedMessage] = []
  /// In order of submission.
  var outgoing: [OutgoingMessage] = []
  /// Random at first; `nil` before anything was sent.
  var nextMessageID: UInt16?
  /// When a message ID was last given out: the state must stay for EXCHANGE_LIFETIME, lest one is used twice.
  var lastSent: Instant?
  var lastActivity: Instant

  /// Whether nothing is open, so that the state may be given up for another peer.
  var isDispensable: Bool { outgoing.isEmpty && received.allSatisfy { $0.pending == nil } }
}
