import Bridge
import CoAP
import Envelope
import Queue
import Testing
import Wire

@Suite struct PollTests {
  /// A gateway that holds `count` commands of the owner for the lock, numbers from 1.
  private func gateway(
    _ home: Home, holding count: UInt64
  ) throws -> (gateway: Gateway<MemoryStore>, commands: [[UInt8]]) {
    var gateway = try home.gateway(MemoryStore())
    let commands = try (0..<count).map { try home.envelope("owner", to: ["lock"], $0 + 1).bytes }
    for command in commands { #expect(gateway.deliver(command, now: Home.start).custody == .taken) }
    return (gateway, commands)
  }

  private func number(_ response: CoAPResponse) -> UInt64? { response.options[uint: .eTag] }

  @Test("GET /e shows the oldest, its number and how many wait behind it, and removes nothing")
  func peek() throws {
    let home = try Home()
    var (gateway, commands) = try gateway(home, holding: 3)
    for _ in 0..<3 {
      let answer = gateway.receive(try home.get("lock"), now: Home.start)
      #expect(answer.response.code == .content && answer.response.contentFormat == .coseSign1)
      #expect(answer.response.payload == commands[0])
      #expect(number(answer.response) == 1)
      #expect(answer.response.locationQuery == ["more=2"])
    }
    let other = gateway.receive(try home.get("thermostat"), now: Home.start)
    #expect(other.response.code == .content && other.response.payload.isEmpty && other.response.eTag == nil)
    #expect(other.events == [.nothingHeld(node: "thermostat")])
  }

  @Test("done=N removes message N and brings the next, in the order in which they were held")
  func done() throws {
    let home = try Home()
    var (gateway, commands) = try gateway(home, holding: 3)
    var answer = gateway.receive(try home.get("lock"), now: Home.start)
    for (index, command) in commands.enumerated() {
      let shown = try #require(number(answer.response))
      #expect(shown == UInt64(index) + 1 && answer.response.payload == command)
      #expect(answer.response.locationQuery == (index == 2 ? [] : ["more=\(2 - index)"]))
      answer = gateway.receive(try home.get("lock", "done=\(shown)"), now: Home.start)
    }
    #expect(answer.response.payload.isEmpty)
    #expect(answer.events.last == .nothingHeld(node: "lock"))
  }

  @Test("DELETE /e/N removes message N and no other")
  func delete() throws {
    let home = try Home()
    var (gateway, commands) = try gateway(home, holding: 3)
    let answer = gateway.receive(try home.delete("lock", "2"), now: Home.start)
    #expect(answer.response.code == .deleted && answer.events.count == 1)
    #expect(gateway.receive(try home.get("lock"), now: Home.start).response.payload == commands[0])
    let next = gateway.receive(try home.get("lock", "done=1"), now: Home.start)
    #expect(next.response.payload == commands[2] && number(next.response) == 3)
  }

  static let unknownNumbers = ["0", "4", "99", "9223372036854775807", "9223372036854775808", "\(UInt64.max)"]

  @Test(
    "Confirming what is not held is harmless, whatever the number",
    arguments: PollTests.unknownNumbers)
  func unknown(_ text: String) throws {
    try unknown(text, MemoryStore())
  }

  func unknown(_ text: String, _ store: some MailboxStore) throws {
    let home = try Home()
    var gateway = try home.gateway(store)
    let commands = try (1...3).map { try home.envelope("owner", to: ["lock"], $0).bytes }
    for command in commands { #expect(gateway.deliver(command, now: Home.start).custody == .taken) }
    let deleted = gateway.receive(try home.delete("lock", text), now: Home.start)
    #expect(deleted.response.code == .deleted && deleted.events.isEmpty)
    let done = gateway.receive(try home.get("lock", "done=\(text)"), now: Home.start)
    #expect(done.response.payload == commands[0] && done.response.locationQuery == ["more=2"])
  }

  @Test("A node cannot confirm what is held for another")
  func ownQueueOnly() throws {
    let home = try Home()
    var (gateway, commands) = try gateway(home, holding: 1)
    _ = gateway.receive(try home.delete("thermostat", "1"), now: Home.start)
    _ = gateway.receive(try home.get("thermostat", "done=1"), now: Home.start)
    #expect(gateway.receive(try home.get("lock"), now: Home.start).response.payload == commands[0])
  }

  @Test("An unknown radio is 4.03, a query or number that cannot be read 4.00")
  func malformed() throws {
    let home = try Home()
    var (gateway, commands) = try gateway(home, holding: 1)
    for eui64 in [nil, 1 as UInt64?] {
      for request in [try home.get("lock"), try home.delete("lock", "1")] {
        var request = request
        request.eui64 = eui64
        let answer = gateway.receive(request, now: Home.start)
        #expect(answer.response.code == .forbidden && reason(answer.events) == .nodeUnknown)
      }
    }
    for query in ["x", "done", "done=", "done=x", "done=-1", "done=1 ", "done=18446744073709551616", "Done=1"] {
      #expect(gateway.receive(try home.get("lock", query), now: Home.start).response.code == .badRequest)
    }
    for number in ["", "x", "-1", "18446744073709551616"] {
      #expect(gateway.receive(try home.delete("lock", number), now: Home.start).response.code == .badRequest)
    }
    #expect(gateway.receive(try home.get("lock"), now: Home.start).response.payload == commands[0])
  }

  @Test("Of commands with one topic only the newest waits, whichever comes first")
  func topics() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore())
    func deliver(_ sequence: UInt64, topic: UInt64?) throws -> [GatewayEvent] {
      let extensions = EnvelopeExtensions(topic: topic)
      let envelope = try home.envelope("owner", to: ["lock"], sequence, extensions: extensions)
      let (custody, events) = gateway.deliver(envelope.bytes, now: Home.start)
      #expect(custody == .taken)
      return events
    }
    _ = try deliver(1, topic: 7)
    _ = try deliver(2, topic: 8)
    let events = try deliver(4, topic: 7)
    guard case .displaced(let old, .queueSuperseded) = events.first else {
      Issue.record("the older command was not displaced: \(events)")
      return
    }
    #expect(old.sequence == 1)
    // Late: it is in custody, and has given way already.
    _ = try deliver(3, topic: 7)
    var sequences: [UInt64] = []
    var answer = gateway.receive(try home.get("lock"), now: Home.start)
    for _ in 0..<2 {
      let shown = try #require(number(answer.response))
      sequences.append(try SignedEnvelope(parsing: answer.response.payload).header.sequence)
      answer = gateway.receive(try home.get("lock", "done=\(shown)"), now: Home.start)
    }
    #expect(sequences == [2, 4] && answer.response.payload.isEmpty)
  }

