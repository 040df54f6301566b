import IEEE802154
import Wire

/// Tells a frame that was received twice, because its acknowledgment was lost, from a new one.
///
/// A copy has the same source, sequence number and payload and comes within ``window``. The payload counts so that
/// nobody can have a frame taken for a copy by sending one with its sequence number first. The memory is fixed; under
/// load the oldest of eight frames that share a place is forgotten.
public struct DuplicateFilter: ~Copyable, Sendable {
  private struct Entry: Sendable {
    var digest: UInt64 = 0
    /// Microseconds since 1970.
    var seen = Int64.min
  }

  private static let ways = 8

  /// How long a frame is remembered.
  public let window: Duration
  private let windowMicroseconds: Int64
  private let mask: Int
  private var entries: [Entry]

  /// Remembers at most `capacity` frames, rounded up to a power of two, for `window`.
  ///
  /// Retries of the MAC layer end well within a second; a sequence number comes again after 256 frames.
  public init(capacity: Int = 1_024, window: Duration = .seconds(1)) {
    var sets = 1
    while sets * Self.ways < capacity { sets *= 2 }
    mask = sets - 1
    entries = [Entry](repeating: Entry(), count: sets * Self.ways)
    self.window = window
    windowMicroseconds = window.wholeMicroseconds
  }

  /// Whether the frame was seen within the window; remembers it if not.
  ///
  /// Frames without a source address or without a sequence number are never copies.
  public mutating func isDuplicate(_ header: MACHeader, payload: RawSpan, now: Instant) -> Bool {
    guard let sequenceNumber = header.sequenceNumber, header.source != .absent else { return false }
    var digest = Self.mix(
      0, UInt64(sequenceNumber) << 32 | UInt64(header.effectiveSourcePAN?.value ?? 0xffff))
    switch header.source {
    case .absent: break
    case .short(let address): digest = Self.mix(digest, UInt64(address.value))
    case .extended(let address): digest = Self.mix(digest &+ 1, address.value)
    }
    digest = Self.mix(digest, UInt64(payload.byteCount))
    var reader = ByteReader(payload)
    while let word = try? reader.u64() { digest = Self.mix(digest, word) }
    while let byte = try? reader.u8() { digest = Self.mix(digest, UInt64(byte)) }

    let set = Int(truncatingIfNeeded: digest) & mask
    var oldest = set * Self.ways
    for index in set * Self.ways..<(set + 1) * Self.ways {
      if entries[index].digest == digest, entries[index].seen != .min {
        let (age, overflow) = now.microseconds.subtractingReportingOverflow(entries[index].seen)
        if !overflow, age <= windowMicroseconds { return true }
        oldest = index
        break
      }
      if entries[index].seen < entries[oldest].seen { oldest = index }
    }
    entries[oldest] = Entry(digest: digest, seen: now.microseconds)
    return false
  }

  /// A step of a multiplicative hash.
  private static func mix(_ state: UInt64, _ word: UInt64) -> UInt64 {
    let product = (state ^ word ^ 0x9e37_79b9_7f4a_7c15).multipliedFullWidth(by: 0xbf58_476d_1ce4_e5b9)
    return product.high ^ product.low
  }
}
