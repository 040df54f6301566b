import Envelope
import Foundation
import Queue
import Synchronization
import TestSupport
import Testing
import Wire

@testable import Relay

/// The relay with its ports, and its client, over loopback.
@Suite("The relay's ports") struct RelayServerTests {
  let home: DemoHome

  init() throws { home = try DemoHome() }

  @Test("What is said over any port reaches its recipient over any other", arguments: TestRelay.schemes)
  func everyPort(scheme: RelayURL.Scheme) async throws {
    let relay = try await TestRelay(home, store: MemoryStore())
    let owner = try relay.client("owner", scheme)
    let command = try home.envelope("owner", to: ["lock"], 1, receipt: true)
    owner.client.submit(command.bytes, number: 7)
    try await owner.wait("custody") { $0.answers[7] == .custody }
    // Held until the gateway comes for its node.
    let gateway = try relay.client("gateway", .secureWebSocket, serving: ["lock"])
    try await gateway.wait("delivery") { $0.deliveries == [command.bytes] }
    gateway.client.askHeld()
    try await gateway.wait("nothing held") { $0.held == 0 }
    // What comes while it is there comes at once, in order.
    for number in 2...40 as ClosedRange<UInt64> {
      owner.client.submit(try home.envelope("owner", to: ["lock"], number).bytes, number: number)
    }
    try await gateway.wait("all") { $0.deliveries.count == 40 }
    let sequences = try gateway.now.deliveries.map { try SignedEnvelope(parsing: $0).header.sequence }
    #expect(sequences == Array(1...40))
    gateway.client.askHeld()
    try await gateway.wait("nothing held again") { $0.helds == 2 && $0.held == 0 }
    await owner.client.stop()
    await gateway.client.stop()
    await relay.server.drain()
  }

  @Test("Who is not on the list, or asks for what is not its own, gets no session")
  func strangers() async throws {
    let relay = try await TestRelay(home, store: MemoryStore())
    let greedy = try relay.client("phone2", .tls, serving: ["lock"])
    try await greedy.wait("refusal") { $0.downs.contains { $0.contains("envelopeNotAllowed") } }
    let address = try home.address("owner")
    let impostor = try TestClient(home, "owner", relays: [.init(url: try relay.url(.tls), address: address)])
    try await impostor.wait("another relay's certificate refused") { !$0.downs.isEmpty }
    let plain = try TestClient(home, "owner", relays: [.init(url: try relay.url(.tcp), address: address)])
    try await plain.wait("another relay's hello refused") { $0.downs.contains { $0.contains("not the relay") } }
    #expect(greedy.now.ups == 0 && impostor.now.ups == 0 && plain.now.ups == 0)
    for client in [greedy, impostor, plain] { await client.client.stop() }
    await relay.server.drain()
  }

  @Test("Replays, forgeries and envelopes that are too weak are refused by name")
  func refusals() async throws {
    let relay = try await TestRelay(home, store: MemoryStore())
    let owner = try relay.client("owner")
    let command = try home.envelope("owner", to: ["lock"], 1)
    var forged = command.bytes
    forged[forged.count - 1] ^= 1
    let cases: [(UInt64, [UInt8], RelayAnswer)] = [
      (1, command.bytes, .custody), (2, command.bytes, .custody),
      (
        3, try home.envelope("owner", to: ["lock"], 1, text: "off").bytes,
        .refused(code: RelayCode.conflict, reason: "envelopeReplayOtherBytes")
      ),
      (4, forged, .refused(code: RelayCode.forbidden, reason: "coseSignatureInvalid")),
      (
        5, try home.envelope("owner", to: ["lock"], 9, class: .noConsequence).bytes,
        .refused(code: RelayCode.forbidden, reason: "envelopeClassTooWeak")
      ),
      (6, [0x80], .refused(code: RelayCode.badRequest, reason: "coseTagMissing")),
      (
        7, [UInt8](repeating: 0, count: 70_000),
        .refused(code: RelayCode.requestEntityTooLarge, reason: "envelopeTooLarge")
      ),
      (
        8, try home.envelope("owner", to: ["lock"], 10, at: Instant(seconds: 5)).bytes,
        .refused(code: RelayCode.badRequest, reason: "envelopeExpired")
      ),
    ]
    for (number, bytes, _) in cases { owner.client.submit(bytes, number: number) }
    for (number, _, answer) in cases { try await owner.wait("answer \(number)") { $0.answers[number] == answer } }
    await owner.client.stop()
    await relay.server.drain()
  }

  @Test("A new list ends the session of whom it leaves out, and refuses what he sends")
  func revocation() async throws {
    let relay = try await TestRelay(home, store: MemoryStore())
    let (phone, oracle) = (try relay.client("phone2"), try relay.client("oracle"))
    try await phone.wait("session") { $0.ups == 1 }
    oracle.client.submit(try home.accessList(epoch: 2) { try home.remove("phone2", from: &$0) }, number: 1)
    try await oracle.wait("list obeyed") { $0.answers[1] == .custody }
    try await phone.wait("end of session") { $0.downs.contains { $0.contains("senderRevoked") } }
    try await phone.wait("no new session") { $0.downs.count > 2 }
    #expect(phone.now.ups == 1)
    for client in [phone, oracle] { await client.client.stop() }
    await relay.server.drain()
  }

