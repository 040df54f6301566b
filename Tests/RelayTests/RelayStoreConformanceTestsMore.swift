import Queue
import Relay
import TestSupport
import Testing
import Wire

extension RelayStoreConformanceTests {
  @Test(arguments: RelayStoreKind.all) func whatExpiresIsReportedAndRemoved(kind: RelayStoreKind) throws {
    let tested = try TestedRelayStore(kind)
    let store = tested.store
    try store.serve(a)
    try store.serve(c)
    _ = try store.put([
      .sent(deposit(1, expires: 5), to: a, b), .sent(deposit(2, expires: 50), to: a), .sent(deposit(3), to: b),
    ])
    #expect(try #require(try store.nextExpiry()) <= Instant(seconds: 5))
    var reported: [HeldMessage] = []
    func expire(_ seconds: Int64, limit: Int) throws -> [HeldMessage] {
      try store.expire(now: Instant(seconds: seconds), limit: limit) { message in
        reported.append(message)
        return RelayDeposit(deposit(100 + message.seq, from: 9), in: [self.c])
      }
    }
    #expect(try expire(4, limit: 10).isEmpty)
    #expect(try expire(5, limit: 1).map(\.seq) == [1])
    let rest = try expire(6, limit: 10)
    #expect(rest.map(\.seq) == [1])
    #expect(Set(reported.map(\.mailbox)) == [a, b])
    #expect(reported.map(\.deposit) == [deposit(1, expires: 5), deposit(1, expires: 5)])
    #expect(try expire(7, limit: 10).isEmpty)
    #expect(try tested.list(a, count: 1).map(\.seq) == [2])
    #expect(try store.usage(of: b).messages == 1)
    #expect(try tested.list(c, count: 2).map(\.seq) == [101, 101])
    #expect(store.counters[.envelopeExpired] == 2)
    // What was taken stays taken.
    #expect(try store.put([.sent(deposit(1, expires: 5), to: a, b)]) == [.alreadyHeld])
    #expect(
      try store.expire(now: Instant(seconds: 60), limit: 10) { _ in nil }.map(\.seq) == [2])
    #expect(try store.list(in: a, after: 0, limit: 9).isEmpty)
  }

  @Test(arguments: RelayStoreKind.all) func valuesAreKeptByName(kind: RelayStoreKind) throws {
    let tested = try TestedRelayStore(kind)
    let store = tested.store
    #expect(try store.values(withPrefix: "").isEmpty)
    let names = ["a.2", "a.1", "A.1", "b", "aé", "a%", "a b.*>", "a=2", "a_b_c"]
    for name in names { try store.setValue(name, to: Array(name.utf8)) }
    #expect(try store.values(withPrefix: "a.").map(\.name) == ["a.1", "a.2"])
    #expect(try store.values(withPrefix: "a%").map(\.value) == [Array("a%".utf8)])
    #expect(try store.values(withPrefix: "").map(\.name) == names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
    #expect(try store.values(withPrefix: "c").isEmpty)
    try store.setValue("b", to: [])
    #expect(try store.values(withPrefix: "b").map(\.value) == [[]])
    let large = [UInt8](repeating: 7, count: 200_000)
    try store.setValue("b", to: large)
    #expect(try store.values(withPrefix: "b").map(\.value) == [large])
  }

  @Test(arguments: RelayStoreKind.all) func countersAdvance(kind: RelayStoreKind) throws {
    let tested = try TestedRelayStore(kind)
    let store = tested.store
    #expect(try store.advance("x", by: 64) == 0)
    #expect(try store.advance("x", by: 1) == 64)
    #expect(try store.advance("x", by: 0) == 65)
    #expect(try store.advance("y.z", by: 5) == 0)
    #expect(try store.advance("x", by: .max - 65) == 65)
    #expect(throws: StoreError.self) { try store.advance("x", by: 1) }
    #expect(try store.advance("x", by: 0) == .max)
    #expect(try store.advance("y.z", by: 5) == 5)
  }

  @Test(arguments: RelayStoreKind.all) func whatIsNotConfirmedComesAgain(kind: RelayStoreKind) throws {
    let tested = try TestedRelayStore(kind)
    let store = tested.store
    _ = try store.put((1...5).map { .sent(deposit($0), to: a) })
    try store.serve(a)
    let first = try tested.list(a, count: 5)
    try store.confirm(first.prefix(2).map { MessageName(a, $0.number) })
    try store.release(a)
    try store.release(a)
    // Confirmed when it is not served any more: a slow answer.
    try store.confirm([MessageName(a, first[2].number)])
    try store.serve(a)
    #expect(try tested.list(a, count: 2) == Array(first.suffix(2)))
    try store.serve(a)
    #expect(try tested.list(a, count: 2) == Array(first.suffix(2)))
    try store.confirm(first.map { MessageName(a, $0.number) })
    #expect(try store.totalUsage().messages == 0)
  }

  @Test(arguments: RelayStoreKind.all) func largeMessagesAndManyAtOnce(kind: RelayStoreKind) throws {
    let tested = try TestedRelayStore(kind)
    let store = tested.store
    try store.serve(a)
    let deposits = (1...200).map { deposit($0, size: $0 % 40 == 0 ? 65_536 : 300) }
    let outcomes = try store.put(deposits.map { .sent($0, to: a) })
    #expect(outcomes.count == 200)
    var held: [HeldMessage] = []
    try eventually("all are listed, some after others are confirmed") {
      let arrived = try store.list(in: a, after: 0, limit: .max)
      held += arrived
      try store.confirm(arrived.map { MessageName(a, $0.number) })
      return held.count == 200
    }
    #expect(held.map(\.deposit) == deposits)
    #expect(outcomes == held.map { .held(numbers: [$0.number], refused: []) })
    #expect(try store.totalUsage().messages == 0)
  }

  @Test(arguments: RelayStoreKind.all) func messagesAreWithdrawn(kind: RelayStoreKind) throws {
    let tested = try TestedRelayStore(kind)
    let store = tested.store
    try store.serve(a)
    _ = try store.put([
      .sent(deposit(1), to: a), .sent(deposit(2), to: a), .sent(deposit(3, from: 2), to: a), .sent(deposit(4), to: b),
    ])
    _ = try tested.list(a, count: 3)
    let withdrawn = try store.remove(from: address(1), reason: .senderRevoked) { $0.mailbox == a && $0.seq > 1 }
    #expect(withdrawn.map(\.seq) == [2])
    #expect(try tested.list(a, count: 2).map(\.seq) == [1, 3])
    try store.removeAll(in: a, reason: .senderRevoked)
    #expect(try store.list(in: a, after: 0, limit: 9).isEmpty)
    #expect(try store.usage(of: a).messages == 0)
    #expect(try store.usage(of: b).messages == 1)
    #expect(store.counters[.senderRevoked] == 3)
  }
}
