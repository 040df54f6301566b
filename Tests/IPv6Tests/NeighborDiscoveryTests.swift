import IPv6
import TestSupport
import Testing
import Wire

/// A packet made for a test: what the checks look at can be chosen.
struct DiscoveryPacket {
  var source = IPv6Address.linkLocal(1)
  var destination = IPv6Address.linkLocal(2)
  var hopLimit: UInt8 = 255
  /// The fixed part; its checksum is filled in.
  var message: [UInt8]
  var options: [UInt8] = []

  func reason() throws -> DropReason? {
    let whole = message + options
    let bytes = try ICMPv6Message.encoded(source: source, destination: destination, capacity: whole.count) {
      (writer) throws(EmitError) in try writer.bytes(whole)
    }
    let header = IPv6Header(nextHeader: .icmpv6, hopLimit: hopLimit, source: source, destination: destination)
    let packet = try header.packet(bytes)
    do {
      let view = try IPv6Packet(packet.rawSpan)
      let message = try ICMPv6Message(view.payload, source: source, destination: destination)
      _ = try NeighborDiscoveryPacket(message, ip: view.header).message
      return nil
    } catch { return error.reason }
  }
}

@Suite struct NeighborDiscoveryTests {
  static let target = IPv6Address.linkLocal(7)
  static let sourceAddress: [UInt8] = [1, 1, 0, 0xcd, 0, 0, 0, 0]

  /// Parses a captured packet down to its options.
  func parse(_ hex: String) throws -> (NeighborDiscoveryMessage, [NeighborDiscoveryOption]) {
    let bytes = try #require([UInt8](hex: hex))
    let packet = try IPv6Packet(bytes.rawSpan)
    let message = try ICMPv6Message(
      packet.payload, source: packet.header.source, destination: packet.header.destination)
    let discovery = try NeighborDiscoveryPacket(message, ip: packet.header)
    var options: [NeighborDiscoveryOption] = []
    var iterator = discovery.options
    while let option = try iterator.next() {
      let value = try option.value()
      #expect(value.type == option.type)
      #expect(try value.encoded().count == option.bytes.byteCount)
      options.append(value)
    }
    return (discovery.message, options)
  }

  @Test("TD_6LOWPAN_ND_01, frames 1 to 4") func plugtestExtendedAddresses() throws {
    let (solicitation, first) = try parse(
      """
      6000000000283afffe800000000000001ac0ffee1ac0ffbbff0200000000000000000001ffc0ffaa
      8700deb800000000fe800000000000001ac0ffee1ac0ffaa010218c0ffee1ac0ffbb000000000000
      """)
    let neighbor = try #require(IPv6Address("fe80::1ac0:ffee:1ac0:ffaa"))
    #expect(solicitation == .neighborSolicitation(NeighborSolicitation(target: neighbor)))
    #expect(first == [.sourceLinkLayerAddress(.extended(0x18c0_ffee_1ac0_ffbb))])

    let (advertisement, second) = try parse(
      """
      6000000000283afffe800000000000001ac0ffee1ac0ffaafe800000000000001ac0ffee1ac0ffbb
      8800c79de0000000fe800000000000001ac0ffee1ac0ffaa020218c0ffee1ac0ffaa000000000000
      """)
    #expect(
      advertisement
        == .neighborAdvertisement(
          NeighborAdvertisement(isRouter: true, isSolicited: true, isOverride: true, target: neighbor)))
    #expect(second == [.targetLinkLayerAddress(.extended(0x18c0_ffee_1ac0_ffaa))])
    #expect(LinkLayerAddress.extended(0x18c0_ffee_1ac0_ffaa).interfaceIdentifier == neighbor.low)

    let (router, none) = try parse(
      "600f408b00083afffe800000000000001ac0ffee1ac0ffbbfe800000000000001ac0ffee1ac0ffaa8500137600000000")
    #expect(router == .routerSolicitation && none.isEmpty)

