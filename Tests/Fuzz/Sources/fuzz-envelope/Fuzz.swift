import COSE
import Crypto
import Envelope
import Foundation
import Wire

/// An identity that no run changes, so that a finding is found again: owner of Config/demo.
let owner: Identity = {
  let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../../../../Config/demo/owner.pem")
  guard let text = try? String(contentsOf: file, encoding: .utf8),
    let identity = try? IdentityFile.identity(text, file: file.path)
  else { preconditionFailure("\(file.path) is missing") }
  return identity
}()

/// What parses is emitted and parsed again: the two values are equal and the length is the one announced.
@discardableResult
func roundTrip<T: WireValue & Equatable>(_: T.Type, _ bytes: [UInt8]) -> T? {
  guard let value = try? T(parsing: bytes) else { return nil }
  guard let emitted = try? value.encoded() else { preconditionFailure("\(value) parsed and has no encoding") }
  precondition(emitted.count == value.encodedLength)
  guard let again = try? T(parsing: emitted) else { preconditionFailure("\(value) does not parse again") }
  precondition(again == value)
  return value
}

/// An envelope's parts stand where they should, and all that can be asked of it before it is verified.
func envelope(_ bytes: [UInt8]) {
  guard let envelope = try? SignedEnvelope(parsing: bytes) else { return }
  precondition(envelope.bytes == bytes)
  precondition(envelope.signature.count == 64)
  precondition((try? EnvelopeHeader(parsing: Array(envelope.protectedHeader))) == envelope.header)
  guard let view = try? COSESign1View(bytes.rawSpan) else {
    preconditionFailure("an envelope that is no COSE_Sign1")
  }
  precondition(view.payload.array() == Array(envelope.payload))
  precondition((envelope.sealed != nil) == (envelope.header.class == .confidential))
  precondition((envelope.readableContent == nil) == (envelope.sealed != nil))
  _ = envelope.answerHash
  _ = try? envelope.verify(with: owner.signingKey.publicKey)
  _ = try? envelope.open(with: owner)
  try? Freshness().check(envelope.header, arrival: Instant(seconds: 0), now: Instant(seconds: 1_800_000_000))
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let data, count > 0 else { return 0 }
  let bytes = [UInt8](UnsafeBufferPointer(start: data + 1, count: count - 1))
  switch data.pointee % 12 {
  case 0: envelope(bytes)
  case 1: roundTrip(EnvelopeHeader.self, bytes)
  case 2: roundTrip(EnvelopeExtensions.self, bytes)
  case 3: _ = try? SealedContent(parsing: bytes)
  case 4: roundTrip(Receipt.self, bytes)
  case 5: roundTrip(EncapsulatedMessage.self, bytes)
  case 6: if let record = roundTrip(PeerRecord.self, bytes) { _ = try? PeerDirectory(record) }
  case 7: if let list = roundTrip(AccessList.self, bytes) { _ = try? AccessDirectory(list) }
  case 8: roundTrip(ReplayWindow.self, bytes)
  case 9:
    guard let identity = try? PublicIdentity(certificate: bytes) else { break }
    precondition(identity.address == Address(ofCertificate: bytes))
  case 10:
    guard let text = String(validating: bytes, as: UTF8.self) else { break }
    _ = try? IdentityFile.identity(text, file: "fuzz")
    _ = try? IdentityFile.publicIdentity(text, file: "fuzz")
  case 11:
    guard let text = String(validating: bytes, as: UTF8.self), let code = try? EnrolmentCode(text: text)
    else { break }
    precondition((try? EnrolmentCode(text: code.description)) == code)
  default: break
  }
  return 0
}
