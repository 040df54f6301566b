import COSE
import Wire

/// A value whose wire form is one item of deterministic CBOR.
///
/// It gives the twins ``init(reading:)`` and ``write(to:)``; those of ``WireValue`` follow from them.
public protocol CBORItem: WireValue {
  /// Reads one item and leaves the reader after it.
  @_lifetime(reader: copy reader)
  init(reading reader: inout CBORReader) throws(ParseError)

  /// Writes the item. Throws ``EmitError/notRepresentable`` for a value that has no wire form.
  func write(to writer: inout CBORWriter) throws(EmitError)
}

extension CBORItem {
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    var items = CBORReader(reader)
    try self.init(reading: &items)
    try reader.skip(items.offset - reader.offset)
  }

  /// 0 for a value that has no wire form.
  public var encodedLength: Int { (try? cbor().count) ?? 0 }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    try writer.bytes(try cbor())
  }

  /// The wire form.
  public func cbor() throws(EmitError) -> [UInt8] {
    var writer = CBORWriter()
    try write(to: &writer)
    return writer.bytes
  }
}

extension CBORReader {
  /// An address of 32 bytes.
  @_lifetime(self: copy self)
  mutating func address() throws(ParseError) -> Address {
    try Address(parsing: try bytes(count: Address.length))
  }

  /// A byte string of 32 or 8 bytes; another length is ``DropReason/lengthMismatch``.
  @_lifetime(self: copy self)
  mutating func addressReference() throws(ParseError) -> AddressReference {
    let start = error(.lengthMismatch)
    guard let reference = AddressReference(try bytes().array()) else { throw start }
    return reference
  }

  /// 8 bytes as an integer, first byte most significant.
  @_lifetime(self: copy self)
  mutating func word() throws(ParseError) -> UInt64 {
    var reader = ByteReader(try bytes(count: 8))
    return try reader.u64()
  }

  /// A byte string whose length is in `lengths`; another one is ``DropReason/lengthMismatch``.
  @_lifetime(self: copy self)
  mutating func bytes(_ lengths: ClosedRange<Int>) throws(ParseError) -> [UInt8] {
    let start = error(.lengthMismatch)
    let value = try bytes()
    guard lengths.contains(value.byteCount) else { throw start }
    return value.array()
  }

  /// An array of addresses.
  @_lifetime(self: copy self)
  mutating func addresses() throws(ParseError) -> [Address] {
    var list: [Address] = []
    for _ in 0..<(try array()) { list.append(try address()) }
    return list
  }
}

extension CBORWriter {
  /// 8 bytes, most significant first.
  mutating func word(_ value: UInt64) { bytes(value.bigEndianBytes) }

  /// An array of addresses.
  mutating func addresses(_ list: [Address]) {
    array(list.count)
    for address in list { bytes(address.bytes) }
  }
}
