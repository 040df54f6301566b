import BorderRouter
import CoAP
import IEEE802154
import IPv6
import SixLoWPAN
import TestSupport
import Testing
import Wire

/// What a frame led to.
struct Effects {
  var frames: [[UInt8]] = []
  var requests: [(id: ExchangeID<PANPeer>, request: PANRequest)] = []
  var drops: [DropReason] = []

  var isNothing: Bool { frames.isEmpty && requests.isEmpty && drops.isEmpty }
}

/// A border router and its clock.
final class Border {
  static let prefix = IPv6Prefix(IPv6Address(high: 0xfd00_0001_0000_0000, low: 0), length: 64)
  static let pan = PANIdentifier(0xabcd)
  static let extended = ExtendedAddress(0x0270_616e_6700_0001)

  private var stack: PANStack
  let configuration: PANConfiguration
  var now = Instant(seconds: 1_000_000)

  static func standard() -> PANConfiguration {
    var configuration = PANConfiguration(
      panID: pan, extendedAddress: extended, shortAddress: ShortAddress(1), prefix: prefix)
    configuration.contexts.set(1, prefix: prefix, compress: true, expires: nil)
    return configuration
  }

  init(_ configuration: PANConfiguration = Border.standard(), keys: KeyStore = KeyStore()) {
    self.configuration = configuration
    stack = PANStack(configuration: configuration, keys: keys, random: SeededGenerator(seed: 1))
  }

  var linkLocal: IPv6Address { configuration.linkLocal }
  var global: IPv6Address { Self.prefix.address(interfaceIdentifier: Self.extended.interfaceIdentifier) }
  var neighbors: NeighborCache { stack.neighbors }
  func dropped(_ reason: DropReason) -> UInt64 { stack.counters[reason] }

  private func takeEffects() -> Effects {
    var effects = Effects(frames: stack.takeTransmissions())
    for event in stack.takeEvents() {
      switch event {
      case .request(let id, let request): effects.requests.append((id, request))
      case .dropped(let reason): effects.drops.append(reason)
      case .response, .failed, .command, .heard, .registration: break
      }
    }
    return effects
  }

  func receive(_ frame: [UInt8], fcsPresent: Bool = false) -> Effects {
    stack.receive(frame.rawSpan, metadata: FrameMetadata(timestamp: now, fcsPresent: fcsPresent))
    return takeEffects()
  }

  func receive(_ frame: CapturedFrame) -> Effects {
    now = max(now, frame.metadata.timestamp)
    stack.receive(frame.bytes.rawSpan, metadata: frame.metadata)
    return takeEffects()
  }

  /// All frames, one behind the other.
  func receive(_ frames: [[UInt8]]) -> Effects {
    var effects = Effects()
    for frame in frames {
      let next = receive(frame)
      effects.frames += next.frames
      effects.requests += next.requests
      effects.drops += next.drops
    }
    return effects
  }

  func respond(_ id: ExchangeID<PANPeer>, _ response: CoAPResponse) -> (isAnswered: Bool, frames: [[UInt8]]) {
    let isAnswered = stack.respond(to: id, with: response, now: now)
    return (isAnswered, takeEffects().frames)
  }

  func timeout() -> Effects {
    stack.timeout(at: now)
    return takeEffects()
  }
}

/// A node that speaks to the border router.
struct Node {
  var radio: MACAddress
  private var sequenceNumber: UInt8 = 0
  private var tag: UInt16 = 0

  init(_ number: UInt64) { radio = .extended(ExtendedAddress(0x0212_4b00_0000_0000 | number)) }

  var identifier: UInt64 { radio.interfaceIdentifier ?? 0 }
  var eui64: UInt64 { identifier ^ 0x0200_0000_0000_0000 }
  var linkLocal: IPv6Address { .linkLocal(identifier) }
  var global: IPv6Address { Border.prefix.address(interfaceIdentifier: identifier) }

  mutating func frame(
    _ payload: [UInt8], to destination: MACAddress = .extended(Border.extended), in pan: PANIdentifier = Border.pan,
    withFCS: Bool = false
  ) throws -> [UInt8] {
    sequenceNumber &+= 1
    let header = MACHeader(
      type: .data, sequenceNumber: sequenceNumber, destinationPAN: pan, destination: destination, source: radio,
      panIdentifierCompressed: true)
    return try MACFrame(header: header, payload: payload).encoded(withFCS: withFCS)
  }

