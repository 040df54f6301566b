import BorderRouter
import CoAP
import IEEE802154
import IPv6
import TestSupport
import Testing
import Wire

/// A border router that does what no frame asked it for, and its clock.
final class RouterBench {
  private var stack: PANStack
  let configuration: PANConfiguration
  var now = Instant(seconds: 1_000_000)
  private(set) var events: [PANEvent] = []

  init(_ change: (inout PANConfiguration) -> Void = { _ in }) {
    var configuration = Border.standard()
    change(&configuration)
    self.configuration = configuration
    stack = PANStack(configuration: configuration, random: SeededGenerator(seed: 1))
  }

  var nextTimeout: Instant? { stack.nextTimeout }
  var neighbors: NeighborCache { stack.neighbors }

  /// Runs `body`; what the border router sent since.
  func act(_ body: (inout PANStack, Instant) -> Void) throws -> [Sent] {
    body(&stack, now)
    events += stack.takeEvents()
    return try Sent.packets(in: stack.takeTransmissions())
  }

  func receive(_ frames: [[UInt8]]) throws -> [Sent] {
    try act { stack, now in
      for frame in frames {
        stack.receive(frame.rawSpan, metadata: FrameMetadata(timestamp: now, fcsPresent: false))
      }
    }
  }

  func timeout() throws -> [Sent] { try act { $0.timeout(at: $1) } }

  func request(_ request: CoAPRequest, to node: Node) throws -> (id: RequestID<PANPeer>, sent: [Sent]) {
    var id: RequestID<PANPeer>?
    let sent = try act { id = $0.request(request, to: ExtendedAddress(node.eui64), now: $1) }
    return (try #require(id), sent)
  }

  func takeEvents() -> [PANEvent] {
    defer { events = [] }
    return events
  }

  /// The requests for the application among the events so far, which are forgotten.
  func takeRequests() -> [PANRequest] {
    takeEvents().compactMap { if case .request(_, let request) = $0 { request } else { nil } }
  }
}

extension Sent {
  /// The CoAP message to any port.
  func message() throws -> CoAPMessage {
    let datagram = try UDPDatagram(upper.rawSpan, source: ip.source, destination: ip.destination)
    return CoAPMessage(try CoAPMessageView(datagram.payload))
  }

  /// The target, if it is a neighbour solicitation.
  func solicited() throws -> IPv6Address? {
    guard ip.nextHeader == .icmpv6, case .neighborSolicitation(let solicitation) = try discovery().message else {
      return nil
    }
    return solicitation.target
  }
}

/// What the border router does by itself.
@Suite struct PANStackRouterTests {
  // MARK: Advertisements

  @Test("The first three advertisements come 16 s apart, the others at the interval (RFC 4861, 6.2.4)")
  func advertisements() throws {
    let bench = RouterBench { $0.advertisementInterval = .seconds(600) }
    let start = bench.now
    var times: [Duration] = []
    var sent = try bench.act { $0.startAdvertising(now: $1) }
    while times.count < 6 {
      for packet in sent {
        times.append(start.duration(to: bench.now))
        #expect(packet.radio == .short(.broadcast) && packet.ip.destination == .allNodes)
        #expect(packet.ip.source == bench.configuration.linkLocal && packet.ip.hopLimit == 255)
        guard case .routerAdvertisement(let advertisement) = try packet.discovery().message else {
          Issue.record("no advertisement")
          return
        }
        #expect(advertisement.routerLifetime == bench.configuration.routerLifetime)
      }
      let due = try #require(bench.nextTimeout)
      // Not before it is due.
      bench.now = due.advanced(by: .microseconds(-1))
      #expect(try bench.timeout().isEmpty)
      bench.now = due
      sent = try bench.timeout()
    }
    #expect(times == [.seconds(0), .seconds(16), .seconds(32), .seconds(632), .seconds(1232), .seconds(1832)])
  }

  @Test("An interval of less than 16 s is kept from the first on; without one nothing is advertised")
  func intervals() throws {
    let bench = RouterBench { $0.advertisementInterval = .seconds(4) }
    #expect(try bench.act { $0.startAdvertising(now: $1) }.count == 1)
    for _ in 0..<5 {
      let due = try #require(bench.nextTimeout)
      #expect(bench.now.duration(to: due) == .seconds(4))
      bench.now = due
      #expect(try bench.timeout().count == 1)
    }
    let silent = RouterBench()
    #expect(try silent.act { $0.startAdvertising(now: $1) }.isEmpty)
    #expect(silent.nextTimeout == nil)
  }

