import Bridge
import Envelope
import Queue
import Testing
import Wire

@Suite struct EndpointTests {
  private let openLock = CommandText("lock: PUT /lock open")

  /// What the endpoint has to say, as envelopes.
  private func said<Store>(_ endpoint: Endpoint<Store>) throws -> [SignedEnvelope] {
    try endpoint.outbound(limit: 100).map { try SignedEnvelope(parsing: $0.bytes) }
  }

  @Test("A command given twice under one label is sent once, also after a restart")
  func label() throws {
    let home = try Home()
    let store = MemoryStore()
    let command = try #require(openLock)
    var owner = try home.endpoint("owner", store)
    let number = try #require(try owner.command(command, label: "evening", now: Home.start))
    #expect(try owner.command(command, label: "evening", now: Home.start) == nil)
    var restarted = try home.endpoint("owner", store)
    #expect(try restarted.command(command, label: "evening", now: Home.start) == nil)
    #expect(try said(restarted).map(\.header.sequence) == [number])
    let next = try #require(try restarted.command(command, label: "morning", now: Home.start))
    #expect(next > number)
    #expect(try said(restarted).count == 2)
    #expect(try restarted.command(number) == "lock: PUT /lock open")
    #expect(try restarted.command(next + 1) == nil)
  }

  @Test("A command is signed by its giver for the node, wants a receipt, and says what was typed")
  func command() throws {
    let home = try Home()
    var owner = try home.endpoint("owner", MemoryStore())
    let command = try #require(CommandText("thermostat: POST /a/b?x=1&y two words"))
    _ = try owner.command(command, label: "1", lifetime: 77, now: Home.start)
    let envelope = try #require(try said(owner).first)
    try envelope.verify(with: try home["owner"].public.signingKey)
    #expect(envelope.header.class == .authOnly && envelope.header.lifetime == 77)
    #expect(envelope.header.flags == .receiptWanted)
    #expect(envelope.header.recipients == [.short(try home.address("thermostat").short)])
    let content = try #require(envelope.readableContent)
    #expect(content.format == ContentFormats.coapMessage)
    let message = try EncapsulatedMessage(parsing: content.bytes)
    #expect(message.code == 2 && message.path == "/a/b" && message.payload == Array("two words".utf8))
    #expect(message.options.filter { $0.number == 15 }.map(\.value) == [Array("x=1".utf8), Array("y".utf8)])
  }

  @Test("A command for a stranger, or one that the peer record forbids, is not sent")
  func forbidden() throws {
    let home = try Home()
    var phone = try home.endpoint("phone2", MemoryStore())
    #expect(throws: CommandError.self) {
      try phone.command(try #require(CommandText("lock: PUT /lock open")), label: "1", now: Home.start)
    }
    #expect(throws: CommandError.self) {
      try phone.command(try #require(CommandText("toaster: PUT /lock open")), label: "1", now: Home.start)
    }
    #expect(try phone.outbound(limit: 1).isEmpty)
    // The label was not used up.
    let allowed = try #require(CommandText("thermostat: PUT /target 21"))
    #expect(try phone.command(allowed, label: "1", now: Home.start) != nil)
  }

  // MARK: Receipts

