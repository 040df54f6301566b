import Foundation
import Queue
import Synchronization
import TestSupport
import Testing
import Wire

@testable import Relay

/// What a store on NATS does beside what every ``RelayStore`` does: several relays, and servers that fail.
@Suite(.enabled(if: NATSServer.isAvailable, NATSServer.reason)) struct NATSRelayStoreTests {
  let server: NATSServer
  let a = Mailbox(.mailbox, address(0xa))
  let b = Mailbox(.mailbox, address(0xb))

  init() throws { server = try NATSServer() }

  func seqs(_ store: NATSRelayStore, _ mailbox: Mailbox) throws -> [UInt64] {
    try store.list(in: mailbox, after: 0, limit: .max).map(\.seq)
  }

  // MARK: Servers that fail

  @Test func whatWasAcknowledgedOutlivesTheServer() throws {
    let store = try server.store()
    let told = Told<RelayStoreNews>()
    store.news = { told.add($0) }
    try store.serve(a)
    var acknowledged: [UInt64] = []
    for first in stride(from: 1, to: 200, by: 20) as StrideTo<UInt64> {
      let group = (first..<first + 20).map { RelayDeposit.sent(deposit($0, size: 300), to: a, b) }
      for (item, outcome) in zip(group, try store.put(group)) {
        if case .held = outcome { acknowledged.append(item.deposit.seq) }
      }
    }
    try store.setValue("access", to: [1, 2, 3])
    #expect(try store.advance("n", by: 7) == 0)
    let confirmed = try store.list(in: a, after: 0, limit: 10)
    try store.confirm(confirmed.map { MessageName(a, $0.number) })
    server.kill()
    try eventually("the loss is told") { told.contains(.availability(false)) }
    try server.start()
    try eventually("the return is told") { told.contains(.availability(true)) }

    var listed: Set<UInt64> = []
    try eventually("everything that was not confirmed is listed") {
      for message in try store.list(in: a, after: 0, limit: .max) {
        listed.insert(message.seq)
        try store.confirm([MessageName(a, message.number)])
      }
      return listed.isSuperset(of: Set(acknowledged).subtracting(confirmed.map(\.seq)))
    }
    // What was confirmed just before may come again, and nothing else.
    #expect(listed.isSubset(of: acknowledged))
    #expect(try store.usage(of: b).messages == acknowledged.count)
    #expect(try store.values(withPrefix: "").map(\.value) == [[1, 2, 3]])
    #expect(try store.advance("n", by: 1) == 7)
    let again = try store.put(acknowledged.map { .sent(deposit($0, size: 300), to: a, b) })
    #expect(again.allSatisfy { $0 == .alreadyHeld })
    // Another relay finds the same.
    #expect(try server.store().usage(of: b).messages == acknowledged.count)
  }

  @Test func withoutAServerNothingIsAcknowledgedAndNothingWaits() throws {
    let store = try server.store()
    let told = Told<RelayStoreNews>()
    store.news = { told.add($0) }
    try store.serve(a)
    _ = try store.put([.sent(deposit(1), to: a)])
    try eventually("it is listed") { try seqs(store, a) == [1] }
    let held = try store.list(in: a, after: 0, limit: 1)
    server.kill()
    try eventually("the loss is told") { told.contains(.availability(false)) }
    let elapsed = try ContinuousClock().measure {
      #expect(throws: StoreError.self) { try store.put([.sent(deposit(2), to: a)]) }
      #expect(throws: StoreError.self) { try store.replayed(address(1), 1, recognised(deposit(1))) }
      #expect(throws: StoreError.self) { try store.confirm(held.map { MessageName(a, $0.number) }) }
      #expect(throws: StoreError.self) { try store.values(withPrefix: "") }
      #expect(throws: StoreError.self) { try store.setValue("x", to: []) }
      #expect(throws: StoreError.self) { try store.advance("x", by: 1) }
      #expect(throws: StoreError.self) { try store.serve(b) }
      #expect(throws: StoreError.self) { try store.usage(of: a) }
      #expect(throws: StoreError.self) { try store.removeAll(in: a, reason: .senderRevoked) }
      #expect(throws: StoreError.self) { try store.expire(now: Instant(seconds: 1), limit: 1) { _ in nil } }
      #expect(throws: StoreError.self) { try store.publishChunk([1], to: a.address) }
      // What is here is still here.
      #expect(try store.list(in: a, after: 0, limit: 1) == held)
      try store.release(b)
    }
    #expect(elapsed < .seconds(5))
    try server.start()
    try eventually("the return is told") { told.contains(.availability(true)) }
    guard case .held = try store.put([.sent(deposit(2), to: a)])[0] else {
      Issue.record("a message that was not acknowledged is new")
      return
    }
    try eventually("both are listed, each once") { try seqs(store, a) == [1, 2] }
  }

  @Test func aServerThatStopsAnsweringIsNotWaitedForLong() throws {
    let store = try server.store(timeout: .milliseconds(300))
    server.pause()
    let elapsed = ContinuousClock().measure {
      #expect(throws: StoreError.self) { try store.put([.sent(deposit(1), to: a)]) }
    }
    server.resume()
    #expect(elapsed >= .milliseconds(300) && elapsed < .seconds(5))
    try eventually("it answers again") { (try? store.put([.sent(deposit(1), to: a)])) != nil }
    // What was not answered may have been stored all the same.
    #expect(try (1...2).contains(store.usage(of: a).messages))
    #expect(try store.put([.sent(deposit(1), to: a)]) == [.alreadyHeld])
  }

  @Test func openingWithoutAServerThrows() throws {
    server.kill()
    #expect(throws: StoreError.self) { try server.store() }
    for configuration in [
      NATSRelayStore.Configuration(servers: []), NATSRelayStore.Configuration(prefix: "a.b"),
      NATSRelayStore.Configuration(replicas: 2),
    ] {
      #expect(throws: StoreError.self) { try NATSRelayStore(configuration) }
    }
  }

  @Test func openingOnAServerThatRefusesThrowsAndReturns() throws {
    var configuration = server.configuration()
    // One server has no room for three copies: the connection is made and the streams are not.
    configuration.replicas = 3
    configuration.connectTimeout = .milliseconds(300)
    let error = #expect(throws: StoreError.self) { try NATSRelayStore(configuration) }
    #expect(error?.description.contains("STREAM.CREATE") == true)
  }

  @Test func serversThatAreTooOldAreRefused() throws {
    let server = try NATSServer(jetStream: false)
    let link = try NATSLink(
      server.configuration().connectionOptions(name: "old"), name: "old", timeout: .seconds(5)
    ) { _ in }
    // So answers JetStream of NATS 2.9, which knows no metadata.
    let old = try link.subscribe("$JS.API.STREAM.CREATE.*") {
      try? link.send(NATSRequest(subject: $0.reply ?? "", bytes: Array(#"{"config":{"name":"any"}}"#.utf8)))
    }
    try link.flush()
    let error = #expect(throws: StoreError.self) { try NATSRelayStore(server.configuration()) }
    #expect(error?.kind == .outdated)
    withExtendedLifetime(old) {}
    link.close()
  }

  @Test func aClosedStoreThrows() throws {
    let store = try server.store()
    try store.serve(a)
    store.close()
    store.close()
    #expect(throws: StoreError.self) { try store.put([.sent(deposit(1), to: a)]) }
    #expect(throws: StoreError.self) { try store.serve(a) }
    #expect(try store.list(in: a, after: 0, limit: 9).isEmpty)
  }

  // MARK: Custody that was interrupted

  @Test func whatWasHalfDoneIsCompletedOnce() throws {
    let store = try server.store(timeout: .milliseconds(500))
    try store.serve(a)
    // Records cannot be stored: there is no stream of them.
    _ = try store.link.ask(NATSRequest(api: "STREAM.DELETE.\(store.names.seen)"))
    for _ in 0..<3 { #expect(throws: StoreError.self) { try store.put([.sent(deposit(1), to: a, b)]) } }
    try NATSStreams(store.configuration, store.names).create(on: store.link)
    #expect(try store.totalUsage().messages == 2)
    try eventually("records are answered for") { (try? store.put([.sent(deposit(2), to: b)])) != nil }
    guard case .held(let numbers, []) = try store.put([.sent(deposit(1), to: a, b)])[0] else {
      Issue.record("a retry is taken")
      return
    }
    try eventually("it is listed once") { try store.list(in: a, after: 0, limit: 9).map(\.number) == [numbers[0]] }
    #expect(try store.totalUsage().messages == 3)
    #expect(try store.put([.sent(deposit(1), to: a)]) == [.alreadyHeld])
  }

  @Test func aRecordWhoseAnswerWasLostKeepsWhatItVouchesFor() throws {
    let store = try server.store()
    let items = (1...2).map { RelayDeposit.sent(deposit($0), to: a) }
    // This relay's own record, stored after it had given up waiting and before it tries again, and another relay's.
    for (item, relay) in zip(items, [store.names.relay, "another"]) {
      let key = try #require(ReplayKey(item))
      let digest = try #require(item.deduplication?.digest)
      _ = try store.link.ask(NATSRequest(subject: store.names.seen(key), bytes: digest.bytes + Array(relay.utf8)))
    }
    var outcomes: [PutOutcome?] = []
    var copies: [Int: [NATSRelayStore.Copy]] = [:]
    for (index, item) in items.enumerated() {
      let numbers = try store.store(item)
      outcomes.append(.held(numbers: numbers.map { $0 }, refused: []))
      copies[index] = [
        .init(
          item: index, place: 0, mailbox: a, request: NATSRequest(subject: ""), result: .stored(numbers[0]))
      ]
    }
    try store.record(items, &outcomes, copies)
    #expect(outcomes == [.alreadyHeld, .alreadyHeld])
    // The other relay's message has copies of its own.
    #expect(try store.link.messages([1, 2], of: store.names.mail).map { $0 != nil } == [true, false])
  }

  @Test func ofTwoMessagesWithOneNumberOneCounts() throws {
    let configuration = server.configuration()
    let results = Told<PutOutcome>()
    DispatchQueue.concurrentPerform(iterations: 2) { [a] index in
      guard let store = try? NATSRelayStore(configuration) else { return }
      for seq in 1...50 as ClosedRange<UInt64> {
        var mine = deposit(seq)
        mine.bytes = [UInt8(index)]
        guard let outcomes = try? store.put([.sent(mine, to: a)]) else { return }
        for outcome in outcomes { results.add(outcome) }
      }
    }
    let all = results.all
    #expect(all.count == 100)
    let refused = all.filter { $0 == .refused(.envelopeReplayOtherBytes) }
    #expect(refused.count == 50)
    #expect(try server.store().usage(of: a).messages == 50)
  }
}
