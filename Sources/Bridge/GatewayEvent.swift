import Envelope
import Wire

/// What a gateway did with something that was said: what logs, tables and tests read.
///
/// No event holds a payload, so that nothing confidential can reach a log through one.
public enum GatewayEvent: Sendable, Equatable {
  /// A node's message was taken into custody and waits for the relay.
  case accepted(UplinkReport)
  /// A node's message was refused, or not stored again.
  case refused(Refusal)
  /// An envelope came from the relay for a node and is held for it.
  case commandHeld(HeldCommand)
  /// An envelope from the relay was refused.
  case downlinkRefused(Refusal)
  /// A node was given the oldest message held for it; `more` wait behind it.
  case handed(HeldCommand, more: Int)
  /// A node confirmed what it was given, and it left the queue.
  case confirmed(HeldCommand)
  /// A node asked and nothing is held for it.
  case nothingHeld(node: String)
  /// A held message gave way to a newer one, or to make room, or a new peer record does not allow it any more.
  case displaced(HeldCommand, DropReason)
  /// A held message expired; its sender is told by a receipt that this gateway signed.
  case expired(HeldCommand, receiptTo: String)
  /// A held command goes to a plain CoAP server as a request.
  case exchanging(HeldCommand)
  /// The plain CoAP server answered; the response is in the outbox, with this sequence number, unless its commander left.
  case exchanged(HeldCommand, code: String, sequence: UInt64?)
  /// A command was not exchanged: for ``DropReason/nodeUnreachable`` it stays, for the rest its sender is told.
  case exchangeFailed(HeldCommand, DropReason)
  /// A node registered with the resource directory, or did so anew.
  case registered(node: String, endpoint: String, lifetime: UInt32)
  /// A node's registration ended.
  case deregistered(node: String)
  /// A new peer record is obeyed.
  case peerRecord(epoch: UInt64)
}

/// How a message came.
public enum MessageKind: String, Sendable, Equatable {
  /// A device's own representation, which the gateway signs on its behalf.
  case plain
  /// An envelope that the device signed.
  case envelope
  /// The device's signed answer to a command.
  case receipt
}

/// A message of a node that was taken.
public struct UplinkReport: Sendable, Equatable {
  public var kind: MessageKind
  /// The member that says it.
  public var from: String
  public var `class`: EnvelopeClass
  /// Whom it is addressed to.
  public var to: [String]
  public var sequence: UInt64
  /// Bytes that came over the radio as the request's body.
  public var size: Int
  /// Bytes of the envelope.
  public var envelopeSize: Int
  /// The sequence number of the command that a receipt answers.
  public var inReplyTo: UInt64?
  /// Who can read it: hops and members.
  public var readableBy: [String]
}

/// A message that was not taken.
public struct Refusal: Sendable, Equatable {
  public var reason: DropReason
  /// Whom it claims to be from, if that can be told.
  public var claimed: String?
  /// The member whose radio it came from, if that is known.
  public var radio: String?
  public var kind: MessageKind
  public var size: Int
  public var sequence: UInt64?

  public init(
    reason: DropReason, claimed: String? = nil, radio: String? = nil, kind: MessageKind, size: Int,
    sequence: UInt64? = nil
  ) {
    self.reason = reason
    self.claimed = claimed
    self.radio = radio
    self.kind = kind
    self.size = size
    self.sequence = sequence
  }
}

/// A message in a node's queue.
public struct HeldCommand: Sendable, Equatable {
  /// The node it is for.
  public var node: String
  /// Its number in the node's queue.
  public var number: UInt64
  public var from: String
  public var sequence: UInt64
  public var size: Int
}
