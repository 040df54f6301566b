public import Wire

/// Why a step of a session did not succeed.
public struct EDHOCFailure: Error, Hashable, Sendable, CustomStringConvertible {
  /// What was wrong; ``DropReason/edhocUnexpectedMessage`` for a step out of order, after which the session is as before.
  public var reason: DropReason
  /// What to answer the peer; `nil` where nothing is to be sent.
  public var reply: EDHOCErrorMessage?
  /// The error message that the peer sent, with ``DropReason/edhocPeerError``.
  public var received: EDHOCErrorMessage?

  public init(_ reason: DropReason, reply: EDHOCErrorMessage? = nil, received: EDHOCErrorMessage? = nil) {
    self.reason = reason
    self.reply = reply
    self.received = received
  }

  public var description: String { received.map { "\(reason.name): \($0)" } ?? reason.name }

  /// A refusal of a received message. One text for whatever is wrong with it: a text for each check would tell an
  /// attacker how far a forged message came.
  static func refused(_ reason: DropReason, message: Int) -> EDHOCFailure {
    switch reason {
    case .edhocMethodUnsupported: EDHOCFailure(reason, reply: .unspecified("Method not supported"))
    case .edhocCredentialUnknown: EDHOCFailure(reason, reply: .unknownCredential)
    default: EDHOCFailure(reason, reply: .unspecified("message_\(message) not accepted"))
    }
  }

  static let outOfOrder = EDHOCFailure(.edhocUnexpectedMessage)
}

/// A peer as its message names it, not authenticated yet.
public struct EDHOCPeerClaim: Hashable, Sendable {
  /// ID_CRED_R or ID_CRED_I: which credential to fetch, or the credential itself.
  public let identifier: EDHOCCredentialIdentifier
  /// EAD_2 or EAD_3 without its padding.
  public let ead: [EDHOCEADItem]
}

extension EDHOCProfile {
  /// Parses a received message. Throws what the peer says if it is an error message instead.
  func parse<Message: WireValue>(_ bytes: [UInt8], as message: Int) throws(EDHOCFailure) -> Message {
    guard bytes.count <= maximumMessageLength else { throw .refused(.tooLong, message: message) }
    // message_1 begins with an integer too, and no error message comes before it.
    if message > 1, EDHOCErrorMessage.isError(bytes.rawSpan) {
      throw EDHOCFailure(.edhocPeerError, received: try? EDHOCErrorMessage(parsing: bytes))
    }
    do throws(ParseError) { return try Message(parsing: bytes) } catch {
      throw .refused(error.reason, message: message)
    }
  }
}
