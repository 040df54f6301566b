/// The Replay Window of a Recipient Context (RFC 8613, 3.2.2 and 7.4): the sliding window of RFC 6347, 4.1.2.6.
///
/// It also remembers which requests were answered with their own nonce, so that the nonce of a request never protects
/// two responses, however often the caller asks.
struct PartialIVWindow: Hashable, Sendable {
  /// Sizes that a window may have.
  static let sizes: ClosedRange<Int> = 1...128

  /// How many numbers are told apart, the highest included.
  let size: Int
  /// The highest number received; `nil` before the first.
  private(set) var highest: UInt64?
  /// Bit n: `highest` - n was received.
  private var received: UInt128 = 0
  /// Bit n: the nonce of request `highest` - n has protected a response.
  private var answered: UInt128 = 0

  /// An empty window. `size` is held to ``sizes``.
  init(size: Int) { self.size = min(max(size, Self.sizes.lowerBound), Self.sizes.upperBound) }

  /// A window whose lower limit is `first`: that number was received, and lower ones are taken for received and
  /// answered (RFC 8613, B.1.2).
  init(size: Int, from first: UInt64) {
    self.init(size: size)
    highest = first
    received = .max
    answered = .max - 1
  }

  /// Whether `number` was not received before, as far as the window can tell: what lies below it counts as received.
  func isNew(_ number: UInt64) -> Bool {
    guard let highest, number <= highest else { return true }
    return bit(of: number).map { received & $0 == 0 } ?? false
  }

  /// Remembers a number that was verified.
  mutating func record(_ number: UInt64) {
    if let highest, number <= highest {
      received |= bit(of: number) ?? 0
      return
    }
    // A shift by all bits or more leaves none.
    let distance = highest.map { number - $0 } ?? UInt64(UInt128.bitWidth)
    received = received << distance | 1
    answered <<= distance
    highest = number
  }

  /// Takes the nonce of request `number` for a response. False if it was taken before, or if nobody can tell.
  mutating func takeNonce(of number: UInt64) -> Bool {
    guard let bit = bit(of: number), received & bit != 0, answered & bit == 0 else { return false }
    answered |= bit
    return true
  }

  /// The bit of a number within the window; `nil` for one above or below.
  private func bit(of number: UInt64) -> UInt128? {
    guard let highest, number <= highest, highest - number < UInt64(size) else { return nil }
    return 1 << (highest - number)
  }
}