  @Test("Advertisements that were missed are not made up for")
  func missed() throws {
    let bench = RouterBench { $0.advertisementInterval = .seconds(600) }
    #expect(try bench.act { $0.startAdvertising(now: $1) }.count == 1)
    bench.now = bench.now.advanced(by: .seconds(86_400))
    #expect(try bench.timeout().count == 1)
    #expect(try bench.timeout().isEmpty)
  }

  // MARK: Requests

  @Test("A request to a node that was never heard goes to the link-local address of its EUI-64")
  func unheard() throws {
    let bench = RouterBench()
    let node = Node(1)
    let (id, sent) = try bench.request(CoAPRequest(.get, path: ["x"]), to: node)
    let packet = try #require(sent.first)
    #expect(sent.count == 1 && packet.radio == node.radio)
    #expect(packet.ip.destination == node.linkLocal && packet.ip.source == bench.configuration.linkLocal)
    let message = try packet.message()
    #expect(message.type == .confirmable && message.code == .get)

    var answering = node
    let answer = CoAPMessage(
      type: .acknowledgement, code: .content, messageID: message.messageID, token: message.token, payload: [5])
    let datagram = try UDPHeader.datagram(
      source: node.linkLocal, sourcePort: 5683, destination: bench.configuration.linkLocal, destinationPort: 5683,
      payload: answer.encoded())
    let back = try IPv6Header(
      nextHeader: .udp, hopLimit: 64, source: node.linkLocal, destination: bench.configuration.linkLocal
    ).packet(datagram)
    _ = try bench.receive(answering.frames(back))
    let responses = bench.takeEvents().compactMap {
      if case .response(let answered, let response) = $0 { (answered, response) } else { nil }
    }
    #expect(responses.count == 1 && responses.first?.0 == id)
    #expect(responses.first?.1.code == .content && responses.first?.1.payload == [5])
  }

  @Test("A request goes to the address at which the node was heard last, from ours of the same scope")
  func lastHeard() throws {
    let bench = RouterBench()
    var node = Node(1)
    let global = try #require(bench.configuration.prefix).address(
      interfaceIdentifier: bench.configuration.extendedAddress.interfaceIdentifier)
    for (address, local) in [
      (node.linkLocal, bench.configuration.linkLocal), (node.global, global),
      (node.linkLocal, bench.configuration.linkLocal),
    ] {
      bench.now = bench.now.advanced(by: .seconds(300))
      _ = try bench.timeout()
      let ping = CoAPMessage(type: .nonConfirmable, code: .get, messageID: 1)
      _ = try bench.receive(node.frames(node.udp(ping.encoded(), from: address, to: local)))
      let (_, sent) = try bench.request(CoAPRequest(.get), to: node)
      #expect(sent.first?.ip.destination == address)
      #expect(sent.first?.ip.source == local)
      // It is over before the next.
      for _ in 0..<10 {
        guard let due = bench.nextTimeout else { break }
        bench.now = due
        _ = try bench.timeout()
      }
    }
  }

  @Test("A request without an answer fails as timed out after four retransmissions, one taken back as cancelled")
  func unanswered() throws {
    let bench = RouterBench()
    let (id, first) = try bench.request(CoAPRequest(.get, path: ["x"]), to: Node(1))
    var sent = first
    var failures: [RequestFailure] = []
    for _ in 0..<20 {
      guard failures.isEmpty, let due = bench.nextTimeout else { break }
      bench.now = due
      sent += try bench.timeout()
      for event in bench.takeEvents() {
        if case .failed(let failed, let failure) = event {
          #expect(failed == id)
          failures.append(failure)
        }
      }
    }
    #expect(failures == [.timeout])
    #expect(sent.count == 5)
    #expect(Set(try sent.map { try $0.message().messageID }).count == 1)

    let (other, _) = try bench.request(CoAPRequest(.get, path: ["x"]), to: Node(2))
    _ = try bench.act { $0.cancel(other, now: $1) }
    guard case .failed(other, .cancelled)? = bench.takeEvents().last else {
      Issue.record("not cancelled")
      return
    }
  }

  // MARK: Reachability

