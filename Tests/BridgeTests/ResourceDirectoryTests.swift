import COSE
import CoAP
import Envelope
import Queue
import TestSupport
import Testing
import Wire

@testable import Bridge

/// The resource directory for the gateway's nodes (RFC 9176, 5).
@Suite struct ResourceDirectoryTests {
  private let links = #"</t>;rt="temperature";if="sensor",</e>"#

  private func request(
    _ home: Home, _ node: String, _ query: [String], links: String = "", format: CoAPContentFormat? = nil
  ) throws -> NodeRequest {
    try request(home, node, .post, ["rd"], query, links: links, format: format)
  }

  private func request(
    _ home: Home, _ node: String, _ method: CoAPCode, _ path: [String], _ query: [String], links: String = "",
    format: CoAPContentFormat? = nil
  ) throws -> NodeRequest {
    NodeRequest(
      request: CoAPRequest(
        method, path: path, query: query, contentFormat: format ?? (links.isEmpty ? nil : .linkFormat),
        payload: Array(links.utf8)), eui64: try home.radio(node), fingerprint: [])
  }

  private func registration(
    _ gateway: Gateway<MemoryStore>, _ name: String, _ now: Instant = Home.start
  ) throws -> ResourceRegistration? {
    gateway.registration(of: try #require(gateway.directory.member(named: name)), now: now)
  }

  @Test("A registration is answered with its location, kept over restarts and over when its lifetime is")
  func register() throws {
    let home = try Home()
    let store = MemoryStore()
    var gateway = try home.gateway(store)
    let answer = gateway.receive(
      try request(home, "rain", ["ep=gauge", "lt=120", "base=coap://[fe80::1]"], links: links), now: Home.start)
    #expect(answer.response.code == .created && answer.response.locationPath == ["rd", "rain"])
    #expect(answer.events == [.registered(node: "rain", endpoint: "gauge", lifetime: 120)])
    gateway = try home.gateway(store)
    let kept = try #require(try registration(gateway, "rain"))
    #expect(kept.endpoint == "gauge" && kept.lifetime == 120 && kept.links == links && !kept.isQueueMode)
    #expect(kept.base == "coap://[fe80::1]" && kept.renewed == Home.start && kept.expires == Home.later(120))
    #expect(try registration(gateway, "rain", Home.later(119)) != nil)
    #expect(try registration(gateway, "rain", Home.later(120)) == nil)
    #expect(try registration(gateway, "lock") == nil)
  }

  @Test("Without a lifetime it is 90,000 s; a queue mode is told by q or by b with Q")
  func defaults() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore())
    for (query, isQueueMode) in [
      (["ep=a"], false), (["ep=a", "b=U"], false), (["ep=a", "b=UQ"], true), (["ep=a", "q"], true),
      (["ep=a", "Q"], true),
    ] {
      #expect(gateway.receive(try request(home, "rain", query), now: Home.start).response.code == .created)
      let kept = try #require(try registration(gateway, "rain"))
      #expect(kept.lifetime == 90_000 && kept.isQueueMode == isQueueMode && kept.links.isEmpty && kept.base == nil)
    }
  }

  @Test("An update renews, changes what it names and keeps the rest; it is the node's own only")
  func update() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore())
    #expect(
      gateway.receive(
        try request(home, "rain", ["ep=gauge", "lt=120", "base=coap://x", "q"], links: links), now: Home.start
      ).response.code == .created)
    var answer = gateway.receive(try request(home, "rain", .post, ["rd", "rain"], []), now: Home.later(100))
    #expect(answer.response.code == .changed)
    #expect(answer.events == [.registered(node: "rain", endpoint: "gauge", lifetime: 120)])
    var kept = try #require(try registration(gateway, "rain", Home.later(219)))
    #expect(kept.links == links && kept.base == "coap://x" && kept.isQueueMode)
    answer = gateway.receive(
      try request(home, "rain", .post, ["rd", "rain"], ["lt=600", "base=coap://y"], links: "</n>"), now: Home.later(200)
    )
    #expect(answer.response.code == .changed)
    kept = try #require(try registration(gateway, "rain", Home.later(799)))
    #expect(kept.links == "</n>" && kept.base == "coap://y" && kept.lifetime == 600 && kept.endpoint == "gauge")

    // Another name is another registration; another node's is not to be found.
    answer = gateway.receive(try request(home, "rain", .post, ["rd", "rain"], ["ep=other"]), now: Home.later(200))
    #expect(answer.response.code == .forbidden && reason(answer.events) == .coapRequestRefused)
    for method in [CoAPCode.post, .delete] {
      #expect(
        gateway.receive(try request(home, "lock", method, ["rd", "rain"], []), now: Home.later(200)).response.code
          == .notFound)
    }
    #expect(try registration(gateway, "rain", Home.later(200)) == kept)
    // What is over cannot be renewed.
    #expect(
      gateway.receive(try request(home, "rain", .post, ["rd", "rain"], []), now: Home.later(800)).response.code
        == .notFound)
  }

  @Test("A registration is deleted once")
  func delete() throws {
    let home = try Home()
    let store = MemoryStore()
    var gateway = try home.gateway(store)
    _ = gateway.receive(try request(home, "rain", ["ep=gauge"]), now: Home.start)
    let deletion = try request(home, "rain", .delete, ["rd", "rain"], [])
    let answer = gateway.receive(deletion, now: Home.start)
    #expect(answer.response.code == .deleted && answer.events == [.deregistered(node: "rain")])
    #expect(try registration(gateway, "rain") == nil)
    #expect(try store.values(withPrefix: "rd.").isEmpty)
    #expect(gateway.receive(deletion, now: Home.start).response.code == .notFound)
  }

  @Test("An endpoint name belongs to one node while its registration lasts")
  func duplicates() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore())
    #expect(
      gateway.receive(try request(home, "rain", ["ep=x", "lt=60"]), now: Home.start).response.code == .created)
    let other = try request(home, "temperature", ["ep=x"])
    let refused = gateway.receive(other, now: Home.later(59))
    #expect(refused.response.code == .forbidden && reason(refused.events) == .coapRequestRefused)
    #expect(gateway.counters[.coapRequestRefused] == 1)
    // The node itself may register anew, under this or another name.
    #expect(
      gateway.receive(try request(home, "rain", ["ep=x", "lt=60"]), now: Home.start).response.code == .created)
    #expect(gateway.receive(other, now: Home.later(60)).response.code == .created)
    #expect(
      gateway.receive(try request(home, "rain", ["ep=x"]), now: Home.later(61)).response.code == .forbidden)
    #expect(gateway.receive(try request(home, "rain", ["ep=y"]), now: Home.later(61)).response.code == .created)
  }

  @Test("A radio of no node, or one that is not known, registers nothing")
  func unknown() throws {
    let home = try Home()
    let store = MemoryStore()
    var gateway = try home.gateway(store)
    for radio in [nil, 0x0212_4b00_0000_0001] as [UInt64?] {
      for path in [["rd"], ["rd", "rain"]] {
        let request = NodeRequest(
          request: CoAPRequest(.post, path: path, query: ["ep=x"]), eui64: radio, fingerprint: [])
        let answer = gateway.receive(request, now: Home.start)
        #expect(answer.response.code == .forbidden && reason(answer.events) == .nodeUnknown)
      }
    }
    #expect(try store.values(withPrefix: "rd.").isEmpty)
    #expect(gateway.counters[.nodeUnknown] == 4)
  }

  @Test("What is no registration is refused, and a good one before it stays")
  func refusals() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore())
    #expect(gateway.receive(try request(home, "rain", ["ep=good"]), now: Home.start).response.code == .created)
    let long = String(repeating: "a", count: 64)
    let refused: [([String], String)] = [
      ([], ""), (["ep="], ""), (["ep"], ""), (["ep=" + long], ""), (["ep=a b"], ""), (["ep=a\u{7f}"], ""),
      (["ep=a", "ep=b"], ""), (["ep=a", "lt=0"], ""), (["ep=a", "lt=-1"], ""), (["ep=a", "lt=4294967296"], ""),
      (["ep=a", "lt=x"], ""), (["ep=a", "lt"], ""), (["ep=a", "lt=1", "lt=1"], ""),
      (["ep=a", "base=" + String(repeating: "a", count: 256)], ""), (["ep=a"], "t"), (["ep=a"], "<t"),
      (["ep=a"], "</t>,"),
      (["ep=a"], "<" + String(repeating: "a", count: ResourceRegistration.maximumLinks) + ">"),
    ]
    for (query, links) in refused {
      let answer = gateway.receive(try request(home, "rain", query, links: links), now: Home.start)
      #expect(answer.response.code == .forbidden && reason(answer.events) == .coapRequestRefused, "\(query) \(links)")
    }
    let format = gateway.receive(
      try request(home, "rain", ["ep=a"], links: "[]", format: .json), now: Home.start)
    #expect(format.response.code == .unsupportedContentFormat)
    var latin = try request(home, "rain", ["ep=a"], links: "</t>")
    latin.request.payload = [0x3c, 0xe9, 0x3e]
    #expect(gateway.receive(latin, now: Home.start).response.code == .forbidden)
    #expect(try registration(gateway, "rain")?.endpoint == "good")
    for method in [CoAPCode.get, .put, .delete] {
      #expect(
        gateway.receive(try request(home, "rain", method, ["rd"], []), now: Home.start).response.code
          == .methodNotAllowed)
    }
  }

  @Test("A registration that could not be stored is not acknowledged")
  func storeFailure() throws {
    let home = try Home()
    let store = MemoryStore()
    var gateway = try home.gateway(store)
    store.cutPower(afterWrites: 1)
    let answer = gateway.receive(try request(home, "rain", ["ep=x"]), now: Home.start)
    #expect(answer.response.code == .serviceUnavailable && reason(answer.events) == .queueUnavailable)
    store.restart()
    #expect(try registration(gateway, "rain") == nil)
  }

  @Test(
    "The outer form of RFC 6690 is told from what is none",
    arguments: [
      ("", true), ("</a>", true), ("</a>,</b>", true), ("</a>;rt=\"x,y\";if=z,</b>;ct=40", true), ("<>", true),
      ("</a>;title=\"a, <b>\"", true), ("a", false), ("</a", false), ("</a>,", false), ("</a>,b", false),
      (",</a>", false), ("</a>;title=\"x", false), ("</a>\n,</b>", false), ("</a>;t=\"x\r\ny\"", false),
      (" </a>", false),
    ])
  func linkFormat(_ text: String, _ isGood: Bool) {
    #expect(ResourceRegistration.isLinkFormat(text) == isGood)
  }

  @Test("What is stored is read back, and nothing else is taken for it")
  func coding() throws {
    var random = SeededGenerator(seed: 5)
    for _ in 0..<200 {
      var query = ["ep=e\(random.next() % 1000)", "lt=\(UInt32.random(in: 1...(.max), using: &random))"]
      if random.oneIn(2) { query.append("base=coap://[fe80::\(random.next() % 9)]") }
      if random.oneIn(2) { query.append("q") }
      let payload = random.oneIn(2) ? Array(links.utf8) : []
      let now = Instant(microseconds: Int64.random(in: 0...4_000_000_000_000_000, using: &random))
      let made = try ResourceRegistration(query: query, payload: payload, now: now)
      let bytes = try made.cbor()
      #expect(try ResourceRegistration(parsing: bytes) == made)
      for length in 0..<bytes.count {
        #expect(throws: ParseError.self) { try ResourceRegistration(parsing: Array(bytes.prefix(length))) }
      }
      var damaged = bytes
      damaged[Int.random(in: 0..<damaged.count, using: &random)] = UInt8(truncatingIfNeeded: random.next())
      _ = try? ResourceRegistration(parsing: damaged)
    }
  }

  @Test("What is stored in a node's place and is no registration counts as none")
  func damagedRecord() throws {
    let home = try Home()
    let store = MemoryStore()
    var gateway = try home.gateway(store)
    _ = gateway.receive(try request(home, "rain", ["ep=x"]), now: Home.start)
    let name = try #require(try store.values(withPrefix: "rd.").first?.name)
    try store.setValue(name, to: [0x86, 0x61])
    #expect(try registration(gateway, "rain") == nil)
    #expect(gateway.receive(try request(home, "rain", ["ep=x"]), now: Home.start).response.code == .created)
  }
}
