import Wire

/// The fixed part of any neighbour discovery message.
@frozen
public enum NeighborDiscoveryMessage: Hashable, Sendable {
  case routerSolicitation
  case routerAdvertisement(RouterAdvertisement)
  case neighborSolicitation(NeighborSolicitation)
  case neighborAdvertisement(NeighborAdvertisement)
  case redirect(Redirect)
  /// DAR, DAC, EDAR or EDAC.
  case duplicateAddress(DuplicateAddressMessage)
}

/// A neighbour discovery message that a node may act on: every check of RFC 4861 (6.1, 7.1, 8.1) and RFC 6775 that
/// needs no state was made.
@frozen
public struct NeighborDiscoveryPacket: ~Escapable {
  public let message: NeighborDiscoveryMessage
  @usableFromInline let _options: RawSpan

  /// The options, each of which has a length over zero and ends inside the message.
  @inlinable public var options: NeighborDiscoveryOptions {
    @_lifetime(copy self) get { NeighborDiscoveryOptions(_options) }
  }

  /// Checks and parses `message`, which came in a packet with the header `ip`.
  ///
  /// Throws ``DropReason/icmpv6TypeUnknown`` if it is no neighbour discovery, ``DropReason/ndHopLimitNot255``
  /// (DAR and DAC travel over several hops and are exempt), ``DropReason/ndSourceInvalid``,
  /// ``DropReason/ndMessageMalformed``, ``DropReason/ndOptionMalformed`` and ``DropReason/truncated``.
  @_lifetime(copy message)
  public init(_ message: borrowing ICMPv6Message, ip: IPv6Header) throws(ParseError) {
    let type = message.header.type
    var reader = ByteReader(message.bytes)
    if type != .duplicateAddressRequest, type != .duplicateAddressConfirmation {
      guard (ICMPv6Type.routerSolicitation.rawValue...ICMPv6Type.redirect.rawValue).contains(type.rawValue)
      else {
        throw ParseError(.icmpv6TypeUnknown)
      }
      guard ip.hopLimit == 255 else { throw ParseError(.ndHopLimitNot255) }
    }
    let unspecified = ip.source.isUnspecified
    var mayHoldSourceAddress = true
    switch type {
    case .routerSolicitation:
      _ = try RouterSolicitation(parsing: &reader)
      self.message = .routerSolicitation
      mayHoldSourceAddress = !unspecified
    case .routerAdvertisement:
      guard ip.source.isLinkLocal else { throw ParseError(.ndSourceInvalid) }
      self.message = .routerAdvertisement(try RouterAdvertisement(parsing: &reader))
    case .neighborSolicitation:
      self.message = .neighborSolicitation(try NeighborSolicitation(parsing: &reader))
      guard !unspecified || ip.destination.isSolicitedNode else { throw ParseError(.ndSourceInvalid) }
      mayHoldSourceAddress = !unspecified
    case .neighborAdvertisement:
      let advertisement = try NeighborAdvertisement(parsing: &reader)
      guard !ip.destination.isMulticast || !advertisement.isSolicited else {
        throw ParseError(.ndMessageMalformed, at: 4)
      }
      self.message = .neighborAdvertisement(advertisement)
    case .redirect:
      guard ip.source.isLinkLocal else { throw ParseError(.ndSourceInvalid) }
      self.message = .redirect(try Redirect(parsing: &reader))
    default:
      guard ip.source.isUnicast else { throw ParseError(.ndSourceInvalid) }
      self.message = .duplicateAddress(try DuplicateAddressMessage(parsing: &reader))
    }
    let start = reader.offset
    _options = reader.takeRest()
    var options = NeighborDiscoveryOptions(_options)
    do throws(ParseError) {
      while let option = try options.next() {
        guard option.type != .sourceLinkLayerAddress || mayHoldSourceAddress else {
          throw ParseError(.ndSourceInvalid, at: option.offset)
        }
      }
    } catch {
      throw ParseError(error.reason, at: start &+ Int(error.offset))
    }
  }
}
