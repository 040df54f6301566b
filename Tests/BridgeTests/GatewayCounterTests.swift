import Bridge
import CoAP
import Envelope
import Queue
import Testing
import Wire

@Suite struct GatewayCounterTests {
  @Test("Readings that gave way to newer ones are counted, and refusals once") func dropped() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore(), queues: QueueLimits(outbox: Usage(messages: 2, bytes: 1 << 20)))
    for number in 1...5 as ClosedRange<UInt8> {
      let answer = gateway.receive(try home.post(plain: "reading \(number)", from: "rain", number), now: Home.start)
      #expect(answer.response.code == .changed)
    }
    #expect(try gateway.outboxUsage().messages == 2)
    #expect(gateway.counters[.queueOldestDropped] == 3)
    // What may not be dropped makes room, and then fills the queue.
    for number in 1...3 as ClosedRange<UInt64> {
      _ = gateway.receive(home.post(try home.envelope("lock", to: ["owner"], number).bytes), now: Home.start)
    }
    #expect(gateway.counters[.queueOldestDropped] == 5 && gateway.counters[.queueNodeFull] == 1)
  }
}
