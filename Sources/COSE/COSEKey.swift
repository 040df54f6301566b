public import Crypto
import FoundationEssentials
public import Wire

// P-256 keys as uncompressed points and as COSE_Key maps (RFC 9053, 7.1.1). Reading a point checks that it is on the
// curve and costs some microseconds: callers keep the keys they use.

extension P256.Signing.PublicKey {
  /// The key of an uncompressed point: 0x04, x, y. Throws ``DropReason/coseKeyInvalid``.
  public init(point: RawSpan) throws(ParseError) {
    self = try checked(point) { try .init(x963Representation: $0) }
  }

  /// The uncompressed point, 65 bytes.
  public var point: [UInt8] { [UInt8](x963Representation) }
}

extension P256.KeyAgreement.PublicKey {
  /// The key of an uncompressed point: 0x04, x, y. Throws ``DropReason/coseKeyInvalid``.
  public init(point: RawSpan) throws(ParseError) {
    self = try checked(point) { try .init(x963Representation: $0) }
  }

  /// The uncompressed point, 65 bytes.
  public var point: [UInt8] { [UInt8](x963Representation) }

  /// The key of a COSE_Key of type EC2 on P-256, with y or its sign. Throws ``DropReason/coseKeyInvalid``.
  public init(coseKey: CBORValue) throws(ParseError) {
    let invalid = ParseError(.coseKeyInvalid)
    guard coseKey[1]?.unsignedValue == 2, coseKey[-1]?.unsignedValue == 1, let x = coseKey[-2]?.bytesValue,
      x.count == 32, let y = coseKey[-3]
    else { throw invalid }
    switch y {
    case .bytes(let y) where y.count == 32: try self.init(point: ([4] + x + y).rawSpan)
    case .bool(let odd):
      do { try self.init(compressedRepresentation: [odd ? 3 : 2] + x) } catch { throw invalid }
    default: throw invalid
    }
  }

  /// The COSE_Key of type EC2 with both coordinates.
  public var coseKey: CBORValue {
    let point = point
    return [1: 2, -1: 1, -2: .bytes([UInt8](point[1..<33])), -3: .bytes([UInt8](point[33...]))]
  }
}

/// The key of a point of the right form, or ``DropReason/coseKeyInvalid``.
private func checked<Key>(_ point: RawSpan, _ make: ([UInt8]) throws -> Key) throws(ParseError) -> Key {
  guard point.byteCount == 65, point[byteAt: 0] == 4, let key = try? make(point.array()) else {
    throw ParseError(.coseKeyInvalid)
  }
  return key
}
