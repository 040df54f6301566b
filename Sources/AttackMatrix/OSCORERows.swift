import Wire

// OSCORE on the radio, to the gateway or through it.
extension AttackMatrix {
  /// Hops: gateway, relay, reader. The node proves to its gateway what it says, and the gateway signs.
  static func vouchedUp(_ protection: Protection, _ attack: Attack) -> Expectation {
    switch protection {
    case .stream: return .notApplicable("a chunk is an envelope")
    case .confidential: return vouchedUpRefused(attack)
    case .noConsequence, .authOnly: break
    }
    return switch attack {
    case .none: all(.accepts, "read by every hop, but not on the radio")
    case .forge:
      hops(.refuses(.oscoreDecryptionFailed), .refuses(.coseSignatureInvalid), .refuses(.coseSignatureInvalid))
    case .replay: hops(.refuses(.oscoreReplay), .repeats, .repeats)
    case .reorder: all(.accepts, "the order of two readings")
    case .stripEncryption: hops(.refuses(.nodeUnproven), .unreached, .unreached)
    case .resignCiphertext: hops(.refuses(.oscoreDecryptionFailed), .unreached, .unreached)
    case .downgradeClass:
      protection == .noConsequence
        ? hops(.refuses(.nodeUnproven), .unreached, .unreached)
        : hops(.refuses(.nodeUnproven), .refuses(.envelopeClassTooWeak), .refuses(.envelopeClassTooWeak))
    case .wrongRecipient:
      hops(.refuses(.oscoreContextUnknown), .refuses(.envelopeNotAllowed), .refuses(.envelopeNotAllowed))
    case .expired:
      hops(
        .accepts, .refuses(.envelopeExpired), .refuses(.envelopeExpired),
        "a reading held back on the radio is taken as new")
    case .revokedSender:
      hops(
        .refuses(.oscoreContextUnknown), .refuses(.envelopeOnBehalfOfRefused), .refuses(.envelopeOnBehalfOfRefused))
    case .revokedGateway: hops(.unreached, .refuses(.senderRevoked), .refuses(.envelopeSenderUnknown))
    case .staleEpoch: refused(.peerRecordEpochStale)
    case .shortAddressCollision:
      hops(.refuses(.edhocAuthenticationFailed), .refuses(.coseSignatureInvalid), .refuses(.coseSignatureInvalid))
    case .malleatedSignature: hops(.unreached, .repeats, .repeats)
    case .nonceReuse:
      hops(.refuses(.oscoreReplay), .refuses(.envelopeReplayOtherBytes), .refuses(.envelopeReplayOtherBytes))
    case .gatewayCompromised:
      hops(.unreached, .accepts, .accepts, "it reads and forges what the nodes say that it vouches for")
    case .relayCompromised:
      hops(.unreached, .unreached, .refuses(.coseSignatureInvalid), "it reads; silence and delay")
    }
  }

  private static func vouchedUpRefused(_ attack: Attack) -> Expectation {
    switch attack {
    case .none: hops(.refuses(.envelopePlainRefused), .unreached, .unreached)
    case .gatewayCompromised:
      hops(.unreached, .refuses(.envelopeOnBehalfOfRefused), .refuses(.envelopeOnBehalfOfRefused))
    default: .notApplicable("the path is refused without an attack: whoever vouches has read it")
    }
  }

  /// Hops: relay, gateway, node: a CoAP server that shares keys with its gateway.
  static func vouchedDown(_ protection: Protection, _ attack: Attack) -> Expectation {
    switch protection {
    case .stream: return .notApplicable("no node is streamed to")
    case .confidential: return .notApplicable("the oracle admits no confidential node that its gateway speaks for")
    case .noConsequence, .authOnly: break
    }
    let forged = Verdict.refuses(.coseSignatureInvalid)
    return switch attack {
    case .none: all(.accepts, "read by every hop, but not on the radio")
    case .forge: hops(forged, forged, .refuses(.oscoreDecryptionFailed))
    case .replay: hops(.repeats, .repeats, .refuses(.oscoreReplay))
    case .reorder: all(.accepts, "the order of two commands that are both wanted")
    case .stripEncryption: hops(.unreached, .unreached, .refuses(.oscoreUnprotected))
    case .resignCiphertext: hops(.unreached, .unreached, .refuses(.oscoreDecryptionFailed))
    case .downgradeClass:
      protection == .noConsequence
        ? hops(.unreached, .unreached, .refuses(.oscoreUnprotected))
        : hops(.refuses(.envelopeClassTooWeak), .refuses(.envelopeClassTooWeak), .refuses(.oscoreUnprotected))
    case .wrongRecipient:
      hops(.refuses(.envelopeNotAllowed), .refuses(.envelopeNotAllowed), .refuses(.oscoreContextUnknown))
    case .expired:
      hops(
        .refuses(.envelopeExpired), .refuses(.envelopeExpired), .accepts,
        "a request of the gateway that is held back on the radio is obeyed late")
    case .revokedSender: hops(.refuses(.senderRevoked), .refuses(.envelopeSenderUnknown), .unreached)
    case .revokedGateway:
      hops(.refuses(.senderRevoked), .unreached, .accepts, "it commands the nodes that it vouches for until they know")
    case .staleEpoch: hops(.refuses(.peerRecordEpochStale), .refuses(.peerRecordEpochStale), .unreached)
    case .shortAddressCollision: hops(forged, forged, .refuses(.edhocAuthenticationFailed))
    case .malleatedSignature: hops(.repeats, .repeats, .unreached)
    case .nonceReuse:
      hops(.refuses(.envelopeReplayOtherBytes), .refuses(.envelopeReplayOtherBytes), .refuses(.oscoreReplay))
    case .gatewayCompromised:
      hops(.refuses(.envelopeNotAllowed), .unreached, .accepts, "it reads, forges commands and answers")
    case .relayCompromised: hops(.unreached, forged, .unreached, "it reads; silence and delay")
    }
  }
}
