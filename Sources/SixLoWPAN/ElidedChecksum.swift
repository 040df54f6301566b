import IPv6
import Wire

/// Where a UDP checksum was elided (RFC 6282, 4.3.2), to be restored when the datagram is complete.
@frozen
public struct ElidedChecksum: Hashable, Sendable {
  /// Bytes from the start of the packet to the UDP checksum field.
  public var offset: Int
  /// Bytes from the start of the packet to the IPv6 header whose addresses the checksum covers.
  public var headerOffset: Int

  @inlinable
  public init(offset: Int, headerOffset: Int) {
    self.offset = offset
    self.headerOffset = headerOffset
  }

  /// Computes the checksum of the datagram in the first `count` bytes of `packet` and writes it to its place.
  ///
  /// Does nothing if the packet is too short to have the field.
  @inlinable
  @_lifetime(packet: copy packet)
  public func restore(in packet: inout MutableRawSpan, count: Int) {
    guard count <= packet.byteCount, headerOffset >= 0, headerOffset < count, offset <= count - 2,
      offset >= headerOffset + IPv6Header.length + 6,
      let value = value(in: packet.bytes.extracting(first: count))
    else { return }
    packet.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
  }

  /// Computes the checksum of the datagram in the first `count` bytes of `packet` and writes it to its place.
  @inlinable
  public func restore(in packet: inout [UInt8], count: Int) {
    var bytes = packet.mutableRawSpan
    restore(in: &bytes, count: count)
  }

  @inlinable
  func value(in packet: RawSpan) -> UInt16? {
    var reader = ByteReader(packet.extracting(droppingFirst: headerOffset + 8))
    guard let source = try? IPv6Address(parsing: &reader),
      let destination = try? IPv6Address(parsing: &reader)
    else { return nil }
    return udpChecksum(
      source: source, destination: destination, datagram: packet.extracting(droppingFirst: offset - 6))
  }
}
