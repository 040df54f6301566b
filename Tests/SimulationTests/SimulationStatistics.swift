import Bridge

/// How much happened.
struct SimulationStatistics: Equatable {
  var events = 0
  var frames = 0
  var resets = 0
  var powerCuts = 0
  var outages = 0
  var longestOutbox = 0
  var accepted = 0
  var refused = 0
  var handed = 0
  var confirmed = 0
  var exchanged = 0
  var exchangesFailed = 0
  var expired = 0
  /// Messages of no consequence that gave way.
  var dropped = 0

  mutating func count(_ event: GatewayEvent) {
    switch event {
    case .accepted: accepted += 1
    case .refused: refused += 1
    case .handed: handed += 1
    case .confirmed: confirmed += 1
    case .exchanged: exchanged += 1
    case .exchangeFailed: exchangesFailed += 1
    case .expired: expired += 1
    default: break
    }
  }
}

/// A digest of a sequence of numbers (FNV-1a with words for octets).
struct EventDigest: Equatable {
  private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

  mutating func add(_ word: UInt64) {
    value = (value ^ word) &* 0x0000_0100_0000_01b3
    value ^= value >> 29
  }
}
