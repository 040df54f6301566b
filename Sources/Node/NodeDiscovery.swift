import BorderRouter
import IEEE802154
import IPv6
import Wire

/// When the node asks for a router (RFC 6775, 5.3 and 9).
struct NodeSolicitation: Sendable {
  /// The interval of the first solicitations, and how many they are.
  static let interval = Duration.seconds(10)
  static let initialCount = 3
  /// The longest interval.
  static let longestInterval = Duration.seconds(60)

  /// When the next one goes out.
  var due: Instant?
  /// Solicitations since the last advertisement.
  var attempts = 0

  /// How long the last one is given.
  var wait: Duration {
    let doublings = max(0, attempts - Self.initialCount)
    return min(Self.longestInterval, Self.interval * (1 << min(doublings, 8)))
  }
}

extension NodeStack {
  // MARK: Router

  /// Asks for a router: the one that is known, or, if that does not answer, any.
  mutating func solicit(now: Instant) {
    if let known = router, known.until <= now { router = nil }
    let target = solicitation.attempts < NodeSolicitation.initialCount ? router : nil
    solicitation.attempts += 1
    solicitation.due = now.advanced(by: solicitation.wait)
    send(
      RouterSolicitation(), [ownLinkLayerAddress], from: linkLocal, to: target?.address ?? .allRouters,
      radio: target?.radio ?? .short(.broadcast), now: now)
  }

  private var ownLinkLayerAddress: NeighborDiscoveryOption {
    .sourceLinkLayerAddress(.extended(configuration.extendedAddress.value))
  }

  /// Takes an advertisement: router, prefix, contexts (which the decoder has taken).
  private mutating func receive(
    _ advertisement: RouterAdvertisement, _ options: [NeighborDiscoveryOption], _ ip: IPv6Header,
    from radio: MACAddress,
    now: Instant
  ) {
    // One router is enough while it is one.
    if let known = router, known.until > now, known.address != ip.source { return }
    guard advertisement.routerLifetime > 0 else {
      router = nil
      solicitation = NodeSolicitation(due: now.advanced(by: NodeSolicitation.interval))
      return
    }
    var found = NodeRouter(
      address: ip.source, radio: radio, global: router?.global,
      until: now.advanced(by: .seconds(Int64(advertisement.routerLifetime))))
    var renewal = found.until
    for option in options {
      switch option {
      case .sourceLinkLayerAddress(.extended(let address)): found.radio = .extended(ExtendedAddress(address))
      case .authoritativeBorderRouter(let border): found.global = border.address
      case .context(let context) where context.validLifetime > 0:
        renewal = min(renewal, now.advanced(by: .seconds(60 * Int64(context.validLifetime))))
      case .prefixInformation(let prefix):
        if let until = configure(prefix, now: now) { renewal = min(renewal, until) }
      default: break
      }
    }
    router = found
    events.append(.router(found.address))
    // In good time, and not all nodes at once.
    let lifetime = now.duration(to: renewal)
    solicitation = NodeSolicitation(due: now.advanced(by: lifetime / 2 + spread(lifetime / 4)))
  }

  /// Forms an address, or keeps it for longer (RFC 4862, 5.5.3); the end of its lifetime, if it is one to form addresses from.
  private mutating func configure(_ prefix: PrefixInformation, now: Instant) -> Instant? {
    guard prefix.isAutonomous, prefix.prefix.length == 64, prefix.validLifetime > 0 else { return nil }
    let until = now.advanced(by: .seconds(Int64(prefix.validLifetime)))
    let extended = configuration.extendedAddress.interfaceIdentifier
    for identifier in [shortAddress?.interfaceIdentifier, extended].compactMap({ $0 }) {
      let address = prefix.prefix.address(interfaceIdentifier: identifier)
      if let index = addresses.firstIndex(where: { $0.address == address }) {
        addresses[index].validUntil = until
        // Another's: the one made of the EUI-64 is left.
        if addresses[index].isDuplicate { continue }
      } else {
        addresses.removeAll { !$0.isDuplicate && prefix.prefix.contains($0.address) }
        addresses.append(NodeAddress(address: address, validUntil: until, due: now))
      }
      return until
    }
    return until
  }

  /// A random part of `most`.
  mutating func spread(_ most: Duration) -> Duration {
    .microseconds(Int64.random(in: 0...max(0, most.wholeMicroseconds), using: &random))
  }

  // MARK: Registration

  /// The longest wait between two solicitations that register, and after a refusal because the router is full.
  private static var longestWait: Duration { .seconds(600) }

