import Foundation
import Queue
import Synchronization
import TestSupport
import Testing
import Wire

@testable import Relay

/// Several relays on one server.
@Suite(.enabled(if: NATSServer.isAvailable, NATSServer.reason)) struct NATSRelaysTests {
  let server: NATSServer
  let a = Mailbox(.mailbox, address(0xa))

  init() throws { server = try NATSServer() }

  @Test func aValueThatOneSetsIsToldToTheOther() throws {
    let (one, two) = (try server.store(), try server.store())
    let (toldOne, toldTwo) = (Told<RelayStoreNews>(), Told<RelayStoreNews>())
    one.news = { toldOne.add($0) }
    two.news = { toldTwo.add($0) }
    try one.setValue("access.list", to: [1])
    try one.setValue("access.list", to: [2])
    try two.setValue("other", to: [3])
    try eventually("each is told what the other set") {
      toldTwo.contains(.value("access.list", [2])) && toldOne.contains(.value("other", [3]))
    }
    #expect(toldOne.all == [.value("other", [3])])
    #expect(!toldTwo.contains(.value("other", [3])))
    #expect(try two.values(withPrefix: "acc").map(\.value) == [[2]])
    // A third is told only of what comes later.
    let three = try server.store()
    let toldThree = Told<RelayStoreNews>()
    three.news = { toldThree.add($0) }
    try one.setValue("other", to: [4])
    try eventually("the third is told") { toldThree.contains(.value("other", [4])) }
    #expect(toldThree.all == [.value("other", [4])])
  }

  @Test func aValueSetWhileARelayWasAwayIsTold() throws {
    let (one, two) = (try server.store(), try server.store())
    let (toldOne, toldTwo) = (Told<RelayStoreNews>(), Told<RelayStoreNews>())
    one.news = { toldOne.add($0) }
    two.news = { toldTwo.add($0) }
    try one.setValue("before", to: [1])
    try eventually("it is told") { toldTwo.contains(.value("before", [1])) }
    server.kill()
    try eventually("the loss is told") {
      toldTwo.contains(.availability(false)) && toldOne.contains(.availability(false))
    }
    try server.start()
    try eventually("one can set it") { (try? one.setValue("after", to: [2])) != nil }
    try eventually("the other is told") { toldTwo.contains(.value("after", [2])) }
    #expect(toldTwo.all.filter { $0 == .value("before", [1]) }.count == 1)
  }

  @Test func chunksReachWhoServesTheAddress() throws {
    let (one, two) = (try server.store(), try server.store())
    let told = Told<[UInt8]>()
    let toldOne = Told<[UInt8]>()
    one.onChunk = { toldOne.add($1) }
    two.onChunk = { [a] address, bytes in if address == a.address { told.add(bytes) } }
    try two.serve(a)
    try one.publishChunk([1, 2], to: a.address)
    try two.publishChunk([3], to: a.address)
    try one.publishChunk([4], to: address(0xb))
    try eventually("both are told") { told.contains([1, 2]) && told.contains([3]) }
    try two.release(a)
    try two.link.flush()
    try one.publishChunk([5], to: a.address)
    try one.serve(a)
    try one.publishChunk([6], to: a.address)
    try eventually("who serves it now is told") { toldOne.contains([6]) }
    #expect(told.all.count == 2)
    #expect(toldOne.all == [[6]])
  }

  @Test func whoServesAMailboxNowIsSentEverything() throws {
    let (one, two) = (try server.store(), try server.store())
    let told = Told<RelayStoreNews>()
    two.news = { told.add($0) }
    try one.serve(a)
    _ = try one.put((1...3).map { .sent(deposit($0), to: a) })
    try eventually("it is listed") { try one.list(in: a, after: 0, limit: 9).count == 3 }
    let held = try one.list(in: a, after: 0, limit: 9)
    try one.confirm([MessageName(a, held[0].number)])
    try two.serve(a)
    try eventually("the rest comes again") { try two.list(in: a, after: 0, limit: 9) == Array(held[1...]) }
    #expect(told.contains(.arrival(a)))
    try eventually("the first serves it no more") { try one.list(in: a, after: 0, limit: 9).isEmpty }
    // What was on its way when the other took over may be confirmed where it was sent.
    try one.confirm([MessageName(a, held[1].number)])
    _ = try one.put([.sent(deposit(4), to: a)])
    try eventually("what is new comes to the second") {
      try two.list(in: a, after: held[2].number, limit: 9).map(\.seq) == [4]
    }
    #expect(try one.list(in: a, after: 0, limit: 9).isEmpty)
    // Also when the second ends without a word.
    two.close()
    try one.serve(a)
    try eventually("it comes back") { try one.list(in: a, after: 0, limit: 9).map(\.seq) == [3, 4] }
  }

  @Test func newsIsToldOnceUntilItIsListed() throws {
    let store = try server.store()
    let told = Told<RelayStoreNews>()
    store.news = { told.add($0) }
    try store.serve(a)
    _ = try store.put((1...5).map { .sent(deposit($0), to: a) })
    try eventually("all have arrived") { store.delivery.all().count == 5 }
    #expect(told.all == [.arrival(a)])
    _ = try store.list(in: a, after: 0, limit: 1)
    _ = try store.put([.sent(deposit(6), to: a)])
    try eventually("it is told again") { told.all == [.arrival(a), .arrival(a)] }
  }

  @Test func aConsumerThatIsLostIsMadeAgain() throws {
    let store = try server.store(heartbeat: .milliseconds(100))
    try store.serve(a)
    _ = try store.link.ask(NATSRequest(api: "CONSUMER.DELETE.\(store.names.mail).\(store.names.token(a))"))
    _ = try store.put([.sent(deposit(1), to: a)])
    try eventually("it is listed") { try store.list(in: a, after: 0, limit: 9).map(\.seq) == [1] }
  }

  @Test func countersOfManyRelaysNeverGiveANumberTwice() throws {
    let configuration = server.configuration()
    let given = Mutex<[UInt64]>([])
    DispatchQueue.concurrentPerform(iterations: 3) { index in
      guard let store = try? NATSRelayStore(configuration) else { return }
      for _ in 0..<30 {
        guard let first = try? store.advance("n", by: UInt64(index + 1)) else { return }
        given.withLock { $0 += (first..<first + UInt64(index + 1)) }
      }
    }
    let numbers = given.withLock { $0 }
    // What was given to a call that then failed is given to nobody else: gaps are allowed.
    #expect(Set(numbers).count == numbers.count && numbers.count > 90)
    let next = try server.store().advance("n", by: 0)
    #expect(numbers.allSatisfy { $0 < next })
  }

  @Test func whatNobodyServesIsFoundByLookingThroughEverything() throws {
    let (one, two) = (try server.store(), try server.store())
    _ = try one.put((1...600).map { .sent(deposit($0, expires: $0 % 100 == 0 ? 50 : nil), to: a) })
    one.close()
    var expired: [UInt64] = []
    var now = Instant(seconds: 60)
    try eventually("those that expire are found") {
      let found = try two.expire(now: now, limit: 3) { message in
        RelayDeposit(deposit(1000 + message.seq, from: 9), in: [Mailbox(.mailbox, address(9))])
      }
      expired += found.map(\.seq)
      now = now.advanced(by: .milliseconds(1))
      return expired.count == 6
    }
    #expect(expired.sorted() == [100, 200, 300, 400, 500, 600])
    #expect(try two.usage(of: a).messages == 594)
    #expect(try two.usage(of: Mailbox(.mailbox, address(9))).messages == 6)
  }

  @Test func ofTwoReportsAboutOneMessageOneStays() throws {
    let (one, two) = (try server.store(), try server.store())
    let sender = Mailbox(.mailbox, address(1))
    _ = try one.put([.sent(deposit(1, expires: 5), to: a)])
    // The second looks while the first has not removed it yet.
    _ = try one.expire(now: Instant(seconds: 10), limit: 9) { message throws(StoreError) in
      try eventuallyFound(by: two, message, reportTo: sender)
      return RelayDeposit(deposit(1, from: 8), in: [sender])
    }
    #expect(try one.usage(of: sender).messages == 1)
    #expect(try one.usage(of: a).messages == 0)
  }

  private func eventuallyFound(
    by store: NATSRelayStore, _ message: HeldMessage, reportTo sender: Mailbox
  ) throws(StoreError) {
    var found: [HeldMessage] = []
    let end = ContinuousClock.now + .seconds(20)
    while found.isEmpty, ContinuousClock.now < end {
      found = try store.expire(now: Instant(seconds: 10), limit: 9) { _ in
        RelayDeposit(deposit(1, from: 9), in: [sender])
      }
      Thread.sleep(forTimeInterval: 0.005)
    }
    #expect(found == [message])
  }
}
