import Bridge
import Node
import Queue
import Testing
import Wire

@Suite struct HomeGatewayExpiryTests {
  @Test("A message that leaves the outbox before it expires leaves nothing to do when its time has come")
  func expiryOfWhatHasLeft() throws {
    let demo = try Home()
    let home = try LiveHome(demo, radio: try demo.radio("rain"), PlainSensor())
    home.perform { $0.report([1, 2, 3], label: 1) }
    #expect(try home.gateway.outboxUsage().messages == 1)
    try home.confirmOutbound()
    // A lifetime of 24 hours; beside it there are a few timers of CoAP and the router's life.
    #expect(home.run(for: .seconds(86_500), atMost: 2_000) < 2_000)
    #expect(home.nextTimeout.map { $0 > home.now } ?? true)
  }

  @Test("What expires in the outbox without an event leaves nothing to do either")
  func expiryInOutbox() throws {
    let demo = try Home()
    let home = try LiveHome(demo, radio: try demo.radio("rain"), PlainSensor())
    home.perform { $0.report([1, 2, 3], label: 1) }
    #expect(home.run(for: .seconds(86_500), atMost: 2_000) < 2_000)
    #expect(try home.gateway.outboxUsage().messages == 0)
    #expect(home.nextTimeout.map { $0 > home.now } ?? true)
  }

  @Test("A store that fails when something expires is not asked all the time") func failingStore() throws {
    let demo = try Home()
    let home = try LiveHome(demo, radio: try demo.radio("rain"), PlainSensor())
    home.perform { $0.report([1, 2, 3], label: 1) }
    home.run(for: .seconds(86_000))
    home.store.cutPower(afterWrites: 1)
    #expect(home.run(for: .seconds(500), atMost: 2_000) < 2_000)
    home.store.restart()
    home.run(for: .seconds(10))
  }
}
