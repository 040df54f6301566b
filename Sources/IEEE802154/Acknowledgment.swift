import Wire

// How a receiver answers a frame that asks for it (IEEE 802.15.4-2020, 6.7.4.2 and 7.3.3).

extension MACHeader {
  /// The immediate acknowledgment of a frame of version 2003 or 2006: three bytes, without addresses.
  @inlinable
  public static func immediateAcknowledgment(sequenceNumber: UInt8, framePending: Bool) -> MACHeader {
    MACHeader(type: .acknowledgment, version: .v2003, sequenceNumber: sequenceNumber, framePending: framePending)
  }

  /// The acknowledgment of this frame; `nil` if it asks for none or must not be acknowledged (a broadcast, an
  /// acknowledgment).
  ///
  /// A frame of version 2015 has an enhanced one: sent to where the frame came from, with the same sequence number if any.
  /// If `security` is given, the caller secures the acknowledgment (``FrameSecurity``); if `hasInformationElements`, it adds them.
  @inlinable
  public func acknowledgment(
    framePending: Bool, security: AuxiliarySecurityHeader? = nil, hasInformationElements: Bool = false
  ) -> MACHeader? {
    guard control.isAcknowledgmentRequested, control.type != .acknowledgment, !destination.isBroadcast else {
      return nil
    }
    guard control.version == .v2015 else {
      return sequenceNumber.map { .immediateAcknowledgment(sequenceNumber: $0, framePending: framePending) }
    }
    // Without a source address, the PAN identifier stands alone, which table 7-2 writes as compression.
    let pan = effectiveSourcePAN
    return MACHeader(
      type: .acknowledgment, version: .v2015, sequenceNumber: sequenceNumber, destinationPAN: pan,
      destination: source, security: security, framePending: framePending,
      panIdentifierCompressed: (source == .absent) == (pan != nil),
      hasInformationElements: hasInformationElements)
  }
}
