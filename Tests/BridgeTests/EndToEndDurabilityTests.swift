import Bridge
import CoAP
import Crypto
import Envelope
import MemberSecurity
import OSCORE
import Queue
import TestSupport
import Testing
import Wire

/// RFC 8613, 7.5 and B.1 at an endpoint whose power may go at any write: no nonce protects two messages, and no command is
/// lost or done twice.
@Suite struct EndToEndDurabilityTests {
  /// The lock, which answers by envelopes of its own, and never loses its power.
  private final class Lock {
    let home: Home
    private var contexts: MemberContexts
    private let roster: MemberRoster
    private var sequence: UInt64 = 0
    private(set) var asked: [CoAPRequest] = []

    init(_ home: Home, seed: UInt64) throws {
      self.home = home
      contexts = MemberContexts(identity: try home["lock"], random: SeededGenerator(seed: seed))
      roster = MemberRoster([try #require(try home.directory("owner").member(named: "owner"))])
    }

    func answer(_ envelope: SignedEnvelope) throws -> SignedEnvelope {
      let request = try EncapsulatedMessage(parsing: Array(envelope.payload)).request()
      let response: CoAPResponse
      switch contexts.receive(
        request, from: roster, signedBy: try home.address("owner"), now: Home.start, keep: { _, _ in true })
      {
      case .unprotected: response = CoAPResponse(.unauthorized)
      case .answered(let answer, _): response = answer
      case .request(let inner, let member, let exchange):
        asked.append(inner)
        response = try contexts.protect(
          CoAPResponse(.changed), to: member, in: exchange, keep: { _, _ in true })
      }
      sequence += 1
      return try home.envelope(
        "lock", to: ["owner"], sequence,
        extensions: EnvelopeExtensions(inReplyTo: envelope.header.sequence, answerHash: envelope.answerHash),
        content: .init(format: ContentFormats.coapMessage, bytes: try EncapsulatedMessage(response).cbor()))
    }
  }

  private func owner(_ home: Home, _ store: MemoryStore, _ seed: UInt64) throws -> Endpoint<MemoryStore> {
    Endpoint(
      identity: try home["owner"], directory: try home.directory("owner"), relay: try home.address("relay"),
      store: store, random: SeededGenerator(seed: seed))
  }

  @Test("A power cut at any write uses no nonce twice, and loses no command", arguments: MemoryStore.Moment.allCases)
  func powerCut(_ moment: MemoryStore.Moment) throws {
    let home = try Home()
    let commands = ["lock: PUT /lock open", "lock: PUT /lock shut"]
    var cuts = 0
    while true {
      let store = MemoryStore()
      let lock = try Lock(home, seed: UInt64(cuts) + 1)
      store.cutPower(afterWrites: cuts + 1, moment)
      var (sent, wasCut): (UInt64, Bool) = (0, false)
      var protected: [[UInt8]: [UInt8]] = [:]
      var pending: [SignedEnvelope] = []
      for round in 0..<24 {
        // Every round is a process of its own.
        var endpoint = try owner(home, store, UInt64(cuts * 100 + round))
        if round < 12 {
          _ = try? endpoint.command(
            try #require(CommandText(commands[round / 6])), label: "command\(round / 6)", endToEnd: true,
            now: Home.start)
        }
        pending = pending.filter { envelope in
          if case .later = endpoint.deliver(envelope.bytes, now: Home.start).custody { true } else { false }
        }
        if store.isPowerCut {
          wasCut = true
          store.restart()
          endpoint = try owner(home, store, UInt64(cuts * 100 + round + 50))
        }
        for held in try endpoint.outbound(after: sent, limit: .max) {
          sent = held.number
          let envelope = try SignedEnvelope(parsing: held.bytes)
          let message = try EncapsulatedMessage(parsing: Array(envelope.payload))
          if let option = message.options.first(where: { $0.number == CoAPOptionNumber.oscore.rawValue })?.value {
            #expect(protected.updateValue(message.payload, forKey: option) == nil, "\(option.hex) after \(cuts) writes")
          }
          pending.append(try lock.answer(envelope))
        }
      }
      #expect(lock.asked.map(\.payload) == [Array("open".utf8), Array("shut".utf8)], "after \(cuts) writes")
      let inbox = try owner(home, store, 9_999).inboxContents()
      #expect(inbox.map(\.answers) == commands && inbox.allSatisfy(\.isEndToEnd), "after \(cuts) writes")
      guard wasCut else { break }
      cuts += 1
    }
    #expect(cuts > 10)
  }

  @Test("A command that nobody answers does not keep others waiting for ever") func late() throws {
    let home = try Home()
    let store = MemoryStore()
    let lock = try Lock(home, seed: 1)
    var endpoint = try owner(home, store, 1)
    func give(_ text: String, at now: Instant) throws -> UInt64? {
      try endpoint.command(
        try #require(CommandText(text)), label: text, lifetime: 60, endToEnd: true, now: now)
    }
    let first = try #require(try give("lock: PUT /lock 1", at: Home.start))
    _ = try give("lock: PUT /lock 2", at: Home.start)
    #expect(try endpoint.outbound(limit: .max).map(\.seq) == [first])
    let number = try give("lock: PUT /lock 3", at: Home.later(61))
    let message1 = try #require(try endpoint.outbound(limit: .max).last)
    #expect(message1.seq == number)
    let answer = try lock.answer(try SignedEnvelope(parsing: message1.bytes))
    #expect(endpoint.deliver(answer.bytes, now: Home.start).custody == .taken)
    let last = try #require(try endpoint.outbound(limit: .max).last)
    _ = try lock.answer(try SignedEnvelope(parsing: last.bytes))
    #expect(lock.asked.map(\.payload) == [Array("3".utf8)])
    // What answers the one that was given up is not taken.
    let old = try #require(try endpoint.outbound(limit: .max).first)
    let late = try lock.answer(try SignedEnvelope(parsing: old.bytes))
    #expect(endpoint.deliver(late.bytes, now: Home.start).custody == .refused(.coapExchangeUnknown))
  }

  @Test("A node that is removed from the record has no keys any more") func removed() throws {
    let home = try Home()
    let store = MemoryStore()
    let lock = try Lock(home, seed: 1)
    var endpoint = try owner(home, store, 1)
    _ = try endpoint.command(
      try #require(CommandText("lock: PUT /lock 1")), label: "1", endToEnd: true, now: Home.start)
    var sent: UInt64 = 0
    for _ in 0..<2 {
      for held in try endpoint.outbound(after: sent, limit: .max) {
        sent = held.number
        _ = endpoint.deliver(try lock.answer(try SignedEnvelope(parsing: held.bytes)).bytes, now: Home.start)
      }
    }
    #expect(endpoint.endToEnd.hasContext(with: try home.address("lock")))
    let record = try home.record(2) { $0.members.removeAll { $0.name == "lock" } }
    let later = Endpoint(
      identity: try home["owner"], directory: try PeerDirectory(record), relay: try home.address("relay"), store: store)
    #expect(!later.endToEnd.hasContext(with: try home.address("lock")))
    #expect(try store.values(withPrefix: "end-to-end.context.").isEmpty)
  }
}
