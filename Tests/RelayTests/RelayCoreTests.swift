import COSE
import Envelope
import Queue
import Relay
import TestSupport
import Testing
import Wire

@Suite struct RelayCoreTests {
  let home: DemoHome
  var relay: RelayCore<LocalRelayStore<MemoryStore>>
  let now = DemoHome.start

  init() throws {
    home = try DemoHome()
    relay = try home.relay(MemoryStore())
  }

  func pending(_ relay: inout RelayCore<LocalRelayStore<MemoryStore>>, _ session: RelaySession) throws -> [HeldMessage]
  {
    try relay.pending(for: session, limit: 100, now: now)
  }

  @Test mutating func aCommandWaitsForTheNodesGatewayUntilItIsDelivered() throws {
    let command = try home.envelope("owner", to: ["lock"], 1)
    let owner = try home.session(relay, "owner")
    #expect(relay.submit(command.bytes, session: owner, now: now) == .accepted([try home.address("lock")]))
    let gateway = try home.session(relay, "gateway", "lock", "thermostat")
    for _ in 0..<2 { #expect(try pending(&relay, gateway).map(\.bytes) == [command.bytes]) }
    let message = try #require(try pending(&relay, gateway).first)
    #expect(try Address(message.mailbox.address.bytes) == home.address("lock"))
    #expect(message.protectionClass == 1 && message.seq == 1)
    #expect(try relay.pending(for: gateway, after: [home.address("lock"): 1], limit: 9, now: now).isEmpty)
    // Nobody but the host sees it, or takes it away.
    #expect(try pending(&relay, owner).isEmpty)
    #expect(try !relay.delivered(message.number, to: home.address("lock"), in: owner))
    #expect(try relay.delivered(message.number, to: home.address("lock"), in: gateway))
    #expect(try relay.delivered(message.number, to: home.address("lock"), in: gateway))
    #expect(try pending(&relay, gateway).isEmpty)
  }

  @Test(arguments: [EnvelopeDraft.AddressForm.full, .short]) mutating func aReportReachesEveryReader(
    form: EnvelopeDraft.AddressForm
  ) throws {
    let report = try home.envelope("occupancy", to: ["owner", "phone2"], 5, class: .confidential, form: form)
    let gateway = try home.session(relay, "gateway")
    #expect(
      relay.submit(report.bytes, session: gateway, now: now)
        == .accepted([try home.address("owner"), try home.address("phone2")]))
    for name in ["owner", "phone2"] {
      let session = try home.session(relay, name)
      let message = try #require(try pending(&relay, session).first)
      #expect(try SignedEnvelope(parsing: message.bytes).open(with: home[name]).bytes == Array("on".utf8))
    }
  }

