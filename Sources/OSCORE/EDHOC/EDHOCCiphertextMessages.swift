import COSE
public import Wire

/// message_2 (RFC 9528, 5.3.1): the Responder's ephemeral key and CIPHERTEXT_2, as one byte string.
public struct EDHOCMessage2: Hashable, Sendable {
  /// Bytes of an x-coordinate on P-256.
  public static let ephemeralKeyLength = 32

  /// G_Y: the x-coordinate of the Responder's ephemeral key, 32 bytes.
  public var ephemeralKey: [UInt8]
  /// Encrypted, not authenticated by itself.
  public var ciphertext: [UInt8]

  public init(ephemeralKey: [UInt8], ciphertext: [UInt8]) {
    self.ephemeralKey = ephemeralKey
    self.ciphertext = ciphertext
  }
}

extension EDHOCMessage2: WireValue {
  /// Throws ``DropReason/edhocMalformed`` for another type and fewer than 32 bytes, and the reasons of ``CBORReader``.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let bytes = try reader.byteStringItem()
    guard bytes.count >= Self.ephemeralKeyLength else { throw reader.error(.edhocMalformed) }
    ephemeralKey = [UInt8](bytes.prefix(Self.ephemeralKeyLength))
    ciphertext = [UInt8](bytes.dropFirst(Self.ephemeralKeyLength))
  }

  public var encodedLength: Int { (ephemeralKey + ciphertext).asItem.count }

  /// Throws ``EmitError/notRepresentable`` for an ephemeral key of another length.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard ephemeralKey.count == Self.ephemeralKeyLength else { throw .notRepresentable }
    try writer.bytes((ephemeralKey + ciphertext).asItem)
  }
}

/// message_3 (RFC 9528, 5.4.1): CIPHERTEXT_3 as a byte string.
public struct EDHOCMessage3: Hashable, Sendable {
  /// The ciphertext with its tag.
  public var ciphertext: [UInt8]

  public init(ciphertext: [UInt8]) { self.ciphertext = ciphertext }
}

extension EDHOCMessage3: WireValue {
  /// Throws ``DropReason/edhocMalformed`` for another type, and the reasons of ``CBORReader``.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) { ciphertext = try reader.byteStringItem() }

  public var encodedLength: Int { ciphertext.asItem.count }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) { try writer.bytes(ciphertext.asItem) }
}

/// message_4 (RFC 9528, 5.5.1), which the application may do without: CIPHERTEXT_4 as a byte string.
public struct EDHOCMessage4: Hashable, Sendable {
  /// The ciphertext with its tag.
  public var ciphertext: [UInt8]

  public init(ciphertext: [UInt8]) { self.ciphertext = ciphertext }
}

extension EDHOCMessage4: WireValue {
  /// Throws ``DropReason/edhocMalformed`` for another type, and the reasons of ``CBORReader``.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) { ciphertext = try reader.byteStringItem() }

  public var encodedLength: Int { ciphertext.asItem.count }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) { try writer.bytes(ciphertext.asItem) }
}

extension ByteReader {
  /// The content of the byte string that comes next.
  @_lifetime(self: copy self)
  fileprivate mutating func byteStringItem() throws(ParseError) -> [UInt8] {
    do throws(ParseError) {
      var items = CBORReader(self)
      let bytes = try items.bytes().array()
      try skip(items.offset - offset)
      return bytes
    } catch { throw error.inEDHOC }
  }
}

extension [UInt8] {
  /// The bytes as a CBOR byte string.
  var asItem: [UInt8] {
    var writer = CBORWriter(capacity: count + 5)
    writer.bytes(self)
    return writer.bytes
  }
}
