import CoAP
import IPv6
import Wire

extension DecodedFrame {
  /// Fills in what a whole IPv6 packet holds.
  ///
  /// Throws what is wrong with its headers, its checksum or its CoAP message; what was read until then is kept.
  mutating func add(packet bytes: RawSpan) throws(ParseError) {
    let packet = try IPv6Packet(bytes)
    let header = packet.header
    ipv6 = IPv6(
      source: header.source.description, destination: header.destination.description,
      trafficClass: header.trafficClass, flowLabel: header.flowLabel, payloadLength: header.payloadLength,
      nextHeader: header.nextHeader.rawValue, hopLimit: header.hopLimit, bytes: HexBytes(bytes: bytes.array())
    )
    let upper = try packet.upperLayer()
    ipv6?.upperProtocol = upper.protocol.rawValue
    // The checksum of a fragment covers bytes that are not here.
    if let fragment = upper.fragment, fragment.offset != 0 || fragment.moreFragments { return }
    let rest = packet.payload.extracting(droppingFirst: upper.offset)
    switch upper.protocol {
    case .udp: try add(udp: rest, header)
    case .icmpv6:
      let message = try ICMPv6Message(rest, source: header.source, destination: header.destination)
      icmpv6 = ICMPv6(
        type: message.header.type.rawValue, name: Self.name(message.header.type), code: message.header.code,
        checksum: message.header.checksum)
    default: break
    }
  }

  private static func name(_ type: ICMPv6Type) -> String {
    switch type.rawValue {
    case 130: "multicast-listener-query"
    case 131, 143: "multicast-listener-report"
    case 132: "multicast-listener-done"
    default: type.description
    }
  }

  private mutating func add(udp bytes: RawSpan, _ header: IPv6Header) throws(ParseError) {
    let datagram = try UDPDatagram(bytes, source: header.source, destination: header.destination)
    udp = UDP(
      sourcePort: datagram.header.sourcePort, destinationPort: datagram.header.destinationPort,
      checksum: datagram.header.checksum, payload: HexBytes(bytes: datagram.payload.array()))
    let ports = [datagram.header.sourcePort, datagram.header.destinationPort]
    if ports.contains(Self.coapPort) {
      coap = CoAP(try CoAPMessageView(datagram.payload))
    } else if ports.contains(where: Self.compressedPorts.contains),
      let message = try? CoAPMessageView(datagram.payload)
    {
      coap = CoAP(message)
    }
  }

  private static var coapPort: UInt16 { 5683 }
  /// Ports that 6LoWPAN compresses to four bits: CoAP servers use them too (RFC 7252, 7.1), and so does anything else.
  private static var compressedPorts: ClosedRange<UInt16> { 61616...61631 }
}
