import Wire

/// What protects a frame (IEEE 802.15.4-2020, 9.4.2.1).
@frozen
public struct SecurityLevel: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// 0 to 7.
  public let rawValue: UInt8

  /// `nil` over 7.
  @inlinable
  public init?(rawValue: UInt8) {
    guard rawValue < 8 else { return nil }
    self.rawValue = rawValue
  }

  @inlinable init(bits: UInt8) { rawValue = bits & 7 }

  @inlinable public static var none: SecurityLevel { SecurityLevel(bits: 0) }
  @inlinable public static var mic32: SecurityLevel { SecurityLevel(bits: 1) }
  @inlinable public static var mic64: SecurityLevel { SecurityLevel(bits: 2) }
  @inlinable public static var mic128: SecurityLevel { SecurityLevel(bits: 3) }
  /// Encryption without authenticity; deprecated by the standard, accepted only where a key's policy says so.
  @inlinable public static var enc: SecurityLevel { SecurityLevel(bits: 4) }
  @inlinable public static var encMIC32: SecurityLevel { SecurityLevel(bits: 5) }
  @inlinable public static var encMIC64: SecurityLevel { SecurityLevel(bits: 6) }
  @inlinable public static var encMIC128: SecurityLevel { SecurityLevel(bits: 7) }

  @inlinable public var isEncrypted: Bool { rawValue >= 4 }

  /// Bytes of the message integrity code: 0, 4, 8 or 16.
  @inlinable public var micLength: Int {
    switch rawValue & 3 {
    case 0: 0
    case 1: 4
    case 2: 8
    default: 16
    }
  }

  public var description: String {
    micLength == 0
      ? isEncrypted ? "ENC" : "none" : (isEncrypted ? "ENC-" : "") + "MIC-\(micLength * 8)"
  }
}

/// Which key protects a frame (9.4.2.3).
@frozen
public enum KeyIdentifier: Hashable, Sendable {
  /// Mode 0: both sides know from the addresses.
  case implicit
  /// Mode 1: an index under the default key source.
  case index(UInt8)
  /// Mode 2: a key source of four octets, in the order of the frame, and an index.
  case shortSource(UInt32, index: UInt8)
  /// Mode 3: a key source of eight octets, in the order of the frame, and an index.
  case longSource(UInt64, index: UInt8)

  @inlinable var mode: UInt8 {
    switch self {
    case .implicit: 0
    case .index: 1
    case .shortSource: 2
    case .longSource: 3
    }
  }

  @inlinable var encodedLength: Int {
    switch self {
    case .implicit: 0
    case .index: 1
    case .shortSource: 5
    case .longSource: 9
    }
  }
}

/// The auxiliary security header (IEEE 802.15.4-2020, 9.4).
@frozen
public struct AuxiliarySecurityHeader: Hashable, Sendable, WireValue {
  public var level: SecurityLevel
  public var keyIdentifier: KeyIdentifier
  /// Rises with every frame of a sender under one key; `nil` if suppressed (2015, TSCH).
  public var frameCounter: UInt32?
  /// The nonce has the absolute slot number in place of the frame counter (2015, TSCH).
  public var hasASNInNonce: Bool

  @inlinable
  public init(
    level: SecurityLevel, keyIdentifier: KeyIdentifier, frameCounter: UInt32?, hasASNInNonce: Bool = false
  ) {
    self.level = level
    self.keyIdentifier = keyIdentifier
    self.frameCounter = frameCounter
    self.hasASNInNonce = hasASNInNonce
  }

  /// Reads the header. A set reserved bit is ``DropReason/macSecurityUnsupported``.
  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let start = reader.error(.macSecurityUnsupported)
    let control = try reader.u8()
    guard control & 0x80 == 0 else { throw start }
    level = SecurityLevel(bits: control)
    hasASNInNonce = control & 0x40 != 0
    frameCounter = control & 0x20 == 0 ? try reader.u32LE() : nil
    switch control >> 3 & 3 {
    case 0: keyIdentifier = .implicit
    case 1: keyIdentifier = .index(try reader.u8())
    case 2:
      let source = try reader.u32()
      keyIdentifier = .shortSource(source, index: try reader.u8())
    default:
      let source = try reader.u64()
      keyIdentifier = .longSource(source, index: try reader.u8())
    }
  }

  @inlinable public var encodedLength: Int { 1 + (frameCounter == nil ? 0 : 4) + keyIdentifier.encodedLength }

  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    try writer.u8(
      level.rawValue | keyIdentifier.mode << 3 | (frameCounter == nil ? 0x20 : 0) | (hasASNInNonce ? 0x40 : 0)
    )
    if let frameCounter { try writer.u32LE(frameCounter) }
    switch keyIdentifier {
    case .implicit: break
    case .index(let index): try writer.u8(index)
    case .shortSource(let source, let index):
      try writer.u32(source)
      try writer.u8(index)
    case .longSource(let source, let index):
      try writer.u64(source)
      try writer.u8(index)
    }
  }
}
