import Envelope
import Wire

/// What a relay answers to an envelope that is handed in.
public enum SubmitOutcome: Hashable, Sendable {
  /// On disk for every recipient, or the sender was told of those whose mailbox is full: 2.04. Also an access
  /// list that was obeyed, which is to the relay itself.
  case accepted([Address])
  /// The same envelope was accepted before: 2.04.
  case alreadyInCustody
  /// Nothing was stored. `code` is a CoAP response code: class in the upper three bits, detail in the lower
  /// five.
  case refused(DropReason, code: UInt8)

  /// The CoAP response code.
  public var code: UInt8 {
    switch self {
    case .accepted, .alreadyInCustody: RelayCode.changed
    case .refused(_, let code): code
    }
  }

  /// Whether the store did not work.
  var isUnavailable: Bool {
    if case .refused(.queueUnavailable, _) = self { return true }
    return false
  }

  static func refused(_ reason: DropReason) -> SubmitOutcome {
    .refused(reason, code: RelayCode.refusal(for: reason))
  }
}

/// The CoAP response codes that a relay gives (RFC 7252, 12.1.2; RFC 8516, 4).
public enum RelayCode {
  /// 2.04
  public static let changed: UInt8 = 2 << 5 | 4
  /// 4.00
  public static let badRequest: UInt8 = 4 << 5
  /// 4.01
  public static let unauthorized: UInt8 = 4 << 5 | 1
  /// 4.03
  public static let forbidden: UInt8 = 4 << 5 | 3
  /// 4.04
  public static let notFound: UInt8 = 4 << 5 | 4
  /// 4.09
  public static let conflict: UInt8 = 4 << 5 | 9
  /// 4.13
  public static let requestEntityTooLarge: UInt8 = 4 << 5 | 13
  /// 4.29
  public static let tooManyRequests: UInt8 = 4 << 5 | 29
  /// 5.01
  public static let notImplemented: UInt8 = 5 << 5 | 1
  /// 5.03
  public static let serviceUnavailable: UInt8 = 5 << 5 | 3

  /// The code for a refusal: what is no business of the sender is 4.03, what may work later 4.29 and 5.03.
  public static func refusal(for reason: DropReason) -> UInt8 {
    switch reason {
    case .envelopeSenderUnknown, .envelopeSenderAmbiguous, .senderRevoked, .envelopeRecipientUnknown,
      .envelopeRecipientAmbiguous, .envelopeNotAllowed, .envelopeNotForUs, .envelopeOnBehalfOfRefused,
      .envelopeClassTooWeak, .coseSignatureInvalid, .peerRecordNotFromOracle:
      forbidden
    case .envelopeReplay, .envelopeReplayOtherBytes, .peerRecordEpochStale: conflict
    case .envelopeTooLarge: requestEntityTooLarge
    case .queueFull, .queueNodeFull, .rateExceeded: tooManyRequests
    case .sessionRequired, .sessionReplaced: unauthorized
    case .recipientNotConnected: notFound
    case .queueUnavailable: serviceUnavailable
    case .unsupported: notImplemented
    default: badRequest
    }
  }
}
