/// What the first byte of a 6LoWPAN header says, while page 0 is active (RFC 4944, 5.1; RFC 6282, 2; RFC 8025, 6).
@frozen
public enum LowpanDispatch: Hashable, Sendable {
  /// `00xxxxxx`: another protocol's frame.
  case notALowpanFrame
  /// `10xxxxxx`: a ``MeshHeader``.
  case mesh
  /// `01010000`: a ``BroadcastHeader``.
  case broadcast
  /// `11000xxx`: a ``FirstFragmentHeader``.
  case firstFragment
  /// `11100xxx`: a ``NextFragmentHeader``.
  case nextFragment
  /// `0x41`, `0x42` or `011xxxxx`: an IPv6 packet, see ``decompressDatagram(from:into:link:contexts:now:datagramSize:)``.
  case datagram
  /// `1111xxxx`: the page that becomes active, 0 to 15.
  case page(UInt8)
  /// Assigned, but not understood here: the escape `0x40` and recoverable fragments `1110100x` (RFC 8931).
  case unsupported
  /// Not assigned.
  case unknown

  @inlinable
  public init(_ byte: UInt8) {
    switch byte {
    case 0x00...0x3f: self = .notALowpanFrame
    case 0x40: self = .unsupported
    case 0x41, 0x42, 0x60...0x7f: self = .datagram
    case BroadcastHeader.dispatch: self = .broadcast
    case 0x80...0xbf: self = .mesh
    case 0xc0...0xc7: self = .firstFragment
    case 0xe0...0xe7: self = .nextFragment
    case 0xe8, 0xe9: self = .unsupported
    case 0xf0...0xff: self = .page(byte & 15)
    default: self = .unknown
    }
  }
}
