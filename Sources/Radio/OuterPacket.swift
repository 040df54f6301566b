import IPv6
import Wire

/// The Ethernet, IP and UDP headers around ZEP.
enum OuterPacket {
  /// Passes over the link layer and IP headers. False, or an error, if no whole UDP datagram stands behind them.
  @_lifetime(reader: copy reader)
  static func skipToUDP(_ linkType: LinkType, _ reader: inout ByteReader) throws(ParseError) -> Bool {
    switch linkType {
    case .ethernet:
      try reader.skip(12)
      return try skipEtherType(&reader)
    case .linuxCooked:
      try reader.skip(14)
      return try skipEtherType(&reader)
    case .linuxCooked2:
      var afterHeader = reader
      try afterHeader.skip(20)
      let type = try reader.u16()
      reader = afterHeader
      return try skipIP(type, &reader)
    case .null, .loop: try reader.skip(4)
    default: break
    }
    return try skipIP(try reader.peek() >> 4 == 6 ? 0x86dd : 0x0800, &reader)
  }

  /// An EtherType behind any number of VLAN tags (IEEE 802.1Q), then IP.
  @_lifetime(reader: copy reader)
  private static func skipEtherType(_ reader: inout ByteReader) throws(ParseError) -> Bool {
    var type = try reader.u16()
    while type == 0x8100 || type == 0x88a8 || type == 0x9100 {
      try reader.skip(2)
      type = try reader.u16()
    }
    return try skipIP(type, &reader)
  }

  /// Leaves `reader` over the UDP datagram alone, without padding of the link layer.
  @_lifetime(reader: copy reader)
  private static func skipIP(_ etherType: UInt16, _ reader: inout ByteReader) throws(ParseError) -> Bool {
    switch etherType {
    case 0x86dd:
      let header = try IPv6Header(parsing: &reader)
      reader = try reader.reader(Int(header.payloadLength))
      let upper = try UpperLayer(in: reader.rest, startingWith: header.nextHeader)
      guard upper.protocol == .udp, upper.fragment.map({ $0.offset == 0 && !$0.moreFragments }) ?? true else {
        return false
      }
      try reader.skip(upper.offset)
      return true
    case 0x0800:
      let versionAndLength = try reader.u8()
      let headerLength = Int(versionAndLength & 0xf) * 4
      try reader.skip(1)
      let totalLength = Int(try reader.u16())
      try reader.skip(2)
      let fragment = try reader.u16()
      try reader.skip(1)
      let isUDP = try reader.u8() == NextHeader.udp.rawValue
      // 10 bytes are read. More fragments or an offset: a part of a datagram only.
      guard versionAndLength >> 4 == 4, headerLength >= 20, totalLength >= headerLength,
        fragment & 0x3fff == 0, isUDP
      else { return false }
      try reader.skip(headerLength - 10)
      reader = try reader.reader(totalLength - headerLength)
      return true
    default: return false
    }
  }

  /// A UDP payload and where it stands in the record.
  struct Payload: ~Escapable {
    let bytes: RawSpan
    let offset: Int

    @_lifetime(copy bytes)
    init(_ bytes: RawSpan, offset: Int) {
      self.bytes = bytes
      self.offset = offset
    }
  }

  /// The payload of the UDP datagram at `reader` if one of its ports is `port`. The checksum is not looked at: where
  /// captures are made it is often not filled in yet.
  @_lifetime(copy reader)
  @_lifetime(reader: copy reader)
  static func udpPayload(_ reader: inout ByteReader, port: UInt16) -> Payload? {
    guard let header = try? UDPHeader(parsing: &reader),
      header.sourcePort == port || header.destinationPort == port
    else { return nil }
    let offset = reader.offset
    guard let bytes = try? reader.bytes(Int(header.length) - UDPHeader.length) else { return nil }
    return Payload(bytes, offset: offset)
  }
}
