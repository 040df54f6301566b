import IPv6
import Wire

/// Puts datagrams together from their fragments (RFC 4944, 5.3).
///
/// Fragments belong together by link source, link destination, datagram size and tag. They may come in any order. One
/// that fills the place of an earlier one is dropped as a copy, whatever is in it; one that overlaps another in any
/// other way discards the datagram, as RFC 4944 asks. A new datagram for which there is no room is refused: nothing that
/// is under way is ever given up for it, so a flood cannot evict others' work, and it
/// is itself gone after the timeout.
///
/// Buffers are kept for reuse: once as many datagrams have been under way as ever are, nothing is allocated.
public struct Reassembler: ~Copyable, Sendable {
  @usableFromInline
  @frozen
  struct Entry: Sendable {
    @usableFromInline var map = FragmentMap()
    /// Units that have not arrived.
    @usableFromInline var missing = 0
    /// Microseconds since 1970.
    @usableFromInline var deadline = Int64.max
    @usableFromInline var elided: ElidedChecksum?

    @inlinable init() {}
  }

  public let limits: ReassemblyLimits
  @usableFromInline let slotSize: Int
  @usableFromInline let timeout: Int64
  // One of each for every buffer in use or free.
  @usableFromInline var keys: [DatagramKey] = []
  @usableFromInline var entries: [Entry] = []
  @usableFromInline var buffers: [UInt8] = []
  /// Where the last fragment went: the next one is probably its neighbour.
  @usableFromInline var latest = 0
  /// No datagram's time is up before this.
  @usableFromInline var earliestDeadline = Int64.max
  @usableFromInline var unreportedTimeouts = 0
  /// Datagrams under way.
  public private(set) var count = 0

  public init(limits: ReassemblyLimits = ReassemblyLimits()) {
    self.limits = limits
    slotSize = (limits.maximumDatagramSize + 7) & ~7
    timeout = limits.timeout.wholeMicroseconds
  }

  /// Forgets every datagram under way and keeps the buffers.
  public mutating func reset() {
    for index in keys.indices { keys[index] = DatagramKey() }
    count = 0
    earliestDeadline = .max
    unreportedTimeouts = 0
  }

  /// Gives up the datagrams whose time is over by `now`.
  ///
  /// Returns how many were given up since the last call, by it or on the way: each is one ``DropReason/fragmentTimeout``.
  public mutating func expire(now: Instant) -> Int {
    if now.microseconds >= earliestDeadline { giveUpExpired(now.microseconds) }
    defer { unreportedTimeouts = 0 }
    return unreportedTimeouts
  }

  /// When the next datagram's time is over; `nil` if none is under way.
  public var nextDeadline: Instant? {
    var first = Int64.max
    for index in keys.indices where !keys[index].isFree { first = min(first, entries[index].deadline) }
    return first == .max ? nil : Instant(microseconds: first)
  }

  /// The bytes of the datagram that ``add(_:at:key:elided:now:offset:)`` completed in `slot`, until the next change.
  @usableFromInline
  @_lifetime(borrow self)
  func datagram(in slot: Int, count: Int) -> RawSpan {
    buffers.rawSpan.extracting(slot &* slotSize..<slot &* slotSize &+ count)
  }

