import BorderRouter
import CoAP
import IEEE802154
import IPv6
import Node
import Testing
import Wire

@Suite struct NodeDiscoveryTests {
  static let global = Cell.prefix.address(interfaceIdentifier: Cell.device.interfaceIdentifier)

  @Test("A node finds its router, forms an address, registers it, and uses the contexts")
  func join() throws {
    let cell = Cell()
    cell.start()
    let events = cell.takeNodeEvents()
    let router = try #require(cell.router)
    #expect(router.address == .linkLocal(Cell.border.interfaceIdentifier))
    #expect(router.radio == .extended(Cell.border))
    #expect(router.global == Cell.prefix.address(interfaceIdentifier: Cell.border.interfaceIdentifier))
    #expect(events.registered == [Self.global] && cell.global == Self.global)
    let entry = try #require(cell.neighbors[Self.global])
    #expect(entry.owner == Cell.device)
    #expect(entry.registeredUntil == cell.now.advanced(by: .seconds(3_600)))
    // Both addresses are made of the link's and the context: elided, or it would be 32 octets longer.
    cell.forget()
    cell.ask(CoAPRequest(.get, path: ["e"]), to: .global)
    #expect(cell.takeNodeEvents().responses.map(\.code) == [.changed])
    #expect(cell.requests.last?.peer.address == Self.global)
    #expect(cell.lengths.max() ?? 0 < 60)
  }

  @Test("Without a router a node asks for one for ever, at most once in a minute in the end")
  func solicitation() {
    let cell = Cell()
    cell.loses = { _ in true }
    cell.start()
    cell.run(for: .seconds(600))
    #expect((12...18).contains(cell.onAir.count) && cell.onAir.allSatisfy(\.destination.isBroadcast))
    #expect(cell.router == nil)
    #expect(cell.ask(CoAPRequest(.get, path: ["e"])) == nil)
    cell.loses = { _ in false }
    cell.run(for: .seconds(61))
    #expect(cell.takeNodeEvents().registered == [Self.global])
  }

  @Test("Registration and router are renewed before they end, by unicast")
  func renewal() throws {
    let cell = Cell { $0.registrationLifetime = 10 }
    cell.start()
    cell.forget()
    for _ in 0..<60 {
      cell.run(for: .seconds(60))
      #expect(cell.global == Self.global)
      let until = try #require(cell.neighbors[Self.global]?.registeredUntil)
      #expect(until > cell.now)
      #expect(try #require(cell.router).until > cell.now)
    }
    #expect(cell.onAir.allSatisfy { !$0.destination.isBroadcast })
    // Once in 5 to 7.5 minutes, question and answer; the router in 15 to 22.5.
    #expect((2 * 8...2 * (12 + 4)).contains(cell.onAir.count))
  }

  @Test("A registration whose answer is lost is asked for again")
  func lostAnswer() {
    let cell = Cell()
    var losses = 0
    cell.loses = { header in
      guard header.source == .extended(Cell.border), header.control.type == .data, losses < 8 else { return false }
      losses += 1
      return true
    }
    cell.start()
    #expect(cell.takeNodeEvents().registered.isEmpty)
    cell.run(for: .seconds(30))
    #expect(cell.takeNodeEvents().registered == [Self.global] && losses == 8)
  }

  @Test("An address that is another's is given up, and tried again when that one's registration may be over")
  func duplicate() throws {
    let cell = Cell()
    cell.restore(Self.global, owner: ExtendedAddress(9), for: .seconds(3_000))
    cell.start()
    #expect(cell.takeNodeEvents().refusals == [.duplicateAddress])
    #expect(cell.global == nil)
    // It speaks from its link-local address meanwhile, and does not answer for the other.
    cell.ask(CoAPRequest(.get, path: ["e"]), to: .global)
    #expect(cell.requests.last?.peer.address == .linkLocal(Cell.device.interfaceIdentifier))
    cell.run(for: .seconds(3_000))
    #expect(cell.takeNodeEvents().registered.isEmpty)
    cell.run(for: .seconds(700))
    #expect(cell.takeNodeEvents().registered == [Self.global])
  }

  @Test("A short address that another has leaves the one made of the EUI-64")
  func duplicateShort() throws {
    let cell = Cell { $0.shortAddress = ShortAddress(0x0b02) }
    let short = Cell.prefix.address(interfaceIdentifier: ShortAddress(0x0b02).interfaceIdentifier)
    cell.restore(short, owner: ExtendedAddress(9), for: .seconds(100_000))
    cell.start()
    let first = cell.takeNodeEvents()
    #expect(first.refusals == [.duplicateAddress] && first.registered.isEmpty)
    // The next advertisement.
    cell.run(for: .seconds(1_800))
    #expect(cell.takeNodeEvents().registered.first == Self.global)
    #expect(cell.global == Self.global)
  }

  @Test("When the router's cache is full, a node tries again, ever more seldom")
  func full() throws {
    var configuration = Cell.configuration()
    configuration.maximumNeighbors = 1
    let cell = Cell(configuration)
    cell.restore(Cell.prefix.address(interfaceIdentifier: 9), owner: ExtendedAddress(9), for: .seconds(2_000))
    cell.start()
    cell.run(for: .seconds(1_900))
    let refusals = cell.takeNodeEvents().refusals
    #expect((5...9).contains(refusals.count) && refusals.allSatisfy { $0 == .neighborCacheFull })
    #expect(cell.global == nil)
    cell.run(for: .seconds(1_000))
    #expect(cell.takeNodeEvents().registered.first == Self.global)
  }

  @Test("A router that goes is a router no more") func farewell() throws {
    var configuration = Cell.configuration()
    configuration.routerLifetime = 0
    let cell = Cell(configuration)
    cell.start()
    cell.run(for: .seconds(60))
    #expect(cell.router == nil && cell.takeNodeEvents().registered.isEmpty)
  }
}
