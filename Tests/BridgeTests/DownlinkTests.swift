import Bridge
import CoAP
import Envelope
import Queue
import Testing
import Wire

@Suite struct DownlinkTests {
  /// Who is let command the occupancy sensor, so that there is a confidential node to command.
  private func commandable(_ home: Home) throws -> PeerRecord {
    try home.record(2) { record in
      let index = try #require(record.members.firstIndex { $0.name == "occupancy" })
      record.members[index].commanders = [try home.address("owner")]
    }
  }

  @Test("A command of a commander is held for its node, byte for byte")
  func held() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore())
    let envelope = try home.envelope("owner", to: ["lock"], 5, form: .short)
    let (custody, events) = gateway.deliver(envelope.bytes, now: Home.start)
    #expect(custody == .taken)
    guard case .commandHeld(let held) = events.first, events.count == 1 else {
      Issue.record("not held: \(events)")
      return
    }
    #expect(held.node == "lock" && held.number == 1 && held.from == "owner" && held.sequence == 5)
    #expect(gateway.receive(try home.get("lock"), now: Home.start).response.payload == envelope.bytes)
    #expect(try gateway.outboxUsage().messages == 0)
  }

  @Test("A command for two nodes is held for each")
  func several() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore())
    let envelope = try home.envelope("owner", to: ["lock", "thermostat"], 5)
    #expect(gateway.deliver(envelope.bytes, now: Home.start).custody == .taken)
    for node in ["lock", "thermostat"] {
      #expect(gateway.receive(try home.get(node), now: Home.start).response.payload == envelope.bytes)
    }
  }

  @Test("Each rule of the downlink refuses for its own reason, and nothing is held")
  func refusals() throws {
    let home = try Home()
    func refused(_ bytes: [UInt8], _ expected: DropReason, at line: SourceLocation = #_sourceLocation) throws {
      var gateway = try home.gateway(MemoryStore(), record: commandable(home))
      let (custody, events) = gateway.deliver(bytes, now: Home.start)
      #expect(custody == .refused(expected), sourceLocation: line)
      #expect(reason(events) == expected && events.count == 1, sourceLocation: line)
      #expect(gateway.counters[expected] == 1, sourceLocation: line)
      for node in gateway.nodes { #expect(try gateway.queueUsage(of: node) == Usage(), sourceLocation: line) }
    }
    try refused(home.envelope("phone2", to: ["lock"], 1).bytes, .envelopeNotAllowed)
    // A reader is no commander; one node that may not be commanded spoils it for the other.
    try refused(home.envelope("phone2", to: ["thermostat", "lock"], 1).bytes, .envelopeNotAllowed)
    try refused(home.envelope("thermostat", to: ["lock"], 1).bytes, .envelopeNotAllowed)
    try refused(home.envelope("gateway", to: ["lock"], 1).bytes, .envelopeNotAllowed)
    try refused(home.envelope("owner", to: ["rain"], 1).bytes, .envelopeNotAllowed)
    for node in ["lock", "thermostat"] {
      try refused(home.envelope("owner", to: [node], 1, class: .noConsequence).bytes, .envelopeClassTooWeak)
    }
    try refused(home.envelope("owner", to: ["occupancy"], 1).bytes, .envelopeClassTooWeak)
    try refused(home.envelope("owner", to: ["phone2"], 1).bytes, .envelopeNotForUs)
    try refused(home.envelope("owner", to: ["gateway"], 1).bytes, .envelopeNotForUs)
    try refused(home.envelope("owner", to: ["stranger"], 1).bytes, .envelopeRecipientUnknown)
    try refused(home.envelope("stranger", to: ["lock"], 1).bytes, .envelopeSenderUnknown)
    try refused(home.envelope("owner", to: ["lock"], 1, at: Home.later(-61)).bytes, .envelopeExpired)
    try refused(home.envelope("owner", to: ["lock"], 1, at: Home.later(121)).bytes, .envelopeFromTheFuture)
    let position = EnvelopeExtensions(stream: StreamPosition(stream: 1, chunk: 1))
    try refused(
      home.envelope("owner", to: ["lock"], 1, class: .stream, extensions: position).bytes, .envelopeClassReserved)
    let header = try home.envelope("owner", to: ["lock"], 1).header
    try refused(home.sign(header, [1], with: home["phone2"]), .coseSignatureInvalid)
  }

  @Test("A sealed command for a confidential node is held")
  func confidential() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore(), record: commandable(home))
    let envelope = try home.envelope("owner", to: ["occupancy"], 1, class: .confidential)
    #expect(gateway.deliver(envelope.bytes, now: Home.start).custody == .taken)
    #expect(gateway.receive(try home.get("occupancy"), now: Home.start).response.payload == envelope.bytes)
  }

  @Test("A replay is taken and doubles nothing, also when the node has it already or its time is over")
  func replay() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore())
    let envelope = try home.envelope("owner", to: ["lock"], 1)
    let lock = try #require(gateway.nodes.first { $0.name == "lock" })
    #expect(gateway.deliver(envelope.bytes, now: Home.start).custody == .taken)
    for bytes in [envelope.bytes, try malleated(envelope.bytes)] {
      let (custody, events) = gateway.deliver(bytes, now: Home.start)
      #expect(custody == .taken && reason(events) == .envelopeReplay)
      #expect(try gateway.queueUsage(of: lock).messages == 1)
    }
    _ = gateway.receive(try home.get("lock", "done=1"), now: Home.start)
    for now in [Home.start, Home.later(3600)] {
      #expect(gateway.deliver(envelope.bytes, now: now).custody == .taken)
      #expect(try gateway.queueUsage(of: lock).messages == 0)
    }
    let other = try home.envelope("owner", to: ["lock"], 1, content: .init(format: 0, bytes: [9]))
    #expect(gateway.deliver(other.bytes, now: Home.start).custody == .refused(.envelopeReplayOtherBytes))
  }

  // MARK: Peer records

  @Test("A newer peer record of the oracle is obeyed at once")
  func newer() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore())
    let record = try home.record(2) { record in
      let index = try #require(record.members.firstIndex { $0.name == "lock" })
      record.members[index].commanders.append(try home.address("phone2"))
    }
    let command = try home.envelope("phone2", to: ["lock"], 1)
    #expect(gateway.deliver(command.bytes, now: Home.start).custody == .refused(.envelopeNotAllowed))
    let (custody, events) = gateway.deliver(try home.sealed(record), now: Home.start)
    #expect(custody == .taken && events == [.peerRecord(epoch: 2)])
    #expect(gateway.directory.record == record)
    #expect(gateway.deliver(command.bytes, now: Home.start).custody == .taken)
  }

  @Test("A peer record that is stale, not the oracle's or of another group changes nothing")
  func records() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore())
    let second = try home.sealed(home.record(2) { $0.issuedAt += 1 })
    #expect(gateway.deliver(second, now: Home.start).custody == .taken)
    let obeyed = gateway.directory.record
    let third = try home.record(3) { $0.members.removeLast() }
    var foreign = third
    foreign.version.group = [UInt8](repeating: 7, count: GroupEpoch.groupLength)
    let stale: [(bytes: [UInt8], reason: DropReason)] = [
      (try Home.file("peer-record-gateway.cose"), .peerRecordEpochStale),
      (try malleated(second), .peerRecordEpochStale),
      // In the oracle's name, with the owner's key.
      (try home.sealed(third, from: "owner", as: "oracle"), .coseSignatureInvalid),
      // In the owner's name: a message to the gateway, which is no node.
      (try home.sealed(third, from: "owner"), .envelopeNotForUs),
      (try home.sealed(foreign), .peerRecordInvalid),
      // Sealed for someone else.
      (try Home.file("peer-record-owner.cose"), .envelopeNotForUs),
    ]
    for (bytes, expected) in stale {
      #expect(gateway.deliver(bytes, now: Home.start).custody == .refused(expected))
      #expect(gateway.directory.record == obeyed)
    }
  }

  @Test("A removed node is refused, plain and signed, and a removed commander too")
  func removed() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore())
    let record = try home.record(2) { $0.members.removeAll { ["lock", "rain", "phone2"].contains($0.name) } }
    #expect(gateway.deliver(try home.sealed(record), now: Home.start).custody == .taken)
    let signed = home.post(try home.envelope("lock", to: ["owner"], 1).bytes)
    #expect(reason(gateway.receive(signed, now: Home.start).events) == .envelopeSenderUnknown)
    let plain = try home.post(plain: "21.5", from: "rain")
    #expect(reason(gateway.receive(plain, now: Home.start).events) == .nodeUnknown)
    #expect(gateway.receive(try home.get("lock"), now: Home.start).response.code == .forbidden)
    let command = try home.envelope("phone2", to: ["thermostat"], 1)
    #expect(gateway.deliver(command.bytes, now: Home.start).custody == .refused(.envelopeSenderUnknown))
    #expect(try gateway.outboxUsage() == Usage())
  }

  @Test("A peer record that was taken is obeyed after a restart too, and taken again if it comes again")
  func recordAfterRestart() throws {
    let home = try Home()
    let bytes = try home.sealed(home.record(2) { $0.members.removeAll { $0.name == "phone2" } })
    for moment in MemoryStore.Moment.allCases {
      let store = MemoryStore()
      var gateway = try home.gateway(store)
      store.cutPower(afterWrites: 1, moment)
      #expect(gateway.deliver(bytes, now: Home.start).custody == .later(.queueUnavailable))
      #expect(gateway.directory.record.version.epoch == 1)
      store.restart()
      gateway = try home.gateway(store)
      #expect(gateway.directory.record.version.epoch == (moment == .afterCommit ? 2 : 1))
      for _ in 0..<2 {
        #expect(gateway.deliver(bytes, now: Home.start).custody == .taken)
        // The configuration still has epoch 1.
        gateway = try home.gateway(store)
        #expect(gateway.directory.record.version.epoch == 2)
      }
      let command = try home.envelope("phone2", to: ["thermostat"], 1)
      #expect(gateway.deliver(command.bytes, now: Home.start).custody == .refused(.envelopeSenderUnknown))
    }
  }

  @Test("What a removed commander left for a sleeping node is not handed out; one who may not any more is told")
  func withdrawn() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore())
    let old = try home.envelope("phone2", to: ["thermostat"], 1)
    let kept = try home.envelope("owner", to: ["thermostat"], 1)
    let forbidden = try home.envelope("owner", to: ["lock"], 2)
    for command in [old, kept, forbidden] {
      #expect(gateway.deliver(command.bytes, now: Home.start).custody == .taken)
    }
    let record = try home.record(2) { record in
      record.members.removeAll { $0.name == "phone2" }
      let index = try #require(record.members.firstIndex { $0.name == "lock" })
      record.members[index].commanders = []
    }
    let (custody, events) = gateway.deliver(try home.sealed(record), now: Home.start)
    #expect(custody == .taken && events.count == 3 && events.first == .peerRecord(epoch: 2))
    #expect(gateway.counters[.senderRevoked] == 1 && gateway.counters[.envelopeNotAllowed] == 1)
    #expect(gateway.receive(try home.get("thermostat"), now: Home.start).response.payload == kept.bytes)
    #expect(gateway.receive(try home.get("lock"), now: Home.start).response.payload.isEmpty)
    // Only the owner is still there to be told.
    let told = try gateway.outbound(limit: .max).map { try SignedEnvelope(parsing: $0.bytes) }
    #expect(told.map(\.header.extensions.inReplyTo) == [2])
    #expect(told.map(\.header.recipients) == [[.full(try home.address("owner"))]])
    let content = try #require(told.first?.readableContent)
    #expect(try Receipt(parsing: content.bytes) == .rejected(.envelopeNotAllowed))
  }
}
