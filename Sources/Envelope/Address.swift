import Crypto
import Wire

/// The address of an identity (`fp`): the SHA-256 of its certificate in DER, 32 bytes.
///
/// Nobody hands out addresses and nobody can take another's: whoever wants this one needs this certificate.
@frozen
public struct Address: Hashable, Sendable, WireValue {
  /// The digest as four big-endian words: compared and hashed without an allocation.
  @usableFromInline var words: (UInt64, UInt64, UInt64, UInt64)

  /// Bytes of an address.
  public static let length = 32

  /// The address of the identity with this certificate.
  public init(ofCertificate der: [UInt8]) {
    self.init(digest: SHA256.hash(data: der))
  }

  init(digest: SHA256.Digest) {
    var words: [UInt64] = [0, 0, 0, 0]
    for (index, byte) in digest.enumerated() where index < Address.length {
      words[index / 8] = words[index / 8] << 8 | UInt64(byte)
    }
    self.words = (words[0], words[1], words[2], words[3])
  }

  /// An address of 32 bytes; `nil` for any other number.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count == Address.length, let address = try? Address(parsing: bytes) else { return nil }
    self = address
  }

  /// Reads 64 hexadecimal digits; spaces and colons between them are passed over.
  public init?(hex text: some StringProtocol) {
    guard let bytes = [UInt8](hex: text) else { return nil }
    self.init(bytes)
  }

  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    guard reader.remaining >= Address.length else { throw reader.error(.truncated) }
    words = (try reader.u64(), try reader.u64(), try reader.u64(), try reader.u64())
  }

  public var encodedLength: Int { Address.length }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    try writer.u64(words.0)
    try writer.u64(words.1)
    try writer.u64(words.2)
    try writer.u64(words.3)
  }

  /// The 32 bytes.
  public var bytes: [UInt8] {
    [words.0, words.1, words.2, words.3].flatMap(\.bigEndianBytes)
  }

  /// The first 8 bytes: what stands for the address on the PAN.
  @inlinable public var short: Short { Short(words.0) }

  @inlinable
  public static func == (left: Address, right: Address) -> Bool { left.words == right.words }

  @inlinable
  public func hash(into hasher: inout Hasher) {
    // Words of a SHA-256 are as random as any hash of them; two of them are enough for a table.
    hasher.combine(words.0)
    hasher.combine(words.1)
  }
}

extension Address: Comparable, CustomStringConvertible {
  public static func < (left: Address, right: Address) -> Bool { left.words < right.words }

  /// 64 hexadecimal digits.
  public var description: String { bytes.hex }
}

extension Address {
  /// A short address (`fp8`): the first 8 bytes of an ``Address``, SHA-256/64 in COSE.
  ///
  /// 64 bits are too few against someone who makes identities until two of them meet. So a short address is only
  /// ever looked up inside one group, in which the oracle admits no two that are equal, and the signature is
  /// verified with the key of the member that was found.
  @frozen
  public struct Short: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The 8 bytes, first byte most significant.
    public var value: UInt64

    /// Bytes of a short address.
    public static let length = 8

    @inlinable public init(_ value: UInt64) { self.value = value }

    /// A short address of 8 bytes; `nil` for any other number.
    public init?(_ bytes: [UInt8]) {
      guard bytes.count == Short.length else { return nil }
      value = bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The 8 bytes.
    public var bytes: [UInt8] { value.bigEndianBytes }

    /// 16 hexadecimal digits.
    public var description: String { bytes.hex }

    public static func < (left: Short, right: Short) -> Bool { left.value < right.value }
  }
}

/// How an envelope names a party: by its whole address or by the first 8 bytes of it.
@frozen
public enum AddressReference: Hashable, Sendable, CustomStringConvertible {
  case full(Address)
  case short(Address.Short)

  /// A reference of 32 or 8 bytes; `nil` for any other number.
  public init?(_ bytes: [UInt8]) {
    if let address = Address(bytes) {
      self = .full(address)
    } else if let short = Address.Short(bytes) {
      self = .short(short)
    } else {
      return nil
    }
  }

  /// The first 8 bytes, which both forms have.
  @inlinable public var short: Address.Short {
    switch self {
    case .full(let address): address.short
    case .short(let short): short
    }
  }

  /// Whether `address` may be the one that is meant: exactly for a whole address, by its first 8 bytes otherwise.
  @inlinable
  public func matches(_ address: Address) -> Bool {
    switch self {
    case .full(let full): full == address
    case .short(let short): short == address.short
    }
  }

  /// 32 or 8 bytes.
  public var bytes: [UInt8] {
    switch self {
    case .full(let address): address.bytes
    case .short(let short): short.bytes
    }
  }

  /// 64 or 16 hexadecimal digits.
  public var description: String { bytes.hex }
}

extension UInt64 {
  /// The eight bytes, most significant first.
  var bigEndianBytes: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: self >> (56 - 8 * UInt64($0))) } }
}