  /// Registers what is due (RFC 6775, 5.5).
  mutating func register(now: Instant) {
    addresses.removeAll { $0.validUntil <= now }
    guard let router else { return }
    for index in addresses.indices where addresses[index].due <= now {
      if addresses[index].isDuplicate {
        // The other node's registration may be over by now.
        addresses[index].isDuplicate = false
      }
      addresses[index].attempts += 1
      let wait = Duration.seconds(2 << min(addresses[index].attempts - 1, 5))
      addresses[index].due = now.advanced(by: wait)
      // Perhaps the router is another one by now, or none.
      if addresses[index].attempts == 4, solicitation.attempts == 0 { solicit(now: now) }
      let registration = AddressRegistration(
        lifetime: configuration.registrationLifetime,
        verifier: RegistrationOwnershipVerifier(configuration.extendedAddress.value))
      send(
        NeighborSolicitation(target: router.address), [ownLinkLayerAddress, .addressRegistration(registration)],
        from: addresses[index].address, to: router.address, radio: router.radio, now: now)
    }
  }

  /// Takes the answer to a registration. A refusal comes to the link-local address: it is for the address that was
  /// asked for last.
  private mutating func receive(_ answer: AddressRegistration, _ ip: IPv6Header, now: Instant) {
    guard ip.source == router?.address, answer.verifier.eui64 == configuration.extendedAddress.value else { return }
    let index =
      addresses.firstIndex { $0.address == ip.destination && $0.attempts > 0 }
      ?? addresses.lastIndex { $0.attempts > 0 && ip.destination == linkLocal }
    guard let index else { return }
    addresses[index].attempts = 0
    let lifetime = Duration.seconds(60 * Int64(configuration.registrationLifetime))
    switch answer.status {
    case .success:
      addresses[index].refusals = 0
      addresses[index].registeredUntil = now.advanced(by: lifetime)
      addresses[index].due = now.advanced(by: lifetime / 2 + spread(lifetime / 4))
      events.append(.registered(addresses[index].address, until: now.advanced(by: lifetime)))
      return
    case .neighborCacheFull:
      addresses[index].refusals += 1
      let wait = Duration.seconds(30 << min(addresses[index].refusals - 1, 5))
      addresses[index].due = now.advanced(by: min(wait, Self.longestWait))
    default:
      addresses[index].isDuplicate = true
      addresses[index].due = now.advanced(by: lifetime)
    }
    addresses[index].registeredUntil = nil
    events.append(.registrationRefused(addresses[index].address, answer.status))
  }

  // MARK: Messages

  /// Takes a neighbour discovery message for this node.
  mutating func receive(
    _ discovery: borrowing NeighborDiscoveryPacket, _ ip: IPv6Header, from radio: MACAddress, now: Instant
  ) throws(ParseError) {
    var views = discovery.options
    var options: [NeighborDiscoveryOption] = []
    // A malformed option is passed over like an unknown one.
    while let view = try views.next() { if let option = try? view.value() { options.append(option) } }
    switch discovery.message {
    case .routerAdvertisement(let advertisement):
      receive(advertisement, options, ip, from: radio, now: now)
      register(now: now)
    case .neighborAdvertisement:
      for case .addressRegistration(let answer) in options { receive(answer, ip, now: now) }
    case .neighborSolicitation(let solicitation):
      guard isOwn(solicitation.target), ip.source.isUnicast else { return }
      let answer = NeighborAdvertisement(
        isRouter: false, isSolicited: true, isOverride: true, target: solicitation.target)
      let own = NeighborDiscoveryOption.targetLinkLayerAddress(.extended(configuration.extendedAddress.value))
      send(answer, [own], from: solicitation.target, to: ip.source, radio: radio, now: now)
    case .routerSolicitation, .redirect, .duplicateAddress: throw ParseError(.icmpv6TypeUnknown)
    }
  }

  /// Whether the node answers to an address.
  func isOwn(_ address: IPv6Address) -> Bool {
    address == linkLocal || addresses.contains { $0.address == address && !$0.isDuplicate }
  }

  private mutating func send(
    _ fixed: some WireValue, _ options: [NeighborDiscoveryOption], from source: IPv6Address,
    to destination: IPv6Address,
    radio: MACAddress, now: Instant
  ) {
    let length = options.reduce(fixed.encodedLength) { $0 + $1.encodedLength }
    let message = try? ICMPv6Message.encoded(source: source, destination: destination, capacity: length) {
      (writer) throws(EmitError) in
      try fixed.emit(into: &writer)
      for option in options { try option.emit(into: &writer) }
    }
    guard let message else { return }
    let header = IPv6Header(nextHeader: .icmpv6, hopLimit: 255, source: source, destination: destination)
    send(header, message, radio: radio, now: now)
  }
}
