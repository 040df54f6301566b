/// The twin of ``ByteReader``: writes into a caller's buffer and never past it.
///
/// Multi-byte integers are written in network byte order unless the name says `LE`.
@frozen
public struct ByteWriter: ~Escapable, ~Copyable {
  @usableFromInline var destination: MutableRawSpan
  @usableFromInline var written: Int

  /// Bytes written so far.
  @inlinable public var count: Int { written }

  /// Writes to the start of `destination`.
  @inlinable
  @_lifetime(copy destination)
  public init(_ destination: consuming MutableRawSpan) {
    self.destination = destination
    self.written = 0
  }

  /// Room left, in bytes.
  @inlinable public var room: Int { destination.byteCount - count }

  @inlinable
  @inline(__always)
  @_lifetime(self: copy self)
  mutating func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) throws(EmitError) {
    guard room >= MemoryLayout<T>.size else { throw .noRoom }
    destination.setUnaligned(value, at: count)
    written &+= MemoryLayout<T>.size
  }

  /// One byte.
  @inlinable
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func u8(_ value: UInt8) throws(EmitError) { try store(value) }

  /// Two bytes, network order.
  @inlinable
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func u16(_ value: UInt16) throws(EmitError) { try store(value.bigEndian) }

  /// Four bytes, network order.
  @inlinable
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func u32(_ value: UInt32) throws(EmitError) { try store(value.bigEndian) }

  /// Eight bytes, network order.
  @inlinable
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func u64(_ value: UInt64) throws(EmitError) { try store(value.bigEndian) }

  /// Two bytes, little-endian.
  @inlinable
  @_lifetime(self: copy self)
  public mutating func u16LE(_ value: UInt16) throws(EmitError) { try store(value.littleEndian) }

  /// Four bytes, little-endian.
  @inlinable
  @_lifetime(self: copy self)
  public mutating func u32LE(_ value: UInt32) throws(EmitError) { try store(value.littleEndian) }

  /// Eight bytes, little-endian.
  @inlinable
  @_lifetime(self: copy self)
  public mutating func u64LE(_ value: UInt64) throws(EmitError) { try store(value.littleEndian) }

  /// All of `bytes`.
  @inlinable
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func bytes(_ bytes: RawSpan) throws(EmitError) {
    guard room >= bytes.byteCount else { throw .noRoom }
    destination.copy(bytes, at: count)
    written &+= bytes.byteCount
  }

  /// All of `bytes`.
  @inlinable
  @_lifetime(self: copy self)
  public mutating func bytes(_ bytes: [UInt8]) throws(EmitError) { try self.bytes(bytes.rawSpan) }

  /// `count` zero bytes.
  @inlinable
  @_lifetime(self: copy self)
  public mutating func zeros(_ count: Int) throws(EmitError) {
    for _ in 0..<count { try u8(0) }
  }

  /// Overwrites two bytes that were written before, network order: for lengths and checksums known late.
  @inlinable
  @_lifetime(self: copy self)
  public mutating func patchU16(_ value: UInt16, at position: Int) throws(EmitError) {
    guard position >= 0, position + 2 <= count else { throw .noRoom }
    destination.setUnaligned(value.bigEndian, at: position)
  }

  /// Overwrites one byte that was written before.
  @inlinable
  @_lifetime(self: copy self)
  public mutating func patchU8(_ value: UInt8, at position: Int) throws(EmitError) {
    guard position >= 0, position < count else { throw .noRoom }
    destination.setUnaligned(value, at: position)
  }
}
