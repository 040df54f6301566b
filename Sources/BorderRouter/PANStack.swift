import CoAP
import IEEE802154
import IPv6
import SixLoWPAN
import Wire

/// Where a CoAP message came from, and the address of ours that it came to.
public struct PANPeer: Hashable, Sendable {
  public var address: IPv6Address
  public var port: UInt16
  /// The border router's address that the peer talks to: answers come from it.
  public var local: IPv6Address

  public init(address: IPv6Address, port: UInt16, local: IPv6Address) {
    self.address = address
    self.port = port
    self.local = local
  }
}

/// What became of a frame.
public enum PANEvent: Sendable {
  /// A complete request, to be answered by ``PANStack/respond(to:with:now:)``.
  case request(ExchangeID<PANPeer>, PANRequest)
  /// A frame, packet or message was dropped.
  case dropped(DropReason)
}

/// A request with what is known of its sender.
public struct PANRequest: Sendable {
  public var request: CoAPRequest
  public var peer: PANPeer
  /// The sender's EUI-64, if its frames or its neighbour discovery told it.
  public var extendedAddress: ExtendedAddress?
  /// The same for the same message sent again, and for no other: peer, message ID and token.
  public var fingerprint: [UInt8]
}

/// The border router's side of its PAN, without I/O: frames in, CoAP requests and frames out.
///
/// Nothing is forwarded: a packet for an address that is not the border router's is refused, from the PAN as from
/// anywhere (principle 2).
public struct PANStack: ~Copyable {
  public let configuration: PANConfiguration
  public private(set) var neighbors: NeighborCache
  /// Dropped input by reason, of all layers.
  public private(set) var counters = DropCounters()
  var decoder: FrameDecoder
  private var duplicates = DuplicateFilter()
  private var coap: CoAPEndpoint<PANPeer>
  private var sender: FrameSender
  private var errors: RateLimit
  private let responder: NeighborDiscoveryResponder
  private let ownAddresses: Set<IPv6Address>
  private var transmissions: [[UInt8]] = []
  private var events: [PANEvent] = []
  /// Who sent the datagram that is being looked at.
  private var origin: (extended: ExtendedAddress?, fingerprint: [UInt8]) = (nil, [])

  /// `random` draws sequence numbers, tags, tokens and message IDs.
  public init(
    configuration: PANConfiguration, keys: KeyStore = KeyStore(), reassembly: ReassemblyLimits = ReassemblyLimits(),
    exchange: ExchangeConfiguration = ExchangeConfiguration(),
    blockwise: BlockwiseConfiguration = BlockwiseConfiguration(), random: some RandomNumberGenerator & Sendable
  ) {
    var random = random
    self.configuration = configuration
    neighbors = NeighborCache(
      maximum: configuration.maximumNeighbors, maximumPerRadio: configuration.maximumAddressesPerRadio)
    // Contexts are the border router's own to give, and malformed messages the endpoint's to answer.
    decoder = FrameDecoder(
      configuration: FrameDecoderConfiguration(coapPorts: [], learnsContexts: false, reassembly: reassembly))
    decoder.contexts = configuration.contexts
    decoder.keys = keys
    decoder.replays = ReplayGuard()
    sender = FrameSender(
      configuration: configuration, sequenceNumber: UInt8.random(in: 0...255, using: &random),
      tag: UInt16.random(in: 0...(.max), using: &random))
    errors = RateLimit(perSecond: configuration.errorsPerSecond)
    responder = NeighborDiscoveryResponder(configuration: configuration)
    ownAddresses = Set(configuration.addresses)
    coap = CoAPEndpoint(configuration: exchange, blockwise: blockwise, random: random)
  }

  // MARK: Out

  /// Frames to send, in order, without FCS.
  public mutating func takeTransmissions() -> [[UInt8]] {
    defer { transmissions.removeAll() }
    return transmissions
  }

  /// Requests and drops since the last call, in order.
  public mutating func takeEvents() -> [PANEvent] {
    defer { events.removeAll() }
    return events
  }

  /// When to call ``timeout(at:)``; `nil` for never.
  public var nextTimeout: Instant? { coap.nextTimeout }

  /// Retransmits what is due and gives up what is over.
  public mutating func timeout(at now: Instant) {
    coap.timeout(at: now)
    settle(now: now)
  }

  /// Answers a request. False if it was answered before or is forgotten.
  @discardableResult
  public mutating func respond(
    to exchange: ExchangeID<PANPeer>, with response: CoAPResponse, now: Instant
  ) -> Bool {
    defer { settle(now: now) }
    return coap.respond(to: exchange, with: response, at: now)
  }

  // MARK: In

