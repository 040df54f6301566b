import IEEE802154
import Radio
import TestSupport
import Testing
import Wire

/// A line that loses and spoils bytes, a co-processor that crashes, dies and comes back, at random and the same every time.
@Suite("Spinel host: chaos")
struct SpinelChaosTests {
  private struct World {
    var host: SpinelHost
    var rcp: SpinelFakeRCP
    var random: SeededGenerator
    var now = Instant(seconds: 1_700_000_000)
    /// One byte in so many is lost or spoilt; `nil` for a good line.
    var damage: Int? = 400
    var taken = 0
    var outcomes = 0
    var lists = (asked: false, set: 0)
    var failure: RadioError?
    var wasReady = false

    mutating func line(_ bytes: [UInt8]) -> [UInt8] {
      guard let damage else { return bytes }
      var result: [UInt8] = []
      for byte in bytes {
        guard random.oneIn(damage) else {
          result.append(byte)
          continue
        }
        switch Int.random(in: 0..<3, using: &random) {
        case 0: break
        case 1: result.append(byte ^ 1 << UInt8.random(in: 0..<8, using: &random))
        default: result += [byte] + random.bytes(in: 1...3)
        }
      }
      return result
    }

    mutating func exchange() {
      while true {
        take()
        let output = line(host.takeOutput())
        guard !output.isEmpty else { return }
        let answer = line(rcp.receive(output))
        let cut = Int.random(in: 0...answer.count, using: &random)
        hear(Array(answer.prefix(cut)))
        hear(Array(answer.dropFirst(cut)))
      }
    }

    mutating func hear(_ bytes: [UInt8]) {
      host.receive(bytes.rawSpan, at: now)
      take()
    }

    mutating func take() {
      for event in host.takeEvents() {
        #expect(failure == nil, "nothing follows a failure")
        switch event {
        case .ready:
          #expect(!wasReady)
          wasReady = true
        case .recovered: #expect(wasReady)
        case .transmitted: outcomes += 1
        case .sourceMatchSet:
          #expect(lists.asked)
          lists = (false, lists.set + 1)
        case .failed(let error): failure = error
        case .frame, .keysSet: break
        }
        #expect(outcomes <= taken)
      }
    }

    mutating func pass(_ duration: Duration) {
      let end = now.advanced(by: duration)
      while let next = host.nextTimeout, next <= end {
        now = max(now, next)
        host.timeout(at: now)
        exchange()
      }
      now = end
    }
  }

  @Test("Every frame has one result, every list is set or superseded, and on a good line all ends well or has failed")
  func chaos() throws {
    var failures = 0
    for seed in 0..<150 {
      var timing = SpinelTiming()
      timing.relapses = 8
      var world = World(
        host: SpinelHost(radio: "x", settings: SpinelBench.settings, timing: timing), rcp: try SpinelFakeRCP(),
        random: SeededGenerator(seed: UInt64(seed)))
      world.host.start(at: world.now)
      world.exchange()
      var wanted = SourceMatch()
      for step in 0..<60 {
        switch Int.random(in: 0..<12, using: &world.random) {
        case 0...3:
          let destination = [2, 9, 0xffff].randomElement(using: &world.random) ?? 2
          let frame = SpinelBench.frame(
            to: UInt16(destination), asksForAcknowledgment: destination != 0xffff, sequence: UInt8(step), "chaos")
          if world.host.transmit(frame, at: world.now) { world.taken += 1 }
        case 4...5:
          wanted = SourceMatch(
            short: Set(world.random.bytes(in: 0...30).map { ShortAddress(UInt16($0)) }),
            extended: Set(world.random.bytes(in: 0...90).map { ExtendedAddress(UInt64($0)) }))
          world.host.setSourceMatch(wanted, at: world.now)
          world.lists.asked = true
        case 6: world.hear(world.line(world.rcp.crash()))
        case 7: world.rcp.reset()
        case 8:
          world.rcp.isDead = true
          world.rcp.revivesAfter = Int.random(in: 1...2, using: &world.random)
        case 9: world.hear(world.random.bytes(in: 0...300))
        case 10: world.hear(world.line(try world.rcp.hear("hello all")))
        default: world.pass(.milliseconds(Int.random(in: 1...5_000, using: &world.random)))
        }
        if !world.random.oneIn(4) { world.exchange() }
      }
      // The line is good again, and the co-processor lives.
      world.damage = nil
      world.rcp.isDead = false
      world.exchange()
      world.pass(.seconds(120))
      #expect(world.outcomes == world.taken, "seed \(seed)")
      // A line that is bad for a while is no reason never to try again.
      #expect(world.failure?.canHeal != false, "seed \(seed): \(String(describing: world.failure))")
      if world.failure == nil {
        #expect(world.wasReady && world.rcp.isStreaming && !world.lists.asked, "seed \(seed)")
        #expect(world.rcp.short == wanted.short && world.rcp.extended == wanted.extended, "seed \(seed)")
        let frame = SpinelBench.frame(to: 2, "at last")
        let isTaken = world.host.transmit(frame, at: world.now)
        world.taken += 1
        let sent = world.host.statistics.transmitted
        world.exchange()
        #expect(isTaken && world.host.statistics.transmitted == sent + 1, "seed \(seed)")
      } else {
        failures += 1
        #expect(world.host.nextTimeout == nil)
      }
    }
    // Otherwise nothing is tested here.
    #expect(failures < 40)
  }
}
