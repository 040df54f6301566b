import Wire

extension InternetChecksum {
  /// Adds the pseudo header of upper-layer checksums (RFC 8200, 8.1).
  ///
  /// With a routing header, `destination` is the final one. `upperLayerLength` counts bytes of the upper-layer
  /// header and its data.
  @inlinable
  public mutating func addPseudoHeader(
    source: IPv6Address, destination: IPv6Address, upperLayerLength: UInt32, nextHeader: NextHeader
  ) {
    add(source.high)
    add(source.low)
    add(destination.high)
    add(destination.low)
    add(UInt64(upperLayerLength) << 32 | UInt64(nextHeader.rawValue))
  }

  /// Whether an upper-layer packet with its checksum field in place sums to zero over the pseudo header.
  @inlinable
  public static func isValid(
    _ upperLayer: RawSpan, source: IPv6Address, destination: IPv6Address, nextHeader: NextHeader
  ) -> Bool {
    var sum = InternetChecksum()
    sum.addPseudoHeader(
      source: source, destination: destination,
      upperLayerLength: UInt32(truncatingIfNeeded: upperLayer.byteCount), nextHeader: nextHeader)
    sum.add(upperLayer)
    return sum.value == 0
  }
}

/// The UDP checksum of a whole datagram (header and data) whose checksum field counts as zero (RFC 8200, 8.1).
///
/// Never zero: a computed zero is sent as `0xffff`. `datagram` holds at least the 8 bytes of the header, else the
/// result is that of a datagram without a checksum field.
@inlinable
public func udpChecksum(source: IPv6Address, destination: IPv6Address, datagram: RawSpan) -> UInt16 {
  let value = upperLayerChecksum(
    source: source, destination: destination, nextHeader: .udp, checksumAt: 6, datagram)
  return value == 0 ? 0xffff : value
}

/// The ICMPv6 checksum of a whole message whose checksum field counts as zero (RFC 4443, 2.3).
@inlinable
public func icmpv6Checksum(source: IPv6Address, destination: IPv6Address, message: RawSpan) -> UInt16 {
  upperLayerChecksum(source: source, destination: destination, nextHeader: .icmpv6, checksumAt: 2, message)
}

@inlinable
func upperLayerChecksum(
  source: IPv6Address, destination: IPv6Address, nextHeader: NextHeader, checksumAt position: Int,
  _ bytes: RawSpan
) -> UInt16 {
  var sum = InternetChecksum()
  sum.addPseudoHeader(
    source: source, destination: destination, upperLayerLength: UInt32(truncatingIfNeeded: bytes.byteCount),
    nextHeader: nextHeader)
  guard bytes.byteCount >= position + 2 else {
    sum.add(bytes)
    return sum.value
  }
  sum.add(bytes.extracting(first: position))
  sum.add(bytes.extracting(droppingFirst: position + 2))
  return sum.value
}
