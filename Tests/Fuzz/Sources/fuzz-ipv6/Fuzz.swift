import IPv6
import Wire

/// What parses is emitted and parsed again: the two values are equal and the length is the one announced.
func roundTrip<T: WireValue & Equatable>(_: T.Type, _ bytes: [UInt8]) {
  var reader = ByteReader(bytes.rawSpan)
  guard let value = try? T(parsing: &reader) else { return }
  guard let emitted = try? value.encoded() else { preconditionFailure("\(value) parsed and has no encoding") }
  precondition(emitted.count == value.encodedLength)
  guard let again = try? T(parsing: emitted) else { preconditionFailure("\(value) does not parse again") }
  precondition(again == value)
}

/// Walks a whole packet down to its neighbour discovery options.
func walk(_ bytes: [UInt8]) {
  guard let packet = try? IPv6Packet(bytes.rawSpan), let upper = try? packet.upperLayer() else { return }
  precondition(upper.offset <= packet.payload.byteCount)
  _ = ICMPv6Error.timeExceeded(.hopLimit).mayAnswer(packet)
  let rest = packet.payload.extracting(droppingFirst: upper.offset)
  let header = packet.header
  switch upper.protocol {
  case .udp:
    guard let datagram = try? UDPDatagram(rest, source: header.source, destination: header.destination) else { return }
    precondition(datagram.payload.byteCount + UDPHeader.length == rest.byteCount)
  case .icmpv6:
    guard let message = try? ICMPv6Message(rest, source: header.source, destination: header.destination),
      let discovery = try? NeighborDiscoveryPacket(message, ip: header)
    else { return }
    var options = discovery.options
    var length = 0
    while let option = try? options.next() {
      length += option.bytes.byteCount
      _ = try? option.value()
    }
    precondition(length <= rest.byteCount)
  default: break
  }
}

/// The same packet with a right ICMPv6 checksum, which a fuzzer hardly finds.
func withChecksum(_ bytes: [UInt8]) -> [UInt8] {
  guard let packet = try? IPv6Packet(bytes.rawSpan), let upper = try? packet.upperLayer(), upper.protocol == .icmpv6,
    packet.payload.byteCount - upper.offset >= 4
  else { return bytes }
  let sum = icmpv6Checksum(
    source: packet.header.source, destination: packet.header.destination,
    message: packet.payload.extracting(droppingFirst: upper.offset))
  var changed = bytes
  changed[40 + upper.offset + 2] = UInt8(sum >> 8)
  changed[40 + upper.offset + 3] = UInt8(sum & 0xff)
  return changed
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let data, count > 0 else { return 0 }
  let bytes = [UInt8](UnsafeBufferPointer(start: data + 1, count: count - 1))
  switch data.pointee % 18 {
  case 0: roundTrip(IPv6Header.self, bytes)
  case 1: roundTrip(UDPHeader.self, bytes)
  case 2: roundTrip(FragmentHeader.self, bytes)
  // Aligning its options may make a longer header longer than the 2,048 bytes there are.
  case 3 where bytes.count <= 500: roundTrip(OptionsHeader.self, bytes)
  case 4: roundTrip(RPLSourceRoute.self, bytes)
  case 5: roundTrip(ICMPv6Header.self, bytes)
  case 6: roundTrip(ICMPv6Echo.self, bytes)
  case 7: roundTrip(ICMPv6Error.self, bytes)
  case 8: roundTrip(RouterSolicitation.self, bytes)
  case 9: roundTrip(RouterAdvertisement.self, bytes)
  case 10: roundTrip(NeighborSolicitation.self, bytes)
  case 11: roundTrip(NeighborAdvertisement.self, bytes)
  case 12: roundTrip(Redirect.self, bytes)
  case 13: roundTrip(DuplicateAddressMessage.self, bytes)
  case 14: roundTrip(NeighborDiscoveryOption.self, bytes)
  case 15:
    guard let text = String(validating: bytes, as: UTF8.self) else { break }
    if let address = IPv6Address(text) { precondition(IPv6Address(address.description) == address) }
    if let prefix = IPv6Prefix(text) { precondition(IPv6Prefix(prefix.description) == prefix) }
  case 16: walk(bytes)
  case 17: walk(withChecksum(bytes))
  default: break
  }
  return 0
}