  @Test(
    "Of a command only its node, its gateway and the relay may say what became of it",
    arguments: ["lock", "gateway", "relay", "thermostat", "occupancy", "rain", "phone2", "oracle"])
  func receipts(_ sender: String) throws {
    let home = try Home()
    var owner = try home.endpoint("owner", MemoryStore())
    _ = try owner.command(try #require(openLock), label: "1", now: Home.start)
    let command = try #require(try said(owner).first)
    let receipt = try home.receipt(
      Receipt(.delivered), from: sender, to: "owner", 50, for: command,
      class: sender == "occupancy" ? .confidential : .authOnly)
    let (custody, delivery) = owner.deliver(receipt.bytes, now: Home.start)
    if ["lock", "gateway", "relay"].contains(sender) {
      #expect(custody == .taken)
      #expect(delivery?.from == sender && delivery?.vouchedBy == nil)
      #expect(delivery?.receipt == Receipt(.delivered) && delivery?.answers == "lock: PUT /lock open")
      #expect(try owner.inboxContents() == [try #require(delivery)])
      // What was seen leaves, and does not come again.
      try owner.forget(try #require(delivery).number)
      #expect(try owner.inboxContents().isEmpty)
      let again = owner.deliver(receipt.bytes, now: Home.start)
      #expect(again.custody == .taken && again.delivery == nil)
    } else {
      #expect(custody == .refused(.envelopeNotAllowed) && delivery == nil)
      #expect(owner.counters[.envelopeNotAllowed] == 1)
      #expect(try owner.inboxContents().isEmpty)
    }
  }

  @Test("A receipt in the lock's name with another key is refused, and one for a command that was never given")
  func forgedReceipts() throws {
    let home = try Home()
    var owner = try home.endpoint("owner", MemoryStore())
    _ = try owner.command(try #require(openLock), label: "1", now: Home.start)
    let command = try #require(try said(owner).first)
    let receipt = try home.receipt(Receipt(.delivered), from: "lock", to: "owner", 50, for: command)
    let forged = try home.sign(receipt.header, Array(receipt.payload), with: try home["thermostat"])
    #expect(owner.deliver(forged, now: Home.start).custody == .refused(.coseSignatureInvalid))
    let other = try home.envelope("owner", to: ["lock"], 4711)
    let unasked = try home.receipt(Receipt(.delivered), from: "lock", to: "owner", 51, for: other)
    #expect(owner.deliver(unasked.bytes, now: Home.start).custody == .refused(.envelopeNotAllowed))
    #expect(owner.deliver(receipt.bytes, now: Home.start).custody == .taken)
  }

  @Test("A response says which command it answers, unless it comes from another than was commanded")
  func responses() throws {
    let home = try Home()
    var owner = try home.endpoint("owner", MemoryStore())
    let number = try owner.command(try #require(openLock), label: "1", now: Home.start)
    let content = SignedEnvelope.Content(
      format: ContentFormats.coapMessage, bytes: try EncapsulatedMessage(code: 68, options: [], payload: [7]).cbor())
    for (sequence, sender) in [(50, "lock"), (51, "thermostat")] as [(UInt64, String)] {
      let response = try home.envelope(
        sender, to: ["owner"], sequence, extensions: EnvelopeExtensions(inReplyTo: number), content: content)
      let (custody, delivery) = owner.deliver(response.bytes, now: Home.start)
      #expect(custody == .taken && delivery?.receipt == nil)
      #expect(delivery?.answers == (sender == "lock" ? "lock: PUT /lock open" : nil))
    }
  }

  @Test("The gateway's receipt for an expired command is accepted by whom it is for")
  func expired() throws {
    let home = try Home()
    var owner = try home.endpoint("owner", MemoryStore())
    var gateway = try home.gateway(MemoryStore())
    let number = try owner.command(try #require(openLock), label: "1", lifetime: 30, now: Home.start)
    for message in try owner.outbound(limit: 10) {
      #expect(gateway.deliver(message.bytes, now: Home.start).custody == .taken)
    }
    #expect(try gateway.expire(now: Home.later(30)).isEmpty)
    let events = try gateway.expire(now: Home.later(31))
    guard case .expired(let command, receiptTo: "owner") = events.first, events.count == 1 else {
      Issue.record("not expired: \(events)")
      return
    }
    #expect(command.sequence == number && command.node == "lock")
    let held = try gateway.outbound(limit: 10)
    #expect(held.count == 1)
    let (custody, delivery) = owner.deliver(try #require(held.first).bytes, now: Home.later(31))
    #expect(custody == .taken)
    #expect(delivery?.receipt == Receipt(.expired, reason: DropReason.envelopeExpired.name))
    #expect(delivery?.answers == "lock: PUT /lock open" && delivery?.from == "gateway")
    #expect(try gateway.expire(now: Home.later(31)).isEmpty)
  }

  // MARK: Readings

  @Test("A vouched reading is the node's, and says who vouches")
  func vouched() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore())
    _ = gateway.receive(try home.post(plain: "21.5", from: "temperature"), now: Home.start)
    let reading = try #require(try gateway.outbound(limit: 1).first).bytes
    for name in ["owner", "phone2"] {
      var endpoint = try home.endpoint(name, MemoryStore())
      let (custody, delivery) = endpoint.deliver(reading, now: Home.start)
      #expect(custody == .taken)
      #expect(delivery?.from == "temperature" && delivery?.vouchedBy == "gateway")
      #expect(delivery?.content.bytes == Array("21.5".utf8) && delivery?.receipt == nil)
      // Again: in custody, and nothing new.
      let again = endpoint.deliver(reading, now: Home.start)
      #expect(again.custody == .taken && again.delivery == nil)
      #expect(try endpoint.inboxContents().count == 1)
    }
  }

  @Test("Nobody is vouched for but by its own gateway, and none that signs for itself")
  func vouching() throws {
    let home = try Home()
    var owner = try home.endpoint("owner", MemoryStore())
    func refused(_ sender: String, for node: String) throws {
      let extensions = EnvelopeExtensions(onBehalfOf: .full(try home.address(node)))
      let envelope = try home.envelope(sender, to: ["owner"], 1, extensions: extensions)
      #expect(owner.deliver(envelope.bytes, now: Home.start).custody == .refused(.envelopeOnBehalfOfRefused))
    }
    try refused("gateway", for: "lock")
    try refused("gateway", for: "stranger")
    try refused("lock", for: "rain")
    try refused("phone2", for: "rain")
    #expect(try owner.inboxContents().isEmpty)
  }

  @Test("An endpoint checks class, time, recipient and readers itself")
  func refusals() throws {
    let home = try Home()
    func refused(_ name: String, _ envelope: SignedEnvelope, _ reason: DropReason) throws {
      var endpoint = try home.endpoint(name, MemoryStore())
      let (custody, delivery) = endpoint.deliver(envelope.bytes, now: Home.start)
      #expect(custody == .refused(reason) && delivery == nil)
      #expect(endpoint.counters[reason] == 1)
      #expect(try endpoint.inboxContents().isEmpty)
    }
    try refused("owner", home.envelope("occupancy", to: ["owner"], 1), .envelopeClassTooWeak)
    try refused("owner", home.envelope("lock", to: ["owner"], 1, class: .noConsequence), .envelopeClassTooWeak)
    try refused("owner", home.envelope("lock", to: ["phone2"], 1), .envelopeNotForUs)
    try refused("owner", home.envelope("stranger", to: ["owner"], 1), .envelopeSenderUnknown)
    try refused("owner", home.envelope("lock", to: ["owner"], 1, at: Home.later(-61)), .envelopeExpired)
    try refused("owner", home.envelope("lock", to: ["owner"], 1, at: Home.later(121)), .envelopeFromTheFuture)
  }
}