  @Test("A radio that does not answer is probed twice, then its addresses are forgotten (RFC 4861, 7.3)")
  func forgotten() throws {
    let bench = RouterBench()
    var node = Node(1)
    for (number, address) in [node.linkLocal, node.global].enumerated() {
      let ping = CoAPMessage(type: .nonConfirmable, code: .get, messageID: UInt16(number))
      let local = number == 0 ? bench.configuration.linkLocal : bench.configuration.addresses[1]
      _ = try bench.receive(node.frames(node.udp(ping.encoded(), from: address, to: local)))
    }
    for _ in 0..<2 {
      let probes = try bench.act { $0.linkFailed(to: node.radio, now: $1) }
      #expect(try Set(probes.map { try $0.solicited() }) == [node.linkLocal, node.global])
      #expect(probes.allSatisfy { $0.radio == node.radio && $0.ip.hopLimit == 255 })
      #expect(bench.neighbors[node.linkLocal] != nil)
    }
    #expect(try bench.act { $0.linkFailed(to: node.radio, now: $1) }.isEmpty)
    #expect(bench.neighbors[node.linkLocal] == nil && bench.neighbors[node.global] == nil)
  }

  @Test("Failures count only in a row, and another radio's not at all")
  func recovered() throws {
    let bench = RouterBench()
    var node = Node(1)
    let message = CoAPMessage(type: .nonConfirmable, code: .get, messageID: 1)
    for _ in 0..<4 {
      _ = try bench.receive(node.frames(node.udp(message.encoded(), to: bench.configuration.linkLocal)))
      bench.now = bench.now.advanced(by: .seconds(2))
      for _ in 0..<2 { #expect(try bench.act { $0.linkFailed(to: node.radio, now: $1) }.count == 1) }
      #expect(try bench.act { $0.linkFailed(to: Node(2).radio, now: $1) }.isEmpty)
      #expect(bench.neighbors[node.linkLocal]?.failures == 2)
    }
  }

  @Test("A registered address is not forgotten while its registration lasts, and not probed for ever")
  func registered() throws {
    let bench = RouterBench()
    var node = Node(1)
    let option = NeighborDiscoveryOption.addressRegistration(
      AddressRegistration(lifetime: 10, verifier: RegistrationOwnershipVerifier(node.eui64)))
    let packet = try node.icmpv6(
      NeighborSolicitation(target: bench.configuration.linkLocal),
      [.sourceLinkLayerAddress(.extended(node.eui64)), option], to: bench.configuration.linkLocal)
    _ = try bench.receive(node.frames(packet))
    var probes = 0
    for _ in 0..<10 { probes += try bench.act { $0.linkFailed(to: node.radio, now: $1) }.count }
    #expect(probes == 2)
    #expect(bench.neighbors[node.linkLocal]?.owner == ExtendedAddress(node.eui64))
    bench.now = bench.now.advanced(by: .seconds(601))
    _ = try bench.act { $0.linkFailed(to: node.radio, now: $1) }
    #expect(bench.neighbors[node.linkLocal] == nil)
  }

  // MARK: Registrations

  @Test("Registrations are put back, without those that are over or beyond a bound, and are where requests go")
  func restore() throws {
    let bench = RouterBench { $0.maximumAddressesPerRadio = 2 }
    let node = Node(1)
    let owner = ExtendedAddress(node.eui64)
    func entry(_ seconds: Int) -> NeighborCache.Entry {
      .init(
        radio: node.radio, lastHeard: bench.now, registeredUntil: bench.now.advanced(by: .seconds(seconds)),
        owner: owner)
    }
    let other = Border.prefix.address(interfaceIdentifier: 7)
    let third = Border.prefix.address(interfaceIdentifier: 8)
    let unregistered = NeighborCache.Entry(radio: node.radio, lastHeard: bench.now)
    _ = try bench.act { stack, now in
      stack.restore(
        [
          (node.linkLocal, entry(0)), (other, unregistered), (node.global, entry(60)), (other, entry(90)),
          (third, entry(90)),
        ],
        now: now)
    }
    #expect(bench.neighbors[node.linkLocal] == nil && bench.neighbors[third] == nil)
    #expect(bench.neighbors[node.global] == entry(60) && bench.neighbors[other] == entry(90))
    // Of those heard at once the lowest.
    let (_, sent) = try bench.request(CoAPRequest(.get), to: node)
    #expect(sent.first?.ip.destination == min(node.global, other))
  }
}
