// The only file of this module that holds `unsafe`: what swift-crypto gives as pointers.

import Crypto

extension SymmetricKey {
  /// The key as bytes.
  var bytes: [UInt8] { unsafe withUnsafeBytes { unsafe [UInt8]($0) } }
}
