import Wire

// OSCORE between a commander and a node that signs its envelopes; what is in them only the two can read.
extension AttackMatrix {
  /// Hops: gateway, relay, reader: the answer of a node to its commander.
  static func endToEndUp(_ protection: Protection, _ attack: Attack) -> Expectation {
    guard protection != .stream else { return .notApplicable("chunks have a key of their stream") }
    let isConfidential = protection == .confidential
    let over = Verdict.refuses(.coapExchangeUnknown)
    return switch attack {
    case .none: all(.accepts, "read by its commander only")
    case .forge, .shortAddressCollision: refused(.coseSignatureInvalid)
    case .replay, .malleatedSignature: hops(.repeats, .repeats, over)
    case .reorder: all(.accepts)
    case .stripEncryption:
      isConfidential ? refused(.envelopeClassTooWeak) : hops(.accepts, .accepts, .repeats)
    case .resignCiphertext: hops(.accepts, .accepts, over)
    case .downgradeClass:
      protection == .noConsequence
        ? all(.accepts, "nothing: OSCORE protects it in any class") : refused(.envelopeClassTooWeak)
    case .wrongRecipient: refused(.envelopeNotAllowed)
    case .expired: refused(.envelopeExpired)
    case .revokedSender:
      hops(.refuses(.envelopeSenderUnknown), .refuses(.senderRevoked), .refuses(.envelopeSenderUnknown))
    case .revokedGateway:
      hops(
        .unreached, .refuses(.senderRevoked), .accepts, "nothing: the node's own word, which another gateway may carry")
    case .staleEpoch: refused(.peerRecordEpochStale)
    case .nonceReuse: hops(.refuses(.envelopeReplayOtherBytes), .refuses(.envelopeReplayOtherBytes), over)
    case .gatewayCompromised:
      hops(.unreached, .accepts, .refuses(.envelopeOnBehalfOfRefused), "silence and delay")
    case .relayCompromised: hops(.unreached, .unreached, .refuses(.coseSignatureInvalid), "silence and delay")
    }
  }

  /// Hops: relay, gateway, node: a command.
  static func endToEndDown(_ protection: Protection, _ attack: Attack) -> Expectation {
    guard protection != .stream else { return .notApplicable("no node is streamed to") }
    return switch attack {
    case .none: all(.accepts, "read by the node only")
    case .forge, .shortAddressCollision: refused(.coseSignatureInvalid)
    case .replay, .malleatedSignature: all(.repeats)
    case .reorder: all(.accepts, "the order of two commands that are both wanted")
    case .stripEncryption:
      protection == .confidential
        ? refused(.envelopeClassTooWeak) : .notApplicable("signed by its commander, it is a node-signed command")
    case .resignCiphertext: hops(.accepts, .accepts, .refuses(.oscoreContextOther), "nothing: it opens for nobody")
    case .downgradeClass:
      protection == .noConsequence
        ? hops(.accepts, .accepts, .refuses(.envelopeClassTooWeak)) : refused(.envelopeClassTooWeak)
    case .wrongRecipient: refused(.envelopeNotAllowed)
    case .expired: refused(.envelopeExpired)
    case .revokedSender:
      hops(.refuses(.senderRevoked), .refuses(.envelopeSenderUnknown), .refuses(.envelopeNotAllowed))
    case .revokedGateway:
      hops(.refuses(.senderRevoked), .unreached, .accepts, "it hands out, in its lifetime, what it holds already")
    case .staleEpoch: hops(.refuses(.peerRecordEpochStale), .refuses(.peerRecordEpochStale), .unreached)
    case .nonceReuse: hops(.accepts, .accepts, .refuses(.oscoreReplay))
    case .gatewayCompromised:
      hops(.refuses(.envelopeNotAllowed), .unreached, .refuses(.envelopeNotAllowed), "silence and delay")
    case .relayCompromised:
      hops(.unreached, .refuses(.coseSignatureInvalid), .refuses(.coseSignatureInvalid), "silence and delay")
    }
  }
}
