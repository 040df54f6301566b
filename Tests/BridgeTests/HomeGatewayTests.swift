import BorderRouter
import Bridge
import CoAP
import Envelope
import IEEE802154
import IPv6
import Queue
import Testing
import Wire

/// MAC, border router and bridge in one, with frames in and out.
@Suite struct HomeGatewayTests {
  private func node(_ name: String, _ site: Site) throws -> PANNode { PANNode(try site.home.radio(name)) }

  private func reading(_ text: String) -> CoAPRequest {
    CoAPRequest(.post, path: ["e"], contentFormat: .textPlain, payload: Array(text.utf8))
  }

  /// The first code that the gateway answered with in these frames.
  private func code(_ frames: [[UInt8]]) throws -> CoAPCode? { try SentMessage.all(in: frames).first?.message.code }

  // MARK: Custody

  @Test(
    "A plain reading is acknowledged only once it is in the outbox, wherever the power goes",
    arguments: MemoryStore.Moment.allCases)
  func custody(_ moment: MemoryStore.Moment) throws {
    var cuts = 0
    while true {
      let site = try Site()
      var rain = try node("rain", site)
      _ = site.takeSent()
      site.store.cutPower(afterWrites: cuts + 1, moment)
      let frames = try rain.request(reading("3 mm"))
      site.receive(frames)
      let answer = try code(site.takeSent())
      let wasCut = site.store.isPowerCut
      site.store.restart()
      let kept = try site.outbox().count
      #expect(answer == (wasCut ? .serviceUnavailable : .changed))
      #expect(kept == 1 || wasCut)
      // The node sends it again until it is acknowledged; it is there once.
      try site.restart()
      site.now = site.now.advanced(by: .seconds(5))
      _ = site.takeSent()
      site.receive(frames)
      #expect(try code(site.takeSent()) == .changed)
      let outbox = try site.outbox()
      #expect(outbox.count == 1 && outbox.first.map { Array($0.payload) } == Array("3 mm".utf8))
      guard wasCut else { break }
      cuts += 1
    }
    #expect(cuts > 1)
  }

  @Test("A reading of a radio that is no node's is refused, and nothing is stored")
  func stranger() throws {
    let site = try Site()
    var node = PANNode(0x0212_4b00_0000_0001)
    _ = site.takeSent()
    site.receive(try node.request(reading("1")))
    #expect(try code(site.takeSent()) == .forbidden)
    #expect(try site.outbox().isEmpty)
    #expect(site.strangers[node.extended]?.frames == 1 && site.heard.isEmpty)
  }

  // MARK: What is kept over restarts

  @Test("Registered addresses are kept over restarts until their time is over")
  func registrations() throws {
    let site = try Site()
    var rain = try node("rain", site)
    let global = Site.prefix.address(interfaceIdentifier: rain.extended.interfaceIdentifier)
    site.receive(try rain.register(rain.linkLocal, minutes: 10))
    site.receive(try rain.register(global, minutes: 60))
    site.advance(.seconds(300))
    try site.restart()
    for (address, end) in [(rain.linkLocal, Int64(600)), (global, 3600)] {
      let entry = try #require(site.neighbors[address])
      #expect(entry.radio == rain.radio && entry.owner == rain.extended)
      #expect(entry.registeredUntil == Home.later(end))
    }
    // Whoever else claims the address now is told that it is taken.
    var other = try node("temperature", site)
    site.receive(try other.register(global, minutes: 60))
    #expect(site.neighbors[global]?.owner == rain.extended)

    // Renewed at once, the record on disk is not written again; much later it is.
    site.receive(try rain.register(global, minutes: 60))
    try site.restart()
    #expect(site.neighbors[global]?.registeredUntil == Home.later(300 + 3600))
    site.now = Home.later(610)
    try site.restart()
    #expect(site.neighbors[rain.linkLocal] == nil)
    site.receive(try rain.register(global, minutes: 0))
    try site.restart()
    #expect(site.neighbors[global] == nil)
    #expect(try site.store.values(withPrefix: "nd.").isEmpty)
  }

