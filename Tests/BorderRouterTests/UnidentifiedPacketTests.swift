import BorderRouter
import CoAP
import IEEE802154
import IPv6
import Testing
import Wire

/// Requests from short addresses whose EUI-64 is not known yet.
@Suite struct UnidentifiedPacketTests {
  /// A node that speaks from a short address, with the link-local address that follows from its EUI-64.
  private func node(_ number: UInt64, short: UInt16) -> (node: Node, eui64: ExtendedAddress, address: IPv6Address) {
    var node = Node(number)
    let (eui64, address) = (ExtendedAddress(node.eui64), node.linkLocal)
    node.radio = .short(ShortAddress(short))
    return (node, eui64, address)
  }

  private func request(
    _ node: inout Node, from address: IPv6Address, _ messageID: UInt16 = 1, to bench: RouterBench
  ) throws -> [[UInt8]] {
    let message = CoAPMessage(
      type: .confirmable, code: .post, messageID: messageID, options: CoAPRequest(.post, path: ["e"]).options,
      payload: [1])
    return try node.frames(node.udp(message.encoded(), from: address, to: bench.configuration.linkLocal))
  }

  /// What answers the question: the EUI-64 in the target link-layer address option.
  private func advertisement(
    _ node: inout Node, _ eui64: ExtendedAddress, _ address: IPv6Address, to bench: RouterBench
  ) throws -> [[UInt8]] {
    let advertisement = NeighborAdvertisement(
      isRouter: false, isSolicited: true, isOverride: true, target: address)
    return try node.frames(
      node.icmpv6(
        advertisement, [.targetLinkLayerAddress(.extended(eui64.value))], from: address,
        to: bench.configuration.linkLocal))
  }

  @Test("All are asked whose the address is, and the packet is looked at once the answer names the EUI-64")
  func identified() throws {
    let bench = RouterBench()
    var (node, eui64, address) = node(1, short: 0x77)
    let sent = try bench.receive(request(&node, from: address, to: bench))
    #expect(bench.takeRequests().isEmpty)
    let question = try #require(sent.first)
    #expect(sent.count == 1 && question.radio == .short(.broadcast))
    #expect(question.ip.destination == address.solicitedNode && question.ip.source == bench.configuration.linkLocal)
    #expect(try question.solicited() == address)
    #expect(try question.discovery().options == [.sourceLinkLayerAddress(.extended(Border.extended.value))])

    _ = try bench.receive(advertisement(&node, eui64, address, to: bench))
    let requests = bench.takeRequests()
    #expect(requests.count == 1)
    #expect(requests.first?.extendedAddress == eui64 && requests.first?.request.payload == [1])
    #expect(requests.first?.peer.address == address)
    // It is held no longer.
    bench.now = bench.now.advanced(by: .seconds(10))
    _ = try bench.timeout()
    #expect(bench.takeRequests().isEmpty)
    // The next is not held.
    _ = try bench.receive(request(&node, from: address, 2, to: bench))
    #expect(bench.takeRequests().first?.extendedAddress == eui64)
  }

  @Test("Without an answer the packet is looked at after 2 s, as from nobody known")
  func unidentified() throws {
    let bench = RouterBench()
    var (node, _, address) = node(1, short: 0x77)
    let start = bench.now
    _ = try bench.receive(request(&node, from: address, to: bench))
    #expect(bench.nextTimeout == start.advanced(by: .seconds(2)))
    bench.now = start.advanced(by: .microseconds(1_999_999))
    _ = try bench.timeout()
    #expect(bench.takeRequests().isEmpty)
    bench.now = start.advanced(by: .seconds(2))
    _ = try bench.timeout()
    let requests = bench.takeRequests()
    #expect(requests.count == 1)
    #expect(requests.first?.extendedAddress == nil && requests.first?.request.payload == [1])
  }

  @Test("An answer without the EUI-64 does not say whose the packet is")
  func silentAnswer() throws {
    let bench = RouterBench()
    var (node, _, address) = node(1, short: 0x77)
    _ = try bench.receive(request(&node, from: address, to: bench))
    let advertisement = NeighborAdvertisement(
      isRouter: false, isSolicited: true, isOverride: true, target: address)
    _ = try bench.receive(
      node.frames(node.icmpv6(advertisement, [], from: address, to: bench.configuration.linkLocal)))
    #expect(bench.takeRequests().isEmpty)
    bench.now = bench.now.advanced(by: .seconds(2))
    _ = try bench.timeout()
    #expect(bench.takeRequests().map(\.extendedAddress) == [nil])
  }

  @Test("The answer of one short address does not speak for another")
  func otherAnswer() throws {
    let bench = RouterBench()
    var (first, _, firstAddress) = node(1, short: 0x71)
    var (second, secondIdentity, secondAddress) = node(2, short: 0x72)
    _ = try bench.receive(request(&first, from: firstAddress, to: bench))
    _ = try bench.receive(request(&second, from: secondAddress, to: bench))
    _ = try bench.receive(advertisement(&second, secondIdentity, secondAddress, to: bench))
    #expect(bench.takeRequests().map(\.extendedAddress) == [secondIdentity])
    bench.now = bench.now.advanced(by: .seconds(2))
    _ = try bench.timeout()
    let late = bench.takeRequests()
    #expect(late.map(\.extendedAddress) == [nil] && late.first?.peer.address == firstAddress)
  }

  @Test("A short address that was assigned here, or told before, is not asked for")
  func known() throws {
    let bench = RouterBench()
    var (node, eui64, address) = node(1, short: 0x77)
    _ = try bench.act { stack, _ in stack.setShortAddress(ShortAddress(0x77), of: eui64) }
    let sent = try bench.receive(request(&node, from: address, to: bench))
    #expect(try sent.allSatisfy { try $0.solicited() == nil })
    #expect(bench.takeRequests().map(\.extendedAddress) == [eui64])
    // Nobody on the air can claim it.
    _ = try bench.receive(advertisement(&node, ExtendedAddress(0x0212_4b00_0000_00ff), address, to: bench))
    _ = try bench.receive(request(&node, from: address, 2, to: bench))
    #expect(bench.takeRequests().map(\.extendedAddress) == [eui64])
  }

  @Test("One packet of each short address is held and 32 in all; what is beyond is looked at as from nobody")
  func bounds() throws {
    let bench = RouterBench()
    var (first, _, firstAddress) = node(1, short: 0x100)
    _ = try bench.receive(request(&first, from: firstAddress, 1, to: bench))
    #expect(bench.takeRequests().isEmpty)
    #expect(try bench.receive(request(&first, from: firstAddress, 2, to: bench)).isEmpty)
    #expect(bench.takeRequests().map(\.extendedAddress) == [nil])
    for number in UInt16(1)..<40 {
      var (node, _, address) = node(UInt64(number) + 1, short: 0x100 + number)
      let sent = try bench.receive(request(&node, from: address, to: bench))
      #expect(try sent.contains { try $0.solicited() == address } == (number < 32))
      #expect(bench.takeRequests().count == (number < 32 ? 0 : 1))
    }
    bench.now = bench.now.advanced(by: .seconds(2))
    _ = try bench.timeout()
    let late = bench.takeRequests()
    #expect(late.count == 32 && late.allSatisfy { $0.extendedAddress == nil })
    // There is room again.
    _ = try bench.receive(request(&first, from: firstAddress, 3, to: bench))
    #expect(bench.takeRequests().isEmpty)
  }
}
