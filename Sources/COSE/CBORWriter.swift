public import Wire

/// Writes deterministic CBOR (RFC 8949, 4.2.1) to bytes that grow: every head and float in its shortest form.
///
/// Heads of arrays and maps announce how many items the caller writes next; ``map(_:)`` also sorts. The caller who
/// writes a map by hand writes its keys in the bytewise order of their encodings.
public struct CBORWriter: Sendable {
  /// What was written.
  public private(set) var bytes: [UInt8]

  public init(capacity: Int = 0) {
    bytes = []
    bytes.reserveCapacity(capacity)
  }

  /// Bytes written so far.
  public var count: Int { bytes.count }

  /// An unsigned integer.
  public mutating func unsigned(_ value: UInt64) { head(0, value) }

  /// The negative integer -1 - `argument`.
  public mutating func negative(_ argument: UInt64) { head(1, argument) }

  /// An integer of either sign.
  public mutating func integer(_ value: Int64) {
    value < 0 ? negative(UInt64(-1 - value)) : unsigned(UInt64(value))
  }

  /// A byte string.
  public mutating func bytes(_ value: [UInt8]) {
    head(2, UInt64(value.count))
    bytes.append(contentsOf: value)
  }

  /// A byte string.
  public mutating func bytes(_ value: RawSpan) {
    head(2, UInt64(value.byteCount))
    raw(value)
  }

  /// A text string.
  public mutating func text(_ value: String) {
    let utf8 = value.utf8
    head(3, UInt64(utf8.count))
    bytes.append(contentsOf: utf8)
  }

  /// The head of an array of `count` items, which are written next.
  public mutating func array(_ count: Int) { head(4, UInt64(max(0, count))) }

  /// The head of a map of `count` pairs, which are written next in the order of their keys.
  public mutating func map(_ count: Int) { head(5, UInt64(max(0, count))) }

  /// A whole map of encoded keys and values, sorted here. A repeated key throws
  /// ``EmitError/notRepresentable``.
  public mutating func map(_ pairs: [(key: [UInt8], value: [UInt8])]) throws(EmitError) {
    let sorted = pairs.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    for (one, next) in zip(sorted, sorted.dropFirst()) where one.key == next.key { throw .notRepresentable }
    map(sorted.count)
    for pair in sorted {
      bytes.append(contentsOf: pair.key)
      bytes.append(contentsOf: pair.value)
    }
  }

  /// The number of a tag; its content is written next.
  public mutating func tag(_ number: UInt64) { head(6, number) }

  public mutating func bool(_ value: Bool) { bytes.append(value ? 0xf5 : 0xf4) }

  public mutating func null() { bytes.append(0xf6) }

  public mutating func undefined() { bytes.append(0xf7) }

  /// A simple value by number. 24...31 are reserved and throw ``EmitError/notRepresentable``.
  public mutating func simple(_ value: UInt8) throws(EmitError) {
    guard !(24...31).contains(value) else { throw .notRepresentable }
    head(7, UInt64(value))
  }

  /// A floating-point number in the shortest form that keeps its value; every not-a-number as `f97e00`.
  public mutating func float(_ value: Double) {
    let (initialByte, bits) = CBORFloat.shortest(value)
    bytes.append(initialByte)
    switch initialByte {
    case CBORFloat.half: bigEndian(UInt16(truncatingIfNeeded: bits))
    case CBORFloat.single: bigEndian(UInt32(truncatingIfNeeded: bits))
    default: bigEndian(bits)
    }
  }

  /// Bytes that are an encoding already.
  public mutating func raw(_ encoded: [UInt8]) { bytes.append(contentsOf: encoded) }

  /// Bytes that are an encoding already.
  public mutating func raw(_ encoded: RawSpan) { bytes.append(contentsOf: encoded.array()) }

  /// Bytes of a head with the given argument.
  static func headLength(_ argument: UInt64) -> Int {
    switch argument {
    case ..<24: 1
    case ..<(1 << 8): 2
    case ..<(1 << 16): 3
    case ..<(1 << 32): 5
    default: 9
    }
  }

  /// Bytes of a string with its head.
  static func stringLength(_ count: Int) -> Int { headLength(UInt64(count)) + count }

  private mutating func head(_ majorType: UInt8, _ argument: UInt64) {
    let high = majorType << 5
    switch argument {
    case ..<24: bytes.append(high | UInt8(argument))
    case ..<(1 << 8):
      bytes.append(high | 24)
      bytes.append(UInt8(argument))
    case ..<(1 << 16):
      bytes.append(high | 25)
      bigEndian(UInt16(argument))
    case ..<(1 << 32):
      bytes.append(high | 26)
      bigEndian(UInt32(argument))
    default:
      bytes.append(high | 27)
      bigEndian(argument)
    }
  }

  private mutating func bigEndian<T: FixedWidthInteger & UnsignedInteger>(_ value: T) {
    for shift in stride(from: T.bitWidth - 8, through: 0, by: -8) {
      bytes.append(UInt8(truncatingIfNeeded: value >> T(shift)))
    }
  }
}
