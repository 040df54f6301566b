/// Why an input was dropped or refused, over all layers.
///
/// One enum for the whole of Pangate: typed errors carry it, counters are indexed by it, and logs, metrics,
/// the `decode` table and the tests print its ``name``. A case is added at the end of its layer's group;
/// raw values are not a stable format, the names are.
@frozen
public enum DropReason: UInt8, CaseIterable, Sendable, Hashable {
  // Any layer.
  case truncated
  case trailingBytes
  case reservedValue
  case unsupported
  case lengthMismatch
  case tooLong

  // Capture files and encapsulations.
  case captureRecordTruncated
  case captureLinkTypeUnknown
  case captureNotIEEE802154
  case zepMalformed
  case tapMalformed
  case hdlcFCSMismatch
  case hdlcAborted
  case spinelMalformed

  // IEEE 802.15.4.
  case macFrameTooLong
  case macFCSMismatch
  case macFrameVersionReserved
  case macFrameTypeReserved
  case macAddressingModeReserved
  case macAddressingInvalid
  case macIEMalformed
  case macCommandUnknown
  case macSecurityLevelReserved
  case macSecurityUnsupported
  case macKeyUnknown
  case macExtendedAddressUnknown
  case macAuthenticationFailed
  case macReplay
  case macDuplicate
  case macNotForUs
  case macOwnFrame
  case macQueueFull
  case macFrameCounterExhausted
  case macUnsecured
  case macRateLimited
  case macDeviceUnknown

  // 6LoWPAN.
  case lowpanNotALowpanFrame
  case lowpanDispatchUnknown
  case lowpanDispatchUnsupported
  case lowpanPageUnsupported
  case lowpanReservedMode
  case lowpanContextUnknown
  case lowpanContextExpired
  case lowpanAddressUnderivable
  case lowpanNHCUnknown
  case lowpanNHCChainTooLong
  case lowpanGHCMalformed
  case lowpanHC1Malformed
  case lowpanMeshHopsExhausted
  case lowpanDatagramTooLong
  case fragmentMalformed
  case fragmentOverlap
  case fragmentDuplicate
  case fragmentZeroLength
  case fragmentSizeMismatch
  case fragmentOutOfRange
  case fragmentMisaligned
  case fragmentNoBuffer
  case fragmentNodeQuota
  case fragmentTimeout

  // IPv6, UDP, ICMPv6, neighbour discovery.
  case ipv6VersionNot6
  case ipv6LengthMismatch
  case ipv6HopLimitExceeded
  case ipv6SourceInvalid
  case ipv6NotForUs
  case ipv6ExtensionHeaderMalformed
  case ipv6OptionUnrecognized
  case ipv6FragmentUnsupported
  case ipv6NextHeaderUnknown
  case udpLengthMismatch
  case udpChecksumZero
  case udpChecksumMismatch
  case udpPortClosed
  case icmpv6ChecksumMismatch
  case icmpv6TypeUnknown
  case ndHopLimitNot255
  case ndOptionMalformed
  case ndMessageMalformed
  case ndSourceInvalid

  // CoAP.
  case coapVersionUnknown
  case coapTokenLengthReserved
  case coapOptionReserved
  case coapOptionNumberOverflow
  case coapOptionLengthInvalid
  case coapOptionUnknownCritical
  case coapOptionTooMany
  case coapPayloadMarkerWithoutPayload
  case coapEmptyMessageNotEmpty
  case coapCodeClassReserved
  case coapDuplicate
  case coapExchangeUnknown
  case coapExchangeLimit
  case coapBlockOutOfOrder
  case coapBlockTooLarge
  case coapRequestRefused
  case coapMessageTooLarge
  case coapCapabilitiesMissing
  case coapSignalUnknown
  case coapPeerAborted
  case coapPeerSilent

  // CBOR and COSE.
  case cborIndefiniteLength
  case cborNotShortest
  case cborDuplicateKey
  case cborKeyOrder
  case cborTypeMismatch
  case cborInvalidUTF8
  case cborSimpleReserved
  case cborTooDeep
  case cborIntegerOverflow
  case coseTagMissing
  case coseStructure
  case coseUnprotectedNotEmpty
  case coseCriticalUnknown
  case coseAlgorithmUnsupported
  case coseHeaderMissing
  case coseHeaderUnknown
  case coseKeyInvalid
  case coseSignatureInvalid
  case coseDecryptionFailed
  case coseNoRecipient

  // OSCORE.
  case oscoreUnprotected
  case oscoreMalformed
  case oscoreNested
  case oscoreParametersInvalid
  case oscoreContextUnknown
  case oscoreContextOther
  case oscoreContextLimit
  case oscoreDecryptionFailed
  case oscoreReplay
  case oscoreNotificationStale
  case oscoreSequenceExhausted

  // EDHOC.
  case edhocMalformed
  case edhocMethodUnsupported
  case edhocSuiteUnsupported
  case edhocEphemeralKeyInvalid
  case edhocConnectionIdentifierInvalid
  case edhocCriticalUnknown
  case edhocCredentialUnknown
  case edhocCredentialInvalid
  case edhocAuthenticationFailed
  case edhocDecryptionFailed
  case edhocUnexpectedMessage
  case edhocPeerError
  case edhocSessionDropped

  // Envelopes, peer records, policy.
  case envelopeStructure
  case envelopeSenderUnknown
  case envelopeSenderAmbiguous
  case envelopeRecipientUnknown
  case envelopeRecipientAmbiguous
  case envelopeTooManyRecipients
  case envelopeClassReserved
  case envelopeClassTooWeak
  case envelopeNotConfidential
  case envelopePlainRefused
  case envelopeReplay
  case envelopeReplayOtherBytes
  case envelopeExpired
  case envelopeFromTheFuture
  case envelopeTooLarge
  case envelopeNotAllowed
  case envelopeNotForUs
  case envelopeOnBehalfOfRefused
  case envelopeEchoRequired
  case envelopeEchoMismatch
  case peerRecordNotFromOracle
  case peerRecordEpochStale
  case peerRecordInvalid
  case certificateInvalid
  case certificateKeyUnsupported
  case senderRevoked
  case nodeUnknown
  case nodeUnreachable
  case envelopeOutcomeUnknown
  case nodeUnproven

  // Queues.
  case queueFull
  case queueNodeFull
  case queueOldestDropped
  case queueSuperseded
  case queueUnavailable

  // Connections of a relay.
  case sessionRequired
  case sessionReplaced
  case rateExceeded
  case recipientNotConnected
  case connectionTooSlow
  case connectionLimit
  case deliveryRefused

  /// The name of the case: what logs, metrics labels, tables and JSON print.
  public var name: String { "\(self)" }

  /// The case with this name; `nil` if there is none.
  public init?(named name: String) {
    guard let reason = DropReason.allCases.first(where: { $0.name == name }) else { return nil }
    self = reason
  }
}