  @Test("A poll after the last second of a command does not show it, and its sender is told")
  func expiry() throws {
    let home = try Home()
    var (gateway, commands) = try gateway(home, holding: 2)
    #expect(gateway.receive(try home.get("lock"), now: Home.later(60)).response.payload == commands[0])
    #expect(try gateway.nextExpiry() == Home.later(61))
    let answer = gateway.receive(try home.get("lock"), now: Home.later(61))
    #expect(answer.response.payload.isEmpty)
    let told = answer.events.filter { if case .expired(_, receiptTo: "owner") = $0 { true } else { false } }
    #expect(told.count == 2 && answer.events.last == .nothingHeld(node: "lock"))
    #expect(try gateway.outboxUsage().messages == 2)
  }

  @Test("A full queue refuses and keeps what it holds; there is room again when the node has fetched one")
  func full() throws {
    let home = try Home()
    var gateway = try home.gateway(
      MemoryStore(), queues: QueueLimits(nodeQueue: Usage(messages: 2, bytes: 65_536)))
    let commands = try (1...3).map { try home.envelope("owner", to: ["lock"], $0).bytes }
    for command in commands.prefix(2) { #expect(gateway.deliver(command, now: Home.start).custody == .taken) }
    let (custody, events) = gateway.deliver(commands[2], now: Home.start)
    #expect(custody == .refused(.queueNodeFull) && reason(events) == .queueNodeFull)
    // The other node has a queue of its own.
    let other = try home.envelope("owner", to: ["thermostat"], 4).bytes
    #expect(gateway.deliver(other, now: Home.start).custody == .taken)
    #expect(gateway.receive(try home.get("lock", "done=1"), now: Home.start).response.payload == commands[1])
    #expect(gateway.deliver(commands[2], now: Home.start).custody == .taken)
  }

  @Test("A full outbox of no-consequence readings drops the oldest; of others it refuses with 5.03")
  func fullOutbox() throws {
    let home = try Home()
    let limits = QueueLimits(outbox: Usage(messages: 2, bytes: 65_536))
    var gateway = try home.gateway(MemoryStore(), queues: limits)
    for fingerprint in 1...3 as ClosedRange<UInt8> {
      let request = try home.post(plain: "\(fingerprint)", from: "rain", fingerprint)
      #expect(gateway.receive(request, now: Home.start).response.code == .changed)
    }
    #expect(try gateway.outboxUsage().messages == 2)
    let alarms = try (1...3).map { home.post(try home.envelope("lock", to: ["owner"], $0).bytes) }
    for alarm in alarms.prefix(2) {
      #expect(gateway.receive(alarm, now: Home.start).response.code == .changed)
    }
    for request in [alarms[2], try home.post(plain: "4", from: "rain", 4)] {
      let answer = gateway.receive(request, now: Home.start)
      #expect(answer.response.code == .serviceUnavailable && answer.response.maxAge == 60)
      #expect(reason(answer.events) == .queueNodeFull)
    }
    #expect(try gateway.outboxUsage().messages == 2)
  }
}
