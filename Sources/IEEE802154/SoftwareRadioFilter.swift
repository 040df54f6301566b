// Which frames a receiver takes (IEEE 802.15.4-2020, 6.6.2).

extension RadioSettings {
  /// Whether a receiver with these settings takes a frame with this header: the third level of filtering of the standard,
  /// and everything if ``isPromiscuous``.
  ///
  /// A beacon must come from the own PAN, unless that is the broadcast PAN, as while scanning. Data and commands without a
  /// destination are for the PAN coordinator of their source's PAN. Acknowledgments have another rule, for they answer the
  /// frame before: this one wants their destination, if there is one, to be the own address.
  public func accepts(_ header: MACHeader, isPANCoordinator: Bool) -> Bool {
    if isPromiscuous { return true }
    if let pan = header.destinationPAN, pan != panID, pan != .broadcast { return false }
    switch header.destination {
    case .absent: break
    case .short(let address):
      // Who has no short address of its own holds 0xfffe, which is nobody's.
      guard address == .broadcast || address == shortAddress && address != .unassigned else { return false }
    case .extended(let address):
      guard address == extendedAddress else { return false }
    }
    switch header.control.type {
    case .beacon: return panID == .broadcast || header.effectiveSourcePAN == panID
    case .data, .command:
      guard header.destination == .absent else { return true }
      return isPANCoordinator && header.source != .absent && header.sourcePAN == panID
    case .acknowledgment: return true
    case .reserved, .multipurpose, .fragment, .extended: return false
    }
  }
}
