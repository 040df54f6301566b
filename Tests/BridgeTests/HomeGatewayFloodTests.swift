import BorderRouter
import Bridge
import CoAP
import IEEE802154
import IPv6
import Queue
import SixLoWPAN
import TestSupport
import Testing
import Wire

/// What anybody with a radio can do to a gateway: it is contained and counted.
@Suite struct HomeGatewayFloodTests {
  /// A node's reading is still taken.
  private func expectService(_ site: Site) throws {
    var rain = PANNode(try site.home.radio("rain"))
    let before = try site.outbox().count
    site.receive(
      try rain.request(CoAPRequest(.post, path: ["e"], contentFormat: .textPlain, payload: Array("still here".utf8))))
    #expect(try site.outbox().count == before + 1)
  }

  @Test("Ten thousand registrations fill no more than the neighbour cache, and no known node loses its own")
  func registrations() throws {
    let site = try Site()
    var rain = PANNode(try site.home.radio("rain"))
    site.receive(try rain.register(rain.linkLocal, minutes: 100))
    let maximum = site.pan.maximumNeighbors
    // One radio after the other, and one radio with many addresses.
    var attacker = PANNode(0x0212_4b00_0000_0000)
    for number in 0..<10_000 as Range<UInt64> {
      if number < 5_000 { attacker = PANNode(0x0212_4b00_0001_0000 + number) }
      let address = Site.prefix.address(interfaceIdentifier: 0x0200_0000_0000_0000 | number)
      site.receive(try attacker.register(address, minutes: 60))
      site.now = site.now.advanced(by: .milliseconds(1))
    }
    #expect(site.neighbors.entries.count <= maximum)
    let perRadio = site.neighbors.entries.values.filter { $0.radio == attacker.radio }
    #expect(perRadio.count <= site.pan.maximumAddressesPerRadio)
    #expect(site.neighbors[rain.linkLocal]?.owner == rain.extended)
    #expect(try site.store.values(withPrefix: "nd.").count <= maximum)
    #expect(site.strangers.count <= site.limits.strangers)
    #expect(site.heard.keys.sorted() == [rain.extended])
    try expectService(site)
  }

  @Test("Radios of no known node are remembered up to the bound, the latest of them")
  func strangers() throws {
    var limits = HomeGatewayLimits()
    limits.strangers = 8
    let site = try Site(limits: limits)
    for number in 0..<100 as Range<UInt64> {
      var node = PANNode(0x0212_4b00_0000_0000 + number)
      site.receive(try node.command(.dataRequest))
      site.now = site.now.advanced(by: .milliseconds(10))
    }
    #expect(site.strangers.keys.map(\.value).sorted() == (92..<100).map { 0x0212_4b00_0000_0000 + $0 })
  }

  @Test("Messages from ten thousand made-up sources leave bounded state, and are refused for a reason")
  func sources() throws {
    let site = try Site()
    let message = CoAPMessage(
      type: .confirmable, code: .post, messageID: 1, options: CoAPRequest(.post, path: ["e"]).options, payload: [1])
    for number in 0..<10_000 as Range<UInt64> {
      var node = PANNode(0x0212_4b00_0000_0000 + number)
      site.receive(try node.coap(message))
      if number.isMultiple(of: 100) { site.advance(.milliseconds(10)) }
      _ = site.takeSent()
    }
    #expect(site.neighbors.entries.count <= site.pan.maximumNeighbors)
    #expect(site.strangers.count <= site.limits.strangers)
    let refused = site.takeEvents().count {
      if case .refused(let refusal) = $0 { refusal.reason == .nodeUnknown } else { false }
    }
    #expect(refused > 0 && site.refused(.nodeUnknown) == UInt64(refused))
    #expect(try site.outbox().isEmpty)
    site.advance(.seconds(300))
    try expectService(site)
  }

  @Test("Fragments that are never completed give way, time out and are counted")
  func fragments() throws {
    let site = try Site()
    for number in 0..<3_000 as Range<UInt64> {
      var node = PANNode(0x0212_4b00_0000_0000 + number)
      let frames = try node.request(
        CoAPRequest(.post, path: ["e"], contentFormat: .textPlain, payload: [UInt8](repeating: 1, count: 300)))
      #expect(frames.count > 1)
      site.receive(Array(frames.dropLast()))
    }
    site.advance(.seconds(120))
    let timedOut = site.dropped(.fragmentTimeout)
    #expect(timedOut > 0)
    #expect(try site.outbox().isEmpty)
    let lost = Set(site.takeDrops())
    #expect(lost.contains(.fragmentTimeout) && lost.count > 1)
    try expectService(site)
  }

  @Test("A packet for anywhere else is not forwarded, but refused")
  func forwarding() throws {
    let site = try Site()
    var rain = PANNode(try site.home.radio("rain"))
    let lock = ExtendedAddress(try site.home.radio("lock"))
    let elsewhere = [
      IPv6Address(high: 0x2001_0db8_0000_0000, low: 1), IPv6Address.linkLocal(lock.interfaceIdentifier),
      Site.prefix.address(interfaceIdentifier: lock.interfaceIdentifier),
    ]
    let request = CoAPRequest(.put, path: ["lock"], payload: Array("open".utf8))
    for (index, destination) in elsewhere.enumerated() {
      _ = (site.takeSent(), site.takeDrops())
      let message = CoAPMessage(
        type: .confirmable, code: .put, messageID: UInt16(index), options: request.options, payload: request.payload)
      site.receive(try rain.coap(message, to: destination))
      #expect(site.takeDrops() == [.ipv6NotForUs])
      let sent = site.takeSent()
      for frame in sent {
        let destination = try MACFrameView(frame.rawSpan, fcsPresent: false).header.destination
        #expect(destination == rain.radio)
      }
      // An ICMPv6 error at most.
      #expect(sent.count <= 2)
      #expect(try SentMessage.all(in: sent).isEmpty)
    }
    #expect(site.dropped(.ipv6NotForUs) == 3)
  }

  @Test("Random frames never trap, and what is not taken is counted")
  func noise() throws {
    let site = try Site()
    var random = SeededGenerator(seed: 99)
    var rain = PANNode(try site.home.radio("rain"))
    for _ in 0..<5_000 {
      var frames: [[UInt8]]
      switch random.next() % 4 {
      case 0: frames = [random.bytes(in: 0...127)]
      case 1: frames = try rain.register(rain.linkLocal, minutes: UInt16.random(in: 0...9, using: &random))
      case 2: frames = try rain.command(.dataRequest)
      default: frames = try rain.request(CoAPRequest(.get, path: ["e"]))
      }
      for index in frames.indices where !frames[index].isEmpty && random.oneIn(2) {
        frames[index][Int.random(in: 0..<frames[index].count, using: &random)] ^= UInt8(1 << (random.next() % 8))
      }
      site.receive(frames)
      if random.oneIn(20) { site.advance(.milliseconds(Int.random(in: 0...3_000, using: &random))) }
    }
    #expect(!site.takeDrops().isEmpty)
    try expectService(site)
  }
}
