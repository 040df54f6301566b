public import Crypto
import FoundationEssentials
public import Wire

/// A view of a COSE_Sign1 (RFC 9052, 4.2), tagged, whose structure was checked and whose signature was not.
///
/// The payload must be inside; a detached one is ``DropReason/coseStructure``.
public struct COSESign1View: ~Escapable {
  /// The content of the protected byte string: an encoded map, byte for byte as signed.
  public let protected: RawSpan
  /// The encoded unprotected header, a map. Nothing vouches for it.
  public let unprotected: RawSpan
  /// What is signed.
  public let payload: RawSpan
  /// r and s, 32 bytes each, if it is to be valid.
  public let signature: RawSpan
  /// The algorithm named by the protected header.
  public let algorithm: COSEAlgorithm
  private let protectedOffset: Int

  /// Checks all of `bytes`. Besides the reasons of ``CBORReader`` it throws ``DropReason/coseTagMissing``,
  /// ``DropReason/coseStructure``, ``DropReason/coseHeaderMissing`` without an algorithm,
  /// ``DropReason/coseAlgorithmUnsupported`` for one named by text, ``DropReason/coseCriticalUnknown``,
  /// ``DropReason/trailingBytes``, and ``DropReason/coseUnprotectedNotEmpty`` unless that is allowed.
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan, allowingUnprotected: Bool = false) throws(ParseError) {
    var reader = CBORReader(bytes)
    try self.init(reading: &reader, allowingUnprotected: allowingUnprotected)
    try reader.expectEnd()
  }

  /// The next item of `reader`, checked like a whole input.
  @_lifetime(copy reader)
  @_lifetime(reader: copy reader)
  public init(reading reader: inout CBORReader, allowingUnprotected: Bool = false) throws(ParseError) {
    do throws(ParseError) {
      try reader.expectTag(COSETag.sign1)
      try reader.array(count: 4)
      let start = reader.offset
      protected = try reader.bytes()
      protectedOffset = reader.offset - protected.byteCount
      let outside = reader.error(.coseUnprotectedNotEmpty)
      guard try reader.peekKind() == .map else { throw reader.error(.coseStructure) }
      unprotected = try reader.itemBytes()
      payload = try reader.bytes()
      signature = try reader.bytes()
      algorithm = try Self.algorithm(of: protected, at: protectedOffset)
      guard unprotected.byteCount > 1 else { return }
      guard allowingUnprotected else { throw outside }
      var headers = CBORReader(reader.consumed(from: start), offset: start)
      _ = try COSEHeaders(reading: &headers)
    } catch { throw error.inCOSE }
  }

  /// Walks the protected header: every label is an integer or text, none is `crit`, one is the algorithm.
  private static func algorithm(of protected: RawSpan, at offset: Int) throws(ParseError) -> COSEAlgorithm {
    guard !protected.isEmpty else { throw ParseError(.coseHeaderMissing, at: offset) }
    var reader = CBORReader(protected, offset: offset)
    var algorithm: COSEAlgorithm?
    var map = try reader.map()
    while try reader.nextKey(in: &map) {
      switch try reader.peekKind() {
      case .unsigned:
        let position = reader.offset
        let label = try reader.unsigned()
        if label == UInt64(COSELabel.critical) { throw ParseError(.coseCriticalUnknown, at: position) }
        if label == UInt64(COSELabel.algorithm) {
          if try reader.peekKind() == .text { throw reader.error(.coseAlgorithmUnsupported) }
          algorithm = COSEAlgorithm(rawValue: try reader.integer())
        } else {
          try reader.skip()
        }
      case .negative, .text:
        try reader.skip()
        try reader.skip()
      default: throw reader.error(.coseStructure)
      }
    }
    try reader.expectEnd()
    guard let algorithm else { throw ParseError(.coseHeaderMissing, at: offset) }
    return algorithm
  }

  /// A reader before the map of the protected header, with positions in the whole input.
  public var protectedReader: CBORReader {
    @_lifetime(copy self) get { CBORReader(protected, offset: protectedOffset) }
  }

  /// Checks the signature with `key`: ES256 or ESP256 on P-256.
  ///
  /// Throws ``DropReason/coseAlgorithmUnsupported`` or ``DropReason/coseSignatureInvalid``. An ECDSA signature is
  /// malleable: with (r, s) also (r, n - s) is valid, so nothing may be told apart or deduplicated by its signature.
  public func verify(with key: P256.Signing.PublicKey, externalAAD: RawSpan = RawSpan()) throws(ParseError) {
    guard algorithm.isP256Signature else { throw ParseError(.coseAlgorithmUnsupported, at: protectedOffset) }
    guard signature.byteCount == 64,
      let rs = try? P256.Signing.ECDSASignature(rawRepresentation: signature.array()),
      key.isValidSignature(
        rs, for: COSESign1.digest(protected: protected, payload: payload, externalAAD: externalAAD))
    else { throw ParseError(.coseSignatureInvalid) }
  }
}
