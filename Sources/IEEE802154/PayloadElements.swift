import Wire

/// A payload information element as a view (IEEE 802.15.4-2020, 7.4.3).
@frozen
public struct PayloadIEView: ~Escapable {
  /// 0 ESDU, 1 MLME (see ``NestedIEs``), 2 vendor specific, 5 IETF (RFC 8137), 15 termination.
  public let group: UInt8
  let _content: RawSpan
  public var content: RawSpan {
    @_lifetime(copy self) get { _content }
  }

  @_lifetime(copy content)
  init(group: UInt8, content: RawSpan) {
    self.group = group
    self._content = content
  }
}

/// Walks the payload information elements at the start of a MAC payload in the clear.
@frozen
public struct PayloadIEs: ~Escapable {
  var reader: ByteReader
  var ended = false

  @_lifetime(copy payload)
  public init(_ payload: RawSpan) { reader = ByteReader(payload) }

  /// What was not read yet: behind the last element, the frame payload.
  public var rest: RawSpan {
    @_lifetime(copy self) get { reader.rest }
  }

  /// The next element, a termination included; `nil` behind that or at the end of the payload.
  ///
  /// Throws ``DropReason/macIEMalformed`` for a header element, a length beyond the payload or a termination with content.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func next() throws(ParseError) -> PayloadIEView? {
    guard !ended, !reader.isAtEnd else { return nil }
    let malformed = reader.error(.macIEMalformed)
    guard reader.remaining >= 2 else { throw malformed }
    let descriptor = try reader.u16LE()
    let length = Int(descriptor & 0x7ff)
    let group = UInt8(truncatingIfNeeded: (descriptor >> 11) & 15)
    ended = group == 15
    guard descriptor & 0x8000 != 0, length <= reader.remaining, length == 0 || !ended else { throw malformed }
    return PayloadIEView(group: group, content: try reader.bytes(length))
  }
}
