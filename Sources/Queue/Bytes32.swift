import Wire

/// Thirty-two opaque bytes: the address of an identity, or a SHA-256 digest.
///
/// Queues know no more of an address than this, so that this module needs neither certificates nor COSE.
@frozen
public struct Bytes32: Hashable, Comparable, Sendable, CustomStringConvertible, WireValue {
  @usableFromInline var a: UInt64
  @usableFromInline var b: UInt64
  @usableFromInline var c: UInt64
  @usableFromInline var d: UInt64

  /// Bytes of the wire form.
  public static let length = 32

  /// All zero: stands for "nobody" where an address is needed and there is none.
  public static let zero = Bytes32(0, 0, 0, 0)

  @inlinable
  init(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64) {
    self.a = a
    self.b = b
    self.c = c
    self.d = d
  }

  /// `nil` unless there are exactly 32 bytes.
  public init?(_ bytes: [UInt8]) {
    guard let value = try? Bytes32(parsing: bytes.rawSpan) else { return nil }
    self = value
  }

  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    guard reader.remaining >= Self.length else { throw reader.error(.truncated) }
    self.init(try reader.u64(), try reader.u64(), try reader.u64(), try reader.u64())
  }

  @inlinable public var encodedLength: Int { Self.length }

  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard writer.room >= Self.length else { throw .noRoom }
    try writer.u64(a)
    try writer.u64(b)
    try writer.u64(c)
    try writer.u64(d)
  }

  /// The bytes, most significant first.
  public var bytes: [UInt8] {
    // Thirty-two bytes can always be written.
    (try? encoded()) ?? []
  }

  /// The words as they are in memory in network byte order.
  @inlinable
  public var bigEndian: (UInt64, UInt64, UInt64, UInt64) {
    (a.bigEndian, b.bigEndian, c.bigEndian, d.bigEndian)
  }

  @inlinable
  public static func < (left: Bytes32, right: Bytes32) -> Bool {
    (left.a, left.b, left.c, left.d) < (right.a, right.b, right.c, right.d)
  }

  /// Lower-case hexadecimal.
  public var description: String { bytes.hex }
}
