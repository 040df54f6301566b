import CoAP
import IEEE802154
import IPv6
import Wire

// What the border router does by itself, not because a frame came.

extension PANStack {
  /// The first advertisements of a router that has just started come closer together (RFC 4861, 6.2.4).
  static var initialAdvertisements: (count: Int, interval: Duration) { (3, .seconds(16)) }

  /// Begins with unsolicited router advertisements, if the configuration has an interval for them.
  public mutating func startAdvertising(now: Instant) {
    guard configuration.advertisementInterval != nil else { return }
    advertisement = (now, 0)
    advertiseIfDue(now: now)
  }

  mutating func advertiseIfDue(now: Instant) {
    guard let due = advertisement.due, due <= now, let interval = configuration.advertisementInterval else { return }
    if let packet = responder.advertisement(to: .allNodes, radio: .short(.broadcast), now: now) {
      send(packet, now: now)
    }
    advertisement.sent += 1
    let initial = Self.initialAdvertisements
    let wait = advertisement.sent < initial.count ? min(interval, initial.interval) : interval
    advertisement.due = now.advanced(by: wait)
  }

  // MARK: Requests to nodes

  /// Sends a request to the node with this EUI-64, at the address that it was last heard from, else at the link-local one
  /// that follows from its EUI-64. What comes of it is an event with the returned name.
  public mutating func request(
    _ request: CoAPRequest, to node: ExtendedAddress, port: UInt16 = 5683, now: Instant
  ) -> RequestID<PANPeer> {
    defer { settle(now: now) }
    let address = bestAddress(of: node, now: now)
    let local =
      address.isLinkLocal
      ? configuration.linkLocal
      : configuration.prefix.map { $0.address(interfaceIdentifier: configuration.extendedAddress.interfaceIdentifier) }
        ?? configuration.linkLocal
    let peer = PANPeer(address: address, port: port, local: local)
    return coap.request(request, to: peer, at: now)
  }

  /// Takes a request back; it fails as cancelled unless it is over.
  public mutating func cancel(_ request: RequestID<PANPeer>, now: Instant) {
    coap.cancel(request, at: now)
    settle(now: now)
  }

  private mutating func bestAddress(of node: ExtendedAddress, now: Instant) -> IPv6Address {
    let known = neighbors.addresses(of: node) { extendedAddress(of: $0) }
    if let best = known { return best }
    let address = IPv6Address.linkLocal(node.interfaceIdentifier)
    neighbors.learn(address, at: .extended(node), now: now)
    return address
  }

  // MARK: Registrations

  /// Puts back registrations that were kept over a restart. Those that are over are left out.
  public mutating func restore(_ registrations: [(address: IPv6Address, entry: NeighborCache.Entry)], now: Instant) {
    for (address, entry) in registrations { neighbors.restore(address, entry, now: now) }
  }

  /// Sets a pair of short address and EUI-64 that was assigned here, for decryption and for telling who speaks.
  public mutating func setShortAddress(_ short: ShortAddress, of device: ExtendedAddress) {
    decoder.addresses.configure(short, in: configuration.panID, as: device)
  }

  // MARK: Reachability

  /// The link layer could not reach a radio: its addresses are probed, and after some failures forgotten, unless they are
  /// registered (RFC 4861, 7.3).
  public mutating func linkFailed(to radio: MACAddress, now: Instant) {
    for address in neighbors.fail(radio, now: now) {
      if let probe = responder.probe(address, radio: radio) { send(probe, now: now) }
    }
  }
}
