import BorderRouter
import IEEE802154
import IPv6
import Testing
import Wire

/// Neighbour discovery with the border router (RFC 4861, RFC 6775).
@Suite struct PANStackDiscoveryTests {
  static func registration(of node: Node, minutes: UInt16) -> NeighborDiscoveryOption {
    .addressRegistration(
      AddressRegistration(lifetime: minutes, verifier: RegistrationOwnershipVerifier(node.eui64)))
  }

  /// What a node that asks for `source` to be registered is told, and how.
  static func register(
    _ source: IPv6Address, for node: inout Node, minutes: UInt16, at border: Border
  ) throws -> (status: RegistrationStatus?, sent: Sent) {
    let packet = try node.icmpv6(
      NeighborSolicitation(target: border.linkLocal),
      [.sourceLinkLayerAddress(.extended(node.eui64)), registration(of: node, minutes: minutes)],
      from: source, to: border.linkLocal)
    let sent = try Sent.packet(in: border.receive(node.frames(packet)))
    for option in try sent.discovery().options {
      guard case .addressRegistration(let answer) = option else { continue }
      #expect(answer.lifetime == minutes)
      #expect(answer.verifier.eui64 == node.eui64)
      return (answer.status, sent)
    }
    return (nil, sent)
  }

  @Test("A router solicitation is answered with prefix (A=1, L=0), context and ABRO (RFC 6775, 5.6 and 6.3)")
  func routerSolicitation() throws {
    let border = Border()
    var node = Node(1)
    let packet = try node.icmpv6(
      RouterSolicitation(), [.sourceLinkLayerAddress(.extended(node.eui64))], to: .allRouters)
    let sent = try Sent.packet(in: border.receive(node.frames(packet, to: .short(.broadcast))))
    #expect(sent.radio == node.radio)
    #expect(sent.ip.source == border.linkLocal)
    #expect(sent.ip.destination == node.linkLocal)
    let (message, options) = try sent.discovery()
    guard case .routerAdvertisement(let advertisement) = message else {
      Issue.record("\(message)")
      return
    }
    #expect(advertisement.routerLifetime == border.configuration.routerLifetime)
    #expect(!advertisement.isManaged && !advertisement.hasOtherConfiguration)
    #expect(options.contains(.sourceLinkLayerAddress(.extended(Border.extended.value))))
    let prefix = options.compactMap { if case .prefixInformation(let value) = $0 { value } else { nil } }
    #expect(prefix.count == 1)
    #expect(prefix.first?.prefix == Border.prefix)
    #expect(prefix.first?.isAutonomous == true)
    #expect(prefix.first?.isOnLink == false)
    let context = options.compactMap { if case .context(let value) = $0 { value } else { nil } }
    #expect(context.count == 1)
    #expect(context.first?.prefix == Border.prefix)
    #expect(context.first?.identifier == 1)
    #expect(context.first?.isForCompression == true)
    #expect((context.first?.validLifetime ?? 0) > 0)
    let router = options.compactMap { if case .authoritativeBorderRouter(let value) = $0 { value } else { nil } }
    #expect(router.map(\.address) == [border.global])
  }

  @Test("A router solicitation without a source address is answered to all nodes (RFC 4861, 6.2.6)")
  func unspecifiedRouterSolicitation() throws {
    let border = Border()
    var node = Node(1)
    let packet = try node.icmpv6(RouterSolicitation(), from: .unspecified, to: .allRouters)
    let sent = try Sent.packet(in: border.receive(node.frames(packet, to: .short(.broadcast))))
    #expect(sent.radio == .short(.broadcast))
    #expect(sent.ip.destination == .allNodes)
  }

  @Test("A solicitation for any of its addresses is answered, one for others is not (RFC 4861, 7.2.4)")
  func neighborSolicitation() throws {
    let border = Border()
    var node = Node(1)
    for target in border.configuration.addresses {
      let packet = try node.icmpv6(
        NeighborSolicitation(target: target), [.sourceLinkLayerAddress(.extended(node.eui64))],
        to: target.solicitedNode)
      let sent = try Sent.packet(in: border.receive(node.frames(packet, to: .short(.broadcast))))
      #expect(sent.radio == node.radio)
      #expect(sent.ip.destination == node.linkLocal)
      let (message, options) = try sent.discovery()
      let expected = NeighborAdvertisement(isRouter: true, isSolicited: true, isOverride: true, target: target)
      #expect(message == .neighborAdvertisement(expected))
      #expect(options == [.targetLinkLayerAddress(.extended(Border.extended.value))])
    }
    let packet = try node.icmpv6(NeighborSolicitation(target: Node(2).linkLocal), to: border.linkLocal)
    #expect(try border.receive(node.frames(packet)).isNothing)
  }

