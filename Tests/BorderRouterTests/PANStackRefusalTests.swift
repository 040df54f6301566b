import BorderRouter
import IEEE802154
import IPv6
import Testing
import Wire

/// What the border router refuses, and how it says so.
@Suite struct PANStackRefusalTests {
  @Test("UDP to another port gets port unreachable (RFC 4443, 3.1)")
  func closedPort() throws {
    let border = Border()
    var node = Node(1)
    for destination in border.configuration.addresses {
      let source = destination.isLinkLocal ? node.linkLocal : node.global
      let packet = try node.udp([1, 2, 3], from: source, to: destination, port: 5684)
      let effects = try border.receive(node.frames(packet))
      #expect(effects.drops == [.udpPortClosed])
      #expect(effects.requests.isEmpty)
      let sent = try Sent.packet(in: effects)
      #expect(sent.radio == node.radio)
      #expect(sent.ip.source == destination)
      #expect(sent.ip.destination == source)
      let (error, invoking) = try sent.error()
      #expect(error == .destinationUnreachable(.portUnreachable))
      #expect(invoking == packet)
    }
  }

  @Test("Nothing is forwarded: packets for other addresses are refused as prohibited (principle 2)")
  func nothingIsForwarded() throws {
    let other = Node(2)
    for destination in [
      IPv6Address(high: 0x2001_0db8_0000_0000, low: 1), IPv6Address(high: 0xfd00_0002_0000_0000, low: 1),
      other.global, other.linkLocal, .loopback,
    ] {
      for port in [UInt16(5683), 53] {
        let border = Border()
        // The other node is known, so that it could be reached.
        var neighbour = other
        _ = try PANStackDiscoveryTests.register(other.global, for: &neighbour, minutes: 10, at: border)
        var node = Node(1)
        for source in [node.linkLocal, node.global] {
          let packet = try node.udp([1, 2, 3], from: source, to: destination, port: port)
          let effects = try border.receive(node.frames(packet))
          #expect(effects.drops == [.ipv6NotForUs])
          #expect(effects.requests.isEmpty)
          let sent = try Sent.packet(in: effects)
          #expect(sent.radio == node.radio)
          #expect(sent.ip.source == border.linkLocal)
          #expect(sent.ip.destination == source)
          let (error, invoking) = try sent.error()
          #expect(error == .destinationUnreachable(.administrativelyProhibited))
          #expect(invoking == packet)
        }
      }
    }
  }

  @Test("Nor is a packet with a routing header sent on, whatever its final destination (RFC 5095)")
  func noSourceRouting() throws {
    let border = Border()
    var node = Node(1)
    // Type 0, one segment left: on to the other node.
    let route = [17, 2, 0, 1, 0, 0, 0, 0] + Node(2).global.bytes
    let udp = try node.udp([1], to: border.linkLocal).dropFirst(40)
    let packet = try IPv6Header(
      nextHeader: NextHeader(rawValue: 43), hopLimit: 64, source: node.linkLocal, destination: border.linkLocal
    ).packet(route + udp)
    let effects = try border.receive(node.frames(packet))
    #expect(effects.requests.isEmpty)
    for sent in try Sent.packets(in: effects.frames) {
      #expect(sent.radio == node.radio)
      #expect(sent.ip.nextHeader == .icmpv6)
    }
    #expect(effects.drops.count == 1)
  }

  @Test("A source that no node of this PAN can have gets no answer, so that errors cannot be aimed at others")
  func foreignSource() throws {
    let border = Border()
    var node = Node(1)
    let outside = IPv6Address(high: 0x2001_0db8_0000_0000, low: 1)
    for (source, destination, reason) in [
      (outside, outside, .ipv6NotForUs), (outside, border.global, .ipv6SourceInvalid),
      (.allNodes, border.global, .ipv6SourceInvalid), (.loopback, border.global, .ipv6SourceInvalid),
      (border.global, border.linkLocal, .ipv6SourceInvalid), (.unspecified, border.linkLocal, .ipv6SourceInvalid),
    ] as [(IPv6Address, IPv6Address, DropReason)] {
      let packet = try node.udp([1], from: source, to: destination, port: 9)
      let effects = try border.receive(node.frames(packet))
      #expect(effects.drops == [reason], "\(source)")
      #expect(effects.frames.isEmpty && effects.requests.isEmpty)
    }
  }

  @Test("An error gets no error, and nor does a multicast (RFC 4443, 2.4 (e))")
  func noErrorForErrors() throws {
    let border = Border()
    var node = Node(1)
    let error = try node.icmpv6(
      ICMPv6Error.destinationUnreachable(.noRoute), data: [1, 2, 3], to: Node(2).global, hopLimit: 64)
    let first = try border.receive(node.frames(error))
    #expect(first.drops == [.ipv6NotForUs])
    #expect(first.frames.isEmpty)
    let multicast = try node.udp([1], to: .allNodes, port: 9)
    let second = try border.receive(node.frames(multicast, to: .short(.broadcast)))
    #expect(second.drops == [.udpPortClosed])
    #expect(second.frames.isEmpty)
  }

  @Test("An unknown protocol gets a parameter problem that points at it (RFC 4443, 3.4)")
  func unknownProtocol() throws {
    let border = Border()
    var node = Node(1)
    let segment = [UInt8](repeating: 1, count: 20)
    // The next header field that names it: byte 6 of the fixed header, or the first of an extension header (PadN in
    // destination options of 16 bytes).
    for (next, payload, pointer) in [
      (6, segment, 6), (60, [6, 1, 1, 12] + [UInt8](repeating: 0, count: 12) + segment, 40),
      (60, [60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0] + segment, 48),
    ] as [(UInt8, [UInt8], UInt32)] {
      let packet = try IPv6Header(
        nextHeader: NextHeader(rawValue: next), hopLimit: 64, source: node.linkLocal, destination: border.linkLocal
      ).packet(payload)
      let effects = try border.receive(node.frames(packet))
      #expect(effects.drops == [.ipv6NextHeaderUnknown])
      let error = try Sent.packet(in: effects).error().error
      #expect(error == .parameterProblem(.unrecognizedNextHeader, pointer: pointer))
    }
  }

  @Test("Errors are limited in number for every second (RFC 4443, 2.4 (f)); drops are all counted")
  func rateLimit() throws {
    let border = Border()
    var node = Node(1)
    let limit = border.configuration.errorsPerSecond
    for second in 1...3 {
      var errors = 0
      for _ in 0..<50 {
        let effects = try border.receive(node.frames(node.udp([1], to: border.linkLocal, port: 9)))
        #expect(effects.drops == [.udpPortClosed])
        errors += try Sent.packets(in: effects.frames).count
      }
      #expect(errors == limit)
      #expect(border.dropped(.udpPortClosed) == UInt64(50 * second))
      border.now = border.now.advanced(by: .seconds(1))
    }
  }
}