  /// Takes a received frame. What follows from it is in ``takeEvents()`` and ``takeTransmissions()``.
  public mutating func receive(_ frame: RawSpan, metadata: FrameMetadata) {
    let now = metadata.timestamp
    do throws(ParseError) {
      try accept(frame, metadata: metadata)
    } catch {
      drop(error.reason)
    }
    settle(now: now)
  }

  private mutating func drop(_ reason: DropReason) {
    counters.count(reason)
    events.append(.dropped(reason))
  }

  private mutating func accept(_ frame: RawSpan, metadata: FrameMetadata) throws(ParseError) {
    let now = metadata.timestamp
    // With the FCS: a damaged frame must not make the good one behind it a copy.
    let view = try MACFrameView(frame, metadata: metadata)
    let header = view.header
    guard !configuration.isOwn(header.source) else { throw ParseError(.macOwnFrame) }
    if header.control.type == .data {
      try checkDestination(header)
      guard !duplicates.isDuplicate(header, payload: view.payload, now: now) else { throw ParseError(.macDuplicate) }
    }
    for _ in 0..<decoder.expire(now: now) { drop(.fragmentTimeout) }
    let packet: [UInt8]
    do {
      let decoded = decoder.decode(frame, metadata)
      if let failure = decoded.failure { throw failure.error }
      guard case .packet = decoded.outcome else { return }
      // Copied out: whatever answers it needs the stack as a whole.
      packet = decoded.packet.array()
    }
    try accept(packet.rawSpan, from: header.source, now: now)
  }

  private func checkDestination(_ header: MACHeader) throws(ParseError) {
    if let pan = header.destinationPAN, pan != configuration.panID, pan != .broadcast {
      throw ParseError(.macNotForUs)
    }
    switch header.destination {
    case .absent: throw ParseError(.macNotForUs)
    case .short(let address):
      guard address == .broadcast || address == configuration.shortAddress else { throw ParseError(.macNotForUs) }
    case .extended(let address):
      guard address == configuration.extendedAddress else { throw ParseError(.macNotForUs) }
    }
  }

  private mutating func accept(
    _ bytes: RawSpan, from radio: MACAddress, now: Instant
  ) throws(ParseError) {
    let packet = try IPv6Packet(bytes)
    let ip = packet.header
    guard !ip.source.isMulticast, !ip.source.isLoopback, !ownAddresses.contains(ip.source) else {
      throw ParseError(.ipv6SourceInvalid)
    }
    guard try isForUs(packet, bytes: bytes, radio: radio, now: now) else { return }
    let upper = try packet.upperLayer()
    guard upper.fragment == nil else { throw ParseError(.ipv6FragmentUnsupported) }
    let body = packet.payload.extracting(droppingFirst: upper.offset)
    switch upper.protocol {
    case .icmpv6:
      let message = try ICMPv6Message(body, source: ip.source, destination: ip.destination)
      let answer = try responder.answer(message, ip: ip, from: radio, cache: &neighbors, now: now)
      if let answer { send(answer, now: now) }
    case .udp:
      // From elsewhere nothing comes over this radio, and nothing would find back.
      guard ip.source.isUnicast, isOnPAN(ip.source) else { throw ParseError(.ipv6SourceInvalid) }
      let datagram = try UDPDatagram(body, source: ip.source, destination: ip.destination)
      neighbors.learn(ip.source, at: radio, now: now)
      guard datagram.header.destinationPort == configuration.coapPort else {
        refuse(bytes, ip, .destinationUnreachable(.portUnreachable), radio: radio, now: now)
        throw ParseError(.udpPortClosed)
      }
      receive(datagram, ip: ip, radio: radio, now: now)
    case .noNextHeader: break
    default:
      let pointer = packet.nextHeaderPosition(before: upper.offset)
      refuse(
        bytes, ip, .parameterProblem(.unrecognizedNextHeader, pointer: pointer), radio: radio, now: now)
      throw ParseError(.ipv6NextHeaderUnknown)
    }
  }

  /// Addresses that a node on this PAN can have.
  private func isOnPAN(_ address: IPv6Address) -> Bool {
    address.isLinkLocal || configuration.prefix?.contains(address) == true
  }

  /// Whether a packet is for the border router. One for others is refused, as nothing is forwarded; multicast to groups
  /// of others, such as listener reports to all routers that forward multicast, is passed over in silence.
  private mutating func isForUs(
    _ packet: borrowing IPv6Packet, bytes: RawSpan, radio: MACAddress, now: Instant
  ) throws(ParseError) -> Bool {
    let destination = packet.header.destination
    if destination.isMulticast {
      return destination == .allNodes || destination == .allRouters
        || ownAddresses.contains { $0.solicitedNode == destination }
    }
    guard ownAddresses.contains(destination) else {
      refuse(
        bytes, packet.header, .destinationUnreachable(.administrativelyProhibited), radio: radio, now: now)
      throw ParseError(.ipv6NotForUs)
    }
    return true
  }

