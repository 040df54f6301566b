import Wire

// Envelopes that the node signs itself, and seals if it is confidential.
extension AttackMatrix {
  /// Hops: gateway, relay, reader.
  static func signedUp(_ protection: Protection, _ attack: Attack) -> Expectation {
    if protection == .stream { return streamUp(attack) }
    let isSealed = protection == .confidential
    return switch attack {
    case .none: all(.accepts, isSealed ? "read by its readers only" : "read by every hop")
    case .forge, .shortAddressCollision: refused(.coseSignatureInvalid)
    case .replay, .malleatedSignature: all(.repeats)
    case .reorder: all(.accepts, "the order of two reports, which carry numbers and times")
    case .stripEncryption: isSealed ? refused(.envelopeNotConfidential) : notSealed
    case .resignCiphertext:
      isSealed ? hops(.accepts, .accepts, .refuses(.coseDecryptionFailed), "nothing: it does not open") : notSealed
    case .downgradeClass: protection == .noConsequence ? weakest : refused(.envelopeClassTooWeak)
    case .wrongRecipient: refused(.envelopeNotAllowed)
    case .expired: refused(.envelopeExpired)
    case .revokedSender:
      hops(.refuses(.envelopeSenderUnknown), .refuses(.senderRevoked), .refuses(.envelopeSenderUnknown))
    case .revokedGateway:
      hops(
        .unreached, .refuses(.senderRevoked), .accepts, "nothing: the node's own word, which another gateway may carry")
    case .staleEpoch: refused(.peerRecordEpochStale)
    case .nonceReuse: refused(.envelopeReplayOtherBytes)
    case .gatewayCompromised:
      isSealed
        ? hops(
          .unreached, .refuses(.envelopeOnBehalfOfRefused), .refuses(.envelopeOnBehalfOfRefused), "silence and delay")
        : hops(
          .unreached, .accepts, .refuses(.envelopeOnBehalfOfRefused),
          "it reads; silence and delay; it cannot speak for the node")
    case .relayCompromised:
      hops(
        .unreached, .unreached, .refuses(.coseSignatureInvalid),
        isSealed ? "silence and delay" : "it reads; silence and delay")
    }
  }

  /// Hops: relay, gateway, node. The node has a clock; one without challenges what comes.
  static func signedDown(_ protection: Protection, _ attack: Attack) -> Expectation {
    if protection == .stream {
      return attack == .none
        ? hops(.refuses(.unsupported), .refuses(.envelopeClassReserved), .refuses(.envelopeClassReserved))
        : .notApplicable("no node is streamed to: refused without an attack")
    }
    let isSealed = protection == .confidential
    return switch attack {
    case .none: all(.accepts, isSealed ? "read by the node only" : "read by every hop")
    case .forge, .shortAddressCollision: refused(.coseSignatureInvalid)
    case .replay, .malleatedSignature: all(.repeats)
    case .reorder: all(.accepts, "the order of two commands that are both wanted")
    case .stripEncryption: isSealed ? refused(.envelopeNotConfidential) : notSealed
    case .resignCiphertext:
      isSealed ? hops(.accepts, .accepts, .refuses(.coseDecryptionFailed), "nothing: it does not open") : notSealed
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
    case .nonceReuse: refused(.envelopeReplayOtherBytes)
    case .gatewayCompromised:
      hops(
        .refuses(.envelopeNotAllowed), .unreached, .refuses(.envelopeNotAllowed),
        isSealed ? "silence and delay" : "it reads; silence and delay")
    case .relayCompromised:
      hops(
        .unreached, .refuses(.coseSignatureInvalid), .refuses(.coseSignatureInvalid),
        isSealed ? "silence and delay" : "it reads; silence and delay")
    }
  }

  /// Chunks of a stream, whose sender talks to the relay itself or through its gateway, which checks them in the same way
  /// (GatewayStreamTests); the key went before in a confidential envelope.
  private static func streamUp(_ attack: Attack) -> Expectation {
    switch attack {
    case .none: hops(.accepts, .accepts, .accepts, "read by holders of the key only")
    case .forge, .shortAddressCollision:
      hops(.unreached, .refuses(.coseSignatureInvalid), .refuses(.coseSignatureInvalid))
    case .replay, .malleatedSignature, .nonceReuse: hops(.unreached, .accepts, .repeats)
    case .reorder: hops(.unreached, .accepts, .repeats, "a gap: what comes late is left out")
    case .stripEncryption: hops(.unreached, .accepts, .refuses(.coseDecryptionFailed))
    case .resignCiphertext: hops(.unreached, .accepts, .refuses(.coseNoRecipient), "nothing: its key is another's")
    case .downgradeClass:
      hops(
        .unreached, .refuses(.envelopeClassTooWeak), .refuses(.envelopeClassTooWeak), "nothing: no key is sent readable"
      )
    case .wrongRecipient: hops(.unreached, .accepts, .refuses(.coseNoRecipient), "nothing: without the key")
    case .expired: hops(.unreached, .accepts, .refuses(.envelopeExpired))
    case .revokedSender: hops(.unreached, .refuses(.senderRevoked), .refuses(.envelopeSenderUnknown))
    case .staleEpoch: hops(.unreached, .refuses(.peerRecordEpochStale), .refuses(.peerRecordEpochStale))
    case .relayCompromised: hops(.unreached, .unreached, .refuses(.coseSignatureInvalid), "silence")
    case .revokedGateway, .gatewayCompromised: .notApplicable("its sender needs no gateway")
    }
  }
}
