import IEEE802154
import IPv6

/// The link-layer addresses of a frame, from which elided IPv6 addresses are derived (RFC 6282, 3.2.2).
///
/// With a mesh header they are the originator and the final destination (RFC 4944, 5.2), else those of the MAC header.
@frozen
public struct LowpanLink: Hashable, Sendable {
  public var source: MACAddress
  public var destination: MACAddress

  @inlinable
  public init(source: MACAddress, destination: MACAddress) {
    self.source = source
    self.destination = destination
  }

  /// The addresses of an encapsulating IPv6 header, whose last 64 bits take the place of the link's identifiers.
  ///
  /// An interface identifier and an EUI-64 stand for each other, so that it takes the form of extended addresses.
  @usableFromInline
  init(encapsulatedBy source: IPv6Address, _ destination: IPv6Address) {
    self.source = .extended(ExtendedAddress(IPv6Address.interfaceIdentifier(eui64: source.low)))
    self.destination = .extended(ExtendedAddress(IPv6Address.interfaceIdentifier(eui64: destination.low)))
  }
}
