import Crypto
import Wire

/// The first 16 bytes of the SHA-256 over an envelope's protected header and payload, without its signature.
///
/// It tells the same envelope from another one under the same sequence number. The signature is left out because it
/// is malleable: see ``ReplayWindow``.
@frozen
public struct ContentDigest: Hashable, Sendable, WireValue {
  @usableFromInline var high: UInt64
  @usableFromInline var low: UInt64

  /// Bytes of a digest.
  public static let length = 16

  /// The digest over the content of the protected header's byte string and of the payload's.
  ///
  /// The two are not separated: the protected header is one CBOR item and says itself where it ends.
  public init(protected: ArraySlice<UInt8>, payload: ArraySlice<UInt8>) {
    var hash = SHA256()
    hash.update(data: protected)
    hash.update(data: payload)
    var words: (UInt64, UInt64) = (0, 0)
    for (index, byte) in hash.finalize().enumerated() where index < ContentDigest.length {
      if index < 8 { words.0 = words.0 << 8 | UInt64(byte) } else { words.1 = words.1 << 8 | UInt64(byte) }
    }
    (high, low) = words
  }

  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    guard reader.remaining >= ContentDigest.length else { throw reader.error(.truncated) }
    high = try reader.u64()
    low = try reader.u64()
  }

  public var encodedLength: Int { ContentDigest.length }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    try writer.u64(high)
    try writer.u64(low)
  }

  /// SHA-256/64 of the same: what a receipt or answer carries in sac-ext 2.
  @inlinable public var answerHash: UInt64 { high }

  /// 32 hexadecimal digits.
  public var hex: String { (high.bigEndianBytes + low.bigEndianBytes).hex }
}
