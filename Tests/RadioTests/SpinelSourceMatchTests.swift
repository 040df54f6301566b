import IEEE802154
import Radio
import TestSupport
import Testing
import Wire

@Suite("Spinel host: source match")
struct SpinelSourceMatchTests {
  private static func short(_ values: some Sequence<Int>) -> Set<ShortAddress> {
    Set(values.map { ShortAddress(UInt16($0)) })
  }

  private static func extended(_ values: some Sequence<Int>) -> Set<ExtendedAddress> {
    Set(values.map { ExtendedAddress(0x18b4_3000_0000_1000 + UInt64($0)) })
  }

  @Test("Frame pending is set for the devices of the lists and for no others, as recorded")
  func framePending() throws {
    let child = MACAddress.short(ShortAddress(2))
    let sleeper = MACAddress.extended(ExtendedAddress(0x18b4_3000_0000_0002))
    var bench = try SpinelBench.ready()
    #expect(!bench.rcp.isPending(child) && !bench.rcp.isPending(sleeper))
    bench.host.setSourceMatch(SourceMatch(short: [ShortAddress(2)]), at: bench.now)
    bench.exchange()
    #expect(bench.rcp.isPending(child) && !bench.rcp.isPending(sleeper))
    // The poll itself comes up as any other frame.
    bench.deliver(try bench.rcp.poll(from: child))
    #expect(bench.frames.last?.bytes.hex == "638804cdab0100020004")
    bench.host.setSourceMatch(
      SourceMatch(extended: [ExtendedAddress(0x18b4_3000_0000_0002)]), at: bench.now)
    bench.exchange()
    #expect(!bench.rcp.isPending(child) && bench.rcp.isPending(sleeper))
    bench.deliver(try bench.rcp.poll(from: sleeper))
    #expect(bench.frames.last?.bytes.hex == "63c808cdab0100020000000030b41804")
    bench.host.setSourceMatch(SourceMatch(), at: bench.now)
    bench.exchange()
    #expect(!bench.rcp.isPending(child) && !bench.rcp.isPending(sleeper))
    #expect(bench.count(.sourceMatchSet(leftOut: 0)) == 3)
    // What was written stands in the recordings, in their byte order.
    #expect(bench.rcp.requests.contains { $0.property == .sourceMatchShortAddresses && $0.value == [2, 0] })
    #expect(
      bench.rcp.requests.contains {
        $0.property == .sourceMatchExtendedAddresses && $0.value.hex == "18b4300000000002"
      })
  }

  @Test("Only what has changed is written; REMOVE, which takes another byte order, is never used")
  func economy() throws {
    var bench = try SpinelBench.ready()
    let before = bench.rcp.requests.count
    bench.host.setSourceMatch(SourceMatch(), at: bench.now)
    bench.exchange()
    #expect(bench.rcp.requests.count == before && bench.count(.sourceMatchSet(leftOut: 0)) == 1)
    let devices = SourceMatch(short: Self.short(1...3))
    for _ in 0..<3 {
      bench.host.setSourceMatch(devices, at: bench.now)
      bench.exchange()
    }
    #expect(bench.rcp.requests.count == before + 1 && bench.count(.sourceMatchSet(leftOut: 0)) == 4)
    bench.host.setSourceMatch(SourceMatch(), at: bench.now)
    bench.exchange()
    #expect(bench.rcp.requests.count == before + 2)
    #expect(!bench.rcp.requests.contains { $0.command == .remove })
  }

  @Test("Lists beyond the co-processor's buffer go in pieces: 128 extended addresses are 1,024 octets")
  func pieces() throws {
    var bench = try SpinelBench.ready()
    let devices = SourceMatch(short: Self.short(0..<128), extended: Self.extended(0..<128))
    bench.host.setSourceMatch(devices, at: bench.now)
    bench.exchange()
    #expect(bench.rcp.short == devices.short && bench.rcp.extended == devices.extended)
    #expect(bench.host.sourceMatchLeftOut == 0 && bench.count(.sourceMatchSet(leftOut: 0)) == 1)
    let requests = bench.rcp.requests.filter { $0.property == .sourceMatchExtendedAddresses && !$0.value.isEmpty }
    #expect(requests.map(\.command) == [.set] + [SpinelCommand](repeating: .insert, count: 68))
    #expect(bench.rcp.unrecorded.isEmpty)
    // And again after a reset.
    bench.deliver(bench.rcp.crash())
    #expect(bench.rcp.short == devices.short && bench.rcp.extended == devices.extended)
  }

  @Test(
    "When the co-processor is full, as many as fit are in, the others are counted and follow",
    arguments: [0, 1, 5, 10, 32, 60, 61, 100, 128])
  func full(capacity: Int) throws {
    var bench = try SpinelBench.ready()
    bench.rcp.capacity = capacity
    let devices = SourceMatch(short: Self.short(0..<200), extended: Self.extended(0..<150))
    bench.host.setSourceMatch(devices, at: bench.now)
    bench.exchange()
    #expect(bench.failure == nil)
    #expect(bench.rcp.short == Self.short(0..<capacity) && bench.rcp.extended == Self.extended(0..<capacity))
    let leftOut = 350 - 2 * capacity
    #expect(bench.host.sourceMatchLeftOut == leftOut && bench.count(.sourceMatchSet(leftOut: leftOut)) == 1)
    // How much fits is known now: no more is asked than needed.
    let before = bench.rcp.requests.count
    bench.host.setSourceMatch(SourceMatch(short: devices.short, extended: Self.extended(0..<0)), at: bench.now)
    bench.exchange()
    #expect(bench.rcp.requests.count <= before + 1 && bench.rcp.extended.isEmpty)

    // Those that are in stay in; a place that becomes free is given to the next.
    var fewer = devices
    fewer.short.subtract(Self.short(0..<capacity / 2))
    fewer.short.insert(ShortAddress(0))
    bench.host.setSourceMatch(fewer, at: bench.now)
    bench.exchange()
    let staying = Self.short(capacity / 2..<capacity)
    #expect(bench.rcp.short.isSuperset(of: staying) && bench.rcp.short.count == capacity)
    #expect(bench.rcp.short.isSubset(of: fewer.short))
  }

  @Test("A table of any size, changed in any way, has all that is wanted or is full of it")
  func random() throws {
    var random = SeededGenerator(seed: 11)
    for _ in 0..<12 {
      var bench = try SpinelBench.ready()
      let capacity = Int.random(in: 0...140, using: &random)
      bench.rcp.capacity = min(capacity, 128)
      var wanted = SourceMatch()
      for _ in 0..<30 {
        for _ in 0..<Int.random(in: 0...20, using: &random) {
          let value = Int.random(in: 0..<180, using: &random)
          wanted.short.formSymmetricDifference(Self.short([value]))
          wanted.extended.formSymmetricDifference(Self.extended([value]))
        }
        if random.oneIn(5) { bench.deliver(bench.rcp.crash()) }
        let kept = (bench.rcp.short.intersection(wanted.short), bench.rcp.extended.intersection(wanted.extended))
        bench.host.setSourceMatch(wanted, at: bench.now)
        bench.exchange()
        #expect(bench.rcp.short.isSubset(of: wanted.short) && bench.rcp.extended.isSubset(of: wanted.extended))
        #expect(bench.rcp.short.count == min(wanted.short.count, bench.rcp.capacity))
        #expect(bench.rcp.extended.count == min(wanted.extended.count, bench.rcp.capacity))
        #expect(bench.rcp.short.isSuperset(of: kept.0) && bench.rcp.extended.isSuperset(of: kept.1))
        #expect(
          bench.host.sourceMatchLeftOut == wanted.short.count - bench.rcp.short.count + wanted.extended.count
            - bench.rcp.extended.count)
      }
      #expect(bench.failure == nil)
    }
  }

  @Test("A list that changes while it is being written ends as it was wanted last")
  func changes() throws {
    var bench = try SpinelBench.ready()
    bench.host.setSourceMatch(SourceMatch(extended: Self.extended(0..<128)), at: bench.now)
    // The first piece is on its way.
    bench.host.setSourceMatch(SourceMatch(extended: Self.extended(100..<228)), at: bench.now)
    bench.host.setSourceMatch(SourceMatch(short: Self.short(1...2), extended: Self.extended(200..<210)), at: bench.now)
    bench.exchange()
    #expect(bench.rcp.extended == Self.extended(200..<210) && bench.rcp.short == Self.short(1...2))
    #expect(bench.count(.sourceMatchSet(leftOut: 0)) == 1)
  }
}
