import BorderRouter
import CoAP
import IEEE802154
import IPv6
import Node
import TestSupport
import Testing
import Wire

@Suite struct NodeSleepTests {
  static func sleepy(_ change: (inout NodeConfiguration) -> Void = { _ in }) -> Cell {
    Cell {
      $0.sleep = SleepSchedule()
      change(&$0)
    }
  }

  private func dataRequests(_ cell: Cell) -> Int { cell.onAir.count { $0.control.type == .command } }

  @Test("A sleeping node joins, then has its receiver off and asks seldom")
  func idle() {
    let cell = Self.sleepy()
    cell.start()
    cell.run(for: .seconds(30))
    #expect(cell.takeNodeEvents().registered == [NodeDiscoveryTests.global])
    #expect(!cell.isListening)
    cell.forget()
    cell.run(for: .seconds(600))
    #expect(dataRequests(cell) == 2 && cell.onAir.count == 2)
    #expect(!cell.isListening)
  }

  @Test("It fetches the answer to its request, block by block, and sleeps again")
  func exchange() {
    let cell = Self.sleepy()
    let body = [UInt8](repeating: 7, count: 300)
    cell.answers = { request in CoAPResponse(.content, payload: request.payload + request.payload) }
    cell.start()
    cell.run(for: .seconds(30))
    #expect(cell.isSleepy(.extended(Cell.device)))
    _ = cell.takeNodeEvents()
    cell.ask(CoAPRequest(.post, path: ["e"], payload: body))
    cell.run(for: .seconds(20))
    #expect(cell.takeNodeEvents().responses.map(\.payload) == [body + body])
    #expect(cell.requests.last?.request.payload == body)
    cell.forget()
    cell.run(for: .seconds(250))
    #expect(cell.onAir.isEmpty && !cell.isListening)
  }

  @Test("While frames are pending it stays awake: one data request a frame, one behind the other")
  func pending() {
    let cell = Self.sleepy()
    cell.start()
    cell.run(for: .seconds(30))
    cell.forget()
    // In one piece, in many fragments.
    cell.askNode(CoAPRequest(.put, path: ["v"], payload: [UInt8](repeating: 1, count: 500)))
    #expect(cell.onAir.isEmpty)
    let before = cell.now
    cell.run(for: .seconds(3))
    #expect(cell.onAir.isEmpty, "nobody woke it")
    cell.ask(CoAPRequest(.get, path: ["e"]))
    cell.run(for: .seconds(3))
    #expect(cell.now < before.advanced(by: .seconds(7)))
    #expect(cell.responses.map(\.code) == [.content])
    #expect(cell.takeNodeEvents().requests.map(\.payload.count) == [500])
    let fragments = cell.onAir.count { $0.source == .extended(Cell.border) && $0.control.type == .data }
    #expect(fragments >= 6 && dataRequests(cell) >= fragments)
  }

  @Test("What is lost on the way is asked for again")
  func losses() {
    let cell = Self.sleepy()
    var generator = SeededGenerator(seed: 5)
    // Half of all frames, whoever sends them.
    cell.loses = { _ in generator.oneIn(2) }
    cell.start()
    cell.run(for: .seconds(300))
    #expect(cell.takeNodeEvents().registered.first == NodeDiscoveryTests.global)
    cell.ask(CoAPRequest(.post, path: ["e"], payload: [1, 2, 3]))
    cell.run(for: .seconds(100))
    #expect(cell.takeNodeEvents().responses.map(\.code) == [.changed])
  }
}

@Suite struct NodeAssociationTests {
  @Test("A node associates, gets a short address, and speaks and registers under it", arguments: [false, true])
  func associate(sleeps: Bool) throws {
    let cell = Cell {
      $0.associates = true
      if sleeps { $0.sleep = SleepSchedule() }
    }
    cell.start()
    cell.run(for: .seconds(30))
    let events = cell.takeNodeEvents()
    let short = try #require(cell.shortAddress)
    #expect(events.associations == [short] && cell.associations.map(\.short) == [short])
    #expect(cell.isSleepy(.short(short)) == sleeps)
    let address = Cell.prefix.address(interfaceIdentifier: short.interfaceIdentifier)
    #expect(events.registered == [address])
    #expect(cell.neighbors[address]?.radio == .short(short))
    cell.forget()
    cell.ask(CoAPRequest(.get, path: ["e"]), to: .global)
    cell.run(for: .seconds(5))
    #expect(cell.requests.last?.extendedAddress == Cell.device)
    #expect(cell.onAir.contains { $0.source == .short(short) && $0.control.type == .data })
    #expect(cell.takeNodeEvents().responses.count == 1)
  }

  @Test("Without a coordinator a node looks for one for ever, and takes what it gets in the end")
  func patience() {
    let cell = Cell { $0.associates = true }
    cell.loses = { header in header.control.type != .acknowledgment }
    cell.start()
    cell.run(for: .seconds(600))
    #expect(cell.shortAddress == nil && (10...30).contains(cell.onAir.count))
    cell.loses = { _ in false }
    cell.run(for: .seconds(80))
    #expect(cell.takeNodeEvents().associations.count == 1)
  }

  @Test("A lost answer to an association request is asked for again, and changes no address")
  func lostAnswer() {
    let cell = Cell { $0.associates = true }
    var losses = 0
    cell.loses = { header in
      guard header.control.type == .command, header.source == .extended(Cell.border), losses < 4 else { return false }
      losses += 1
      return true
    }
    cell.start()
    cell.run(for: .seconds(60))
    #expect(losses == 4 && cell.takeNodeEvents().associations == [ShortAddress(1)])
  }
}