  mutating func frames(
    _ packet: [UInt8], to destination: MACAddress = .extended(Border.extended), in pan: PANIdentifier = Border.pan
  ) throws -> [[UInt8]] {
    tag &+= 1
    let link = LowpanLink(source: radio, destination: destination)
    var frames: [[UInt8]] = []
    for payload in try Fragmenter(room: 100, link: link).payloads(
      of: packet.rawSpan, contexts: ContextTable(), now: Instant(seconds: 0), tag: tag)
    { frames.append(try frame(payload, to: destination, in: pan)) }
    return frames
  }

  func udp(
    _ payload: [UInt8], from source: IPv6Address? = nil, to destination: IPv6Address, port: UInt16 = 5683
  ) throws -> [UInt8] {
    let source = source ?? linkLocal
    let datagram = try UDPHeader.datagram(
      source: source, sourcePort: 40_000, destination: destination, destinationPort: port, payload: payload)
    return try IPv6Header(nextHeader: .udp, hopLimit: 64, source: source, destination: destination).packet(datagram)
  }

  /// An ICMPv6 message with options behind its fixed part.
  func icmpv6(
    _ fixed: some WireValue, _ options: [NeighborDiscoveryOption] = [], data: [UInt8] = [],
    from source: IPv6Address? = nil, to destination: IPv6Address, hopLimit: UInt8 = 255
  ) throws -> [UInt8] {
    let source = source ?? linkLocal
    let message = try ICMPv6Message.encoded(source: source, destination: destination, capacity: 1_200) {
      (writer) throws(EmitError) in
      try fixed.emit(into: &writer)
      for option in options { try option.emit(into: &writer) }
      try writer.bytes(data)
    }
    return try IPv6Header(nextHeader: .icmpv6, hopLimit: hopLimit, source: source, destination: destination)
      .packet(message)
  }
}

/// A packet that the border router sent.
struct Sent: Equatable {
  var radio: MACAddress
  var ip: IPv6Header
  /// Behind the IPv6 header.
  var upper: [UInt8]

  /// Puts frames together as a node does that knows the contexts.
  static func packets(in frames: [[UInt8]]) throws -> [Sent] {
    var decoder = FrameDecoder()
    decoder.contexts = Border.standard().contexts
    var sent: [Sent] = []
    for (index, frame) in frames.enumerated() {
      let decoded = decoder.decoded(frame)
      #expect(decoded.reason == nil, "\(frame.hex)")
      #expect(decoded.header?.source == .extended(Border.extended))
      #expect(decoded.header?.destinationPAN == Border.pan)
      #expect(frame.count + FCS.length <= 127)
      guard !decoded.packet.isEmpty else {
        #expect(decoded.outcome == .fragment && index < frames.count - 1)
        continue
      }
      sent.append(
        Sent(
          radio: decoded.header?.destination ?? .absent, ip: try IPv6Header(parsing: Array(decoded.packet.prefix(40))),
          upper: Array(decoded.packet.dropFirst(40))))
    }
    return sent
  }

  /// The only one.
  static func packet(in effects: Effects) throws -> Sent {
    let sent = try packets(in: effects.frames)
    #expect(sent.count == 1)
    return try #require(sent.first)
  }

  /// The neighbour discovery message and its options; every check of RFC 4861 is made.
  func discovery() throws -> (message: NeighborDiscoveryMessage, options: [NeighborDiscoveryOption]) {
    let message = try ICMPv6Message(upper.rawSpan, source: ip.source, destination: ip.destination)
    let packet = try NeighborDiscoveryPacket(message, ip: ip)
    var views = packet.options
    var options: [NeighborDiscoveryOption] = []
    while let option = try views.next() { options.append(try option.value()) }
    return (packet.message, options)
  }

  /// The ICMPv6 error and the packet it is about.
  func error() throws -> (error: ICMPv6Error, invoking: [UInt8]) {
    let message = try ICMPv6Message(upper.rawSpan, source: ip.source, destination: ip.destination)
    var reader = ByteReader(message.bytes)
    let error = try ICMPv6Error(parsing: &reader)
    return (error, reader.takeRest().array())
  }

  func coap() throws -> CoAPMessage {
    let datagram = try UDPDatagram(upper.rawSpan, source: ip.source, destination: ip.destination)
    #expect(datagram.header.sourcePort == 5683)
    #expect(datagram.header.destinationPort == 40_000)
    return CoAPMessage(try CoAPMessageView(datagram.payload))
  }
}