  @Test("A store that fails answers 5.03, and nothing acknowledged is lost when it works again")
  func brokenStore() async throws {
    let directory = try TemporaryDirectory()
    // Room for some envelopes, as on a disk that is full.
    let store = try JournaledStore(directory: directory.path, maximumBytes: 60 * 4096)
    let relay = try await TestRelay(home, store: store)
    let owner = try relay.client("owner")
    var number: UInt64 = 0
    let text = String(repeating: "x", count: 10_000)
    while number < 40 {
      number += 1
      owner.client.submit(try home.envelope("owner", to: ["lock"], number, text: text).bytes, number: number)
    }
    // The client keeps what is not taken, and tries again.
    try await owner.wait("some taken") { !$0.answers.isEmpty }
    let status = try #require(await relay.server.status())
    #expect(status.heldMessages < 40)
    let gateway = try relay.client("gateway", serving: ["lock"])
    try await gateway.wait("all in the end") { Set($0.deliveries).count == 40 }
    try await owner.wait("all taken") { $0.answers.count == 40 }
    for client in [owner, gateway] { await client.client.stop() }
    await relay.server.drain()
    store.close()
  }

  @Test("With two relays, what one does not take goes through the other; both are asked for what they hold")
  func failover() async throws {
    let (first, second) = (
      try await TestRelay(home, store: MemoryStore()), try await TestRelay(home, store: MemoryStore())
    )
    let owner = try first.client("owner", .tls, others: [second])
    let gateway = try first.client("gateway", .tls, serving: ["lock"], others: [second])
    try await owner.wait("both") { $0.ups == 2 }
    try await gateway.wait("both") { $0.ups == 2 }
    owner.client.submit(try home.envelope("owner", to: ["lock"], 1).bytes, number: 1)
    try await gateway.wait("first") { $0.deliveries.count == 1 }
    await first.server.drain()
    for number in 2...20 as ClosedRange<UInt64> {
      owner.client.submit(try home.envelope("owner", to: ["lock"], number).bytes, number: number)
    }
    try await owner.wait("custody of all") { $0.answers.count == 20 }
    try await gateway.wait("all") { Set($0.deliveries).count == 20 }
    #expect(owner.now.answers.values.allSatisfy { $0 == .custody })
    for client in [owner, gateway] { await client.client.stop() }
    await second.server.drain()
  }

  @Test("Chunks of a stream go to those who are connected, in order, and are not stored")
  func streams() async throws {
    let relay = try await TestRelay(home, store: MemoryStore())
    let owner = try relay.client("owner")
    var generator = SystemRandomNumberGenerator()
    let key = StreamKey(using: &generator)
    let to = [try home.address("gateway")]
    func chunk(_ number: UInt64) throws -> SignedEnvelope {
      try key.chunk(
        number, Array("chunk \(number)".utf8), to: to, from: try home["owner"], sequence: 1,
        issuedAt: UInt64(DemoHome.start.seconds))
    }
    try await owner.wait("session") { $0.ups == 1 }
    owner.client.send(chunk: try chunk(0).bytes, number: 1000)
    try await owner.wait("nobody there") {
      $0.answers[1000] == .refused(code: RelayCode.notFound, reason: "recipientNotConnected")
    }
    let gateway = try relay.client("gateway", .secureWebSocket)
    try await gateway.wait("session") { $0.ups == 1 }
    for number in 0..<48 as Range<UInt64> {
      owner.client.send(chunk: try chunk(number).bytes, number: number % 16 == 15 ? 2000 + number : nil)
    }
    try await owner.wait("credit") { $0.answers[2047] == .custody }
    let opened = try gateway.now.deliveries.map { try key.open(try SignedEnvelope(parsing: $0)) }
    #expect(opened.map(\.number) == Array(0..<48))
    #expect(opened.last?.bytes == Array("chunk 47".utf8))
    #expect(try await #require(relay.server.status()).heldMessages == 0)
    for client in [owner, gateway] { await client.client.stop() }
    await relay.server.drain()
  }

  @Test("Who sends too fast is told so, and loses nothing")
  func rates() async throws {
    var limits = RelayServerLimits()
    limits.envelopesPerSecond = 1
    limits.envelopesInBurst = 5
    let time = TestTime()
    let relay = try await TestRelay(home, store: MemoryStore(), limits: limits, clock: { time.now })
    let owner = try relay.client("owner")
    for number in 1...8 as ClosedRange<UInt64> {
      owner.client.submit(try home.envelope("owner", to: ["lock"], number).bytes, number: number)
    }
    try await owner.wait("the burst") { $0.answers.count == 5 }
    time.advance(3)
    try await owner.wait("the rest") { $0.answers.count == 8 }
    await owner.client.stop()
    await relay.server.drain()
  }
}

/// A clock that a test turns.
final class TestTime: Sendable {
  private let seconds = Atomic<Int64>(DemoHome.start.seconds)

  var now: Instant { Instant(seconds: seconds.load(ordering: .relaxed)) }
  func advance(_ count: Int64) { seconds.add(count, ordering: .relaxed) }
}
