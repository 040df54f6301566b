import Wire

/// What a nested information element is (IEEE 802.15.4-2020, tables 7-16 and 7-17). The two forms have numbers of their
/// own.
@frozen
public enum NestedIEIdentifier: Hashable, Sendable {
  /// Up to 255 octets of content; 0 to 127.
  case short(UInt8)
  /// Up to 2,047 octets of content; 0 to 15.
  case long(UInt8)

  @inlinable public static var tschSynchronization: NestedIEIdentifier { .short(0x1a) }
  @inlinable public static var tschSlotframeAndLink: NestedIEIdentifier { .short(0x1b) }
  @inlinable public static var tschTimeslot: NestedIEIdentifier { .short(0x1c) }
  @inlinable public static var enhancedBeaconFilter: NestedIEIdentifier { .short(0x1e) }
  @inlinable public static var channelHopping: NestedIEIdentifier { .long(0x9) }
}

/// An information element inside the MLME payload element (7.4.4.1).
public struct NestedIE: Hashable, Sendable, WireValue {
  public var identifier: NestedIEIdentifier
  public var content: [UInt8]

  public init(_ identifier: NestedIEIdentifier, content: [UInt8]) {
    self.identifier = identifier
    self.content = content
  }

  /// Reads one element; ``DropReason/macIEMalformed`` for a length beyond the input.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let malformed = reader.error(.macIEMalformed)
    guard reader.remaining >= 2 else { throw malformed }
    let descriptor = try reader.u16LE()
    let isLong = descriptor & 0x8000 != 0
    let length = Int(descriptor & (isLong ? 0x7ff : 0xff))
    identifier =
      isLong
      ? .long(UInt8(truncatingIfNeeded: (descriptor >> 11) & 15)) : .short(UInt8(truncatingIfNeeded: descriptor >> 8))
    guard length <= reader.remaining else { throw malformed }
    content = try reader.bytes(length).array()
  }

  public var encodedLength: Int { 2 + content.count }

  /// Writes the element. ``EmitError/notRepresentable`` for a number or a length beyond the form.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    switch identifier {
    case .short(let number):
      guard number < 128, content.count <= 255 else { throw .notRepresentable }
      try writer.u16LE(UInt16(number) << 8 | UInt16(content.count))
    case .long(let number):
      guard number < 16, content.count <= 2047 else { throw .notRepresentable }
      try writer.u16LE(0x8000 | UInt16(number) << 11 | UInt16(content.count))
    }
    try writer.bytes(content)
  }

  /// All elements in the content of an MLME payload element.
  public static func all(in content: RawSpan) throws(ParseError) -> [NestedIE] {
    var reader = ByteReader(content)
    var elements: [NestedIE] = []
    while !reader.isAtEnd { elements.append(try NestedIE(parsing: &reader)) }
    return elements
  }
}
