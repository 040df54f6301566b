import CoAP
import Wire

extension DropReason {
  /// The CoAP response code that tells a sender why its message was not taken (DESIGN.md, "The relay").
  ///
  /// A replay of the same bytes is in custody already and answered as then.
  public var responseCode: CoAPCode {
    switch self {
    case .envelopeReplay, .coapDuplicate: .changed
    case .envelopeReplayOtherBytes: .conflict
    case .envelopeTooLarge, .coapBlockTooLarge, .tooLong: .requestEntityTooLarge
    case .nodeUnproven: .unauthorized
    case .queueFull, .queueNodeFull, .queueUnavailable: .serviceUnavailable
    case .envelopeSenderUnknown, .envelopeSenderAmbiguous, .envelopeRecipientUnknown, .envelopeRecipientAmbiguous,
      .envelopeClassTooWeak, .envelopeNotConfidential, .envelopePlainRefused, .envelopeExpired,
      .envelopeFromTheFuture, .envelopeNotAllowed, .envelopeNotForUs, .envelopeOnBehalfOfRefused,
      .envelopeEchoRequired, .envelopeEchoMismatch, .peerRecordNotFromOracle, .peerRecordEpochStale,
      .senderRevoked, .nodeUnknown, .coseSignatureInvalid, .coapRequestRefused:
      .forbidden
    default: .badRequest
    }
  }
}
