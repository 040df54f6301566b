import COSE
public import Wire

/// message_1 (RFC 9528, 5.2.1), a CBOR sequence that ends with the input.
public struct EDHOCMessage1: Hashable, Sendable {
  public var method: EDHOCMethod
  /// SUITES_I: what the Initiator supports, most preferred first, up to the selected one, which is last. Not empty.
  public var suites: [EDHOCCipherSuite]
  /// G_X: the x-coordinate of the Initiator's ephemeral key, 32 bytes in the implemented suites.
  public var ephemeralKey: [UInt8]
  /// C_I.
  public var connectionIdentifier: EDHOCConnectionIdentifier
  /// EAD_1. Nothing protects it.
  public var ead: [EDHOCEADItem]

  public init(
    method: EDHOCMethod, suites: [EDHOCCipherSuite], ephemeralKey: [UInt8],
    connectionIdentifier: EDHOCConnectionIdentifier, ead: [EDHOCEADItem] = []
  ) {
    self.method = method
    self.suites = suites
    self.ephemeralKey = ephemeralKey
    self.connectionIdentifier = connectionIdentifier
    self.ead = ead
  }

  /// The last of ``suites``.
  public var selectedSuite: EDHOCCipherSuite? { suites.last }
}

extension EDHOCMessage1: WireValue {
  /// Throws ``DropReason/edhocMalformed`` and the reasons of ``CBORReader``.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    do throws(ParseError) {
      var items = CBORReader(reader)
      method = EDHOCMethod(rawValue: try items.integer())
      suites = try [EDHOCCipherSuite](readingSuites: &items)
      ephemeralKey = try items.bytes().array()
      connectionIdentifier = try EDHOCConnectionIdentifier(reading: &items)
      ead = try [EDHOCEADItem](readingRest: &items)
      try reader.skip(items.offset - reader.offset)
    } catch { throw error.inEDHOC }
  }

  public var encodedLength: Int { (try? sequence().count) ?? 0 }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) { try writer.bytes(sequence()) }

  private func sequence() throws(EmitError) -> [UInt8] {
    var items = CBORWriter(capacity: 48)
    items.integer(method.rawValue)
    try suites.write(to: &items)
    items.bytes(ephemeralKey)
    items.raw(connectionIdentifier.encoding)
    try ead.write(to: &items)
    return items.bytes
  }
}
