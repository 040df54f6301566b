import Wire

/// A block of a little-endian pcapng file (draft-ietf-opsawg-pcapng, 3.1): type, length, body, and the length again.
public enum PcapngBlock: Hashable, Sendable, WireValue {
  case section(PcapngSection)
  case interface(PcapngInterface)
  case packet(PcapngPacket)
  /// Any other, with its body, whose length is a multiple of four.
  case other(type: UInt32, body: [UInt8])

  /// Reads a block.
  ///
  /// Throws ``DropReason/lengthMismatch`` if the two lengths differ, are no multiple of four or do not fit the body,
  /// ``DropReason/truncated`` if the block is cut off, and what the bodies throw.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let type = try reader.u32LE()
    if type == Self.typeSection { try Self.refuseOtherByteOrder(reader) }
    let wrongLength = reader.error(.lengthMismatch)
    let length = try reader.u32LE()
    guard length >= 12, length & 3 == 0 else { throw wrongLength }
    var body = try reader.reader(Int(length) - 12)
    guard try reader.u32LE() == length else { throw wrongLength }
    switch type {
    case Self.typeSection: self = .section(try PcapngSection(parsing: &body))
    case Self.typeInterface: self = .interface(try PcapngInterface(parsing: &body))
    case Self.typePacket: self = .packet(try PcapngPacket(parsing: &body))
    default: self = .other(type: type, body: body.takeRest().array())
    }
    guard body.isAtEnd else { throw body.error(.lengthMismatch) }
  }

  /// A section's length can be read only when its byte order is known, which stands behind it.
  private static func refuseOtherByteOrder(_ reader: ByteReader) throws(ParseError) {
    var reader = reader
    try reader.skip(4)
    let unsupported = reader.error(.unsupported)
    guard try reader.u32() != PcapngSection.byteOrder else { throw unsupported }
  }

  public var encodedLength: Int {
    switch self {
    case .section(let body): 12 + body.encodedLength
    case .interface(let body): 12 + body.encodedLength
    case .packet(let body): 12 + body.encodedLength
    case .other(_, let body): 12 + body.count
    }
  }

  /// Writes the block. An ``other(type:body:)`` of a type that has a case here or whose body is no multiple of four bytes,
  /// and what the bodies cannot write, is ``EmitError/notRepresentable``.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard let length = UInt32(exactly: encodedLength) else { throw .notRepresentable }
    try writer.u32LE(type)
    try writer.u32LE(length)
    switch self {
    case .section(let body): try body.emit(into: &writer)
    case .interface(let body): try body.emit(into: &writer)
    case .packet(let body): try body.emit(into: &writer)
    case .other(let type, let body):
      guard ![Self.typeSection, Self.typeInterface, Self.typePacket].contains(type), body.count & 3 == 0 else {
        throw .notRepresentable
      }
      try writer.bytes(body)
    }
    try writer.u32LE(length)
  }

  private var type: UInt32 {
    switch self {
    case .section: Self.typeSection
    case .interface: Self.typeInterface
    case .packet: Self.typePacket
    case .other(let type, _): type
    }
  }

  private static var typeSection: UInt32 { 0x0a0d_0d0a }
  private static var typeInterface: UInt32 { 1 }
  private static var typePacket: UInt32 { 6 }
}
