import Wire

/// The Enc_structure that is authenticated with a ciphertext (RFC 9052, 5.3), encoded.
package func encryptionStructure(_ context: String, protected: [UInt8], externalAAD: RawSpan) -> [UInt8] {
  var writer = CBORWriter(capacity: 32 + protected.count + externalAAD.byteCount)
  writer.array(3)
  writer.text(context)
  writer.bytes(protected)
  writer.bytes(externalAAD)
  return writer.bytes
}

/// The protected header of a ciphertext.
func protectedHeader(_ algorithm: COSEAlgorithm, contentFormat: UInt64?) -> CBORValue {
  var pairs = [CBORPair(.integer(COSELabel.algorithm), .integer(algorithm.rawValue))]
  if let contentFormat { pairs.append(CBORPair(.integer(COSELabel.contentType), .unsigned(contentFormat))) }
  return .map(pairs)
}

extension COSEHeaders {
  /// The encapsulated key of HPKE. Throws ``DropReason/coseHeaderMissing`` or ``DropReason/coseKeyInvalid``.
  func encapsulatedKey() throws(ParseError) -> [UInt8] {
    guard let value = self[COSELabel.encapsulatedKey] else { throw ParseError(.coseHeaderMissing) }
    guard let key = value.bytesValue, key.count == 65, key.first == 4 else {
      throw ParseError(.coseKeyInvalid)
    }
    return key
  }
}
