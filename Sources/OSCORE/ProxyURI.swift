import CoAP
import Wire

extension CoAPOptions {
  /// Leaves scheme, host and port in Proxy-Uri and takes path and query out to Uri-Path and Uri-Query, which are
  /// encrypted (RFC 8613, 4.1.3.3; RFC 7252, 6.4). Other Uri options are dropped: Proxy-Uri has precedence.
  ///
  /// Throws ``DropReason/oscoreMalformed`` for what is no absolute URI, has a fragment, or a broken percent-encoding.
  mutating func splitProxyURI() throws(OSCOREError) {
    guard let value = self[value: .proxyUri] else { return }
    let malformed = OSCOREError(.oscoreMalformed)
    let slash = UInt8(ascii: "/")
    let uri = value[...]
    guard let colon = uri.firstIndex(of: UInt8(ascii: ":")), colon > uri.startIndex,
      uri[colon...].starts(with: Array("://".utf8)), !uri.contains(UInt8(ascii: "#"))
    else { throw malformed }
    let authority = uri[(colon + 3)...].prefix { $0 != slash && $0 != UInt8(ascii: "?") }
    guard !authority.isEmpty else { throw malformed }
    let rest = uri[authority.endIndex...]
    let path = rest.prefix { $0 != UInt8(ascii: "?") }
    let query = rest[path.endIndex...].dropFirst()
    func parts(_ text: ArraySlice<UInt8>, at separator: UInt8) throws(OSCOREError) -> [[UInt8]] {
      var parts: [[UInt8]] = []
      for part in text.split(separator: separator, omittingEmptySubsequences: false) {
        guard let decoded = percentDecoded(part) else { throw malformed }
        parts.append(decoded)
      }
      return parts
    }
    remove(.uriHost)
    remove(.uriPort)
    self[values: .uriPath] = path.count > 1 ? try parts(path.dropFirst(), at: slash) : []
    self[values: .uriQuery] =
      path.endIndex < rest.endIndex ? try parts(query, at: UInt8(ascii: "&")) : []
    self[value: .proxyUri] = Array(uri[..<authority.endIndex])
  }

  /// `nil` for a percent sign without two hexadecimal digits.
  private func percentDecoded(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    var decoded: [UInt8] = []
    var rest = text
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%") {
        let digits = rest.prefix(2)
        guard digits.count == 2, digits.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }),
          let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
        else { return nil }
        rest = rest.dropFirst(2)
        decoded.append(value)
      } else {
        decoded.append(byte)
      }
    }
    return decoded
  }
}