  /// Tells a sender why its packet went nowhere, if it may be told and not too often.
  private mutating func refuse(
    _ bytes: RawSpan, _ ip: IPv6Header, _ error: ICMPv6Error, radio: MACAddress, now: Instant
  ) {
    guard let packet = try? IPv6Packet(bytes), error.mayAnswer(packet), isOnPAN(ip.source), radio != .absent,
      errors.take(now: now)
    else { return }
    let source = ownAddresses.contains(ip.destination) ? ip.destination : configuration.linkLocal
    guard let message = try? error.encoded(invoking: bytes, source: source, destination: ip.source),
      let whole = try? IPv6Header(nextHeader: .icmpv6, hopLimit: 64, source: source, destination: ip.source)
        .packet(message)
    else { return }
    send(OutgoingPacket(bytes: whole, radio: radio), now: now)
  }

  private mutating func receive(
    _ datagram: borrowing UDPDatagram, ip: IPv6Header, radio: MACAddress, now: Instant
  ) {
    let multicast = ip.destination.isMulticast
    let peer = PANPeer(
      address: ip.source, port: datagram.header.sourcePort,
      local: multicast ? configuration.linkLocal : ip.destination)
    let payload = datagram.payload
    origin = (extendedAddress(of: radio), Self.fingerprint(payload, peer: peer))
    coap.receive(payload, from: peer, at: now, multicast: multicast)
  }

  /// The EUI-64 behind a MAC address: itself, or what neighbour discovery or association said of a short one.
  private func extendedAddress(of radio: MACAddress) -> ExtendedAddress? {
    switch radio {
    case .absent: nil
    case .extended(let address): address
    case .short(let address): decoder.addresses.extendedAddress(of: address, in: configuration.panID)
    }
  }

  private static func fingerprint(_ datagram: RawSpan, peer: PANPeer) -> [UInt8] {
    guard let view = try? CoAPMessageView(datagram) else { return [] }
    let port = [UInt8(peer.port >> 8), UInt8(peer.port & 0xff)]
    let number = [UInt8(view.messageID >> 8), UInt8(view.messageID & 0xff)]
    return peer.address.bytes + port + number + view.token.bytes
  }

  // MARK: Effects

  /// Does what the CoAP endpoint wants done.
  private mutating func settle(now: Instant) {
    for output in coap.takeOutputs() {
      switch output {
      case .transmit(let datagram, let peer): send(datagram, to: peer, now: now)
      case .request(let exchange, let request):
        events.append(
          .request(
            exchange,
            PANRequest(
              request: request, peer: exchange.peer, extendedAddress: origin.extended,
              fingerprint: origin.fingerprint)))
      case .dropped(let reason, _): drop(reason)
      case .response, .pong, .failed, .responseFailed: break
      }
    }
  }

  private mutating func send(_ datagram: [UInt8], to peer: PANPeer, now: Instant) {
    // A neighbour that was forgotten in the meantime has to ask again.
    guard let entry = neighbors[peer.address],
      let udp = try? UDPHeader.datagram(
        source: peer.local, sourcePort: configuration.coapPort, destination: peer.address, destinationPort: peer.port,
        payload: datagram),
      let packet = try? IPv6Header(
        nextHeader: .udp, hopLimit: 64, source: peer.local, destination: peer.address
      ).packet(udp)
    else { return }
    send(OutgoingPacket(bytes: packet, radio: entry.radio), now: now)
  }

  private mutating func send(_ packet: OutgoingPacket, now: Instant) {
    let registeredUntil = IPv6Packet.destination(of: packet.bytes).flatMap { neighbors[$0]?.registeredUntil }
    let registered = registeredUntil.map { $0 > now } ?? false
    // Only nodes that registered have surely read our contexts (RFC 6775, 5.4); the Linux kernel reads none.
    guard let frames = try? sender.frames(for: packet, usingContexts: registered, now: now) else { return }
    transmissions += frames
  }
}

extension IPv6Packet {
  /// Where the next header field stands that names the upper layer, which begins at `offset` of the payload and was found by
  /// ``upperLayer()``; bytes from the start of the packet.
  fileprivate func nextHeaderPosition(before offset: Int) -> UInt32 {
    var kind = header.nextHeader
    var (field, position) = (6, 0)
    while position < offset {
      field = IPv6Header.length + position
      let units = Int(payload[byteAt: position + 1])
      position += kind == .fragment ? 8 : kind == .authentication ? 4 * (units + 2) : 8 * (units + 1)
      kind = NextHeader(rawValue: payload[byteAt: field - IPv6Header.length])
    }
    return UInt32(field)
  }

  /// The destination of a whole packet.
  fileprivate static func destination(of bytes: [UInt8]) -> IPv6Address? {
    (try? IPv6Packet(bytes.rawSpan))?.header.destination
  }
}
