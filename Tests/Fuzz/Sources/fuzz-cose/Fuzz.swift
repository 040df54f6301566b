import COSE
import Crypto
import Foundation
import Wire

/// Keys that no run changes, so that a finding is found again.
let agreementKey = try! P256.KeyAgreement.PrivateKey(rawRepresentation: [UInt8](repeating: 1, count: 32))
let signingKey = try! P256.Signing.PrivateKey(rawRepresentation: [UInt8](repeating: 2, count: 32))
let secret = SymmetricKey(data: [UInt8](repeating: 3, count: 16))

/// What parses is emitted as the bytes that it was parsed from.
func roundTrip<T: WireValue & Equatable>(_: T.Type, _ bytes: [UInt8]) -> T? {
  guard let value = try? T(parsing: bytes) else { return nil }
  precondition(value.encodedLength == bytes.count)
  guard let emitted = try? value.encoded() else { preconditionFailure("\(value) parsed and has no encoding") }
  precondition(emitted == bytes)
  precondition((try? T(parsing: emitted)) == value)
  return value
}

/// The view and the value agree, but for the algorithm, which only the view demands.
func sign1(_ bytes: [UInt8]) {
  let value = roundTrip(COSESign1.self, bytes)
  guard let view = try? COSESign1View(bytes.rawSpan, allowingUnprotected: true) else { return }
  guard let value else { preconditionFailure("a view of what is no value") }
  precondition(value.headers.protectedBytes == view.protected.array())
  precondition(value.payload == view.payload.array() && value.signature == view.signature.array())
  precondition((try? value.headers.algorithm()) == view.algorithm)
  _ = try? view.verify(with: signingKey.publicKey)
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let data, count > 0 else { return 0 }
  let bytes = [UInt8](UnsafeBufferPointer(start: data + 1, count: count - 1))
  switch data.pointee % 4 {
  case 0: sign1(bytes)
  case 1:
    guard let message = roundTrip(COSEEncrypt0.self, bytes) else { break }
    _ = try? message.open(with: agreementKey)
    _ = try? message.open(using: secret)
  case 2:
    // Each recipient costs an operation on the curve.
    guard let message = roundTrip(COSEEncrypt.self, bytes), message.recipients.count <= 4 else { break }
    _ = try? message.open(with: agreementKey)
  default:
    if let key = try? P256.KeyAgreement.PublicKey(point: bytes.rawSpan) { precondition(key.point == bytes) }
    if let value = try? CBORValue(parsing: bytes), let key = try? P256.KeyAgreement.PublicKey(coseKey: value) {
      precondition((try? P256.KeyAgreement.PublicKey(coseKey: key.coseKey))?.point == key.point)
    }
  }
  return 0
}
