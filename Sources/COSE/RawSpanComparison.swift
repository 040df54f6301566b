import Wire

/// How one byte string stands to another.
enum BytewiseOrder {
  case ascending
  case equal
  case descending
}

extension RawSpan {
  /// Whether the bytes are UTF-8 (RFC 3629): no surrogates, no overlong forms.
  var isValidUTF8: Bool { (try? UTF8Span(validating: Span<UInt8>(_bytes: self))) != nil }

  /// The bytewise lexicographic order of map keys (RFC 8949, 4.2.1).
  func bytewiseOrder(_ other: RawSpan) -> BytewiseOrder {
    for index in 0..<min(byteCount, other.byteCount) {
      let (left, right) = (self[byteAt: index], other[byteAt: index])
      if left != right { return left < right ? .ascending : .descending }
    }
    if byteCount == other.byteCount { return .equal }
    return byteCount < other.byteCount ? .ascending : .descending
  }
}
