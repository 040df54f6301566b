import Envelope
import Queue
import Relay
import TestSupport
import Testing
import Wire

@Suite struct RevocationTests {
  let home: DemoHome
  let now = DemoHome.start

  init() throws { home = try DemoHome() }

  @Test func aRemovedMemberIsRefusedAtOnceAndWhatItLeftIsNotDelivered() throws {
    let store = MemoryStore()
    var relay = try home.relay(store)
    let (phone2, gateway) = (
      try home.session(relay, "phone2"), try home.session(relay, "gateway", "lock", "thermostat")
    )
    let owner = try home.session(relay, "owner")
    let command = try home.envelope("phone2", to: ["thermostat"], 1)
    #expect(relay.submit(command.bytes, session: phone2, now: now).code == RelayCode.changed)
    // A report of the relay waits for it, too.
    let refused = try home.envelope("phone2", to: ["gateway"], 9, receipt: true)
    #expect(relay.submit(refused.bytes, session: phone2, now: now).code == RelayCode.changed)
    let atGateway = try #require(try relay.pending(for: gateway, limit: 1, now: now).first)
    #expect(try relay.rejected(atGateway, in: gateway, reason: .envelopeEchoRequired, now: now))
    #expect(try relay.pending(for: phone2, limit: 9, now: now).count == 1)
    let kept = try home.envelope("owner", to: ["thermostat"], 1)
    #expect(relay.submit(kept.bytes, session: owner, now: now).code == RelayCode.changed)
    let report = try home.envelope("lock", to: ["phone2"], 1, receipt: true)
    #expect(relay.submit(report.bytes, session: gateway, now: now).code == RelayCode.changed)

    let list = try home.accessList(epoch: 2) { try home.remove("phone2", from: &$0) }
    #expect(try relay.submit(list, session: owner, now: now) == .accepted([home.address("relay")]))
    let mailbox = Mailbox(.mailbox, try #require(Bytes32(home.address("phone2").bytes)))
    #expect(try store.usage(of: mailbox) == Usage())
    let revoked = SubmitOutcome.refused(.senderRevoked, code: RelayCode.forbidden)
    // The relay, and the one that starts from the same store after a crash.
    for round in 0..<2 {
      #expect(
        try relay.submit(home.envelope("phone2", to: ["thermostat"], 2).bytes, session: phone2, now: now)
          == revoked)
      // Nor by another's hand.
      #expect(
        try relay.submit(home.envelope("phone2", to: ["thermostat"], 2).bytes, session: owner, now: now)
          == revoked)
      #expect(throws: ParseError(.senderRevoked)) { try home.session(relay, "phone2") }
      #expect(try relay.pending(for: phone2, limit: 9, now: now).isEmpty)
      #expect(try !relay.delivered(1, to: home.address("phone2"), in: phone2))
      let waiting = try relay.pending(for: gateway, limit: 9, now: now)
      #expect(waiting.map(\.bytes).contains(kept.bytes) && !waiting.map(\.bytes).contains(command.bytes))
      // The lock, which asked, is told that its report to the removed phone went nowhere.
      let told = try #require(
        try waiting.first { try $0.mailbox.address.bytes == home.address("lock").bytes })
      #expect(try home.report(told).receipt == .rejected(.envelopeNotAllowed))
      #expect(waiting.count == 2)
      if round == 0 {
        #expect(relay.counters[.senderRevoked] == 4 && relay.counters[.envelopeNotAllowed] == 1)
        relay = try home.relay(store)
        #expect(relay.directory?.list.version.epoch == 2)
      }
    }
    // Admitted again, it is no stranger.
    #expect(try relay.accept(accessList: home.accessList(epoch: 3), now: now).code == RelayCode.changed)
    #expect(
      try relay.submit(home.envelope("phone2", to: ["thermostat"], 3).bytes, session: phone2, now: now).code
        == RelayCode.changed)
  }

  @Test func aDirectionThatIsTakenAwayTakesWhatWasHeldAlongIt() throws {
    var relay = try home.relay(MemoryStore())
    let (phone2, gateway) = (
      try home.session(relay, "phone2"), try home.session(relay, "gateway", "thermostat")
    )
    for (seq, name) in [(1, "thermostat"), (2, "gateway")] as [(UInt64, String)] {
      let command = try home.envelope("phone2", to: [name], seq, receipt: true)
      #expect(relay.submit(command.bytes, session: phone2, now: now).code == RelayCode.changed)
    }
    let list = try home.accessList(epoch: 2) { list in
      let index = try #require(try list.entries.firstIndex { try $0.address == home.address("phone2") })
      let thermostat = try #require(
        try list.entries.firstIndex { try $0.address == home.address("thermostat") })
      list.entries[index].recipients.removeAll { $0 == thermostat }
    }
    #expect(relay.accept(accessList: list, now: now).code == RelayCode.changed)
    #expect(try relay.pending(for: gateway, limit: 9, now: now).map(\.seq) == [2])
    let told = try relay.pending(for: phone2, limit: 9, now: now)
    #expect(told.count == 1)
    #expect(try home.report(try #require(told.first)).header.extensions.inReplyTo == 1)
  }

  @Test func onlyTheOraclesNewerListIsObeyed() throws {
    var relay = try home.relay(MemoryStore())
    #expect(try relay.accept(accessList: home.accessList(epoch: 5), now: now).code == RelayCode.changed)
    // Signed once more it says nothing new.
    #expect(try relay.accept(accessList: home.accessList(epoch: 5), now: now) == .alreadyInCustody)
    for epoch in [0, 1, 4, 5] as [UInt64] {
      #expect(
        try relay.accept(accessList: home.accessList(epoch: epoch) { $0.entries.removeLast() }, now: now)
          == .refused(.peerRecordEpochStale, code: RelayCode.conflict))
    }
    #expect(
      try relay.accept(accessList: home.accessList(epoch: 6, signer: "owner"), now: now)
        == .refused(.peerRecordNotFromOracle, code: RelayCode.forbidden))
    // In the oracle's name by another hand.
    let header = try SignedEnvelope(parsing: home.accessList(epoch: 6)).header
    let payload = try SignedEnvelope(parsing: home.accessList(epoch: 6)).payload
    let forged = try home.sign(header, Array(payload), with: home["owner"])
    #expect(relay.accept(accessList: forged, now: now).code == RelayCode.forbidden)
    // Of another group.
    let other = try home.accessList(epoch: 7) { $0.version.group = [UInt8](repeating: 1, count: 16) }
    #expect(
      relay.accept(accessList: other, now: now) == .refused(.peerRecordInvalid, code: RelayCode.badRequest))
    #expect(relay.directory?.list.version.epoch == 5)
    #expect(relay.directory?.list.entries.count == DemoHome.names.count)
  }

  @Test func aListThatCannotBeStoredIsNotObeyed() throws {
    let store = MemoryStore()
    var relay = try home.relay(store)
    let phone2 = try home.session(relay, "phone2")
    let command = try home.envelope("phone2", to: ["thermostat"], 1)
    #expect(relay.submit(command.bytes, session: phone2, now: now).code == RelayCode.changed)
    let list = try home.accessList(epoch: 2) { try home.remove("phone2", from: &$0) }
    for write in 1...3 {
      store.cutPower(afterWrites: write, .beforeCommit)
      #expect(relay.accept(accessList: list, now: now).code == RelayCode.serviceUnavailable)
      store.restart()
      #expect(relay.directory?.list.version.epoch == 1)
      #expect(try store.totalUsage().messages == 1)
    }
    #expect(relay.accept(accessList: list, now: now).code == RelayCode.changed)
    #expect(try store.totalUsage().messages == 0)
  }

  @Test func everythingIsThereAfterReopeningTheDatabase() throws {
    let directory = try TemporaryDirectory()
    var store = try SQLiteStore(directory: directory.path)
    var relay = try home.relay(store)
    let owner = try home.session(relay, "owner")
    let command = try home.envelope("owner", to: ["lock"], 1, receipt: true)
    #expect(relay.submit(command.bytes, session: owner, now: now).code == RelayCode.changed)
    store.close()
    #expect(relay.submit(command.bytes, session: owner, now: now).code == RelayCode.serviceUnavailable)
    store = try SQLiteStore(directory: directory.path)
    relay = try home.relay(store)
    #expect(relay.submit(command.bytes, session: owner, now: now) == .alreadyInCustody)
    let gateway = try home.session(relay, "gateway", "lock")
    #expect(try relay.pending(for: gateway, limit: 9, now: now).map(\.bytes) == [command.bytes])
    #expect(try relay.expire(now: Instant(seconds: now.seconds + 100)) == 1)
    #expect(try relay.pending(for: owner, limit: 9, now: now).count == 1)
    store.close()
    // Another oracle's list is not taken over.
    store = try SQLiteStore(directory: directory.path)
    let identity = try #require(RelayIdentity(try home["relay"]))
    let other = try RelayCore(identity, oracle: try home["owner"].public, store: store)
    #expect(other.directory == nil)
    #expect(throws: ParseError(.envelopeSenderUnknown)) { try other.openSession(client: home.address("phone2")) }
    store.close()
  }
}