  @Test("A device that has joined keeps its short address over a restart, and is known by it")
  func association() throws {
    let site = try Site()
    var rain = try node("rain", site)
    // Nobody joins unasked.
    site.receive(try rain.command(.associationRequest([.allocateAddress, .receiverOnWhenIdle])))
    site.receive(try rain.command(.dataRequest))
    #expect(site.associations.isEmpty)
    site.act { gateway, _ in gateway.permitJoining(true, admitted: []) }
    _ = site.takeSent()
    site.receive(try rain.command(.associationRequest([.allocateAddress, .receiverOnWhenIdle])))
    site.receive(try rain.command(.dataRequest))
    let association = try #require(site.associations.first)
    let short = try #require(association.short)
    #expect(association.device == rain.extended)
    try site.restart()
    #expect(site.associations == [association])
    rain.radio = .short(short)
    _ = site.takeSent()
    site.receive(try rain.request(reading("2 mm")))
    #expect(try code(site.takeSent()) == .changed)
    #expect(try site.outbox().map { Array($0.payload) } == [Array("2 mm".utf8)])
    // And it leaves for good.
    rain.radio = .extended(rain.extended)
    site.receive(try rain.command(.disassociationNotification(reason: 2)))
    try site.restart()
    #expect(site.associations.isEmpty)
  }

