import COSE
public import Wire

/// A connection identifier, C_I or C_R (RFC 9528, 3.3): a byte string that its owner chose, and the OSCORE Recipient ID
/// of its owner.
///
/// On the wire a string of one byte that is the encoding of a CBOR integer stands as that integer (RFC 9528, 3.3.2).
public struct EDHOCConnectionIdentifier: Hashable, Sendable, CustomStringConvertible {
  /// The longest identifier that OSCORE can use with a nonce of 13 bytes (RFC 8613, 3.3).
  public static let maximumOSCORELength = 7

  /// The bytes of the identifier, whatever stands on the wire.
  public var bytes: [UInt8]

  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  public var description: String { bytes.hex }
}

extension EDHOCConnectionIdentifier: WireValue {
  /// Reads one identifier and leaves what follows. Throws ``DropReason/edhocMalformed`` for another type and for a
  /// string that must stand as an integer.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    var items = CBORReader(reader)
    try self.init(reading: &items)
    try reader.skip(items.offset - reader.offset)
  }

  public var encodedLength: Int { encoding.count }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) { try writer.bytes(encoding) }

  /// Reads the next item of a sequence.
  @_lifetime(reader: copy reader)
  init(reading reader: inout CBORReader) throws(ParseError) {
    let malformed = reader.error(.edhocMalformed)
    switch try reader.peekKind() {
    case .bytes:
      let bytes = try reader.bytes().array()
      guard !Self.standsAsInteger(bytes) else { throw malformed }
      self.init(bytes)
    case .unsigned, .negative:
      let encoded = try reader.itemBytes().array()
      guard encoded.count == 1 else { throw malformed }
      self.init(encoded)
    default: throw malformed
    }
  }

  /// The item that stands for the identifier.
  var encoding: [UInt8] {
    if Self.standsAsInteger(bytes) { return bytes }
    var writer = CBORWriter(capacity: bytes.count + 2)
    writer.bytes(bytes)
    return writer.bytes
  }

  /// Whether `bytes` is the one-byte encoding of an integer: 0...23 or -24...-1.
  private static func standsAsInteger(_ bytes: [UInt8]) -> Bool {
    guard bytes.count == 1, let byte = bytes.first else { return false }
    return byte < 0x18 || (0x20..<0x38).contains(byte)
  }
}
