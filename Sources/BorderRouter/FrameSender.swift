import IEEE802154
import IPv6
import SixLoWPAN
import Wire

/// Makes frames of packets: compression, fragments, MAC headers with rising sequence numbers.
struct FrameSender {
  let configuration: PANConfiguration
  private var sequenceNumber: UInt8
  private var tag: UInt16

  /// Sequence numbers and datagram tags begin at random (RFC 4944, 5.3; IEEE 802.15.4-2020, 7.2.3).
  init(configuration: PANConfiguration, sequenceNumber: UInt8, tag: UInt16) {
    self.configuration = configuration
    self.sequenceNumber = sequenceNumber
    self.tag = tag
  }

  /// The frames of `packet`. `usingContexts`: the receiver knows the contexts of this PAN.
  ///
  /// Throws ``EmitError`` for a packet that no frames can carry.
  mutating func frames(
    for packet: OutgoingPacket, usingContexts: Bool, now: Instant
  ) throws(EmitError) -> [MACFrame] {
    let broadcast = packet.radio.isBroadcast
    var header = MACHeader(
      type: .data, version: .v2006, sequenceNumber: 0, destinationPAN: configuration.panID, destination: packet.radio,
      source: .extended(configuration.extendedAddress), acknowledgmentRequested: !broadcast,
      panIdentifierCompressed: true)
    let fragmenter = Fragmenter(
      room: configuration.maximumFrameLength - FCS.length - header.encodedLength - configuration.linkSecurityLength,
      link: LowpanLink(source: header.source, destination: packet.radio),
      options: CompressionOptions(contexts: usingContexts ? 0xffff : 0))
    let payloads = try fragmenter.payloads(
      of: packet.bytes.rawSpan, contexts: configuration.contexts, now: now, tag: tag)
    if payloads.count > 1 { tag &+= 1 }
    var frames: [MACFrame] = []
    for payload in payloads {
      header.sequenceNumber = sequenceNumber
      sequenceNumber &+= 1
      frames.append(MACFrame(header: header, payload: payload))
    }
    return frames
  }
}

/// At most so many in a second, so that nobody is made a source of floods (RFC 4443, 2.4 (f)).
struct RateLimit {
  let perSecond: Int
  private var tokens: Int
  private var second = Int64.min

  init(perSecond: Int) {
    self.perSecond = perSecond
    tokens = perSecond
  }

  /// Whether one more may be sent.
  mutating func take(now: Instant) -> Bool {
    if now.seconds != second {
      second = now.seconds
      tokens = perSecond
    }
    guard tokens > 0 else { return false }
    tokens -= 1
    return true
  }
}