  private func secured() throws -> (LinkSecurity, KeyStore) {
    var keys = KeyStore()
    keys.add(try #require(LinkKey([UInt8](repeating: 7, count: 16))), for: .index(1))
    var security = LinkSecurity(key: .index(1))
    security.isRequired = false
    security.counterStep = 16
    return (security, keys)
  }

  private func counters(_ frames: [[UInt8]]) throws -> [UInt32] {
    try frames.compactMap { try MACFrameView($0.rawSpan, fcsPresent: false).header.security?.frameCounter }
  }

  @Test("No frame counter is used twice over restarts and power cuts")
  func frameCounter() throws {
    let (security, keys) = try secured()
    let site = try Site(security: security, keys: keys)
    var rain = try node("rain", site)
    var used: [UInt32] = []
    for round in 0..<12 {
      for number in 0..<(round * 3 + 1) {
        site.receive(try rain.request(reading("\(round) \(number)")))
        site.now = site.now.advanced(by: .seconds(1))
      }
      if round.isMultiple(of: 3) { site.store.cutPower(afterWrites: 1 + round % 2) }
      site.receive(try rain.request(reading("\(round) last")))
      used += try counters(site.takeSent())
      site.store.restart()
      try site.restart()
    }
    #expect(used.count > 100)
    #expect(zip(used, used.dropFirst()).allSatisfy(<))
  }

  @Test("Frame counters that could not be stored are asked for again, and the frames go out then")
  func frameCounterStore() throws {
    let (security, keys) = try secured()
    let site = try Site(security: security, keys: keys)
    var rain = try node("rain", site)
    site.store.cutPower(afterWrites: 1)
    for number in 0..<60 { site.receive(try rain.request(reading("\(number)"))) }
    let before = try counters(site.takeSent())
    #expect(!before.isEmpty && before.count < 60)
    site.store.restart()
    site.advance(.seconds(20))
    _ = site.takeSent()
    site.receive(try rain.request(reading("again")))
    let after = try counters(site.takeSent())
    let (last, first) = (try #require(before.last), try #require(after.first))
    #expect(first > last)
  }

  // MARK: Nodes that sleep

  @Test("A node that sleeps gets its frames one by one, each says whether more wait")
  func sleeping() throws {
    let site = try Site()
    var lock = try node("lock", site)
    // It asks for its frames: it sleeps.
    site.receive(try lock.command(.dataRequest))
    for number in 1...3 as ClosedRange<UInt64> {
      let command = try site.home.envelope(
        "owner", to: ["lock"], number, lifetime: 600,
        content: .init(format: 0, bytes: [UInt8](repeating: 1, count: 200)))
      #expect(site.deliver(command) == .taken)
    }
    _ = site.takeSent()
    site.receive(try lock.request(CoAPRequest(.get, path: ["e"])))
    #expect(site.takeSent().isEmpty && site.match.contains(lock.radio))
    var frames: [[UInt8]] = []
    while site.match.contains(lock.radio) {
      site.receive(try lock.command(.dataRequest))
      let sent = site.takeSent()
      #expect(sent.count == 1)
      let frame = try #require(sent.first)
      let header = try MACFrameView(frame.rawSpan, fcsPresent: false).header
      let isMore = header.control.isFramePending
      #expect(isMore == site.match.contains(lock.radio))
      frames += sent
      guard frames.count < 20 else { break }
    }
    #expect(frames.count > 3)
    let answers = try SentMessage.all(in: frames)
    #expect(answers.map(\.message.code) == [.content])
    #expect(try site.held("lock") == 3)
  }

  // MARK: Nodes that are asked

  /// The demo home with the named nodes made plain CoAP servers that never sleep.
  private func served(_ names: [String], limits: HomeGatewayLimits = HomeGatewayLimits()) throws -> Site {
    let home = try Home()
    let record = try home.record(2) { record in
      for index in record.members.indices where names.contains(record.members[index].name) {
        record.members[index].traits = [.coapServer, .vouched]
        // What is of consequence is asked under OSCORE only: see GatewayHopTests.
        record.members[index].class = .noConsequence
        record.members[index].commanders = [try home.address("owner")]
      }
    }
    return try Site(record: record, limits: limits)
  }

  private func command(
    _ site: Site, _ name: String, _ sequence: UInt64, _ method: CoAPCode = .put, lifetime: UInt64 = 100_000
  ) throws -> SignedEnvelope {
    let message = EncapsulatedMessage(
      code: method.rawValue, options: [.init(CoAPOptionNumber.uriPath.rawValue, Array("x".utf8))],
      payload: [UInt8(truncatingIfNeeded: sequence)])
    return try site.home.envelope(
      "owner", to: [name], sequence, lifetime: lifetime,
      content: .init(format: ContentFormats.coapMessage, bytes: try message.cbor()))
  }

  @Test("A CoAP server is asked as soon as a command comes, one at a time, and the next after its answer")
  func asked() throws {
    let site = try served(["thermostat"])
    var thermostat = try node("thermostat", site)
    _ = site.takeSent()
    for sequence in 1...3 as ClosedRange<UInt64> {
      #expect(site.deliver(try command(site, "thermostat", sequence)) == .taken)
    }
    for sequence in 1...3 as ClosedRange<UInt8> {
      let requests = try SentMessage.requests(in: site.takeSent())
      #expect(requests.count == 1)
      let request = try #require(requests.first)
      #expect(request.radio == thermostat.radio && request.message.payload == [sequence])
      #expect(try site.held("thermostat") == 4 - Int(sequence))
      site.receive(try thermostat.answer(request.message, CoAPResponse(.changed)))
    }
    #expect(try site.held("thermostat") == 0)
    #expect(try SentMessage.requests(in: site.takeSent()).isEmpty)
    let answered = try site.outbox().map(\.header.extensions.inReplyTo)
    #expect(answered == [1, 2, 3])
  }

  @Test("No more requests are under way than the bound, and who waited is asked when there is room")
  func bound() throws {
    var limits = HomeGatewayLimits()
    limits.exchanges = 2
    let names = ["lock", "thermostat", "rain", "temperature"]
    let site = try served(names, limits: limits)
    _ = site.takeSent()
    for (index, name) in names.enumerated() {
      #expect(site.deliver(try command(site, name, UInt64(index + 1))) == .taken)
    }
    var asked: [MACAddress] = []
    var waiting = try SentMessage.requests(in: site.takeSent())
    #expect(waiting.count == 2)
    while let request = waiting.first {
      waiting.removeFirst()
      asked.append(request.radio)
      guard case .extended(let device) = request.radio else { break }
      var node = PANNode(device.value)
      site.receive(try node.answer(request.message, CoAPResponse(.changed)))
      waiting += try SentMessage.requests(in: site.takeSent())
      #expect(waiting.count <= 2)
    }
    #expect(Set(asked).count == 4 && asked.count == 4)
    #expect(try site.outbox().count == 4)
  }

  @Test("A node that does not answer is asked again after waits that double, up to the longest")
  func retries() throws {
    var limits = HomeGatewayLimits()
    limits.firstRetry = .seconds(30)
    limits.longestRetry = .seconds(240)
    let site = try served(["thermostat"], limits: limits)
    _ = site.takeSent()
    #expect(site.deliver(try command(site, "thermostat", 1)) == .taken)
    _ = site.takeEvents()
    var ends: [Instant] = []
    var starts: [Instant] = [site.now]
    while ends.count < 6, let due = site.nextTimeout {
      site.now = max(site.now, due)
      site.act { $0.timeout(at: $1) }
      for event in site.takeEvents() {
        switch event {
        case .exchangeFailed: ends.append(site.now)
        case .exchanging: starts.append(site.now)
        default: break
        }
      }
    }
    let waits = zip(ends, starts.dropFirst()).map { $0.duration(to: $1) }
    #expect(waits == [.seconds(30), .seconds(60), .seconds(120), .seconds(240), .seconds(240)])
    #expect(try site.held("thermostat") == 1)
    // It is heard again: it is asked at once.
    var thermostat = try node("thermostat", site)
    _ = site.takeSent()
    site.receive(try thermostat.command(.dataRequest))
    site.receive(try thermostat.command(.dataRequest))
    let request = try #require(try SentMessage.requests(in: site.takeSent()).first)
    site.receive(try thermostat.answer(request.message, CoAPResponse(.changed)))
    #expect(try site.held("thermostat") == 0)
  }

  @Test("A node that has no room for an envelope is tried again later, not at once, however much it says")
  func noRoom() throws {
    let site = try Site()
    var occupancy = try node("lock", site)
    site.receive(
      try occupancy.request(
        CoAPRequest(.post, path: ["rd"], query: ["ep=lock"], contentFormat: .linkFormat, payload: Array("</e>".utf8))))
    let envelope = try site.home.envelope("owner", to: ["lock"], 1, lifetime: 100_000)
    _ = site.takeSent()
    #expect(site.deliver(envelope) == .taken)
    var request = try #require(try SentMessage.requests(in: site.takeSent()).first)
    #expect(request.message.payload == envelope.bytes && request.message.code == .post)
    site.receive(try occupancy.answer(request.message, CoAPResponse(.serviceUnavailable)))
    site.receive(try occupancy.request(reading("x")))
    #expect(try SentMessage.requests(in: site.takeSent()).isEmpty)
    #expect(try site.held("lock") == 1)
    site.advance(.seconds(60))
    site.receive(try occupancy.request(reading("y")))
    request = try #require(try SentMessage.requests(in: site.takeSent()).first)
    site.receive(try occupancy.answer(request.message, CoAPResponse(.changed)))
    #expect(try site.held("lock") == 0)
  }

  @Test("Without room for the answer the node is not asked over and over")
  func fullOutbox() throws {
    let home = try Home()
    let record = try home.record(2) { record in
      let index = try #require(record.members.firstIndex { $0.name == "thermostat" })
      record.members[index].traits = [.coapServer, .vouched]
      record.members[index].class = .noConsequence
    }
    let site = try Site(record: record, queues: QueueLimits(outbox: Usage(messages: 1, bytes: 100_000)))
    var thermostat = try node("thermostat", site)
    var lock = try node("lock", site)
    let report = try home.envelope("lock", to: ["owner"], 1)
    site.receive(
      try lock.request(CoAPRequest(.post, path: ["e"], contentFormat: .coseSign1, payload: report.bytes)))
    #expect(try site.outbox().count == 1)
    _ = site.takeSent()
    #expect(site.deliver(try command(site, "thermostat", 1)) == .taken)
    var request = try #require(try SentMessage.requests(in: site.takeSent()).first)
    site.receive(try thermostat.answer(request.message, CoAPResponse(.changed)))
    #expect(try SentMessage.requests(in: site.takeSent()).isEmpty)
    #expect(try site.held("thermostat") == 1)
    try site.relay()
    site.advance(.seconds(30))
    request = try #require(try SentMessage.requests(in: site.takeSent()).first)
    site.receive(try thermostat.answer(request.message, CoAPResponse(.changed)))
    #expect(try site.held("thermostat") == 0)
    #expect(try site.outbox().map(\.header.extensions.inReplyTo) == [1])
  }
}
