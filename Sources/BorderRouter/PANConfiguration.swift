import IEEE802154
import IPv6
import SixLoWPAN
import Wire

/// Who the border router is on its PAN, and the bounds it keeps there.
public struct PANConfiguration: Sendable {
  public var panID: PANIdentifier
  /// The radio's own EUI-64.
  public var extendedAddress: ExtendedAddress
  /// The radio's own short address, if it has one.
  public var shortAddress: ShortAddress?
  /// The /64 that nodes form their global addresses from; `nil` if the PAN has none.
  public var prefix: IPv6Prefix?
  /// Contexts announced to nodes and used toward those that registered (RFC 6775, 4.2).
  public var contexts = ContextTable()
  /// UDP port of the CoAP endpoint.
  public var coapPort: UInt16 = 5683
  /// Octets of a PSDU, the FCS included (aMaxPhyPacketSize).
  public var maximumFrameLength = 127
  /// Octets that link security adds to a frame: auxiliary header and integrity code.
  public var linkSecurityLength = 0
  /// Frames with data that are not secured are refused.
  public var requiresLinkSecurity = false
  /// Between unsolicited router advertisements (MaxRtrAdvInterval of RFC 4861, 6.2.1); `nil` sends none.
  public var advertisementInterval: Duration?
  /// Lifetime that router advertisements give the router, seconds (RFC 4861, 6.2.1).
  public var routerLifetime: UInt16 = 1800
  /// Lifetime that router advertisements give the prefix, seconds.
  public var prefixLifetime: UInt32 = 86_400
  /// Neighbours remembered at most.
  public var maximumNeighbors = 1024
  /// Addresses remembered for one radio at most, so that one node cannot fill the table.
  public var maximumAddressesPerRadio = 16
  /// ICMPv6 errors sent in a second at most (RFC 4443, 2.4 (f)).
  public var errorsPerSecond = 10

  public init(
    panID: PANIdentifier, extendedAddress: ExtendedAddress, shortAddress: ShortAddress? = nil,
    prefix: IPv6Prefix? = nil
  ) {
    self.panID = panID
    self.extendedAddress = extendedAddress
    self.shortAddress = shortAddress
    self.prefix = prefix
  }

  /// `fe80::` with the interface identifier of the EUI-64: the address routers advertise from.
  public var linkLocal: IPv6Address { .linkLocal(extendedAddress.interfaceIdentifier) }

  /// Every unicast address that the border router answers to.
  public var addresses: [IPv6Address] {
    var identifiers = [extendedAddress.interfaceIdentifier]
    if let shortAddress {
      identifiers.append(shortAddress.interfaceIdentifier)
      // The older form with the PAN identifier in front (RFC 4944, 6), which the Linux kernel uses.
      identifiers.append(
        UInt64(panID.value & ~0x0200) << 48 | 0x0000_00ff_fe00_0000 | UInt64(shortAddress.value))
    }
    return identifiers.flatMap { identifier in
      [.linkLocal(identifier)] + (prefix.map { [$0.address(interfaceIdentifier: identifier)] } ?? [])
    }
  }

  /// Whether a frame with this source was sent by the border router itself.
  public func isOwn(_ address: MACAddress) -> Bool {
    switch address {
    case .absent: false
    case .short(let address): address == shortAddress
    case .extended(let address): address == extendedAddress
    }
  }
}
