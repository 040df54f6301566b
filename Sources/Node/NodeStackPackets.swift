import BorderRouter
import CoAP
import IEEE802154
import IPv6
import SixLoWPAN
import Wire

extension NodeStack {
  // MARK: In

  /// Takes a frame that the radio has let pass. What follows from it is in ``takeEvents()`` and ``takeTransmissions()``.
  public mutating func receive(_ frame: RawSpan, metadata: FrameMetadata) {
    do throws(ParseError) {
      try accept(frame, metadata: metadata)
    } catch {
      drop(error.reason)
    }
    settle(now: metadata.timestamp)
  }

  mutating func drop(_ reason: DropReason) {
    counters.count(reason)
    events.append(.dropped(reason))
  }

  private mutating func accept(_ frame: RawSpan, metadata: FrameMetadata) throws(ParseError) {
    let now = metadata.timestamp
    let view = try MACFrameView(frame, metadata: metadata)
    let header = view.header
    guard header.source != .extended(configuration.extendedAddress) else { throw ParseError(.macOwnFrame) }
    switch header.control.type {
    case .beacon: return receive(try Beacon(parsing: view.payload), header, now: now)
    case .data, .command:
      guard radioSettings.accepts(header, isPANCoordinator: false), header.destination != .absent else {
        throw ParseError(.macNotForUs)
      }
      if !header.destination.isBroadcast { noteFrame(framePending: header.control.isFramePending, now: now) }
      guard !duplicates.isDuplicate(header, payload: view.payload, now: now) else { throw ParseError(.macDuplicate) }
    default: throw ParseError(.unsupported)
    }
    for _ in 0..<decoder.expire(now: now) { drop(.fragmentTimeout) }
    let outcome: FrameOutcome
    let packet: [UInt8]
    do {
      let decoded = decoder.decode(frame, metadata)
      if let failure = decoded.failure { throw failure.error }
      outcome = decoded.outcome
      // Copied out: whatever answers it needs the stack as a whole.
      packet = decoded.packet.array()
    }
    if case .command(let command) = outcome { receive(command, header, now: now) }
    guard case .packet = outcome else { return }
    try accept(packet.rawSpan, from: header.source, now: now)
  }

  private mutating func accept(_ bytes: RawSpan, from radio: MACAddress, now: Instant) throws(ParseError) {
    let packet = try IPv6Packet(bytes)
    let ip = packet.header
    guard ip.source.isUnicast, !ip.source.isLoopback, !isOwn(ip.source) else { throw ParseError(.ipv6SourceInvalid) }
    let isGroup = ip.destination == .allNodes || isOwnGroup(ip.destination)
    guard isGroup || isOwn(ip.destination) else { throw ParseError(.ipv6NotForUs) }
    let upper = try packet.upperLayer()
    guard upper.fragment == nil else { throw ParseError(.ipv6FragmentUnsupported) }
    let body = packet.payload.extracting(droppingFirst: upper.offset)
    switch upper.protocol {
    case .icmpv6:
      let message = try ICMPv6Message(body, source: ip.source, destination: ip.destination)
      switch message.header.type {
      case .echoRequest:
        let source = isGroup ? linkLocal : ip.destination
        guard let reply = ICMPv6Echo.reply(to: message.bytes, source: source, destination: ip.source) else { return }
        let header = IPv6Header(nextHeader: .icmpv6, hopLimit: 64, source: source, destination: ip.source)
        send(header, reply, radio: radio, now: now)
      case .routerAdvertisement, .neighborAdvertisement, .neighborSolicitation:
        let discovery = try NeighborDiscoveryPacket(message, ip: ip)
        try receive(discovery, ip, from: radio, now: now)
      default: throw ParseError(.icmpv6TypeUnknown)
      }
    case .udp:
      let datagram = try UDPDatagram(body, source: ip.source, destination: ip.destination)
      guard datagram.header.destinationPort == configuration.coapPort else { throw ParseError(.udpPortClosed) }
      let peer = PANPeer(
        address: ip.source, port: datagram.header.sourcePort, local: isGroup ? linkLocal : ip.destination)
      linger(now: now)
      coap.receive(datagram.payload, from: peer, at: now, multicast: isGroup)
    default: throw ParseError(.ipv6NextHeaderUnknown)
    }
  }

  private func isOwnGroup(_ address: IPv6Address) -> Bool {
    address.isSolicitedNode
      && (address == linkLocal.solicitedNode || addresses.contains { $0.address.solicitedNode == address })
  }

  // MARK: Effects

  /// Does what the CoAP endpoint wants done, and gives the radio its next frame.
  mutating func settle(now: Instant) {
    var isQuiet = false
    while !isQuiet {
      let outputs = coap.takeOutputs()
      for output in outputs { handle(output, now: now) }
      isQuiet = !startSecured(now: now) && outputs.isEmpty
    }
    schedulePolling(now: now)
    let dataRequest = takeDataRequest()
    if let psdu = mac.next(dataRequest: dataRequest) { transmissions.append(psdu) }
  }

  private mutating func handle(_ output: ExchangeOutput<PANPeer>, now: Instant) {
    switch output {
    case .transmit(let datagram, let peer): send(datagram, to: peer, now: now)
    case .request(let exchange, let request):
      guard security == nil else { return serveSecured(exchange, request, now: now) }
      events.append(.request(exchange, request))
    case .response(let id, let response):
      if !receiveSecured(id, response, now: now) { events.append(.response(id, response)) }
    case .failed(let id, let failure):
      if !failedSecured(id, failure) { events.append(.failed(id, failure)) }
      // Perhaps the router is another one by now, or none.
      if failure == .timeout, solicitation.attempts == 0 { solicit(now: now) }
    case .dropped(let reason, _): drop(reason)
    case .pong, .responseFailed: break
    }
  }

  // MARK: Out

  private mutating func send(_ datagram: [UInt8], to peer: PANPeer, now: Instant) {
    // Everything goes through the router (RFC 6775, 5.1).
    guard let radio = router?.radio,
      let udp = try? UDPHeader.datagram(
        source: peer.local, sourcePort: configuration.coapPort, destination: peer.address, destinationPort: peer.port,
        payload: datagram)
    else { return }
    let header = IPv6Header(nextHeader: .udp, hopLimit: 64, source: peer.local, destination: peer.address)
    linger(now: now)
    send(header, udp, radio: radio, now: now)
  }

  /// Compresses a packet and cuts it into frames.
  mutating func send(_ ip: IPv6Header, _ payload: [UInt8], radio: MACAddress, now: Instant) {
    let isBroadcast = radio.isBroadcast
    let header = MACHeader(
      type: .data, version: .v2006, sequenceNumber: 0, destinationPAN: configuration.panID, destination: radio,
      source: ownRadio, acknowledgmentRequested: !isBroadcast, panIdentifierCompressed: true)
    let fragmenter = Fragmenter(
      room: configuration.maximumFrameLength - FCS.length - header.encodedLength,
      link: LowpanLink(source: header.source, destination: radio),
      // The router has the contexts that it gave.
      options: CompressionOptions(contexts: isBroadcast ? 0 : 0xffff))
    guard let packet = try? ip.packet(payload),
      let payloads = try? fragmenter.payloads(of: packet.rawSpan, contexts: decoder.contexts, now: now, tag: tag)
    else { return drop(.tooLong) }
    if payloads.count > 1 { tag &+= 1 }
    if !mac.send(payloads.map { (header, $0) }) { drop(.macQueueFull) }
  }
}
