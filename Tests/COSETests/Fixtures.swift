import COSE
import Crypto
import Foundation
import Wire

/// Keys of RFC 9052, appendix C.7, and what the tests of messages share.
enum Fixtures {
  /// The signing key "11".
  static let signingScalar = "57c92077664146e876760c9520d054aa93c3afb04e306705db6090308507b4d3"
  /// The key agreement key of Meriadoc.
  static let agreementScalar = "aff907c99f9ad3aae6c4cdf21122bce2bd68b5283e6907154ad911840fa208cf"

  static func signingKey() throws -> P256.Signing.PrivateKey {
    try P256.Signing.PrivateKey(rawRepresentation: bytes(signingScalar))
  }

  static func agreementKey() throws -> P256.KeyAgreement.PrivateKey {
    try P256.KeyAgreement.PrivateKey(rawRepresentation: bytes(agreementScalar))
  }

  static let content = [UInt8]("This is the content.".utf8)

  /// Bytes of a hexadecimal literal.
  static func bytes(_ hex: String) -> [UInt8] { [UInt8](hex: hex) ?? [] }

  /// The reason why `bytes` is no value of the type, if it is none.
  static func refusal<T: WireValue>(_: T.Type, _ bytes: [UInt8]) -> DropReason? {
    do throws(ParseError) {
      _ = try T(parsing: bytes)
      return nil
    } catch { return error.reason }
  }
}
