import CoAP
import TestSupport
import Testing
import Wire

@testable import OSCORE

/// RFC 8613, 3.2.2 and 7.4: the Replay Window.
struct ReplayTests {
  @Test("In any order, each request is taken once, and late ones within the window", arguments: [1, 8, 32, 64, 128])
  func order(_ size: Int) throws {
    var generator = SeededGenerator(seed: UInt64(size))
    var pair = try Pair(configuration: .init(replayWindowSize: size))
    var requests: [CoAPRequest] = []
    for _ in 0..<300 { requests.append(try pair.send().0) }
    // Shuffled in groups smaller than the window: nothing falls out.
    var order = Array(requests.indices)
    let group = max(1, size / 2)
    for start in stride(from: 0, to: order.count, by: group) {
      order[start..<min(start + group, order.count)].shuffle(using: &generator)
    }
    for index in order {
      #expect(pair.refusal(requests[index]) == nil)
      #expect(pair.refusal(requests[index])?.reason == .oscoreReplay)
    }
    for request in requests { #expect(pair.refusal(request)?.reason == .oscoreReplay) }
  }

  @Test("The edges of a window of 32")
  func edges() throws {
    var pair = try Pair()
    var requests: [CoAPRequest] = []
    for _ in 0...100 { requests.append(try pair.send().0) }
    #expect(pair.refusal(requests[50]) == nil)
    #expect(pair.refusal(requests[18])?.reason == .oscoreReplay)
    #expect(pair.refusal(requests[19]) == nil)
    #expect(pair.refusal(requests[100]) == nil)
    #expect(pair.refusal(requests[68])?.reason == .oscoreReplay)
    #expect(pair.refusal(requests[69]) == nil)
    #expect(pair.refusal(requests[99]) == nil)
  }

  /// Against a plain set of numbers.
  @Test("The window agrees with a model", arguments: [1, 2, 31, 32, 64, 127, 128])
  func model(_ size: Int) {
    var generator = SeededGenerator(seed: 4)
    var window = PartialIVWindow(size: size)
    var (seen, answered): (Set<UInt64>, Set<UInt64>) = ([], [])
    var highest: UInt64?
    var center: UInt64 = 0
    for _ in 0..<4000 {
      let number = center + UInt64.random(in: 0...UInt64(2 * size), using: &generator)
      if generator.oneIn(40) { center += UInt64.random(in: 0...UInt64(300), using: &generator) }
      let inside = highest.map { number > $0 || $0 - number < UInt64(size) } ?? true
      #expect(window.isNew(number) == (inside && !seen.contains(number)))
      if window.isNew(number) {
        window.record(number)
        seen.insert(number)
        highest = max(highest ?? 0, number)
      }
      let asked = center + UInt64.random(in: 0...UInt64(2 * size), using: &generator)
      let may = seen.contains(asked) && !answered.contains(asked) && highest! - min(asked, highest!) < UInt64(size)
      #expect(window.takeNonce(of: asked) == may)
      if may { answered.insert(asked) }
    }
    #expect(window.highest == highest)
  }

  @Test("Sizes are held to 1...128; jumps over all numbers")
  func sizes() {
    #expect(PartialIVWindow(size: 0).size == 1 && PartialIVWindow(size: 1000).size == 128)
    var window = PartialIVWindow(size: 128)
    window.record(0)
    window.record(OSCOREOptionValue.maximumPartialIV)
    #expect(!window.isNew(0) && !window.isNew(OSCOREOptionValue.maximumPartialIV))
    #expect(window.isNew(OSCOREOptionValue.maximumPartialIV - 127))
    #expect(!window.isNew(OSCOREOptionValue.maximumPartialIV - 128))
  }

  @Test("A window that starts at a number takes none below, and answers only that one with its own nonce")
  func lowerLimit() {
    var window = PartialIVWindow(size: 32, from: 50)
    for number in 0...50 as ClosedRange<UInt64> { #expect(!window.isNew(number)) }
    #expect(window.isNew(51))
    let taken = [49, 51, 50, 50].map { window.takeNonce(of: $0) }
    #expect(taken == [false, false, true, false])
  }
}
