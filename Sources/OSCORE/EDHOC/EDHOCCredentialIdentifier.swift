public import COSE
public import Wire

/// ID_CRED_I or ID_CRED_R (RFC 9528, 3.5.3): a COSE header map that refers to a credential or carries it.
public enum EDHOCCredentialIdentifier: Hashable, Sendable {
  /// `kid`: a name on which the parties agreed. Not always unique: several credentials may have to be tried.
  case keyID([UInt8])
  /// `kccs`: the CWT Claims Set itself, encoded. Nothing but the application vouches for it.
  case claimsSet([UInt8])
  /// `x5t`: the hash of a certificate and the algorithm that made it (RFC 9360, 2).
  case certificateHash(algorithm: COSEAlgorithm, [UInt8])
  /// `x5chain`: certificates in DER, the end entity first.
  case certificateChain([[UInt8]])
  /// Any other header map, encoded.
  case other([UInt8])

  private static let x5chain: Int64 = 33
  private static let x5t: Int64 = 34
  private static let kccs: Int64 = 14

  /// Reads an encoded header map. Throws ``DropReason/edhocMalformed`` for anything but a map with at least one pair.
  public init(headerMap: [UInt8]) throws(ParseError) {
    let value: CBORValue
    do throws(ParseError) { value = try CBORValue(parsing: headerMap) } catch { throw error.inEDHOC }
    guard let pairs = value.mapValue, let first = pairs.first else { throw ParseError(.edhocMalformed) }
    self = .other(headerMap)
    guard pairs.count == 1, let label = first.key.integerValue else { return }
    switch (label, first.value) {
    case (COSELabel.keyID, .bytes(let kid)): self = .keyID(kid)
    case (COSELabel.keyID, _): throw ParseError(.edhocMalformed)
    case (Self.kccs, .map): self = .claimsSet([UInt8](headerMap.dropFirst(2)))
    case (Self.x5t, .array(let items)):
      if items.count == 2, let algorithm = items[0].integerValue, let hash = items[1].bytesValue {
        self = .certificateHash(algorithm: COSEAlgorithm(rawValue: algorithm), hash)
      }
    case (Self.x5chain, .bytes(let certificate)): self = .certificateChain([certificate])
    case (Self.x5chain, .array(let items)):
      let certificates = items.compactMap(\.bytesValue)
      if certificates.count == items.count, items.count > 1 { self = .certificateChain(certificates) }
    default: break
    }
  }

  /// The encoded header map: what is authenticated. Throws ``EmitError/notRepresentable`` for no certificate, a claims
  /// set that is no map, and an ``other(_:)`` that is one of the other cases or no map.
  public func headerMap() throws(EmitError) -> [UInt8] {
    var writer = CBORWriter()
    writer.map(1)
    switch self {
    case .keyID(let kid):
      writer.integer(COSELabel.keyID)
      writer.bytes(kid)
    case .claimsSet(let claims):
      writer.integer(Self.kccs)
      writer.raw(claims)
    case .certificateHash(let algorithm, let hash):
      writer.integer(Self.x5t)
      writer.array(2)
      writer.integer(algorithm.rawValue)
      writer.bytes(hash)
    case .certificateChain(let certificates):
      guard !certificates.isEmpty else { throw .notRepresentable }
      writer.integer(Self.x5chain)
      if certificates.count > 1 { writer.array(certificates.count) }
      for certificate in certificates { writer.bytes(certificate) }
    case .other(let map): writer = CBORWriter(map)
    }
    guard let again = try? EDHOCCredentialIdentifier(headerMap: writer.bytes), again == self else {
      throw .notRepresentable
    }
    return writer.bytes
  }

  /// Reads what stands in a plaintext: a `kid` alone stands without its map (RFC 9528, 3.5.3.2).
  @_lifetime(reader: copy reader)
  init(reading reader: inout CBORReader) throws(ParseError) {
    guard try reader.peekKind() == .map else {
      self = .keyID(try EDHOCConnectionIdentifier(reading: &reader).bytes)
      return
    }
    let malformed = reader.error(.edhocMalformed)
    try self.init(headerMap: try reader.itemBytes().array())
    if case .keyID = self { throw malformed }
  }

  /// What stands in a plaintext.
  func compact() throws(EmitError) -> [UInt8] {
    if case .keyID(let kid) = self { return EDHOCConnectionIdentifier(kid).encoding }
    return try headerMap()
  }
}

extension CBORWriter {
  /// A writer that wrote `encoded`.
  fileprivate init(_ encoded: [UInt8]) {
    self.init(capacity: encoded.count)
    raw(encoded)
  }
}

extension ParseError {
  /// A wrong type or number of items inside an EDHOC message is a malformed message.
  var inEDHOC: ParseError {
    switch reason {
    case .cborTypeMismatch, .lengthMismatch: ParseError(.edhocMalformed, at: Int(offset))
    default: self
    }
  }
}