    let (answer, last) = try parse(
      """
      600f37cc00583afffe800000000000001ac0ffee1ac0ffaafe800000000000001ac0ffee1ac0ffbb
      8600a62dff000708000000000000000003044060000151800000384000000000fdaa00bb00cc00dd0000000000000000
      010218c0ffee1ac0ffaa00000000000023030a0002000200fe800000000000001ac0ffee1ac0ffaa
      """)
    #expect(answer == .routerAdvertisement(RouterAdvertisement(hopLimit: 255, routerLifetime: 1800)))
    #expect(
      last == [
        .prefixInformation(
          PrefixInformation(
            prefix: try #require(IPv6Prefix("fdaa:bb:cc:dd::/64")), isOnLink: false, isAutonomous: true,
            validLifetime: 86_400, preferredLifetime: 14_400)),
        .sourceLinkLayerAddress(.extended(0x18c0_ffee_1ac0_ffaa)),
        .authoritativeBorderRouter(
          AuthoritativeBorderRouter(version: 0x0200_0a00, validLifetime: 0x0200, address: neighbor)),
      ])
  }

  @Test("TD_6LOWPAN_ND_04, frame 1: a short address beside an EUI-64") func plugtestShortAddress() throws {
    let (_, options) = try parse(
      """
      6000000000303afffe80000000000000002300fffe0000cdff0200000000000000000001ff0000ab
      8700472a00000000fe80000000000000002300fffe0000ab010218c0ffee1ac0ffbb000000000000010100cd00000000
      """)
    #expect(
      options == [
        .sourceLinkLayerAddress(.extended(0x18c0_ffee_1ac0_ffbb)), .sourceLinkLayerAddress(.short(0xcd)),
      ])
  }

  @Test("RFC 6775 section 4.1: a registration captured from RIOT") func registration() throws {
    let (_, request) = try parse(
      """
      6000000000383afffd0000010000000000124b0000000003fe8000000000000000124b0000000001
      8700e10f00000000fe8000000000000000124b0000000001010202124b0000000003000000000000
      210200000000000f02124b0000000003
      """)
    let expected = AddressRegistration(
      lifetime: 15, verifier: RegistrationOwnershipVerifier(0x0212_4b00_0000_0003))
    #expect(request.last == .addressRegistration(expected))
    let (answer, options) = try parse(
      """
      6000000000283afffd000001000000000000000000000001fd0000010000000000124b0000000003
      8800bac7c0000000fe8000000000000000124b0000000001210200000000000f02124b0000000003
      """)
    #expect(
      answer
        == .neighborAdvertisement(
          NeighborAdvertisement(
            isRouter: true, isSolicited: true, isOverride: false,
            target: IPv6Address(high: 0xfe80 << 48, low: 0x12_4b00_0000_0001))))
    #expect(options == [.addressRegistration(expected)])
  }

  @Test("RFC 4861 sections 6.1, 7.1 and 8.1; RFC 6775 section 8.2.1: validation") func validation() throws {
    let solicitation = try NeighborSolicitation(target: Self.target).encoded()
    let routerSolicitation = try RouterSolicitation().encoded()
    let routerAdvertisement = try RouterAdvertisement(routerLifetime: 1).encoded()
    let redirect = try Redirect(target: Self.target, destination: IPv6Address(high: 1, low: 1)).encoded()
    let advertisement = try NeighborAdvertisement(
      isRouter: false, isSolicited: true, isOverride: false, target: Self.target
    ).encoded()
    let request = try DuplicateAddressMessage(
      isConfirmation: false, lifetime: 5, verifier: RegistrationOwnershipVerifier(1),
      registeredAddress: IPv6Address(high: 1, low: 2)
    ).encoded()
    let all = [solicitation, routerSolicitation, routerAdvertisement, redirect, advertisement]
    for message in all {
      #expect(try DiscoveryPacket(message: message).reason() == nil)
      #expect(try DiscoveryPacket(hopLimit: 254, message: message).reason() == .ndHopLimitNot255)
      #expect(try DiscoveryPacket(message: Array(message.dropLast())).reason() == .truncated)
      let coded = [message[0], 1] + message.dropFirst(2)
      #expect(try DiscoveryPacket(message: coded).reason() == .ndMessageMalformed)
      for options: [UInt8] in [
        [99, 0, 0, 0, 0, 0, 0, 0], [99, 2, 0, 0, 0, 0, 0, 0], [99], Self.sourceAddress + [1, 0],
      ] {
        #expect(try DiscoveryPacket(message: message, options: options).reason() == .ndOptionMalformed)
      }
      #expect(try DiscoveryPacket(message: message, options: Self.sourceAddress).reason() == nil)
    }
    // A source that is no address of a router.
    for message in [routerAdvertisement, redirect] {
      let source = IPv6Address(high: 0xfd << 56, low: 1)
      #expect(try DiscoveryPacket(source: source, message: message).reason() == .ndSourceInvalid)
    }
    // Without a source address there is no source link-layer address, and solicitations go to the group.
    #expect(try DiscoveryPacket(source: .unspecified, message: routerSolicitation).reason() == nil)
    #expect(
      try DiscoveryPacket(source: .unspecified, message: routerSolicitation, options: Self.sourceAddress).reason()
        == .ndSourceInvalid)
    #expect(try DiscoveryPacket(source: .unspecified, message: solicitation).reason() == .ndSourceInvalid)
    let group = Self.target.solicitedNode
    #expect(try DiscoveryPacket(source: .unspecified, destination: group, message: solicitation).reason() == nil)
    #expect(
      try DiscoveryPacket(
        source: .unspecified, destination: group, message: solicitation, options: Self.sourceAddress
      ).reason() == .ndSourceInvalid)
    // A solicited advertisement has one receiver.
    #expect(
      try DiscoveryPacket(destination: .allNodes, message: advertisement).reason() == .ndMessageMalformed)
    // Duplicate address messages travel over hops, from a known node.
    #expect(try DiscoveryPacket(hopLimit: 60, message: request).reason() == nil)
    #expect(try DiscoveryPacket(source: .unspecified, message: request).reason() == .ndSourceInvalid)
    #expect(try DiscoveryPacket(source: .allNodes, message: request).reason() == .ndSourceInvalid)
    let echo = try ICMPv6Echo(isReply: false, identifier: 1, sequenceNumber: 1).encoded()
    #expect(try DiscoveryPacket(message: echo).reason() == .icmpv6TypeUnknown)
  }

  @Test func multicastTargetsAreRefused() throws {
    let group = [UInt8](repeating: 0xff, count: 16)
    for fixed: [UInt8] in [[135, 0, 0, 0, 0, 0, 0, 0], [136, 0, 0, 0, 0, 0, 0, 0]] {
      #expect(try DiscoveryPacket(message: fixed + group).reason() == .ndMessageMalformed)
    }
    let redirect: [UInt8] = [137, 0, 0, 0, 0, 0, 0, 0]
    #expect(try DiscoveryPacket(message: redirect + Self.target.bytes + group).reason() == .ndMessageMalformed)
    let global = IPv6Address(high: 1, low: 9).bytes
    #expect(try DiscoveryPacket(message: redirect + global + Self.target.bytes).reason() == .ndMessageMalformed)
    #expect(try DiscoveryPacket(message: redirect + global + global).reason() == nil)
    #expect(throws: EmitError.notRepresentable) { try NeighborSolicitation(target: .allNodes).encoded() }
    #expect(throws: EmitError.notRepresentable) {
      try Redirect(target: IPv6Address(high: 1, low: 1), destination: .loopback).encoded()
    }
  }

  @Test func messagesAreTwins() throws {
    var generator = SeededGenerator(seed: 4861)
    try expectTwins(RouterSolicitation())
    for _ in 0..<50 {
      try expectTwins(
        RouterAdvertisement(
          hopLimit: generator.byte(), isManaged: generator.flag(), hasOtherConfiguration: generator.flag(),
          preference: generator.flag() ? .low : .high, routerLifetime: generator.word(),
          reachableTime: UInt32(generator.word()) << 12, retransmissionTimer: UInt32(generator.word())))
      try expectTwins(NeighborSolicitation(target: generator.unicast()))
      try expectTwins(
        NeighborAdvertisement(
          isRouter: generator.flag(), isSolicited: generator.flag(), isOverride: generator.flag(),
          target: generator.unicast()))
      try expectTwins(Redirect(target: .linkLocal(generator.next()), destination: generator.unicast()))
      let verifier = try #require(
        RegistrationOwnershipVerifier(generator.bytes(8 * Int.random(in: 1...4, using: &generator))))
      try expectTwins(
        DuplicateAddressMessage(
          isConfirmation: generator.flag(), status: RegistrationStatus(rawValue: generator.byte()),
          transactionID: generator.byte(), lifetime: generator.word(), verifier: verifier,
          registeredAddress: generator.unicast()))
      try expectTwins(
        DuplicateAddressMessage(
          isConfirmation: generator.flag(), lifetime: generator.word(),
          verifier: RegistrationOwnershipVerifier(generator.next()), registeredAddress: generator.unicast()))
    }
  }
}
