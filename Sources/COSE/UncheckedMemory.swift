// The only file of this module that holds `unsafe`: views of bytes for the standard library and the crypto libraries.

import Wire

extension RawSpan {
  /// Whether the bytes are UTF-8 (RFC 3629): no surrogates, no overlong forms.
  var isValidUTF8: Bool {
    let bytes = Span<UInt8>(_bytes: self)
    return (try? UTF8Span(validating: bytes)) != nil
  }
}
