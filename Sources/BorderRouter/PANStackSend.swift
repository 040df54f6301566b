import CoAP
import IEEE802154
import IPv6
import SixLoWPAN
import Wire

extension PANStack {
  // MARK: Effects

  /// Does what the CoAP endpoint wants done.
  mutating func settle(now: Instant) {
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
      case .response(let id, let response): events.append(.response(id, response))
      case .failed(let id, let failure): events.append(.failed(id, failure))
      case .pong, .responseFailed: break
      }
    }
  }

  mutating func send(_ datagram: [UInt8], to peer: PANPeer, now: Instant) {
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

  mutating func send(_ packet: OutgoingPacket, now: Instant) {
    let registeredUntil = IPv6Packet.destination(of: packet.bytes).flatMap { neighbors[$0]?.registeredUntil }
    let registered = registeredUntil.map { $0 > now } ?? false
    // Only nodes that registered have surely read our contexts (RFC 6775, 5.4); the Linux kernel reads none.
    guard let made = try? sender.frames(for: packet, usingContexts: registered, now: now) else { return }
    frames += made
  }
}
