import Wire

// Plain CoAP on the radio. What a radio says in the name of another is believed: no class but no-consequence may report so,
// and a plain CoAP server obeys whoever is on the radio.
extension AttackMatrix {
  /// Hops: gateway, relay, reader. The gateway gets a plain representation, the others the envelope that it made of one.
  static func plainUp(_ protection: Protection, _ attack: Attack) -> Expectation {
    switch protection {
    case .stream: .notApplicable("a chunk is an envelope")
    case .authOnly, .confidential: plainUpRefused(protection, attack)
    case .noConsequence: plainReading(attack)
    }
  }

  private static func plainReading(_ attack: Attack) -> Expectation {
    switch attack {
    case .none: all(.accepts, "read by every hop")
    case .forge: all(.accepts, "forged readings, for whoever spoofs the radio address: that is what the class means")
    case .replay: all(.repeats, "nothing within 247 s; then, or under another message ID, it is a forgery")
    case .reorder: all(.accepts, "the order of two readings")
    case .stripEncryption, .resignCiphertext: notSealed
    case .downgradeClass: weakest
    case .wrongRecipient: hops(.unreached, .refuses(.envelopeNotAllowed), .refuses(.envelopeNotAllowed))
    case .expired:
      hops(
        .accepts, .refuses(.envelopeExpired), .refuses(.envelopeExpired),
        "a reading held back on the radio is taken as new")
    case .revokedSender:
      hops(.refuses(.nodeUnknown), .refuses(.envelopeOnBehalfOfRefused), .refuses(.envelopeOnBehalfOfRefused))
    case .revokedGateway: hops(.unreached, .refuses(.senderRevoked), .refuses(.envelopeSenderUnknown))
    case .staleEpoch: refused(.peerRecordEpochStale)
    case .shortAddressCollision: hops(.unreached, .refuses(.coseSignatureInvalid), .refuses(.coseSignatureInvalid))
    case .malleatedSignature: hops(.unreached, .repeats, .repeats)
    case .nonceReuse:
      hops(
        .accepts, .refuses(.envelopeReplayOtherBytes), .refuses(.envelopeReplayOtherBytes),
        "nothing: numbers are on disk before use")
    case .gatewayCompromised: hops(.unreached, .accepts, .accepts, "it reads and forges what its plain nodes say")
    case .relayCompromised:
      hops(.unreached, .unreached, .refuses(.coseSignatureInvalid), "it reads; silence and delay")
    }
  }

  private static func plainUpRefused(_ protection: Protection, _ attack: Attack) -> Expectation {
    switch attack {
    case .none, .forge, .replay, .reorder, .expired, .stripEncryption, .downgradeClass:
      hops(.refuses(.envelopePlainRefused), .unreached, .unreached)
    case .revokedSender: hops(.refuses(.nodeUnknown), .unreached, .unreached)
    case .gatewayCompromised:
      protection == .authOnly
        ? hops(.unreached, .accepts, .refuses(.envelopeOnBehalfOfRefused))
        : hops(.unreached, .refuses(.envelopeOnBehalfOfRefused), .refuses(.envelopeOnBehalfOfRefused))
    case .resignCiphertext, .wrongRecipient, .revokedGateway, .staleEpoch, .shortAddressCollision, .malleatedSignature,
      .nonceReuse, .relayCompromised:
      .notApplicable("the path is refused without an attack")
    }
  }

  /// Hops: relay, gateway, node: a plain CoAP server that its gateway vouches for.
  static func plainDown(_ protection: Protection, _ attack: Attack) -> Expectation {
    switch protection {
    case .stream: return .notApplicable("no node is streamed to")
    case .confidential: return .notApplicable("the oracle admits no confidential node that its gateway speaks for")
    case .authOnly: return plainDownRefused(attack)
    case .noConsequence: break
    }
    let radio = "whoever is on the radio commands the node"
    return switch attack {
    case .none: all(.accepts, "read by every hop")
    case .forge: hops(.refuses(.coseSignatureInvalid), .refuses(.coseSignatureInvalid), .accepts, radio)
    case .replay: hops(.repeats, .repeats, .accepts, "\(radio): a recorded request under another message ID")
    case .reorder: all(.accepts, "the order of two commands that are both wanted")
    case .stripEncryption, .resignCiphertext: notSealed
    case .downgradeClass: weakest
    case .wrongRecipient: hops(.refuses(.envelopeNotAllowed), .refuses(.envelopeNotAllowed), .unreached)
    case .expired: hops(.refuses(.envelopeExpired), .refuses(.envelopeExpired), .unreached)
    case .revokedSender: hops(.refuses(.senderRevoked), .refuses(.envelopeSenderUnknown), .unreached)
    case .revokedGateway: hops(.refuses(.senderRevoked), .unreached, .accepts, radio)
    case .staleEpoch: hops(.refuses(.peerRecordEpochStale), .refuses(.peerRecordEpochStale), .unreached)
    case .shortAddressCollision: hops(.refuses(.coseSignatureInvalid), .refuses(.coseSignatureInvalid), .unreached)
    case .malleatedSignature: hops(.repeats, .repeats, .unreached)
    case .nonceReuse: hops(.refuses(.envelopeReplayOtherBytes), .refuses(.envelopeReplayOtherBytes), .unreached)
    case .gatewayCompromised:
      hops(.refuses(.envelopeNotAllowed), .unreached, .accepts, "it reads, forges commands and answers")
    case .relayCompromised:
      hops(.unreached, .refuses(.coseSignatureInvalid), .unreached, "it reads; silence and delay")
    }
  }

  /// A server whose answers are of consequence is asked under OSCORE, and takes nothing else.
  private static func plainDownRefused(_ attack: Attack) -> Expectation {
    let unprotected = Verdict.refuses(.oscoreUnprotected)
    return switch attack {
    case .none: hops(.accepts, .holds, unprotected)
    case .forge: hops(.refuses(.coseSignatureInvalid), .refuses(.coseSignatureInvalid), unprotected)
    case .replay, .reorder, .stripEncryption, .downgradeClass, .expired, .revokedGateway, .gatewayCompromised:
      hops(.unreached, .unreached, unprotected)
    case .resignCiphertext, .wrongRecipient, .revokedSender, .staleEpoch, .shortAddressCollision, .malleatedSignature,
      .nonceReuse, .relayCompromised:
      .notApplicable("the path is refused without an attack")
    }
  }
}
