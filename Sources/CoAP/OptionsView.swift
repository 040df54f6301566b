import Wire

/// One option of a message as a view.
@frozen
public struct CoAPOptionView: ~Escapable {
  public let number: CoAPOptionNumber
  @usableFromInline let _value: RawSpan

  @inlinable public var value: RawSpan {
    @_lifetime(copy self) get { _value }
  }

  @inlinable
  @_lifetime(copy value)
  init(number: CoAPOptionNumber, value: RawSpan) {
    self.number = number
    self._value = value
  }

  /// The value as a number (RFC 7252, 3.2); leading zeros are accepted. `nil` for more than 8 bytes.
  @inlinable public var uint: UInt64? {
    guard _value.byteCount <= 8 else { return nil }
    var number: UInt64 = 0
    for index in 0..<_value.byteCount { number = number << 8 | UInt64(_value[byteAt: index]) }
    return number
  }
}

/// Goes through the options of a message in the order of their numbers, without allocation.
@frozen
public struct CoAPOptionsView: ~Escapable {
  @usableFromInline var reader: ByteReader
  @usableFromInline var number: Int

  /// `options` are checked options without the payload marker.
  @inlinable
  @_lifetime(copy options)
  init(_ options: RawSpan) {
    reader = ByteReader(options)
    number = 0
  }

  /// The next option; `nil` at the end.
  @inlinable
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func next() -> CoAPOptionView? {
    do {
      guard !reader.isAtEnd else { return nil }
      let (delta, length) = try Self.header(&reader, lead: try reader.u8())
      number &+= delta
      let value = try reader.bytes(length)
      return CoAPOptionView(
        number: CoAPOptionNumber(rawValue: UInt16(truncatingIfNeeded: number)), value: value)
    } catch {
      // Cannot be: the options were checked when the message was parsed.
      return nil
    }
  }

  /// Reads what follows the first byte of an option up to its value (RFC 7252, 3.1).
  @inlinable
  @inline(__always)
  @_lifetime(reader: copy reader)
  static func header(
    _ reader: inout ByteReader, lead: UInt8
  ) throws(ParseError) -> (delta: Int, length: Int) {
    let delta = try extended(&reader, nibble: lead >> 4)
    return (delta, try extended(&reader, nibble: lead & 15))
  }

  @inlinable
  @inline(__always)
  @_lifetime(reader: copy reader)
  static func extended(_ reader: inout ByteReader, nibble: UInt8) throws(ParseError) -> Int {
    if nibble < 13 { return Int(nibble) }
    switch nibble {
    case 13: return Int(try reader.u8()) &+ 13
    case 14: return Int(try reader.u16()) &+ 269
    default: throw reader.error(.coapOptionReserved)
    }
  }
}

/// Options and payload: what follows the token, over UDP as over TCP and inside OSCORE (RFC 7252, 3.1; RFC 8613, 5.3).
@frozen
public struct CoAPContentView: ~Escapable {
  /// Options that a message may have; a bound on the work that one message can cause.
  @inlinable public static var maximumOptionCount: Int { 128 }

  @usableFromInline let _options: RawSpan
  @usableFromInline let _payload: RawSpan
  /// How many options there are.
  public let optionCount: Int

  /// Goes through the options from the first.
  @inlinable public var options: CoAPOptionsView {
    @_lifetime(copy self) get { CoAPOptionsView(_options) }
  }

  /// The options as on the wire.
  @inlinable public var optionBytes: RawSpan {
    @_lifetime(copy self) get { _options }
  }

  /// The payload; empty if there is none.
  @inlinable public var payload: RawSpan {
    @_lifetime(copy self) get { _payload }
  }

  /// Checks all of `bytes`; `offset` is where they stand in the message, for error positions.
  ///
  /// Throws ``DropReason/coapOptionReserved`` for a delta or a length of 15, ``DropReason/coapOptionNumberOverflow`` for
  /// a number over 65,535, ``DropReason/truncated`` for an option that runs past the end,
  /// ``DropReason/coapOptionTooMany`` for more than ``maximumOptionCount`` of them, and
  /// ``DropReason/coapPayloadMarkerWithoutPayload``.
  @inlinable
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan, offset: Int = 0) throws(ParseError) {
    var reader = ByteReader(bytes, offset: offset)
    var number = 0
    var count = 0
    while !reader.isAtEnd {
      let start = reader.offset
      let lead = try reader.u8()
      guard lead != 0xff else {
        guard !reader.isAtEnd else { throw ParseError(.coapPayloadMarkerWithoutPayload, at: start) }
        _options = bytes.extracting(first: start &- offset)
        _payload = reader.takeRest()
        optionCount = count
        return
      }
      let (delta, length) = try CoAPOptionsView.header(&reader, lead: lead)
      number &+= delta
      count &+= 1
      guard number <= 0xffff else { throw ParseError(.coapOptionNumberOverflow, at: start) }
      guard count <= Self.maximumOptionCount else { throw ParseError(.coapOptionTooMany, at: start) }
      try reader.skip(length)
    }
    _options = bytes
    _payload = reader.takeRest()
    optionCount = count
  }
}
