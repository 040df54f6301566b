/// The cursor: the one way in which Pangate reads bytes from outside.
///
/// A reader stands on a `RawSpan` and moves forward. Every read is checked; running short throws
/// ``DropReason/truncated`` with the offset and consumes nothing. Multi-byte integers are read in network byte
/// order unless the name says `LE`.
@frozen
public struct ByteReader: ~Escapable {
  @usableFromInline var _rest: RawSpan
  @usableFromInline var _offset: Int

  /// What has not been read.
  @inlinable public var rest: RawSpan {
    @_lifetime(copy self) get { _rest }
  }

  /// Bytes read so far (offset of ``rest`` in the input).
  @inlinable public var offset: Int { _offset }

  /// Reads `bytes` from their start. `offset` is where `bytes` stand in a larger input, for error positions.
  @inlinable
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan, offset: Int = 0) {
    self._rest = bytes
    self._offset = offset
  }

  /// Bytes left.
  @inlinable public var remaining: Int { rest.byteCount }
  @inlinable public var isAtEnd: Bool { rest.isEmpty }

  /// An error at the current position.
  @inlinable
  public func error(_ reason: DropReason) -> ParseError { ParseError(reason, at: offset) }

  @inlinable
  @inline(__always)
  @_lifetime(self: copy self)
  mutating func load<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type) throws(ParseError) -> T {
    guard rest.byteCount >= MemoryLayout<T>.size else { throw error(.truncated) }
    let value = rest.unaligned(T.self)
    advance(MemoryLayout<T>.size)
    return value
  }

  @inlinable
  @inline(__always)
  @_lifetime(self: copy self)
  mutating func advance(_ count: Int) {
    _rest = _rest.extracting(droppingFirst: count)
    _offset &+= count
  }

  /// One byte.
  @inlinable
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func u8() throws(ParseError) -> UInt8 { try load(UInt8.self) }

  /// Two bytes, network order.
  @inlinable
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func u16() throws(ParseError) -> UInt16 { UInt16(bigEndian: try load(UInt16.self)) }

  /// Four bytes, network order.
  @inlinable
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func u32() throws(ParseError) -> UInt32 { UInt32(bigEndian: try load(UInt32.self)) }

  /// Eight bytes, network order.
  @inlinable
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func u64() throws(ParseError) -> UInt64 { UInt64(bigEndian: try load(UInt64.self)) }

  /// Two bytes, little-endian.
  @inlinable
  @_lifetime(self: copy self)
  public mutating func u16LE() throws(ParseError) -> UInt16 { UInt16(littleEndian: try load(UInt16.self)) }

  /// Four bytes, little-endian.
  @inlinable
  @_lifetime(self: copy self)
  public mutating func u32LE() throws(ParseError) -> UInt32 { UInt32(littleEndian: try load(UInt32.self)) }

  /// Eight bytes, little-endian.
  @inlinable
  @_lifetime(self: copy self)
  public mutating func u64LE() throws(ParseError) -> UInt64 { UInt64(littleEndian: try load(UInt64.self)) }

  /// The next byte without consuming it.
  @inlinable
  @inline(__always)
  public func peek() throws(ParseError) -> UInt8 {
    guard !rest.isEmpty else { throw error(.truncated) }
    return rest.unaligned(UInt8.self)
  }

  /// The next `count` bytes as a view; `count` may come from the wire: a negative or too large one throws.
  @inlinable
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func bytes(_ count: Int) throws(ParseError) -> RawSpan {
    guard count >= 0, count <= rest.byteCount else { throw error(.truncated) }
    let taken = rest.extracting(first: count)
    advance(count)
    return taken
  }

  /// All that is left, as a view.
  @inlinable
  @inline(__always)
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func takeRest() -> RawSpan {
    let taken = rest
    advance(rest.byteCount)
    return taken
  }

  /// A reader over the next `count` bytes, whose errors keep the position in the whole input.
  @inlinable
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func reader(_ count: Int) throws(ParseError) -> ByteReader {
    let start = offset
    return ByteReader(try bytes(count), offset: start)
  }

  /// Passes over `count` bytes.
  @inlinable
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func skip(_ count: Int) throws(ParseError) {
    guard count >= 0, count <= rest.byteCount else { throw error(.truncated) }
    advance(count)
  }

  /// Throws ``DropReason/trailingBytes`` unless everything was read.
  @inlinable
  public func expectEnd() throws(ParseError) {
    guard rest.isEmpty else { throw error(.trailingBytes) }
  }
}
