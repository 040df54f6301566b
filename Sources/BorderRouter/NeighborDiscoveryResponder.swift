import IEEE802154
import IPv6
import SixLoWPAN
import Wire

/// A packet for a node, before it is compressed and framed.
public struct OutgoingPacket: Sendable, Equatable {
  /// A whole IPv6 packet.
  public var bytes: [UInt8]
  /// The radio it goes to.
  public var radio: MACAddress
}

/// What the border router answers by itself: solicitations, registrations and echo requests (RFC 4861, 6775, 4443).
struct NeighborDiscoveryResponder {
  let configuration: PANConfiguration

  /// Answers an ICMPv6 message for the border router. Errors are those of ``NeighborDiscoveryPacket``.
  func answer(
    _ message: borrowing ICMPv6Message, ip: IPv6Header, from radio: MACAddress, cache: inout NeighborCache,
    now: Instant
  ) throws(ParseError) -> OutgoingPacket? {
    switch message.header.type {
    case .echoRequest:
      let source = configuration.addresses.contains(ip.destination) ? ip.destination : configuration.linkLocal
      guard let reply = ICMPv6Echo.reply(to: message.bytes, source: source, destination: ip.source) else {
        return nil
      }
      return packet(reply, from: source, to: ip.source, hopLimit: 64, radio: radio)
    case .routerSolicitation, .neighborSolicitation:
      let discovery = try NeighborDiscoveryPacket(message, ip: ip)
      var options = discovery.options
      var radioOfSource = radio
      var registration: AddressRegistration?
      while let option = try options.next() {
        switch try option.value() {
        case .sourceLinkLayerAddress(.extended(let address)):
          // A node that names both of its addresses is answered at the one it sent from.
          if case .absent = radio { radioOfSource = .extended(ExtendedAddress(address)) }
        case .addressRegistration(let value): registration = value
        default: break
        }
      }
      if case .neighborSolicitation(let solicitation) = discovery.message {
        return answer(
          solicitation, registration: registration, ip: ip, radio: radioOfSource, cache: &cache, now: now)
      }
      if ip.source.isUnicast { cache.learn(ip.source, at: radioOfSource, now: now) }
      return advertisement(to: ip.source.isUnicast ? ip.source : .allNodes, radio: radioOfSource, now: now)
    case .neighborAdvertisement:
      // Whoever answers a probe is there; nothing else follows from it, since nothing was asked that others know better.
      let discovery = try NeighborDiscoveryPacket(message, ip: ip)
      if case .neighborAdvertisement(let advertisement) = discovery.message, advertisement.target == ip.source {
        cache.learn(ip.source, at: radio, now: now)
      }
      return nil
    default: return nil
    }
  }

  private func answer(
    _ solicitation: NeighborSolicitation, registration: AddressRegistration?, ip: IPv6Header, radio: MACAddress,
    cache: inout NeighborCache, now: Instant
  ) -> OutgoingPacket? {
    // RFC 6775, 5.5.2: a registration is a solicitation for the router, whose source is what is registered.
    guard configuration.addresses.contains(solicitation.target) else { return nil }
    var answered: AddressRegistration?
    // Another node's duplicate address detection found our address: everybody must hear that it is taken.
    var destination = ip.source.isUnicast ? ip.source : IPv6Address.allNodes
    var radio = radio
    // Without a source there is nothing to register, and a verifier that is no EUI-64 is passed over like an unknown option.
    if var registration, ip.source.isUnicast, let eui64 = registration.verifier.eui64 {
      let owner = ExtendedAddress(eui64)
      registration.status = cache.register(
        ip.source, owner: owner, at: radio, lifetimeMinutes: registration.lifetime, now: now)
      answered = registration
      // A refusal goes to the EUI-64: the address, and a short one below it, may be another's (RFC 6775, 6.5.2).
      if registration.status != .success {
        destination = .linkLocal(owner.interfaceIdentifier)
        radio = .extended(owner)
      }
    } else if ip.source.isUnicast {
      cache.learn(ip.source, at: radio, now: now)
    }
    let advertisement = NeighborAdvertisement(
      isRouter: true, isSolicited: ip.source.isUnicast, isOverride: true, target: solicitation.target)
    var options: [NeighborDiscoveryOption] = [
      .targetLinkLayerAddress(.extended(configuration.extendedAddress.value))
    ]
    if let answered { options.append(.addressRegistration(answered)) }
    return message(advertisement, options, from: solicitation.target, to: destination, radio: radio)
  }

