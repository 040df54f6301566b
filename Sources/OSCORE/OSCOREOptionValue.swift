public import Wire

/// The value of the OSCORE option: the compressed headers of the COSE object (RFC 8613, 6.1).
///
/// Strict, so that each value has one form: reserved flag bits and lengths, a Partial IV with leading zeros, and a flag
/// byte of zero, which is to be an empty value, are all ``DropReason/oscoreMalformed``.
public struct OSCOREOptionValue: Hashable, Sendable {
  /// The highest Partial IV: it has at most 5 bytes.
  public static let maximumPartialIV: UInt64 = (1 << 40) - 1
  /// Bytes that the option may have (RFC 8613, 2).
  public static let maximumLength = 255

  /// The sequence number of the message; every request has one.
  public var partialIV: UInt64?
  /// The ID Context, at most 255 bytes.
  public var kidContext: [UInt8]?
  /// The Sender ID of who sent the message; every request has one.
  public var kid: [UInt8]?

  public init(partialIV: UInt64? = nil, kidContext: [UInt8]? = nil, kid: [UInt8]? = nil) {
    self.partialIV = partialIV
    self.kidContext = kidContext
    self.kid = kid
  }

  private static let kidContextFlag: UInt8 = 0x10
  private static let kidFlag: UInt8 = 0x08

  /// A Partial IV as it is encoded: without leading zeros, and zero as one byte (RFC 8613, 5).
  static func encode(partialIV: UInt64) -> [UInt8] {
    let count = max(1, (UInt64.bitWidth - partialIV.leadingZeroBitCount + 7) / 8)
    return (0..<count).map { UInt8(truncatingIfNeeded: partialIV >> UInt64(8 * (count - 1 - $0))) }
  }
}

extension OSCOREOptionValue: WireValue {
  /// Reads all that is left: the option ends the value. Throws ``DropReason/oscoreMalformed``.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let start = reader
    do throws(ParseError) { try self.init(fields: &reader) } catch {
      reader = start
      throw ParseError(.oscoreMalformed, at: Int(error.offset))
    }
  }

  @_lifetime(reader: copy reader)
  private init(fields reader: inout ByteReader) throws(ParseError) {
    self.init()
    guard !reader.isAtEnd else { return }
    guard reader.remaining <= Self.maximumLength else { throw reader.error(.tooLong) }
    let flags = try reader.u8()
    let length = Int(flags & 7)
    guard flags != 0, flags & 0xe0 == 0, length <= 5 else { throw reader.error(.reservedValue) }
    if length > 0 {
      if length > 1, try reader.peek() == 0 { throw reader.error(.reservedValue) }
      var value: UInt64 = 0
      for _ in 0..<length { value = value << 8 | UInt64(try reader.u8()) }
      partialIV = value
    }
    if flags & Self.kidContextFlag != 0 { kidContext = try reader.bytes(Int(try reader.u8())).array() }
    if flags & Self.kidFlag != 0 { kid = reader.takeRest().array() }
    try reader.expectEnd()
  }

  public var encodedLength: Int {
    let length =
      (partialIV.map { Self.encode(partialIV: $0).count } ?? 0) + (kidContext.map { 1 + $0.count } ?? 0)
      + (kid?.count ?? 0)
    return partialIV == nil && kidContext == nil && kid == nil ? 0 : 1 + length
  }

  /// Writes the value; nothing if it has no field. Throws ``EmitError/notRepresentable`` for a Partial IV over
  /// ``maximumPartialIV`` and for more than ``maximumLength`` bytes.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard partialIV ?? 0 <= Self.maximumPartialIV, encodedLength <= Self.maximumLength else {
      throw .notRepresentable
    }
    guard encodedLength > 0 else { return }
    let number = partialIV.map(Self.encode(partialIV:)) ?? []
    try writer.u8(
      UInt8(number.count) | (kidContext == nil ? 0 : Self.kidContextFlag) | (kid == nil ? 0 : Self.kidFlag))
    try writer.bytes(number)
    if let kidContext {
      try writer.u8(UInt8(kidContext.count))
      try writer.bytes(kidContext)
    }
    if let kid { try writer.bytes(kid) }
  }
}
