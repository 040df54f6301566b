public import Wire

/// Any CBOR data item (RFC 8949, 2) as a value.
///
/// Two values are equal when their deterministic encodings are: -0.0 is not 0.0, a not-a-number equals itself, and
/// the order in which the pairs of a map were given does not matter.
public indirect enum CBORValue: Sendable {
  case unsigned(UInt64)
  /// The integer -1 - `argument`.
  case negative(UInt64)
  case bytes([UInt8])
  case text(String)
  case array([CBORValue])
  /// Pairs in any order; they are written in the order of their encoded keys, and parsed ones are in that order.
  case map([CBORPair])
  case tag(UInt64, CBORValue)
  case bool(Bool)
  case null
  case undefined
  /// A simple value without a name: 0...19 or 32...255. 20...23 are the named ones, 24...31 cannot be written.
  case simple(UInt8)
  case float(Double)

  /// An integer of either sign.
  public static func integer(_ value: Int64) -> CBORValue {
    value < 0 ? .negative(UInt64(-1 - value)) : .unsigned(UInt64(value))
  }
}

/// One key of a map with its value.
public struct CBORPair: Sendable, Hashable {
  public var key: CBORValue
  public var value: CBORValue

  public init(_ key: CBORValue, _ value: CBORValue) {
    self.key = key
    self.value = value
  }
}

extension CBORValue: WireValue {
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    var items = CBORReader(reader)
    try self.init(reading: &items)
    try reader.skip(items.offset - reader.offset)
  }

  /// Reads one item with all that it holds.
  @_lifetime(reader: copy reader)
  public init(reading reader: inout CBORReader) throws(ParseError) {
    try self.init(reading: &reader, depth: 0)
  }

  @_lifetime(reader: copy reader)
  private init(reading reader: inout CBORReader, depth: Int) throws(ParseError) {
    switch try reader.peekKind() {
    case .unsigned: self = .unsigned(try reader.unsigned())
    case .negative: self = .negative(try reader.negative())
    case .bytes: self = .bytes(try reader.bytes().array())
    case .text: self = .text(try reader.text())
    case .bool: self = .bool(try reader.bool())
    case .null:
      try reader.null()
      self = .null
    case .undefined:
      try reader.undefined()
      self = .undefined
    case .simple: self = .simple(try reader.simple())
    case .float: self = .float(try reader.float())
    case .tag:
      try reader.checkDepth(depth)
      self = .tag(try reader.tag(), try CBORValue(reading: &reader, depth: depth + 1))
    case .array:
      try reader.checkDepth(depth)
      // The arrays grow with what is really there: a nested count is bounded by the bytes left, yet items are
      // larger here than on the wire.
      var items: [CBORValue] = []
      for _ in 0..<(try reader.array()) { items.append(try CBORValue(reading: &reader, depth: depth + 1)) }
      self = .array(items)
    case .map:
      try reader.checkDepth(depth)
      var pairs: [CBORPair] = []
      var position = try reader.map()
      while try reader.nextKey(in: &position, depth: depth + 1) {
        let key = try CBORValue(reading: &reader, depth: depth + 1)
        pairs.append(CBORPair(key, try CBORValue(reading: &reader, depth: depth + 1)))
      }
      self = .map(pairs)
    }
  }

  public var encodedLength: Int {
    switch self {
    case .unsigned(let argument), .negative(let argument): CBORWriter.headLength(argument)
    case .bytes(let bytes): CBORWriter.headLength(UInt64(bytes.count)) + bytes.count
    case .text(let text): CBORWriter.headLength(UInt64(text.utf8.count)) + text.utf8.count
    case .array(let items): items.reduce(CBORWriter.headLength(UInt64(items.count))) { $0 + $1.encodedLength }
    case .map(let pairs):
      pairs.reduce(CBORWriter.headLength(UInt64(pairs.count))) {
        $0 + $1.key.encodedLength + $1.value.encodedLength
      }
    case .tag(let number, let content): CBORWriter.headLength(number) + content.encodedLength
    case .bool, .null, .undefined: 1
    case .simple(let value): value < 24 ? 1 : 2
    case .float(let value):
      switch CBORFloat.shortest(value).initialByte {
      case CBORFloat.half: 3
      case CBORFloat.single: 5
      default: 9
      }
    }
  }

  /// Writes the one deterministic encoding. Throws ``EmitError/notRepresentable`` for a repeated key, a reserved
  /// simple value, and nesting deeper than ``CBORReader/maximumDepth``.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    var items = CBORWriter(capacity: encodedLength)
    try write(to: &items)
    try writer.bytes(items.bytes)
  }

  /// As ``emit(into:)``, to bytes that grow.
  public func write(to writer: inout CBORWriter) throws(EmitError) { try write(to: &writer, depth: 0) }

  private func write(to writer: inout CBORWriter, depth: Int) throws(EmitError) {
    switch self {
    case .unsigned(let value): writer.unsigned(value)
    case .negative(let argument): writer.negative(argument)
    case .bytes(let value): writer.bytes(value)
    case .text(let value): writer.text(value)
    case .bool(let value): writer.bool(value)
    case .null: writer.null()
    case .undefined: writer.undefined()
    case .simple(let value): try writer.simple(value)
    case .float(let value): writer.float(value)
    case .tag(let number, let content):
      guard depth < CBORReader.maximumDepth else { throw .notRepresentable }
      writer.tag(number)
      try content.write(to: &writer, depth: depth + 1)
    case .array(let items):
      guard depth < CBORReader.maximumDepth else { throw .notRepresentable }
      writer.array(items.count)
      for item in items { try item.write(to: &writer, depth: depth + 1) }
    case .map(let pairs):
      guard depth < CBORReader.maximumDepth else { throw .notRepresentable }
      var encoded: [(key: [UInt8], value: [UInt8])] = []
      for pair in pairs {
        var key = CBORWriter()
        var value = CBORWriter()
        try pair.key.write(to: &key, depth: depth + 1)
        try pair.value.write(to: &value, depth: depth + 1)
        encoded.append((key.bytes, value.bytes))
      }
      try writer.map(encoded)
    }
  }
}

