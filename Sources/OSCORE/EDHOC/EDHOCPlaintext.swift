import COSE
import Wire

/// PLAINTEXT_2 without its C_R, which is PLAINTEXT_3 (RFC 9528, 5.3.2 and 5.4.2): who the sender is and the proof.
struct EDHOCPlaintext3: Hashable, Sendable {
  var identifier: EDHOCCredentialIdentifier
  var signatureOrMAC: [UInt8]
  var ead: [EDHOCEADItem]

  /// Reads the rest of `items`.
  @_lifetime(items: copy items)
  init(reading items: inout CBORReader) throws(ParseError) {
    identifier = try EDHOCCredentialIdentifier(reading: &items)
    signatureOrMAC = try items.bytes().array()
    ead = try [EDHOCEADItem](readingRest: &items)
  }

  init(identifier: EDHOCCredentialIdentifier, signatureOrMAC: [UInt8], ead: [EDHOCEADItem]) {
    self.identifier = identifier
    self.signatureOrMAC = signatureOrMAC
    self.ead = ead
  }

  func write(to items: inout CBORWriter) throws(EmitError) {
    items.raw(try identifier.compact())
    items.bytes(signatureOrMAC)
    try ead.write(to: &items)
  }
}

extension EDHOCPlaintext3: WireValue {
  @_lifetime(reader: copy reader)
  init(parsing reader: inout ByteReader) throws(ParseError) {
    do throws(ParseError) {
      var items = CBORReader(reader)
      try self.init(reading: &items)
      try reader.skip(items.offset - reader.offset)
    } catch { throw error.inEDHOC }
  }

  var encodedLength: Int { (try? sequence().count) ?? 0 }

  @_lifetime(writer: copy writer)
  func emit(into writer: inout ByteWriter) throws(EmitError) { try writer.bytes(sequence()) }

  private func sequence() throws(EmitError) -> [UInt8] {
    var items = CBORWriter()
    try write(to: &items)
    return items.bytes
  }
}

/// PLAINTEXT_2 (RFC 9528, 5.3.2).
struct EDHOCPlaintext2: Hashable, Sendable {
  /// C_R.
  var connectionIdentifier: EDHOCConnectionIdentifier
  var proof: EDHOCPlaintext3
}

extension EDHOCPlaintext2: WireValue {
  @_lifetime(reader: copy reader)
  init(parsing reader: inout ByteReader) throws(ParseError) {
    do throws(ParseError) {
      var items = CBORReader(reader)
      connectionIdentifier = try EDHOCConnectionIdentifier(reading: &items)
      proof = try EDHOCPlaintext3(reading: &items)
      try reader.skip(items.offset - reader.offset)
    } catch { throw error.inEDHOC }
  }

  var encodedLength: Int { connectionIdentifier.encodedLength + proof.encodedLength }

  @_lifetime(writer: copy writer)
  func emit(into writer: inout ByteWriter) throws(EmitError) {
    try connectionIdentifier.emit(into: &writer)
    try proof.emit(into: &writer)
  }
}

/// PLAINTEXT_4 (RFC 9528, 5.5.2).
struct EDHOCPlaintext4: Hashable, Sendable {
  var ead: [EDHOCEADItem]
}

extension EDHOCPlaintext4: WireValue {
  @_lifetime(reader: copy reader)
  init(parsing reader: inout ByteReader) throws(ParseError) {
    do throws(ParseError) {
      var items = CBORReader(reader)
      ead = try [EDHOCEADItem](readingRest: &items)
      try reader.skip(items.offset - reader.offset)
    } catch { throw error.inEDHOC }
  }

  var encodedLength: Int { (try? ead.sequence().count) ?? 0 }

  @_lifetime(writer: copy writer)
  func emit(into writer: inout ByteWriter) throws(EmitError) { try writer.bytes(ead.sequence()) }
}
