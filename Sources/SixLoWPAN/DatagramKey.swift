import IEEE802154

/// What the fragments of one datagram have in common (RFC 4944, 5.3): link source and destination, datagram size and tag.
@usableFromInline
@frozen
struct DatagramKey: Equatable, Sendable {
  @usableFromInline var source: UInt64
  @usableFromInline var destination: UInt64
  /// Tag in bits 0 to 15, size in 16 to 31, kinds of the addresses above; zero marks a free place.
  @usableFromInline var rest: UInt64

  @inlinable
  init(link: LowpanLink, datagramSize: UInt16, tag: UInt16) {
    let source = Self.number(link.source)
    let destination = Self.number(link.destination)
    self.source = source.address
    self.destination = destination.address
    rest =
      1 << 40 | destination.kind << 34 | source.kind << 32 | UInt64(datagramSize) << 16 | UInt64(tag)
  }

  @inlinable
  init() {
    source = 0
    destination = 0
    rest = 0
  }

  @inlinable var isFree: Bool { rest == 0 }
  @inlinable var datagramSize: Int { Int(rest >> 16 & 0xffff) }

  @inlinable
  static func number(_ address: MACAddress) -> (address: UInt64, kind: UInt64) {
    switch address {
    case .absent: (0, 0)
    case .short(let short): (UInt64(short.value), 1)
    case .extended(let extended): (extended.value, 2)
    }
  }

  @inlinable
  func hasSource(of other: DatagramKey) -> Bool {
    source == other.source && (rest ^ other.rest) >> 32 & 3 == 0
  }

  /// Whether only the size tells the two apart.
  @inlinable
  func differsInSize(from other: DatagramKey) -> Bool {
    source == other.source && destination == other.destination && rest != other.rest
      && (rest ^ other.rest) & ~(0xffff << 16) == 0
  }
}