  @Test("Whoever probes for one of its addresses hears that it is taken (RFC 4862, 5.4.4)")
  func duplicateAddressDetection() throws {
    let border = Border()
    var node = Node(1)
    let packet = try node.icmpv6(
      NeighborSolicitation(target: border.linkLocal), from: .unspecified, to: border.linkLocal.solicitedNode)
    let sent = try Sent.packet(in: border.receive(node.frames(packet, to: .short(.broadcast))))
    #expect(sent.ip.destination == .allNodes)
    #expect(sent.radio == .short(.broadcast))
  }

  @Test("Neighbour discovery from beyond the link is dropped: its hop limit is not 255 (RFC 4861, 7.1)")
  func hopLimit() throws {
    let border = Border()
    var node = Node(1)
    let packet = try node.icmpv6(NeighborSolicitation(target: border.linkLocal), to: border.linkLocal, hopLimit: 254)
    let effects = try border.receive(node.frames(packet))
    #expect(effects.drops == [.ndHopLimitNot255])
    #expect(effects.frames.isEmpty)
  }

  @Test("An address is registered, kept from others with status 1, and given back (RFC 6775, 6.5)")
  func addressRegistration() throws {
    let border = Border()
    var (owner, other) = (Node(1), Node(2))
    let address = owner.global
    let first = try Self.register(address, for: &owner, minutes: 10, at: border)
    #expect(first.status == .success)
    #expect(first.sent.radio == owner.radio)
    #expect(first.sent.ip.destination == address)
    #expect(border.neighbors[address]?.registeredUntil == border.now.advanced(by: .seconds(600)))
    #expect(border.neighbors[address]?.owner == ExtendedAddress(owner.eui64))

    // The refusal must not go to the address in question, which is another's (6.5.2).
    let second = try Self.register(address, for: &other, minutes: 10, at: border)
    #expect(second.status == RegistrationStatus(rawValue: 1))
    #expect(second.sent.radio == other.radio)
    #expect(second.sent.ip.destination == other.linkLocal)
    #expect(border.neighbors[address]?.radio == owner.radio)

    #expect(try Self.register(address, for: &owner, minutes: 0, at: border).status == .success)
    #expect(border.neighbors[address]?.registeredUntil == nil)
    #expect(try Self.register(address, for: &other, minutes: 10, at: border).status == .success)
    #expect(border.neighbors[address]?.radio == other.radio)
  }

  @Test("A refusal to a short address goes to the EUI-64, as the short one may be another's (RFC 6775, 6.5.2)")
  func refusalToShortAddress() throws {
    let border = Border()
    var (owner, other) = (Node(1), Node(2))
    let eui64 = other.eui64
    other.radio = .short(ShortAddress(0x0b07))
    let address = owner.global
    #expect(try Self.register(address, for: &owner, minutes: 10, at: border).status == .success)
    let option = AddressRegistration(lifetime: 10, verifier: RegistrationOwnershipVerifier(eui64))
    let packet = try other.icmpv6(
      NeighborSolicitation(target: border.linkLocal), [.addressRegistration(option)], from: address,
      to: border.linkLocal)
    let sent = try Sent.packet(in: border.receive(other.frames(packet)))
    #expect(sent.radio == .extended(ExtendedAddress(eui64)))
    #expect(sent.ip.destination == Node(2).linkLocal)
    var refused = option
    refused.status = .duplicateAddress
    #expect(try sent.discovery().options.contains(.addressRegistration(refused)))
  }

