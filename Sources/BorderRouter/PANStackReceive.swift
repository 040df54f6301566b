import CoAP
import IEEE802154
import IPv6
import SixLoWPAN
import Wire

extension PANStack {
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

  mutating func drop(_ reason: DropReason) {
    counters.count(reason)
    events.append(.dropped(reason))
  }

  mutating func accept(_ frame: RawSpan, metadata: FrameMetadata) throws(ParseError) {
    let now = metadata.timestamp
    // With the FCS: a damaged frame must not make the good one behind it a copy.
    let view = try MACFrameView(frame, metadata: metadata)
    let header = view.header
    guard !configuration.isOwn(header.source) else { throw ParseError(.macOwnFrame) }
    if header.control.type == .data {
      try checkDestination(header)
      guard header.security != nil || !configuration.requiresLinkSecurity else { throw ParseError(.macUnsecured) }
      guard !duplicates.isDuplicate(header, payload: view.payload, now: now) else { throw ParseError(.macDuplicate) }
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
    if let source = extendedAddress(of: header.source) { events.append(.heard(source, header.source, metadata)) }
    if case .command(let command) = outcome { events.append(.command(command, header)) }
    guard case .packet = outcome else { return }
    try accept(packet.rawSpan, from: header.source, now: now)
    // Neighbour discovery may just have said whose radio it is.
    if case .short = header.source, extendedAddress(of: header.source) != nil,
      let held = unidentified.take(header.source)
    {
      acceptHeld(held, now: now)
    }
  }

  /// Looks at a packet that was held, whether its sender is known now or not.
  mutating func acceptHeld(_ packet: UnidentifiedPackets.Packet, now: Instant) {
    do throws(ParseError) {
      try accept(packet.bytes.rawSpan, from: packet.radio, isHeld: true, now: now)
    } catch { drop(error.reason) }
  }

  func checkDestination(_ header: MACHeader) throws(ParseError) {
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

  mutating func accept(
    _ bytes: RawSpan, from radio: MACAddress, isHeld: Bool = false, now: Instant
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
      let before = neighbors[ip.source]
      let answer = try responder.answer(message, ip: ip, from: radio, cache: &neighbors, now: now)
      noteRegistration(of: ip.source, before: before)
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
      guard isHeld || !identifies(radio, bytes, ip, now: now) else { return }
      receive(datagram, ip: ip, radio: radio, now: now)
    case .noNextHeader: break
    default:
      let pointer = packet.nextHeaderPosition(before: upper.offset)
      refuse(
        bytes, ip, .parameterProblem(.unrecognizedNextHeader, pointer: pointer), radio: radio, now: now)
      throw ParseError(.ipv6NextHeaderUnknown)
    }
  }

  /// Asks whose radio a short address is, and holds the packet until that is known: what a node may say depends on who it
  /// is. False if that is known, or cannot be asked.
  private mutating func identifies(_ radio: MACAddress, _ bytes: RawSpan, _ ip: IPv6Header, now: Instant) -> Bool {
    guard case .short = radio, extendedAddress(of: radio) == nil,
      let question = responder.resolution(ip.source)
    else { return false }
    let packet = UnidentifiedPackets.Packet(
      bytes: bytes.array(), source: ip.source, radio: radio,
      deadline: now.advanced(by: UnidentifiedPackets.patience))
    guard unidentified.hold(packet) else { return false }
    send(question, now: now)
    return true
  }

  private mutating func noteRegistration(of address: IPv6Address, before: NeighborCache.Entry?) {
    let entry = neighbors[address]
    guard entry?.registeredUntil != before?.registeredUntil || entry?.owner != before?.owner else { return }
    events.append(.registration(address, entry?.registeredUntil == nil ? nil : entry))
  }

  /// Addresses that a node on this PAN can have.
  func isOnPAN(_ address: IPv6Address) -> Bool {
    address.isLinkLocal || configuration.prefix?.contains(address) == true
  }

  /// Whether a packet is for the border router. One for others is refused, as nothing is forwarded; multicast to groups
  /// of others, such as listener reports to all routers that forward multicast, is passed over in silence.
  mutating func isForUs(
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
  mutating func refuse(
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

  mutating func receive(
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
  func extendedAddress(of radio: MACAddress) -> ExtendedAddress? {
    switch radio {
    case .absent: nil
    case .extended(let address): address
    case .short(let address): decoder.addresses.extendedAddress(of: address, in: configuration.panID)
    }
  }

  static func fingerprint(_ datagram: RawSpan, peer: PANPeer) -> [UInt8] {
    guard let view = try? CoAPMessageView(datagram) else { return [] }
    let port = [UInt8(peer.port >> 8), UInt8(peer.port & 0xff)]
    let number = [UInt8(view.messageID >> 8), UInt8(view.messageID & 0xff)]
    return peer.address.bytes + port + number + view.token.bytes
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
  static func destination(of bytes: [UInt8]) -> IPv6Address? {
    (try? IPv6Packet(bytes.rawSpan))?.header.destination
  }
}
