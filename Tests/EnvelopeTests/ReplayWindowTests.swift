import Envelope
import TestSupport
import Testing
import Wire

@Suite struct ReplayWindowTests {
  private func digest(_ text: String) -> ContentDigest {
    ContentDigest(protected: Array(text.utf8)[...], payload: [])
  }

  @Test func sameBytesAreAReplayAndOtherBytesAConflict() {
    var window = ReplayWindow()
    #expect(window.verdict(5, digest("a")) == .new)
    window.record(5, digest("a"))
    #expect(window.verdict(5, digest("a")) == .same)
    #expect(window.verdict(5, digest("b")) == .otherBytes)
    #expect(ReplayWindow.Verdict.same.reason == .envelopeReplay)
    #expect(ReplayWindow.Verdict.otherBytes.reason == .envelopeReplayOtherBytes)
    #expect(ReplayWindow.Verdict.new.reason == nil)
    // What was refused is not remembered.
    window.record(5, digest("b"))
    #expect(window.verdict(5, digest("a")) == .same)
  }

  @Test func numbersMayComeInAnyOrderAndWithGaps() {
    var window = ReplayWindow()
    for number: UInt64 in [10, 3, 1 << 40, 7, 0, .max] {
      #expect(window.verdict(number, digest("\(number)")) == .new)
      window.record(number, digest("\(number)"))
    }
    #expect(window.highest == .max)
    #expect(window.verdict(11, digest("11")) == .new)
    #expect(window.verdict(3, digest("3")) == .same)
  }

  /// What is below the window may never have been taken: 2.04 would be a false promise of custody.
  @Test func belowTheWindowIsTooOld() {
    var window = ReplayWindow(capacity: 4)
    for number: UInt64 in 10..<15 { window.record(number, digest("\(number)")) }
    #expect(window.count == 4)
    #expect(window.floor == 10)
    #expect(window.verdict(10, digest("10")) == .tooOld)
    #expect(window.verdict(9, digest("9")) == .tooOld)
    #expect(ReplayWindow.Verdict.tooOld.reason == .envelopeReplayOtherBytes)
    #expect(window.verdict(11, digest("11")) == .same)
    // A low number recorded into a full window is the first to be forgotten.
    var gap = ReplayWindow(capacity: 2)
    gap.record(20, digest("20"))
    gap.record(30, digest("30"))
    gap.record(10, digest("10"))
    #expect(gap.verdict(10, digest("10")) == .tooOld)
    #expect(gap.verdict(15, digest("15")) == .new)
  }

  @Test func everyEnvelopeIsTakenAtMostOnce() {
    var random = SeededGenerator(seed: 1)
    var window = ReplayWindow(capacity: 16)
    var taken: [UInt64: String] = [:]
    for _ in 0..<5_000 {
      let number = UInt64.random(in: 0..<200, using: &random)
      let text = random.oneIn(10) ? "other" : "content"
      switch window.verdict(number, digest(text)) {
      case .new:
        #expect(taken[number] == nil)
        taken[number] = text
        window.record(number, digest(text))
      case .same: #expect(taken[number] == text)
      case .otherBytes: #expect(taken[number] != nil && taken[number] != text)
      case .tooOld: #expect(number <= window.floor ?? 0)
      }
    }
    #expect(window.count == 16)
  }

  @Test func windowsRoundTripAsBytes() throws {
    var random = SeededGenerator(seed: 2)
    for _ in 0..<200 {
      var window = ReplayWindow(capacity: Int.random(in: 1...20, using: &random))
      for _ in 0..<Int.random(in: 0...30, using: &random) {
        window.record(random.next() >> UInt64.random(in: 0...63, using: &random), digest("\(random.next())"))
      }
      let bytes = try window.encoded()
      #expect(try ReplayWindow(parsing: bytes) == window)
      for length in 0..<bytes.count {
        #expect(reason { _ = try ReplayWindow(parsing: Array(bytes.prefix(length))) } == .truncated)
      }
    }
  }

  @Test func brokenStoredWindowsAreRefused() throws {
    var window = ReplayWindow(capacity: 2)
    for number: UInt64 in 1...3 { window.record(number, digest("")) }
    let bytes = try window.encoded()
    func refused(_ change: (inout [UInt8]) -> Void) -> DropReason? {
      var changed = bytes
      change(&changed)
      return reason { _ = try ReplayWindow(parsing: changed) }
    }
    #expect(refused { _ in } == nil)
    #expect(refused { $0[1] = 0 } == .reservedValue)
    #expect(refused { $0[1] = 1 } == .lengthMismatch)
    #expect(refused { $0[2] = 2 } == .reservedValue)
    #expect(refused { $0[2] = 0 } == .reservedValue)
    #expect(refused { $0[10] = 9 } == .reservedValue)
    #expect(refused { $0[20] = 9 } == .reservedValue)
    #expect(refused { $0.append(0) } == .trailingBytes)
  }
}