  @Test func aSessionServesItsClientAndTheNodesItHosts() throws {
    let session = try home.session(relay, "gateway", "lock", "lock", "rain")
    #expect(try session.served == ["gateway", "lock", "rain"].map { try home.address($0) })
    for (client, node) in [("owner", "lock"), ("gateway", "owner"), ("lock", "gateway"), ("lock", "rain")] {
      #expect(throws: ParseError(.envelopeNotAllowed)) { try home.session(relay, client, node) }
    }
    #expect(throws: ParseError(.envelopeSenderUnknown)) {
      try relay.openSession(client: Address(ofCertificate: [1]))
    }
  }

  @Test func withoutAnAccessListNothingIsTaken() throws {
    let session = try home.session(relay, "owner")
    let identity = try #require(RelayIdentity(try home["relay"]))
    var empty = try RelayCore(identity, oracle: try home["oracle"].public, store: MemoryStore())
    let command = try home.envelope("owner", to: ["lock"], 1)
    #expect(empty.submit(command.bytes, session: session, now: now).code == RelayCode.serviceUnavailable)
    // The list itself is obeyed on any session.
    #expect(
      try empty.submit(home.accessList, session: session, now: now) == .accepted([home.address("relay")]))
    #expect(empty.submit(home.accessList, session: session, now: now) == .alreadyInCustody)
    #expect(try empty.submit(command.bytes, session: session, now: now) == .accepted([home.address("lock")]))
  }

  /// What each is refused for, and with which code.
  @Test mutating func refusals() throws {
    let (owner, phone2) = (try home.session(relay, "owner"), try home.session(relay, "phone2"))
    let gateway = try home.session(relay, "gateway", "lock")
    var plain = try home.envelope("gateway", to: ["owner"], 1).header
    plain.class = .confidential
    let stranger = try home.envelope("owner", to: ["lock"], 1)
    var foreign = stranger.header
    foreign.sender = .full(Address(ofCertificate: [1]))
    var lost = stranger.header
    lost.recipients = [.full(Address(ofCertificate: [2]))]
    let cases: [([UInt8], RelaySession, DropReason, UInt8)] = [
      ([], owner, .truncated, RelayCode.badRequest),
      ([UInt8](repeating: 0, count: 70_000), owner, .envelopeTooLarge, RelayCode.requestEntityTooLarge),
      (try home.sign(foreign, [1], with: home["owner"]), owner, .envelopeSenderUnknown, RelayCode.forbidden),
      (try home.sign(lost, [1], with: home["owner"]), owner, .envelopeRecipientUnknown, RelayCode.forbidden),
      (
        try home.sign(stranger.header, [1], with: home["phone2"]), owner, .coseSignatureInvalid,
        RelayCode.forbidden
      ),
      (try home.envelope("phone2", to: ["lock"], 1).bytes, phone2, .envelopeNotAllowed, RelayCode.forbidden),
      // Right envelope, wrong connection.
      (try home.envelope("owner", to: ["lock"], 1).bytes, phone2, .envelopeNotAllowed, RelayCode.forbidden),
      // No downgrade, in either direction.
      (
        try home.envelope("owner", to: ["lock"], 1, class: .noConsequence).bytes, owner,
        .envelopeClassTooWeak,
        RelayCode.forbidden
      ),
      (
        try home.envelope("occupancy", to: ["owner"], 1, class: .authOnly).bytes, gateway,
        .envelopeClassTooWeak, RelayCode.forbidden
      ),
      (
        try home.sign(plain, [1], with: home["gateway"]), gateway, .envelopeNotConfidential,
        RelayCode.badRequest
      ),
      (
        try home.envelope("owner", to: ["lock"], 1, at: Instant(seconds: now.seconds - 61)).bytes, owner,
        .envelopeExpired, RelayCode.badRequest
      ),
      (
        try home.envelope("owner", to: ["lock"], 1, at: Instant(seconds: now.seconds + 1000)).bytes, owner,
        .envelopeFromTheFuture, RelayCode.badRequest
      ),
      (
        try home.envelope("owner", to: ["lock"], 1, class: .stream).bytes, owner, .unsupported,
        RelayCode.notImplemented
      ),
    ]
    for (bytes, session, reason, code) in cases {
      let before = relay.counters[reason]
      #expect(relay.submit(bytes, session: session, now: now) == .refused(reason, code: code))
      #expect(relay.counters[reason] == before + 1)
    }
    #expect(relay.counters.total == UInt64(cases.count))
    #expect(try pending(&relay, gateway).isEmpty && pending(&relay, owner).isEmpty)
  }

  @Test mutating func aGatewayVouchesOnlyForNodesItHosts() throws {
    let gateway = try home.session(relay, "gateway")
    func vouch(_ sender: String, _ node: String, _ seq: UInt64, _ protection: EnvelopeClass) throws -> [UInt8] {
      try home.envelope(
        sender, to: sender == "gateway" ? ["owner"] : ["gateway"], seq, class: protection,
        extensions: EnvelopeExtensions(onBehalfOf: .short(home.address(node).short))
      ).bytes
    }
    #expect(
      try relay.submit(vouch("gateway", "rain", 1, .noConsequence), session: gateway, now: now)
        == .accepted([home.address("owner")]))
    #expect(
      try relay.submit(vouch("gateway", "thermostat", 2, .authOnly), session: gateway, now: now)
        == .accepted([home.address("owner")]))
    // Not below the node's class, not for another's node, and not for what the gateway cannot have read.
    let refused = SubmitOutcome.refused(.envelopeOnBehalfOfRefused, code: RelayCode.forbidden)
    #expect(
      try relay.submit(vouch("gateway", "thermostat", 3, .noConsequence), session: gateway, now: now)
        == .refused(.envelopeClassTooWeak, code: RelayCode.forbidden))
    #expect(
      try relay.submit(vouch("gateway", "occupancy", 4, .confidential), session: gateway, now: now) == refused
    )
    #expect(try relay.submit(vouch("gateway", "phone2", 5, .authOnly), session: gateway, now: now) == refused)
    let owner = try home.session(relay, "owner")
    #expect(try relay.submit(vouch("owner", "rain", 6, .authOnly), session: owner, now: now) == refused)
  }

  @Test mutating func deduplicationIsBySenderAndNumberAndNeverBySignature() throws {
    let owner = try home.session(relay, "owner")
    let gateway = try home.session(relay, "gateway", "lock")
    let command = try home.envelope("owner", to: ["lock"], 7)
    #expect(try relay.submit(command.bytes, session: owner, now: now) == .accepted([home.address("lock")]))
    #expect(relay.submit(command.bytes, session: owner, now: now) == .alreadyInCustody)
    // Signed again: other signature, same message.
    let again = try home.sign(command.header, Array(command.payload), with: home["owner"])
    #expect(again != command.bytes)
    #expect(relay.submit(again, session: owner, now: now) == .alreadyInCustody)
    let other = try home.envelope("owner", to: ["lock"], 7, text: "off")
    #expect(
      relay.submit(other.bytes, session: owner, now: now)
        == .refused(.envelopeReplayOtherBytes, code: RelayCode.conflict))
    // Also when it is gone, and when its time is over.
    #expect(try relay.delivered(1, to: home.address("lock"), in: gateway))
    let late = Instant(seconds: now.seconds + 10_000)
    #expect(relay.submit(command.bytes, session: owner, now: late) == .alreadyInCustody)
    #expect(try pending(&relay, gateway).isEmpty)
    #expect(relay.counters[.envelopeReplay] == 3)
  }

  @Test mutating func whatExpiresIsReportedToItsSender() throws {
    let owner = try home.session(relay, "owner")
    let asked = try home.envelope("owner", to: ["lock"], 1, receipt: true)
    let clockless = try home.envelope("owner", to: ["thermostat"], 2, at: nil, lifetime: 100)
    for envelope in [asked, clockless] {
      #expect(relay.submit(envelope.bytes, session: owner, now: now).code == RelayCode.changed)
    }
    #expect(try relay.earliestExpiry() == Instant(seconds: now.seconds + 61))
    #expect(try relay.expire(now: Instant(seconds: now.seconds + 60)) == 0)
    #expect(try relay.expire(now: Instant(seconds: now.seconds + 61)) == 1)
    // Without a clock the lifetime counts from arrival.
    #expect(try relay.expire(now: Instant(seconds: now.seconds + 100)) == 0)
    #expect(try relay.expire(now: Instant(seconds: now.seconds + 101)) == 1)
    let reports = try relay.pending(for: owner, limit: 9, now: Instant(seconds: now.seconds + 102))
    #expect(reports.count == 1)
    let (receipt, header) = try home.report(try #require(reports.first))
    #expect(receipt == Receipt(.expired, reason: "envelopeExpired"))
    #expect(
      header.extensions.inReplyTo == 1 && header.extensions.answerHash == asked.contentDigest.answerHash)
    #expect(try header.recipients == [.full(home.address("owner"))])
    #expect(relay.counters[.envelopeExpired] == 2)
    // A report that expires is not reported.
    #expect(try relay.expire(now: Instant(seconds: now.seconds + 100 * 86_400)) == 1)
    #expect(try relay.earliestExpiry() == nil)
  }

  @Test mutating func aRefusalByTheEndpointIsReported() throws {
    let (owner, gateway) = (try home.session(relay, "owner"), try home.session(relay, "gateway", "lock"))
    let command = try home.envelope("owner", to: ["lock"], 1, receipt: true)
    #expect(relay.submit(command.bytes, session: owner, now: now).code == RelayCode.changed)
    let message = try #require(try pending(&relay, gateway).first)
    #expect(try !relay.rejected(message, in: owner, reason: .envelopeReplay, now: now))
    #expect(try relay.rejected(message, in: gateway, reason: .envelopeEchoRequired, now: now))
    #expect(try pending(&relay, gateway).isEmpty)
    #expect(
      try home.report(try #require(pending(&relay, owner).first)).receipt == .rejected(.envelopeEchoRequired))
  }

  @Test func aFullMailboxIsToldAndDoesNotSilenceTheOthers() throws {
    let limits = QueueLimits(mailbox: Usage(messages: 2, bytes: 100_000))
    var relay = try home.relay(MemoryStore(), limits: limits)
    let gateway = try home.session(relay, "gateway")
    for seq in 1...2 as ClosedRange<UInt64> {
      let report = try home.envelope("lock", to: ["phone2"], seq)
      #expect(relay.submit(report.bytes, session: gateway, now: now).code == RelayCode.changed)
    }
    #expect(
      try relay.submit(home.envelope("lock", to: ["phone2"], 3).bytes, session: gateway, now: now)
        == .refused(.queueNodeFull, code: RelayCode.tooManyRequests))
    let alarm = try home.envelope("lock", to: ["owner", "phone2"], 4)
    #expect(try relay.submit(alarm.bytes, session: gateway, now: now) == .accepted([home.address("owner")]))
    let lock = try home.session(relay, "gateway", "lock")
    let report = try #require(try pending(&relay, lock).first)
    #expect(try home.report(report).receipt == .rejected(.queueNodeFull))
    #expect(relay.counters[.queueNodeFull] == 2)
  }

  @Test mutating func aStoreThatFailsKeepsTheEnvelopeWithItsSender() throws {
    let owner = try home.session(relay, "owner")
    let command = try home.envelope("owner", to: ["lock"], 1)
    let store = MemoryStore()
    var relay = try home.relay(store)
    for (write, moment) in [(1, .write), (2, .write), (2, .beforeCommit)] as [(Int, MemoryStore.Moment)] {
      store.cutPower(afterWrites: write, moment)
      #expect(
        relay.submit(command.bytes, session: owner, now: now)
          == .refused(.queueUnavailable, code: RelayCode.serviceUnavailable))
      store.restart()
      relay = try home.relay(store)
    }
    // Kept, though the relay went down before it could say so.
    store.cutPower(afterWrites: 2, .afterCommit)
    #expect(relay.submit(command.bytes, session: owner, now: now).code == RelayCode.serviceUnavailable)
    store.restart()
    relay = try home.relay(store)
    #expect(relay.submit(command.bytes, session: owner, now: now) == .alreadyInCustody)
    let gateway = try home.session(relay, "gateway", "lock")
    #expect(try pending(&relay, gateway).map(\.bytes) == [command.bytes])
  }

  @Test mutating func noChangedByteIsAccepted() throws {
    var generator = SeededGenerator(seed: 7)
    let owner = try home.session(relay, "owner")
    let bytes = try home.envelope("owner", to: ["lock"], 1).bytes
    for count in 0..<bytes.count {
      #expect(relay.submit(Array(bytes.prefix(count)), session: owner, now: now).code >= RelayCode.badRequest)
    }
    for index in bytes.indices {
      var changed = bytes
      changed[index] ^= UInt8.random(in: 1...255, using: &generator)
      #expect(relay.submit(changed, session: owner, now: now).code >= RelayCode.badRequest)
    }
    #expect(try relay.submit(bytes, session: owner, now: now) == .accepted([home.address("lock")]))
  }
}