extension CBORValue: Hashable {
  public static func == (left: CBORValue, right: CBORValue) -> Bool {
    switch (left, right) {
    case (.bytes(let one), .bytes(let other)): one == other
    case (.array(let one), .array(let other)): one == other
    case (.tag(let one, let content), .tag(let other, let otherContent)):
      one == other && content == otherContent
    default:
      // Values without an encoding equal nothing, so that equality never hides a value that cannot be written.
      if let one = try? left.encoded(), let other = try? right.encoded() { one == other } else { false }
    }
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(try? encoded()) }
}

extension CBORValue: ExpressibleByIntegerLiteral, ExpressibleByStringLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral,
  ExpressibleByFloatLiteral
{
  public init(integerLiteral value: Int64) { self = .integer(value) }
  public init(stringLiteral value: String) { self = .text(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(arrayLiteral items: CBORValue...) { self = .array(items) }
  public init(dictionaryLiteral pairs: (CBORValue, CBORValue)...) {
    self = .map(pairs.map { CBORPair($0, $1) })
  }
  public init(nilLiteral: ()) { self = .null }
  public init(floatLiteral value: Double) { self = .float(value) }
}

extension CBORValue {
  /// The value of an unsigned integer.
  public var unsignedValue: UInt64? { if case .unsigned(let value) = self { value } else { nil } }

  /// The value of an integer that fits 64 bits with sign.
  public var integerValue: Int64? {
    switch self {
    case .unsigned(let value): Int64(exactly: value)
    case .negative(let argument): Int64(exactly: argument).map { -1 - $0 }
    default: nil
    }
  }

  /// The content of a byte string.
  public var bytesValue: [UInt8]? { if case .bytes(let value) = self { value } else { nil } }

  /// The content of a text string.
  public var textValue: String? { if case .text(let value) = self { value } else { nil } }

  /// The items of an array.
  public var arrayValue: [CBORValue]? { if case .array(let value) = self { value } else { nil } }

  /// The pairs of a map.
  public var mapValue: [CBORPair]? { if case .map(let value) = self { value } else { nil } }

  /// The value under an integer key of a map; `nil` if this is no map or has no such key.
  public subscript(key: Int64) -> CBORValue? { mapValue?.first { $0.key.integerValue == key }?.value }
}
