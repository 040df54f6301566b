import Bridge
import CoAP
import Envelope
import Queue
import Testing
import Wire

/// Envelopes for nodes that have told the resource directory that they serve `/e`.
@Suite struct EnvelopePushTests {
  private func register(
    _ home: Home, _ name: String, links: String = "</e>;ct=18", lifetime: Int = 600,
    at gateway: inout Gateway<MemoryStore>
  ) throws {
    let request = NodeRequest(
      request: CoAPRequest(
        .post, path: ["rd"], query: ["ep=\(name)", "lt=\(lifetime)"], contentFormat: .linkFormat,
        payload: Array(links.utf8)), eui64: try home.radio(name), fingerprint: [])
    #expect(gateway.receive(request, now: Home.start).response.code == .created)
  }

  /// A gateway that holds two commands for the registered lock.
  private func holding(
    _ home: Home, _ store: MemoryStore
  ) throws -> (gateway: Gateway<MemoryStore>, lock: Member, commands: [SignedEnvelope]) {
    var gateway = try home.gateway(store)
    try register(home, "lock", at: &gateway)
    let commands = try (1...2).map { try home.envelope("owner", to: ["lock"], $0) }
    for command in commands { #expect(gateway.deliver(command.bytes, now: Home.start).custody == .taken) }
    return (gateway, try node("lock", gateway), commands)
  }

  @Test("An envelope is posted as it is, and 2.04 confirms it")
  func confirmed() throws {
    var (gateway, lock, commands) = try holding(Home(), MemoryStore())
    for (index, command) in commands.enumerated() {
      let (next, events) = try gateway.nextExchange(with: lock, now: Home.start)
      let exchange = try #require(next)
      #expect(exchange.kind == .envelope && exchange.isIdempotent && exchange.eui64 == lock.eui64)
      #expect(exchange.request.code == .post && exchange.request.uriPath == ["e"])
      #expect(exchange.request.contentFormat == .coseSign1 && exchange.request.payload == command.bytes)
      #expect(events == [.handed(exchange.command, more: 1 - index)])
      let finished = try gateway.finish(exchange, with: CoAPResponse(.changed), now: Home.start)
      #expect(finished == [.confirmed(exchange.command)])
    }
    #expect(try gateway.nextExchange(with: lock, now: Home.start).exchange == nil)
    // The node answers for itself: nothing is said for it.
    #expect(try gateway.outboxUsage() == Usage())
  }

  @Test("4.xx is a rejection that the commander is told; the next one is not held up by it")
  func refused() throws {
    let home = try Home()
    var (gateway, lock, commands) = try holding(home, MemoryStore())
    let next = try gateway.nextExchange(with: lock, now: Home.start).exchange
    let exchange = try #require(next)
    let events = try gateway.finish(exchange, with: CoAPResponse(.forbidden), now: Home.start)
    #expect(events == [.exchangeFailed(exchange.command, .coapRequestRefused)])
    #expect(try onlyReceipt(gateway, for: commands[0]) == .rejected(.coapRequestRefused))
    #expect(gateway.counters[.coapRequestRefused] == 1)
    #expect(try gateway.nextExchange(with: lock, now: Home.start).exchange?.request.payload == commands[1].bytes)
  }

  @Test("5.xx, no answer and a restart keep it; it is the same envelope again")
  func kept() throws {
    let home = try Home()
    let store = MemoryStore()
    var (gateway, lock, commands) = try holding(home, store)
    for attempt in 0..<3 {
      let next = try gateway.nextExchange(with: lock, now: Home.start).exchange
      let exchange = try #require(next)
      #expect(exchange.request.payload == commands[0].bytes)
      let failed = [GatewayEvent.exchangeFailed(exchange.command, .nodeUnreachable)]
      switch attempt {
      case 0: #expect(try gateway.finish(exchange, with: CoAPResponse(.serviceUnavailable), now: Home.start) == failed)
      case 1: #expect(try gateway.fail(exchange, now: Home.start) == failed)
      default: gateway = try home.gateway(store)
      }
      #expect(try gateway.queueUsage(of: lock).messages == 2)
      #expect(try gateway.outboxUsage() == Usage())
    }
  }

  @Test("A node that fetched it meanwhile is not confirmed twice")
  func fetched() throws {
    let home = try Home()
    var (gateway, lock, commands) = try holding(home, MemoryStore())
    let next = try gateway.nextExchange(with: lock, now: Home.start).exchange
    let exchange = try #require(next)
    let polled = gateway.receive(try home.get("lock", "done=\(exchange.command.number)"), now: Home.start)
    #expect(polled.response.payload == commands[1].bytes)
    #expect(try gateway.finish(exchange, with: CoAPResponse(.changed), now: Home.start).isEmpty)
    #expect(try gateway.finish(exchange, with: CoAPResponse(.forbidden), now: Home.start).isEmpty)
    #expect(try gateway.queueUsage(of: lock).messages == 1 && gateway.outboxUsage() == Usage())
  }

  @Test("A node that registered no /e, or whose registration is over, is waited for")
  func unregistered() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore())
    let command = try home.envelope("owner", to: ["lock"], 1, lifetime: 100_000)
    #expect(gateway.deliver(command.bytes, now: Home.start).custody == .taken)
    let lock = try node("lock", gateway)
    #expect(try gateway.nextExchange(with: lock, now: Home.start).exchange == nil)
    try register(home, "lock", links: "</lock>;ct=18", at: &gateway)
    #expect(!gateway.isAsked(lock, now: Home.start))
    #expect(try gateway.nextExchange(with: lock, now: Home.start).exchange == nil)
    try register(home, "lock", lifetime: 60, at: &gateway)
    #expect(gateway.isAsked(lock, now: Home.later(59)) && !gateway.isAsked(lock, now: Home.later(60)))
    #expect(try gateway.nextExchange(with: lock, now: Home.later(60)).exchange == nil)
    #expect(try gateway.nextExchange(with: lock, now: Home.later(59)).exchange != nil)
  }
}