  @Test("Contexts are used only toward addresses whose registration lasts (RFC 6775, 5.4)")
  func contextsForRegistered() throws {
    let border = Border()
    var node = Node(1)
    func usesContexts() throws -> Bool {
      let request = ICMPv6Echo(isReply: false, identifier: 1, sequenceNumber: 1)
      let packet = try node.icmpv6(request, from: node.global, to: border.global)
      var ignorant = FrameDecoder()
      let frames = try border.receive(node.frames(packet)).frames
      #expect(frames.count == 1)
      let decoded = ignorant.decoded(try #require(frames.first))
      if decoded.reason == .lowpanContextUnknown { return true }
      #expect(decoded.reason == nil)
      return false
    }
    #expect(try !usesContexts())
    #expect(try Self.register(node.global, for: &node, minutes: 1, at: border).status == .success)
    #expect(try usesContexts())
    border.now = border.now.advanced(by: .seconds(60))
    #expect(try !usesContexts())
  }

  @Test("A registration that cannot be made is not confirmed")
  func noFalseConfirmation() throws {
    let border = Border()
    var node = Node(1)
    // Without a source address the option does not count (RFC 6775, 6.5).
    let unspecified = try node.icmpv6(
      NeighborSolicitation(target: border.linkLocal), [Self.registration(of: node, minutes: 10)],
      from: .unspecified, to: border.linkLocal.solicitedNode)
    // A verifier that is no EUI-64 is beyond this router (RFC 8505, 5.3).
    let verifier = try #require(RegistrationOwnershipVerifier([UInt8](repeating: 7, count: 16)))
    let long = try node.icmpv6(
      NeighborSolicitation(target: border.linkLocal),
      [.addressRegistration(AddressRegistration(transactionID: 1, lifetime: 10, verifier: verifier))],
      to: border.linkLocal)
    for packet in [unspecified, long] {
      let effects = try border.receive(node.frames(packet))
      for sent in try Sent.packets(in: effects.frames) {
        #expect(try !sent.discovery().options.contains { $0.type == .addressRegistration })
      }
    }
    #expect(border.neighbors.entries.values.allSatisfy { $0.registeredUntil == nil })
  }

  @Test("An advertisement of another router changes neither prefix nor contexts: the border router has its own")
  func forgedAdvertisement() throws {
    let border = Border()
    var (forger, node) = (Node(1), Node(2))
    let other = IPv6Prefix(IPv6Address(high: 0xfd00_0bad_0bad_0000, low: 0), length: 64)
    let solicitation = try node.icmpv6(
      RouterSolicitation(), [.sourceLinkLayerAddress(.extended(node.eui64))], to: .allRouters)
    func advertised() throws -> [NeighborDiscoveryOption] {
      border.now = border.now.advanced(by: .seconds(60))
      let sent = try Sent.packet(in: border.receive(node.frames(solicitation, to: .short(.broadcast))))
      return try sent.discovery().options.filter {
        switch $0 {
        case .prefixInformation, .context, .authoritativeBorderRouter: true
        default: false
        }
      }
    }
    let before = try advertised()
    #expect(before.count == 3)
    let forged = try forger.icmpv6(
      RouterAdvertisement(routerLifetime: 9_000),
      [
        .sourceLinkLayerAddress(.extended(forger.eui64)),
        .prefixInformation(
          PrefixInformation(
            prefix: other, isOnLink: false, isAutonomous: true, validLifetime: 9_000, preferredLifetime: 9_000)),
        .context(ContextInformation(prefix: other, isForCompression: true, identifier: 1, validLifetime: 9_000)),
        .context(ContextInformation(prefix: other, isForCompression: true, identifier: 2, validLifetime: 9_000)),
      ], to: .allNodes)
    for frame in try forger.frames(forged, to: .short(.broadcast)) { #expect(border.receive(frame).frames.isEmpty) }
    #expect(try advertised() == before)
  }

  @Test("An echo request to each address is answered from it, data and all (RFC 4443, 4.2)")
  func echo() throws {
    let border = Border()
    var node = Node(1)
    let data: [UInt8] = (0..<200).map { UInt8($0) }
    let request = ICMPv6Echo(isReply: false, identifier: 3, sequenceNumber: 4)
    for address in border.configuration.addresses {
      let source = address.isLinkLocal ? node.linkLocal : node.global
      let packet = try node.icmpv6(request, data: data, from: source, to: address, hopLimit: 64)
      let sent = try Sent.packet(in: border.receive(node.frames(packet)))
      #expect(sent.radio == node.radio)
      #expect(sent.ip.source == address)
      #expect(sent.ip.destination == source)
      let message = try ICMPv6Message(sent.upper.rawSpan, source: address, destination: source)
      #expect(message.header.type == .echoReply)
      #expect(sent.upper.dropFirst(4).elementsEqual([0, 3, 0, 4] + data))
    }
  }
}
