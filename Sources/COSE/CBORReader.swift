public import Wire

/// Reads deterministically encoded CBOR (RFC 8949, 4.2.1) and refuses everything else.
///
/// Refused: indefinite lengths, arguments and floats that are not in their shortest form, map keys out of order or
/// repeated, text that is not UTF-8, reserved values, and nesting deeper than ``maximumDepth``. A claimed count is
/// checked against the bytes that are left, so no caller allocates for items that cannot be there. A read that
/// throws consumes nothing; its error stands at the first byte of the item.
public struct CBORReader: ~Escapable {
  /// How deep arrays, maps and tags may nest.
  public static let maximumDepth = 16

  private let whole: RawSpan
  private let base: Int
  private var cursor: ByteReader

  /// Reads `bytes` from their start. `offset` is where `bytes` stand in a larger input, for error positions.
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan, offset: Int = 0) {
    whole = bytes
    base = offset
    cursor = ByteReader(bytes, offset: offset)
  }

  /// Reads what `reader` has not read yet.
  @_lifetime(copy reader)
  public init(_ reader: ByteReader) { self.init(reader.rest, offset: reader.offset) }

  /// Bytes read so far, counted from the start of the whole input.
  public var offset: Int { cursor.offset }

  public var isAtEnd: Bool { cursor.isAtEnd }

  /// What has not been read.
  public var rest: RawSpan {
    @_lifetime(copy self) get { cursor.rest }
  }

  /// An error at the current position.
  public func error(_ reason: DropReason) -> ParseError { cursor.error(reason) }

  /// Throws ``DropReason/trailingBytes`` unless everything was read.
  public func expectEnd() throws(ParseError) { try cursor.expectEnd() }

  /// The kind of the next item, by its first byte alone.
  public func peekKind() throws(ParseError) -> CBORKind { CBORKind(initialByte: try cursor.peek()) }

  // MARK: Integers, simple values and floats

  /// An unsigned integer.
  @_lifetime(self: copy self)
  public mutating func unsigned() throws(ParseError) -> UInt64 { try argument(of: 0) }

  /// A negative integer, as the argument n of -1 - n.
  @_lifetime(self: copy self)
  public mutating func negative() throws(ParseError) -> UInt64 { try argument(of: 1) }

  /// An unsigned integer of at most `maximum`; a larger one is ``DropReason/cborIntegerOverflow``.
  @_lifetime(self: copy self)
  public mutating func unsigned(upTo maximum: UInt64) throws(ParseError) -> UInt64 {
    let start = cursor
    let value = try unsigned()
    guard value <= maximum else {
      cursor = start
      throw start.error(.cborIntegerOverflow)
    }
    return value
  }

  /// An unsigned or negative integer that fits 64 bits with sign; else ``DropReason/cborIntegerOverflow``.
  @_lifetime(self: copy self)
  public mutating func integer() throws(ParseError) -> Int64 {
    let start = cursor
    let negative = try peekKind() == .negative
    let argument = try argument(of: negative ? 1 : 0)
    guard let magnitude = Int64(exactly: argument) else {
      cursor = start
      throw start.error(.cborIntegerOverflow)
    }
    return negative ? -1 - magnitude : magnitude
  }

  @_lifetime(self: copy self)
  public mutating func bool() throws(ParseError) -> Bool {
    switch try cursor.peek() {
    case 0xf4:
      try cursor.skip(1)
      return false
    case 0xf5:
      try cursor.skip(1)
      return true
    default: throw error(.cborTypeMismatch)
    }
  }

  /// The value null.
  @_lifetime(self: copy self)
  public mutating func null() throws(ParseError) { try exactly(0xf6) }

  /// The value undefined.
  @_lifetime(self: copy self)
  public mutating func undefined() throws(ParseError) { try exactly(0xf7) }

  /// Reads null if it comes next.
  @_lifetime(self: copy self)
  public mutating func takeNull() throws(ParseError) -> Bool {
    guard try cursor.peek() == 0xf6 else { return false }
    try null()
    return true
  }

  /// A simple value without a name of its own: 0...19 or 32...255.
  @_lifetime(self: copy self)
  public mutating func simple() throws(ParseError) -> UInt8 {
    guard try peekKind() == .simple else { throw error(.cborTypeMismatch) }
    let start = cursor
    let low = try cursor.u8() & 31
    if low < 20 { return low }
    let failure: DropReason
    if low == 24 {
      if cursor.isAtEnd {
        failure = .truncated
      } else {
        let value = try cursor.u8()
        if value >= 32 { return value }
        failure = .cborSimpleReserved
      }
    } else {
      // 31 is the "break" that ends an indefinite length, out of place here in any case.
      failure = low == 31 ? .cborIndefiniteLength : .cborSimpleReserved
    }
    cursor = start
    throw start.error(failure)
  }

  /// A floating-point number of any width, in its shortest form.
  @_lifetime(self: copy self)
  public mutating func float() throws(ParseError) -> Double {
    guard try peekKind() == .float else { throw error(.cborTypeMismatch) }
    let start = cursor
    var reader = cursor
    let initialByte = try reader.u8()
    let value: Double
    let bits: UInt64
    do {
      switch initialByte {
      case CBORFloat.half:
        let half = try reader.u16()
        (value, bits) = (CBORFloat.value(half: half), UInt64(half))
      case CBORFloat.single:
        let single = try reader.u32()
        (value, bits) = (Double(Float(bitPattern: single)), UInt64(single))
      default:
        bits = try reader.u64()
        value = Double(bitPattern: bits)
      }
    } catch { throw start.error(error.reason) }
    let shortest = CBORFloat.shortest(value)
    guard shortest.initialByte == initialByte, shortest.bits == bits else {
      throw start.error(.cborNotShortest)
    }
    cursor = reader
    return value
  }

  // MARK: Strings

  /// A byte string, as a view.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func bytes() throws(ParseError) -> RawSpan { try string(of: 2) }

  /// A byte string of exactly `count` bytes, as a view; another length is ``DropReason/lengthMismatch``.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func bytes(count: Int) throws(ParseError) -> RawSpan {
    let start = cursor
    let value = try bytes()
    guard value.byteCount == count else {
      cursor = start
      throw start.error(.lengthMismatch)
    }
    return value
  }

  /// A text string as the view of its UTF-8.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func textBytes() throws(ParseError) -> RawSpan {
    let start = cursor
    let value = try string(of: 3)
    guard value.isValidUTF8 else {
      cursor = start
      throw start.error(.cborInvalidUTF8)
    }
    return value
  }

  /// A text string.
  @_lifetime(self: copy self)
  public mutating func text() throws(ParseError) -> String {
    String(decoding: try textBytes().array(), as: UTF8.self)
  }

  // MARK: Arrays, maps and tags

  /// The head of an array: the number of its items, which follow. Never more than the bytes left.
  @_lifetime(self: copy self)
  public mutating func array() throws(ParseError) -> Int { try count(of: 4, itemsEach: 1) }

  /// The head of an array that must have `count` items; another number is ``DropReason/lengthMismatch``.
  @_lifetime(self: copy self)
  public mutating func array(count: Int) throws(ParseError) {
    let start = cursor
    guard try array() == count else {
      cursor = start
      throw start.error(.lengthMismatch)
    }
  }

  /// The head of a map. Its pairs are walked with ``nextKey(in:)``, which checks the order of the keys.
  @_lifetime(self: copy self)
  public mutating func map() throws(ParseError) -> CBORMapPosition {
    let count = try count(of: 5, itemsEach: 2)
    return CBORMapPosition(remaining: count)
  }

  /// Whether `map` has another pair. If so the reader stands before its key, which was found to be well-formed and
  /// in order; the caller reads the key and then the value.
  ///
  /// Throws ``DropReason/cborDuplicateKey`` and ``DropReason/cborKeyOrder`` (bytewise order of the encodings).
  public func nextKey(in map: inout CBORMapPosition) throws(ParseError) -> Bool {
    try nextKey(in: &map, depth: 0)
  }

  func nextKey(in map: inout CBORMapPosition, depth: Int) throws(ParseError) -> Bool {
    guard map.remaining > 0 else { return false }
    var ahead = self
    try ahead.skipKey(in: &map, depth: depth)
    return true
  }

  /// The number of a tag; its content follows.
  @_lifetime(self: copy self)
  public mutating func tag() throws(ParseError) -> UInt64 { try argument(of: 6) }

  // MARK: Whole items

  /// Passes over one item with all that it holds, and checks every part of it.
  @_lifetime(self: copy self)
  public mutating func skip() throws(ParseError) {
    let start = cursor
    do throws(ParseError) { try skip(depth: 0) } catch {
      cursor = start
      throw error
    }
  }

  /// One item with all that it holds, checked, as the view of its encoding.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func itemBytes() throws(ParseError) -> RawSpan {
    let start = offset - base
    try skip()
    return whole.extracting(start..<(offset - base))
  }

  /// What was read since `start`, an offset that this reader had.
  @_lifetime(copy self)
  func consumed(from start: Int) -> RawSpan { whole.extracting((start - base)..<(offset - base)) }

  @_lifetime(self: copy self)
  private mutating func skip(depth: Int) throws(ParseError) {
    switch try peekKind() {
    case .unsigned: _ = try argument(of: 0)
    case .negative: _ = try argument(of: 1)
    case .bytes: _ = try bytes()
    case .text: _ = try textBytes()
    case .bool, .null, .undefined: try cursor.skip(1)
    case .simple: _ = try simple()
    case .float: _ = try float()
    case .tag:
      try checkDepth(depth)
      _ = try tag()
      try skip(depth: depth + 1)
    case .array:
      try checkDepth(depth)
      for _ in 0..<(try array()) { try skip(depth: depth + 1) }
    case .map:
      try checkDepth(depth)
      var pairs = try map()
      while pairs.remaining > 0 {
        try skipKey(in: &pairs, depth: depth + 1)
        try skip(depth: depth + 1)
      }
    }
  }

  /// Passes over a key and checks that it comes after the key before it.
  @_lifetime(self: copy self)
  private mutating func skipKey(in map: inout CBORMapPosition, depth: Int) throws(ParseError) {
    let before = cursor
    let start = offset - base
    try skip(depth: depth)
    let end = offset - base
    if map.keyEnd > 0 {
      // A position that belongs to another reader is a caller's mistake; it must not become a trap.
      guard map.keyEnd <= start else { throw before.error(.cborKeyOrder) }
      switch whole.extracting(map.keyStart..<map.keyEnd).bytewiseOrder(whole.extracting(start..<end)) {
      case .ascending: break
      case .equal: throw before.error(.cborDuplicateKey)
      case .descending: throw before.error(.cborKeyOrder)
      }
    }
    map.remaining -= 1
    map.keyStart = start
    map.keyEnd = end
  }

  /// Throws ``DropReason/cborTooDeep`` if one more level is too much.
  func checkDepth(_ depth: Int) throws(ParseError) {
    guard depth < Self.maximumDepth else { throw error(.cborTooDeep) }
  }

  // MARK: Heads

  /// The argument of an item of the given major type, in its shortest form (RFC 8949, 3 and 4.2.1).
  @_lifetime(self: copy self)
  private mutating func argument(of majorType: UInt8) throws(ParseError) -> UInt64 {
    let initialByte = try cursor.peek()
    guard initialByte >> 5 == majorType else { throw error(.cborTypeMismatch) }
    var reader = cursor
    let value: UInt64
    let least: UInt64
    do throws(ParseError) {
      try reader.skip(1)
      switch initialByte & 31 {
      case 24: (value, least) = (UInt64(try reader.u8()), 24)
      case 25: (value, least) = (UInt64(try reader.u16()), 1 << 8)
      case 26: (value, least) = (UInt64(try reader.u32()), 1 << 16)
      case 27: (value, least) = (try reader.u64(), 1 << 32)
      case 28...30: throw error(.reservedValue)
      case 31: throw error(majorType >= 2 && majorType <= 5 ? .cborIndefiniteLength : .reservedValue)
      case let small: (value, least) = (UInt64(small), 0)
      }
    } catch { throw self.error(error.reason) }
    guard value >= least else { throw error(.cborNotShortest) }
    cursor = reader
    return value
  }

  /// The content of a string, as a view.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  private mutating func string(of majorType: UInt8) throws(ParseError) -> RawSpan {
    let start = cursor
    let length = try argument(of: majorType)
    guard length <= UInt64(cursor.remaining) else {
      cursor = start
      throw start.error(.truncated)
    }
    return try cursor.bytes(Int(length))
  }

  /// The count of an array or map whose elements take at least `itemsEach` bytes.
  @_lifetime(self: copy self)
  private mutating func count(of majorType: UInt8, itemsEach: UInt64) throws(ParseError) -> Int {
    let start = cursor
    let count = try argument(of: majorType)
    guard count <= UInt64(cursor.remaining) / itemsEach else {
      cursor = start
      throw start.error(.truncated)
    }
    return Int(count)
  }

  @_lifetime(self: copy self)
  private mutating func exactly(_ initialByte: UInt8) throws(ParseError) {
    guard try cursor.peek() == initialByte else { throw error(.cborTypeMismatch) }
    try cursor.skip(1)
  }
}

/// Where a reader stands in a map: the pairs left and the key read last.
public struct CBORMapPosition: Sendable {
  /// Pairs that have not been begun.
  public internal(set) var remaining: Int
  /// The key read last, from the start of the reader's bytes; empty before the first.
  var keyStart = 0
  var keyEnd = 0

  init(remaining: Int) { self.remaining = remaining }
}
