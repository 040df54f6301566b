import Wire

/// A token (RFC 7252, 5.3.1): 0 to 8 bytes that match a response to its request, held without allocation.
@frozen
public struct CoAPToken: Hashable, Sendable, CustomStringConvertible {
  /// The bytes as one number, the first byte most significant.
  public let value: UInt64
  /// Bytes, 0 to 8.
  public let count: UInt8

  /// The empty token.
  @inlinable public init() {
    value = 0
    count = 0
  }

  /// The low `count` bytes of `value`; a count over 8 is taken as 8.
  @inlinable
  public init(value: UInt64, count: Int) {
    let count = UInt8(clamping: Swift.min(Swift.max(count, 0), 8))
    self.count = count
    self.value = count == 8 ? value : value & (1 << (UInt64(count) &* 8) &- 1)
  }

  /// A token of these bytes; `nil` for more than 8.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count <= 8 else { return nil }
    self.init(value: bytes.reduce(0) { $0 << 8 | UInt64($1) }, count: bytes.count)
  }

  /// Reads `count` bytes; a count of 9 and more is ``DropReason/coapTokenLengthReserved``.
  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader, count: Int) throws(ParseError) {
    guard count <= 8 else { throw reader.error(.coapTokenLengthReserved) }
    var value: UInt64 = 0
    if reader.remaining >= 8 {
      var ahead = ByteReader(reader.rest)
      // A shift by 64, for the empty token, gives zero.
      value = try ahead.u64() >> UInt64(64 &- count &* 8)
      try reader.skip(count)
    } else {
      for _ in 0..<count { value = value << 8 | UInt64(try reader.u8()) }
    }
    self.value = value
    self.count = UInt8(truncatingIfNeeded: count)
  }

  /// Writes the bytes.
  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    var left = UInt64(count)
    while left > 0 {
      left &-= 1
      try writer.u8(UInt8(truncatingIfNeeded: value >> (left &* 8)))
    }
  }

  /// The bytes as an array.
  public var bytes: [UInt8] {
    (0..<UInt64(count)).map { UInt8(truncatingIfNeeded: value >> ((UInt64(count) - 1 - $0) * 8)) }
  }

  public var description: String { bytes.hex }
}
