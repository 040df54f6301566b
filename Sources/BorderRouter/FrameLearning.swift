import IEEE802154
import IPv6
import SixLoWPAN
import Wire

// Options that are malformed in themselves are passed over, as if they were of an unknown type.

extension ContextTable {
  /// Sets the contexts that a router advertisement announces, with their lifetimes (RFC 6775, 4.2 and 5.4.2).
  mutating func learn(_ discovery: borrowing NeighborDiscoveryPacket, now: Instant) throws(ParseError) {
    guard case .routerAdvertisement = discovery.message else { return }
    var options = discovery.options
    while let option = try options.next() {
      guard option.type == .context, case .context(let context)? = try? option.value() else { continue }
      guard context.validLifetime > 0 else {
        remove(context.identifier)
        continue
      }
      set(
        context.identifier, prefix: context.prefix, compress: context.isForCompression,
        expires: now.advanced(by: .seconds(60 * Int64(context.validLifetime))))
    }
  }
}

extension AddressTable {
  /// Takes the pairs of short address and EUI-64 that a message shows by itself or together with the addresses of its link.
  mutating func learn(
    _ discovery: borrowing NeighborDiscoveryPacket, link: LowpanLink, in pan: PANIdentifier
  ) throws(ParseError) {
    // Whose EUI-64 a registration option has: the asker's, who is the sender or the one that is answered.
    var registrant = link.source
    switch discovery.message {
    case .neighborAdvertisement: registrant = link.destination
    case .duplicateAddress(let message):
      // It travels over several hops, so the link says nothing.
      if let short = message.registeredAddress.shortAddress, let extended = message.verifier.eui64 {
        learn(ShortAddress(short), in: pan, as: ExtendedAddress(extended))
      }
      return
    default: break
    }
    var options = discovery.options
    while let option = try options.next() {
      switch option.type {
      case .sourceLinkLayerAddress:
        if case .sourceLinkLayerAddress(let address)? = try? option.value() {
          learn(address, beside: link.source, in: pan)
        }
      case .targetLinkLayerAddress:
        // In a redirect the target is somebody else.
        if case .neighborAdvertisement = discovery.message,
          case .targetLinkLayerAddress(let address)? = try? option.value()
        {
          learn(address, beside: link.source, in: pan)
        }
      case .addressRegistration:
        if case .addressRegistration(let registration)? = try? option.value(),
          // An EARO's verifier need not be an EUI-64 (RFC 8505, 5.3).
          registration.transactionID == nil, let extended = registration.verifier.eui64
        {
          learn(.extended(extended), beside: registrant, in: pan)
        }
      default: break
      }
    }
  }

  /// Takes the short address that an association or a realignment gives to the device addressed (IEEE 802.15.4-2020, 7.5.3
  /// and 7.5.10).
  mutating func learn(_ command: MACCommand, _ header: MACHeader) {
    guard case .extended(let device) = header.destination else { return }
    switch command {
    case .associationResponse(let short, let status):
      guard status == 0 || status == 0x80, let pan = header.destinationPAN ?? header.sourcePAN else { return }
      learn(short, in: pan, as: device)
    case .coordinatorRealignment(let pan, _, _, let short, _): learn(short, in: pan, as: device)
    default: break
    }
  }

  /// Takes two addresses of one device if one is short and the other is not.
  private mutating func learn(_ option: LinkLayerAddress, beside address: MACAddress, in pan: PANIdentifier) {
    switch (option, address) {
    case (.short(let short), .extended(let extended)): learn(ShortAddress(short), in: pan, as: extended)
    case (.extended(let extended), .short(let short)): learn(short, in: pan, as: ExtendedAddress(extended))
    default: break
    }
  }
}
