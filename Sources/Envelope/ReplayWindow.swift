import Wire

/// What a receiver or relay remembers of one sender, so that an envelope has its effect once.
///
/// It keeps the latest ``capacity`` sequence numbers and, for each, a digest of the bytes that were taken. Numbers may
/// come in any order and with gaps, since hops reorder and a sender skips numbers when it restarts.
///
/// Envelopes are told apart by sender and sequence number, never by a hash of the whole envelope: from an ECDSA
/// signature (r, s) anyone can make the equally valid (r, n - s), which would be "another" envelope each time. For the
/// same reason the digest is over protected header and payload, without the signature
/// (``SignedEnvelope/contentDigest``): a copy with a malleated signature is the same envelope.
public struct ReplayWindow: Hashable, Sendable, WireValue {
  /// What an envelope is, compared with those taken before.
  public enum Verdict: Hashable, Sendable {
    /// Not seen before: take it, then ``ReplayWindow/record(_:_:)``.
    case new
    /// The same bytes were taken before: answer as then (2.04), do nothing.
    case same
    /// Its number was taken with other bytes: refuse (4.09), the sender is broken or cloned.
    case otherBytes
    /// Older than all that is remembered. It may never have been taken, so to answer 2.04 would promise custody of
    /// what is not there: refuse as for ``otherBytes``.
    case tooOld

    /// The reason to count it under; `nil` for ``new``.
    public var reason: DropReason? {
      switch self {
      case .new: nil
      case .same: .envelopeReplay
      case .otherBytes, .tooOld: .envelopeReplayOtherBytes
      }
    }
  }

  struct Entry: Hashable, Sendable {
    var sequence: UInt64
    var digest: ContentDigest
  }

  /// How many numbers are remembered, at least 1.
  public let capacity: Int
  /// The highest number that was forgotten: this and lower ones are too old.
  public private(set) var floor: UInt64?
  /// Ascending by number.
  private var entries: [Entry] = []

  /// The default ``capacity``.
  public static let defaultCapacity = 64

  /// An empty window. `capacity` is held to 1...65,535.
  public init(capacity: Int = defaultCapacity) {
    self.capacity = min(max(1, capacity), Int(UInt16.max))
  }

  /// The numbers remembered.
  public var count: Int { entries.count }
  /// The highest number taken so far.
  public var highest: UInt64? { entries.last?.sequence }

  /// Compares without changing anything, so that it can be asked before the envelope is stored.
  public func verdict(_ sequence: UInt64, _ digest: ContentDigest) -> Verdict {
    let index = position(of: sequence)
    if index < entries.count, entries[index].sequence == sequence {
      return entries[index].digest == digest ? .same : .otherBytes
    }
    if let floor, sequence <= floor { return .tooOld }
    return .new
  }

  /// Remembers an envelope that was taken. A number that is known or too old changes nothing.
  public mutating func record(_ sequence: UInt64, _ digest: ContentDigest) {
    guard verdict(sequence, digest) == .new else { return }
    entries.insert(Entry(sequence: sequence, digest: digest), at: position(of: sequence))
    if entries.count > capacity { floor = entries.removeFirst().sequence }
  }

  /// The index of the first entry that is not below `sequence`.
  private func position(of sequence: UInt64) -> Int {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].sequence < sequence { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// The bytes form, for the store: u16 capacity, u8 whether there is a floor, u64 floor, u16 count, then u64 number and
/// 16 bytes of digest each, ascending.
extension ReplayWindow {
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let capacity = Int(try reader.u16())
    guard capacity > 0 else { throw reader.error(.reservedValue) }
    self.init(capacity: capacity)
    let hasFloor = try reader.u8()
    let lowest = try reader.u64()
    guard hasFloor <= 1, hasFloor == 1 || lowest == 0 else { throw reader.error(.reservedValue) }
    floor = hasFloor == 1 ? lowest : nil
    let count = Int(try reader.u16())
    guard count <= capacity else { throw reader.error(.lengthMismatch) }
    var last = floor
    for _ in 0..<count {
      let sequence = try reader.u64()
      if let last, sequence <= last { throw reader.error(.reservedValue) }
      entries.append(Entry(sequence: sequence, digest: try ContentDigest(parsing: &reader)))
      last = sequence
    }
  }

  public var encodedLength: Int { 13 + entries.count * (8 + ContentDigest.length) }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    try writer.u16(UInt16(capacity))
    try writer.u8(floor == nil ? 0 : 1)
    try writer.u64(floor ?? 0)
    try writer.u16(UInt16(entries.count))
    for entry in entries {
      try writer.u64(entry.sequence)
      try entry.digest.emit(into: &writer)
    }
  }
}
