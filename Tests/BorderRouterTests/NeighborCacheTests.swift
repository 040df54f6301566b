import BorderRouter
import IEEE802154
import IPv6
import Testing
import Wire

@Suite struct NeighborCacheTests {
  let start = Instant(seconds: 1_000)

  func address(_ number: UInt64) -> IPv6Address { .linkLocal(number) }
  func radio(_ number: UInt64) -> MACAddress { .extended(ExtendedAddress(number)) }
  func after(_ seconds: Int) -> Instant { start.advanced(by: .seconds(seconds)) }

  @Test("Who was heard is remembered where it was heard last")
  func learn() {
    var cache = NeighborCache(maximum: 4, maximumPerRadio: 4)
    let learned = [
      cache.learn(address(1), at: radio(1), now: start), cache.learn(address(1), at: radio(2), now: after(1)),
    ]
    #expect(learned == [true, true])
    #expect(cache[address(1)]?.radio == radio(2))
    #expect(cache[address(1)]?.lastHeard == after(1))
    #expect(cache[address(1)]?.registeredUntil == nil)
    #expect(cache[address(2)] == nil)
  }

  @Test("Multicast and unspecified addresses, and radios that are none, are not neighbours")
  func notNeighbours() {
    var cache = NeighborCache(maximum: 4, maximumPerRadio: 4)
    for (address, radio) in [
      (.allNodes, radio(1)), (.unspecified, radio(1)), (address(1), .absent), (address(1), .short(.broadcast)),
    ] as [(IPv6Address, MACAddress)] {
      let learned = cache.learn(address, at: radio, now: start)
      #expect(!learned)
    }
    #expect(cache.entries.isEmpty)
  }

  @Test("A radio has its share; beyond it its own oldest address gives way, nobody else's")
  func boundPerRadio() {
    var cache = NeighborCache(maximum: 100, maximumPerRadio: 3)
    cache.learn(address(100), at: radio(2), now: start)
    for number in UInt64(1)...10 { cache.learn(address(number), at: radio(1), now: after(Int(number))) }
    #expect(Set(cache.entries.keys) == Set([100, 8, 9, 10].map(address)))
  }

  @Test("When the table is full the address heard longest ago gives way")
  func bound() {
    var cache = NeighborCache(maximum: 3, maximumPerRadio: 2)
    for number in UInt64(1)...3 { cache.learn(address(number), at: radio(number), now: after(Int(number))) }
    cache.learn(address(1), at: radio(1), now: after(4))
    cache.learn(address(4), at: radio(4), now: after(5))
    #expect(Set(cache.entries.keys) == Set([1, 3, 4].map(address)))
  }

  @Test("Moving known addresses to one radio does not get around its share")
  func boundAgainstMoves() {
    var cache = NeighborCache(maximum: 100, maximumPerRadio: 3)
    for number in UInt64(1)...10 { cache.learn(address(number), at: radio(number), now: after(Int(number))) }
    for number in UInt64(1)...10 { cache.learn(address(number), at: radio(99), now: after(20 + Int(number))) }
    #expect(cache.entries.values.count { $0.radio == radio(99) } == 3)
  }

  @Test("A registered address stays with its owner and its radio until its time is over (RFC 6775, 6.5)")
  func registration() {
    var cache = NeighborCache(maximum: 4, maximumPerRadio: 4)
    let (owner, other) = (ExtendedAddress(1), ExtendedAddress(2))
    var status: [RegistrationStatus] = []
    status.append(cache.register(address(1), owner: owner, at: radio(1), lifetimeMinutes: 2, now: start))
    #expect(cache[address(1)]?.registeredUntil == after(120))
    cache.learn(address(1), at: radio(2), now: after(10))
    #expect(cache[address(1)]?.radio == radio(1))
    status.append(cache.register(address(1), owner: other, at: radio(2), lifetimeMinutes: 2, now: after(119)))
    #expect(cache[address(1)]?.owner == owner)
    // Nor can another end it.
    status.append(cache.register(address(1), owner: other, at: radio(2), lifetimeMinutes: 0, now: after(119)))
    #expect(cache[address(1)]?.owner == owner)
    status.append(cache.register(address(1), owner: other, at: radio(2), lifetimeMinutes: 2, now: after(120)))
    #expect(cache[address(1)]?.owner == other)
    #expect(cache[address(1)]?.radio == radio(2))
    status.append(cache.register(address(1), owner: other, at: radio(2), lifetimeMinutes: 0, now: after(121)))
    #expect(cache[address(1)] == nil)
    #expect(status == [.success, .duplicateAddress, .duplicateAddress, .success, .success])
  }

  @Test("Registered addresses never give way: a full table says so (RFC 6775, 6.5.2)")
  func full() {
    var cache = NeighborCache(maximum: 2, maximumPerRadio: 2)
    var status: [RegistrationStatus] = []
    for number in UInt64(1)...3 {
      status.append(
        cache.register(
          address(number), owner: ExtendedAddress(number), at: radio(number), lifetimeMinutes: 1, now: start))
    }
    #expect(status == [.success, .success, .neighborCacheFull])
    let learned = cache.learn(address(4), at: radio(4), now: after(59))
    #expect(!learned)
    // A registration that is over protects no longer.
    let later = cache.learn(address(4), at: radio(4), now: after(60))
    #expect(later)
    #expect(cache.entries.count == 2)
  }
}
