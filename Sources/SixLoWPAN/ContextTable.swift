import IPv6
import Wire

/// The contexts that both ends of a link share: prefixes under a 4-bit identifier (RFC 6282, 3.1.2), with lifetimes
/// (RFC 6775, 4.2 and 5.4.3).
///
/// A context whose lifetime has passed is receive-only for ``receiveOnlyPeriod``: packets that use it are
/// still decompressed, but none is compressed with it. After that it is as good as gone; its use is
/// ``DropReason/lowpanContextExpired``.
@frozen
public struct ContextTable: Sendable {
  /// One context.
  @frozen
  public struct Entry: Hashable, Sendable {
    public var prefix: IPv6Prefix
    /// The C flag: whether packets may be compressed with it. Without it is receive-only (RFC 6775, 4.2).
    public var compress: Bool
    /// The end of its valid lifetime; `nil` if it is for ever.
    public var expires: Instant?

    @inlinable
    public init(prefix: IPv6Prefix, compress: Bool, expires: Instant?) {
      self.prefix = prefix
      self.compress = compress
      self.expires = expires
    }
  }

  /// As the decoder wants it: an unset slot has expired since for ever, so that one comparison tells.
  @usableFromInline
  @frozen
  struct Slot: Sendable {
    @usableFromInline var prefix = IPv6Prefix(.unspecified, length: 0)
    /// The bits of an interface identifier that the prefix does not cover.
    @usableFromInline var identifierMask = UInt64.max
    // Microseconds since 1970.
    @usableFromInline var compressUntil = Int64.min
    @usableFromInline var receiveUntil = Int64.min
    @usableFromInline var compress = false
    @usableFromInline var present = false

    @inlinable init() {}
  }

  // An array, not an inline one: reading an element of that copies all of it when the table is borrowed (Swift 6.3).
  @usableFromInline var slots = [Slot](repeating: Slot(), count: 16)

  /// How long an expired context remains usable for decompression, in microseconds: twice the default router lifetime
  /// (RFC 6775, 5.4.3), which is 1,800 seconds (RFC 4861, 6.2.1).
  @inlinable public static var receiveOnlyPeriod: Int64 { 2 * 1_800 * 1_000_000 }

  /// No contexts.
  @inlinable public init() {}

  /// Sets context `identifier`, 0 to 15; others are ignored, as no packet can name them.
  ///
  /// `compress` is the C flag. `expires` is the end of the valid lifetime, `nil` for ever.
  @inlinable
  public mutating func set(_ identifier: UInt8, prefix: IPv6Prefix, compress: Bool, expires: Instant?) {
    guard identifier < 16 else { return }
    var slot = Slot()
    slot.present = true
    slot.compress = compress
    slot.prefix = prefix
    slot.identifierMask =
      IPv6Prefix(.unspecified, length: prefix.length).address(interfaceIdentifier: .max).low
    slot.compressUntil = expires?.microseconds ?? .max
    let (end, overflow) = slot.compressUntil.addingReportingOverflow(Self.receiveOnlyPeriod)
    slot.receiveUntil = overflow ? .max : end
    slots[Int(identifier)] = slot
  }

  /// Forgets context `identifier` at once, as a 6CO with a valid lifetime of zero asks for.
  @inlinable
  public mutating func remove(_ identifier: UInt8) {
    guard identifier < 16 else { return }
    slots[Int(identifier)] = Slot()
  }

  /// Forgets every context whose receive-only period is over.
  @inlinable
  public mutating func removeExpired(now: Instant) {
    for index in 0..<16 where slots[index].present && slots[index].receiveUntil <= now.microseconds {
      slots[index] = Slot()
    }
  }

  /// The context `identifier` as it was set; `nil` if there is none.
  @inlinable
  public subscript(identifier: UInt8) -> Entry? {
    guard identifier < 16, slots[Int(identifier)].present else { return nil }
    let slot = slots[Int(identifier)]
    let expires = slot.compressUntil == .max ? nil : Instant(microseconds: slot.compressUntil)
    return Entry(prefix: slot.prefix, compress: slot.compress, expires: expires)
  }

  /// All contexts that are set, expired ones included, by identifier.
  public var entries: [(identifier: UInt8, entry: Entry)] {
    (0..<16).compactMap { identifier in self[identifier].map { (identifier, $0) } }
  }

  /// The prefix to decompress with.
  ///
  /// Throws ``DropReason/lowpanContextUnknown`` or ``DropReason/lowpanContextExpired``.
  @inlinable
  public func lookup(_ identifier: UInt8, now: Instant) throws(ParseError) -> IPv6Prefix {
    guard identifier < 16, now.microseconds < slots[Int(identifier)].receiveUntil else {
      throw failure(identifier, at: 0)
    }
    return slots[Int(identifier)].prefix
  }

  /// The address that context `identifier`, 0 to 15, and in the bits behind its prefix `interfaceIdentifier` make
  /// (RFC 6282, 3.1.1); `offset` is the position of an error.
  @inlinable
  @inline(__always)
  func address(
    _ identifier: UInt8, interfaceIdentifier: UInt64, now: Instant, at offset: Int
  ) throws(ParseError) -> IPv6Address {
    let index = Int(identifier & 15)
    guard now.microseconds < slots[index].receiveUntil else { throw failure(identifier, at: offset) }
    let prefix = slots[index].prefix.address
    return IPv6Address(
      high: prefix.high, low: prefix.low | interfaceIdentifier & slots[index].identifierMask)
  }

  /// Why a context cannot be used for decompression.
  @usableFromInline
  @inline(never)
  func failure(_ identifier: UInt8, at offset: Int) -> ParseError {
    let known = identifier < 16 && slots[Int(identifier)].present
    return ParseError(known ? .lowpanContextExpired : .lowpanContextUnknown, at: offset)
  }

  /// The prefix of context `identifier` if packets may be compressed with it now.
  @inlinable
  public func compressionPrefix(_ identifier: UInt8, now: Instant) -> IPv6Prefix? {
    guard identifier < 16 else { return nil }
    let slot = slots[Int(identifier)]
    guard slot.present, slot.compress, now.microseconds < slot.compressUntil else { return nil }
    return slot.prefix
  }

  /// The context with the longest prefix that `address` begins with, of those that may be compressed with; of equally
  /// long ones that with the smallest identifier.
  @inlinable
  public func context(covering address: IPv6Address, now: Instant) -> (UInt8, IPv6Prefix)? {
    var best: (UInt8, IPv6Prefix)?
    for identifier in 0..<UInt8(16) {
      guard let prefix = compressionPrefix(identifier, now: now), prefix.contains(address) else { continue }
      if let found = best, found.1.length >= prefix.length { continue }
      best = (identifier, prefix)
    }
    return best
  }
}
