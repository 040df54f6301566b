/// A value with one wire form: `parse` and `emit` are twins.
///
/// For every value `x`: parsing what `emit` wrote gives `x` again, and `emit` writes exactly `encodedLength`
/// bytes. Each conforming type has a property test and a fuzz target that say so.
public protocol WireValue {
  /// Reads one value from `reader` and leaves the reader after it.
  @_lifetime(reader: copy reader)
  init(parsing reader: inout ByteReader) throws(ParseError)

  /// Bytes that ``emit(into:)`` writes.
  var encodedLength: Int { get }

  /// Writes the value.
  @_lifetime(writer: copy writer)
  func emit(into writer: inout ByteWriter) throws(EmitError)
}

extension WireValue {
  /// Parses all of `bytes`; anything left over is ``DropReason/trailingBytes``.
  public init(parsing bytes: RawSpan) throws(ParseError) {
    var reader = ByteReader(bytes)
    try self.init(parsing: &reader)
    try reader.expectEnd()
  }

  /// Parses all of `bytes`; anything left over is ``DropReason/trailingBytes``.
  public init(parsing bytes: [UInt8]) throws(ParseError) {
    try self.init(parsing: bytes.rawSpan)
  }

  /// The wire form as an array. Not for hot paths.
  public func encoded() throws(EmitError) -> [UInt8] {
    try withWriter(capacity: encodedLength) { (writer) throws(EmitError) in try emit(into: &writer) }
  }
}

/// Runs `body` with a writer over `capacity` fresh bytes and returns what it wrote.
public func withWriter(
  capacity: Int, _ body: (inout ByteWriter) throws(EmitError) -> Void
) throws(EmitError) -> [UInt8] {
  var bytes = [UInt8](repeating: 0, count: max(0, capacity))
  var writer = ByteWriter(bytes.mutableRawSpan)
  try body(&writer)
  let count = writer.count
  bytes.removeLast(bytes.count - count)
  return bytes
}
