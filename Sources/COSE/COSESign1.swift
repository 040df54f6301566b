public import Crypto
import FoundationEssentials
public import Wire

/// A COSE_Sign1 (RFC 9052, 4.2), tagged, as a value. ``COSESign1View`` reads one without copies.
public struct COSESign1: Hashable, Sendable {
  public var headers: COSEHeaders
  /// What is signed.
  public var payload: [UInt8]
  /// r and s, 32 bytes each.
  public var signature: [UInt8]

  public init(headers: COSEHeaders, payload: [UInt8], signature: [UInt8]) {
    self.headers = headers
    self.payload = payload
    self.signature = signature
  }

  /// Signs `payload` under `headers`, whose protected algorithm must be ES256 or ESP256; throws
  /// ``EmitError/notRepresentable`` otherwise. The random number of the signature is drawn by swift-crypto.
  public init(
    signing payload: [UInt8], headers: COSEHeaders, with key: P256.Signing.PrivateKey,
    externalAAD: RawSpan = RawSpan()
  ) throws(EmitError) {
    guard let algorithm = try? headers.algorithm(), algorithm.isP256Signature else { throw .notRepresentable }
    let digest = Self.digest(
      protected: headers.protectedBytes.rawSpan, payload: payload.rawSpan, externalAAD: externalAAD)
    guard let signature = try? key.signature(for: digest) else { throw .notRepresentable }
    self.init(headers: headers, payload: payload, signature: [UInt8](signature.rawRepresentation))
  }

  /// The Sig_structure that is signed (RFC 9052, 4.4), encoded.
  public static func signatureStructure(
    protected: RawSpan, payload: RawSpan, externalAAD: RawSpan = RawSpan()
  ) -> [UInt8] {
    var writer = CBORWriter(capacity: 40 + protected.byteCount + externalAAD.byteCount + payload.byteCount)
    writer.array(4)
    writer.text("Signature1")
    writer.bytes(protected)
    writer.bytes(externalAAD)
    writer.bytes(payload)
    return writer.bytes
  }

  /// The SHA-256 of the Sig_structure: what a signer outside this module signs.
  public static func digest(
    protected: RawSpan, payload: RawSpan, externalAAD: RawSpan = RawSpan()
  ) -> SHA256Digest {
    SHA256.hash(data: signatureStructure(protected: protected, payload: payload, externalAAD: externalAAD))
  }
}

extension COSESign1: WireValue {
  /// Reads a tagged COSE_Sign1; the unprotected header may hold something.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    do throws(ParseError) {
      var items = CBORReader(reader)
      try items.expectTag(COSETag.sign1)
      try items.array(count: 4)
      headers = try COSEHeaders(reading: &items)
      payload = try items.bytes().array()
      signature = try items.bytes().array()
      try reader.skip(items.offset - reader.offset)
    } catch { throw error.inCOSE }
  }

  public var encodedLength: Int {
    2 + headers.encodedLength + CBORWriter.stringLength(payload.count)
      + CBORWriter.stringLength(signature.count)
  }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    var items = CBORWriter(capacity: encodedLength)
    items.tag(COSETag.sign1)
    items.array(4)
    try headers.write(to: &items)
    items.bytes(payload)
    items.bytes(signature)
    try writer.bytes(items.bytes)
  }
}
