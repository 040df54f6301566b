public import Wire

/// The two headers of a COSE layer (RFC 9052, 3): the protected one, byte for byte, and the unprotected one.
public struct COSEHeaders: Hashable, Sendable {
  /// The content of the protected byte string as it stands in the message: an encoded map, or nothing.
  public let protectedBytes: [UInt8]
  /// The protected header parameters, a map.
  public let protected: CBORValue
  /// The unprotected header parameters, a map. Nothing vouches for them.
  public let unprotected: CBORValue

  /// Headers to send. Throws ``EmitError/notRepresentable`` for what ``init(reading:)`` would refuse.
  public init(protected: CBORValue, unprotected: CBORValue = [:]) throws(EmitError) {
    guard let map = protected.mapValue else { throw .notRepresentable }
    self.protected = protected
    self.unprotected = unprotected
    protectedBytes = map.isEmpty ? [] : try protected.encoded()
    do throws(ParseError) { try check(at: 0) } catch { throw .notRepresentable }
  }

  /// The first two items of a COSE array.
  ///
  /// Throws ``DropReason/coseStructure`` for labels that are neither integers nor text or stand in both headers, and
  /// ``DropReason/coseCriticalUnknown`` for a `crit` parameter: no extension is known here that could be critical.
  @_lifetime(reader: copy reader)
  public init(reading reader: inout CBORReader) throws(ParseError) {
    let start = reader.offset
    let bytes = try reader.bytes()
    protectedBytes = bytes.array()
    if bytes.isEmpty {
      protected = [:]
    } else {
      var content = CBORReader(bytes, offset: reader.offset - bytes.byteCount)
      protected = try CBORValue(reading: &content)
      try content.expectEnd()
    }
    unprotected = try CBORValue(reading: &reader)
    try check(at: start)
  }

  private func check(at offset: Int) throws(ParseError) {
    guard let inside = protected.mapValue, let outside = unprotected.mapValue else {
      throw ParseError(.coseStructure, at: offset)
    }
    for pair in inside + outside {
      switch pair.key {
      case .unsigned, .negative, .text: break
      default: throw ParseError(.coseStructure, at: offset)
      }
    }
    if !outside.isEmpty {
      let labels = Set(inside.map(\.key))
      guard !outside.contains(where: { labels.contains($0.key) }) else {
        throw ParseError(.coseStructure, at: offset)
      }
    }
    guard self[COSELabel.critical] == nil else { throw ParseError(.coseCriticalUnknown, at: offset) }
  }

  /// Bytes that ``write(to:)`` writes.
  var encodedLength: Int { CBORWriter.stringLength(protectedBytes.count) + unprotected.encodedLength }

  /// Writes the first two items of a COSE array.
  public func write(to writer: inout CBORWriter) throws(EmitError) {
    writer.bytes(protectedBytes)
    try unprotected.write(to: &writer)
  }

  /// A parameter by its label, wherever it stands.
  public subscript(label: Int64) -> CBORValue? { protected[label] ?? unprotected[label] }

  /// The algorithm, which must be protected: whoever could change it could change what is checked.
  ///
  /// Throws ``DropReason/coseHeaderMissing``, and ``DropReason/coseAlgorithmUnsupported`` for one named by text.
  public func algorithm() throws(ParseError) -> COSEAlgorithm {
    guard let value = protected[COSELabel.algorithm] else { throw ParseError(.coseHeaderMissing) }
    guard let number = value.integerValue else { throw ParseError(.coseAlgorithmUnsupported) }
    return COSEAlgorithm(rawValue: number)
  }

  /// The CoAP content format of the plaintext, if it is given and protected (RFC 9052, 3.1).
  public var contentFormat: UInt64? { protected[COSELabel.contentType]?.unsignedValue }

  /// The key identifier, in either header.
  public var keyID: [UInt8]? { self[COSELabel.keyID]?.bytesValue }

  /// What stands for the protected header in the structures that are signed or authenticated: an empty map stands as
  /// an empty string (RFC 9052, 4.4 and 5.3).
  var authenticated: [UInt8] { protectedBytes == [0xa0] ? [] : protectedBytes }
}

extension CBORReader {
  /// The tag that a message must begin with; anything else is ``DropReason/coseTagMissing``.
  @_lifetime(self: copy self)
  mutating func expectTag(_ number: UInt64) throws(ParseError) {
    let missing = error(.coseTagMissing)
    guard try peekKind() == .tag, try tag() == number else { throw missing }
  }
}

extension ParseError {
  /// A wrong type or number of items inside a COSE structure is a wrong structure.
  var inCOSE: ParseError {
    switch reason {
    case .cborTypeMismatch, .lengthMismatch: ParseError(.coseStructure, at: Int(offset))
    default: self
    }
  }
}