  /// A router advertisement (RFC 6775, 5.6 and 6.3): prefix with A=1 L=0, contexts, ABRO and the source's address.
  func advertisement(to destination: IPv6Address, radio: MACAddress, now: Instant) -> OutgoingPacket? {
    var options: [NeighborDiscoveryOption] = [
      .sourceLinkLayerAddress(.extended(configuration.extendedAddress.value))
    ]
    if let prefix = configuration.prefix {
      options.append(
        .prefixInformation(
          PrefixInformation(
            prefix: prefix, isOnLink: false, isAutonomous: true, validLifetime: configuration.prefixLifetime,
            preferredLifetime: configuration.prefixLifetime)))
    }
    for (identifier, context) in configuration.contexts.entries {
      let seconds = context.expires.map { now.duration(to: $0).components.seconds } ?? .max
      let minutes = UInt16(clamping: seconds / 60)
      guard minutes > 0 else { continue }
      options.append(
        .context(
          ContextInformation(
            prefix: context.prefix, isForCompression: context.compress, identifier: identifier, validLifetime: minutes))
      )
    }
    if let prefix = configuration.prefix {
      options.append(
        .authoritativeBorderRouter(
          AuthoritativeBorderRouter(
            version: 1, validLifetime: 0,
            address: prefix.address(interfaceIdentifier: configuration.extendedAddress.interfaceIdentifier))))
    }
    let router = RouterAdvertisement(
      hopLimit: 64, isManaged: false, hasOtherConfiguration: false, preference: .medium,
      routerLifetime: configuration.routerLifetime, reachableTime: 0, retransmissionTimer: 0)
    return message(
      router, options, from: configuration.linkLocal, to: destination,
      radio: destination.isMulticast ? .short(.broadcast) : radio)
  }

  /// A solicitation that asks whether a neighbour is still there (RFC 4861, 7.3.3).
  func probe(_ address: IPv6Address, radio: MACAddress) -> OutgoingPacket? {
    message(
      NeighborSolicitation(target: address),
      [.sourceLinkLayerAddress(.extended(configuration.extendedAddress.value))],
      from: configuration.linkLocal, to: address, radio: radio)
  }

  /// A solicitation that asks all whose an address is: the answer to it names the EUI-64, while one to a node alone may
  /// leave that out (RFC 4861, 4.4).
  func resolution(_ address: IPv6Address) -> OutgoingPacket? {
    message(
      NeighborSolicitation(target: address),
      [.sourceLinkLayerAddress(.extended(configuration.extendedAddress.value))],
      from: configuration.linkLocal, to: address.solicitedNode, radio: .short(.broadcast))
  }

  private func message(
    _ fixed: some WireValue, _ options: [NeighborDiscoveryOption], from source: IPv6Address,
    to destination: IPv6Address, radio: MACAddress
  ) -> OutgoingPacket? {
    let length = options.reduce(fixed.encodedLength) { $0 + $1.encodedLength }
    let bytes = try? ICMPv6Message.encoded(source: source, destination: destination, capacity: length) {
      (writer) throws(EmitError) in
      try fixed.emit(into: &writer)
      for option in options { try option.emit(into: &writer) }
    }
    guard let bytes else { return nil }
    let to = destination.isMulticast ? MACAddress.short(.broadcast) : radio
    return packet(bytes, from: source, to: destination, hopLimit: 255, radio: to)
  }

  private func packet(
    _ message: [UInt8], from source: IPv6Address, to destination: IPv6Address, hopLimit: UInt8, radio: MACAddress
  ) -> OutgoingPacket? {
    let header = IPv6Header(
      nextHeader: .icmpv6, hopLimit: hopLimit, source: source, destination: destination)
    return (try? header.packet(message)).map { OutgoingPacket(bytes: $0, radio: radio) }
  }
}