  /// Takes the fragment that stands at byte `position` of its uncompressed datagram; `offset` is the position of an error.
  ///
  /// Returns the slot of the datagram if that makes it whole. The slot is free again, but its bytes are there until the
  /// next change.
  @usableFromInline
  mutating func add(
    _ fragment: RawSpan, at position: Int, key: DatagramKey, elided: ElidedChecksum?, now: Instant,
    offset: Int
  ) throws(ParseError) -> Int? {
    let size = key.datagramSize
    let length = fragment.byteCount
    let end = position &+ length
    guard size <= limits.maximumDatagramSize else { throw ParseError(.lowpanDatagramTooLong, at: offset) }
    guard length > 0 else { throw ParseError(.fragmentZeroLength, at: offset) }
    guard end <= size else { throw ParseError(.fragmentOutOfRange, at: offset) }
    guard length & 7 == 0 || end == size else { throw ParseError(.fragmentMisaligned, at: offset) }
    if now.microseconds >= earliestDeadline { giveUpExpired(now.microseconds) }

    let slot: Int
    if let known = find(key) {
      slot = known
    } else {
      slot = try makeRoom(key, isFirst: position == 0, now: now, offset: offset)
    }
    let units = position >> 3..<(end &+ 7) >> 3
    switch entries[slot].map.relation(units) {
    case .new: break
    case .duplicate: throw ParseError(.fragmentDuplicate, at: offset)
    case .overlap:
      release(slot)
      throw ParseError(.fragmentOverlap, at: offset)
    }
    latest = slot
    let start = slot &* slotSize
    do {
      var bytes = buffers.mutableRawSpan
      bytes.copy(fragment, at: start &+ position)
    }
    entries[slot].map.insert(units)
    entries[slot].missing &-= units.count
    if position == 0 { entries[slot].elided = elided }
    guard entries[slot].missing == 0 else { return nil }
    if let elided = entries[slot].elided {
      ElidedChecksum(offset: start &+ elided.offset, headerOffset: start &+ elided.headerOffset)
        .restore(in: &buffers, count: start &+ size)
    }
    release(slot)
    return slot
  }

  /// The same for a fragment that is the first `count` bytes of `expanded`.
  @usableFromInline
  mutating func add(
    _ expanded: [UInt8], count: Int, key: DatagramKey, elided: ElidedChecksum?, now: Instant, offset: Int
  ) throws(ParseError) -> Int? {
    try add(
      expanded.rawSpan.extracting(first: count), at: 0, key: key, elided: elided, now: now, offset: offset)
  }

  private func find(_ key: DatagramKey) -> Int? {
    if latest < keys.count, keys[latest] == key { return latest }
    for index in keys.indices where keys[index] == key { return index }
    return nil
  }

  /// A slot for a new datagram.
  private mutating func makeRoom(
    _ key: DatagramKey, isFirst: Bool, now: Instant, offset: Int
  ) throws(ParseError) -> Int {
    var free: Int?
    var charged = max(key.datagramSize, ReassemblyLimits.minimumCharge)
    for index in keys.indices {
      guard !keys[index].isFree else {
        free = free ?? index
        continue
      }
      // A sender that starts over may use a tag again, and then a first fragment says so; a later one with
      // another size is a lie about a datagram under way.
      guard isFirst || !keys[index].differsInSize(from: key) else {
        throw ParseError(.fragmentSizeMismatch, at: offset)
      }
      if keys[index].hasSource(of: key) {
        charged += max(keys[index].datagramSize, ReassemblyLimits.minimumCharge)
      }
    }
    guard charged <= limits.bytesPerSource else { throw ParseError(.fragmentNodeQuota, at: offset) }
    if free == nil, keys.count < limits.maximumDatagrams {
      free = keys.count
      keys.append(DatagramKey())
      entries.append(Entry())
      buffers.append(contentsOf: repeatElement(0, count: slotSize))
    }
    guard let slot = free else { throw ParseError(.fragmentNoBuffer, at: offset) }
    keys[slot] = key
    entries[slot] = Entry()
    entries[slot].missing = (key.datagramSize + 7) >> 3
    let (deadline, overflow) = now.microseconds.addingReportingOverflow(timeout)
    entries[slot].deadline = overflow ? .max : deadline
    earliestDeadline = min(earliestDeadline, entries[slot].deadline)
    count += 1
    return slot
  }

  private mutating func release(_ slot: Int) {
    keys[slot] = DatagramKey()
    count -= 1
  }

  private mutating func giveUpExpired(_ now: Int64) {
    earliestDeadline = .max
    for index in keys.indices where !keys[index].isFree {
      if entries[index].deadline <= now {
        release(index)
        unreportedTimeouts += 1
      } else {
        earliestDeadline = min(earliestDeadline, entries[index].deadline)
      }
    }
  }
}
