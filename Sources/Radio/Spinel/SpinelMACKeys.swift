import Wire

/// RCP_MAC_KEY: the keys with which a co-processor secures frames of key identifier mode 1, three in a row so that a change of
/// key needs no pause. It must have had a frame counter (``SpinelProperty/rcpMACFrameCounter``) before it sends.
public struct SpinelMACKeys: Hashable, Sendable, WireValue, CustomStringConvertible {
  /// The Key Index of ``current`` in a frame, 1 to 255.
  public var keyIndex: UInt8
  /// 16 octets; all zero if there is none.
  public var previous: [UInt8]
  /// 16 octets. Frames are sent with it.
  public var current: [UInt8]
  /// 16 octets; all zero if there is none.
  public var next: [UInt8]

  /// Octets of a key (AES-128).
  public static let keyLength = 16
  /// Key identifier mode 1 in the bits of the security control field.
  private static let keyIdentifierMode: UInt8 = 1 << 3

  public init(
    keyIndex: UInt8, current: [UInt8], previous: [UInt8] = .init(repeating: 0, count: keyLength),
    next: [UInt8] = .init(repeating: 0, count: keyLength)
  ) {
    self.keyIndex = keyIndex
    self.previous = previous
    self.current = current
    self.next = next
  }

  /// ``DropReason/reservedValue`` for another key identifier mode, ``DropReason/lengthMismatch`` for keys of another length.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let start = reader.error(.reservedValue)
    guard try reader.u8() == Self.keyIdentifierMode else { throw start }
    keyIndex = try reader.u8()
    previous = try Self.key(&reader)
    current = try Self.key(&reader)
    next = try Self.key(&reader)
  }

  @_lifetime(reader: copy reader)
  private static func key(_ reader: inout ByteReader) throws(ParseError) -> [UInt8] {
    let start = reader.error(.lengthMismatch)
    guard try reader.u16LE() == keyLength else { throw start }
    return try reader.bytes(keyLength).array()
  }

  public var encodedLength: Int { 2 + 3 * (2 + Self.keyLength) }

  /// ``EmitError/notRepresentable`` for keys that are not 16 octets long.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    try writer.u8(Self.keyIdentifierMode)
    try writer.u8(keyIndex)
    for key in [previous, current, next] {
      guard key.count == Self.keyLength else { throw .notRepresentable }
      try writer.u16LE(UInt16(Self.keyLength))
      try writer.bytes(key)
    }
  }

  /// Says nothing about the keys.
  public var description: String { "keys around index \(keyIndex)" }
}
