import Wire

/// One option: its number and its value.
public struct CoAPOption: Hashable, Sendable, CustomStringConvertible {
  public var number: CoAPOptionNumber
  public var value: [UInt8]

  public init(_ number: CoAPOptionNumber, _ value: [UInt8] = []) {
    self.number = number
    self.value = value
  }

  /// An option with a number as its value, in the shortest form (RFC 7252, 3.2).
  public init(_ number: CoAPOptionNumber, uint: UInt64) {
    let count = (UInt64.bitWidth - uint.leadingZeroBitCount + 7) / 8
    self.init(number, (0..<count).reversed().map { UInt8(truncatingIfNeeded: uint >> UInt64($0 * 8)) })
  }

  public init(_ number: CoAPOptionNumber, string: String) { self.init(number, Array(string.utf8)) }

  /// The value as a number; leading zeros are accepted. `nil` for more than 8 bytes.
  public var uint: UInt64? { value.count <= 8 ? value.reduce(0) { $0 << 8 | UInt64($1) } : nil }

  /// The value as text; what is not UTF-8 is replaced.
  public var string: String { String(decoding: value, as: UTF8.self) }

  public var description: String {
    switch number.definition?.format {
    case .uint: "\(number): \(uint.map(String.init) ?? value.hex)"
    case .string: "\(number): \(string)"
    case .empty where value.isEmpty: "\(number)"
    default: "\(number): \(value.hex)"
    }
  }
}

/// The options of a message in the order of their numbers; those of one number keep their order.
public struct CoAPOptions: Hashable, Sendable, RandomAccessCollection, ExpressibleByArrayLiteral {
  private var storage: [CoAPOption]

  public init() { storage = [] }

  public init(_ options: some Sequence<CoAPOption>) {
    storage = []
    for option in options { append(option) }
  }

  public init(arrayLiteral options: CoAPOption...) { self.init(options) }

  /// Copies what a view holds.
  public init(_ view: borrowing CoAPContentView) {
    storage = []
    storage.reserveCapacity(view.optionCount)
    var options = view.options
    while let option = options.next() { storage.append(CoAPOption(option.number, option.value.array())) }
  }

  public var startIndex: Int { storage.startIndex }
  public var endIndex: Int { storage.endIndex }
  public subscript(position: Int) -> CoAPOption { storage[position] }

  /// Adds an option behind those with the same or a lower number.
  public mutating func append(_ option: CoAPOption) {
    let position = storage.lastIndex { $0.number <= option.number }.map { $0 + 1 } ?? 0
    storage.insert(option, at: position)
  }

  /// Removes all options with `number`.
  public mutating func remove(_ number: CoAPOptionNumber) { storage.removeAll { $0.number == number } }

  /// The values of all options with `number`. Setting replaces them.
  public subscript(values number: CoAPOptionNumber) -> [[UInt8]] {
    get { storage.filter { $0.number == number }.map(\.value) }
    set {
      remove(number)
      for value in newValue { append(CoAPOption(number, value)) }
    }
  }

  /// The value of the first option with `number`. Setting replaces all with that number; `nil` removes them.
  public subscript(value number: CoAPOptionNumber) -> [UInt8]? {
    get { storage.first { $0.number == number }?.value }
    set { self[values: number] = newValue.map { [$0] } ?? [] }
  }

  /// The first option with `number` as a number. Setting replaces all with that number; `nil` removes them.
  public subscript(uint number: CoAPOptionNumber) -> UInt64? {
    get { storage.first { $0.number == number }?.uint }
    set { self[value: number] = newValue.map { CoAPOption(number, uint: $0).value } }
  }

  /// All options with `number` as text.
  public subscript(strings number: CoAPOptionNumber) -> [String] {
    get { storage.filter { $0.number == number }.map(\.string) }
    set { self[values: number] = newValue.map { Array($0.utf8) } }
  }

  public func contains(_ number: CoAPOptionNumber) -> Bool { storage.contains { $0.number == number } }

  /// Bytes on the wire (RFC 7252, 3.1).
  public var encodedLength: Int {
    var previous = 0
    return storage.reduce(into: 0) { length, option in
      let number = Int(option.number.rawValue)
      length += 1 + Self.extension(number - previous).bytes + Self.extension(option.value.count).bytes
      length += option.value.count
      previous = number
    }
  }

  /// Writes the options.
  ///
  /// ``EmitError/notRepresentable`` for a value over 65,804 bytes and for more than
  /// ``CoAPContentView/maximumOptionCount`` options.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard count <= CoAPContentView.maximumOptionCount else { throw .notRepresentable }
    var previous = 0
    for option in storage {
      let number = Int(option.number.rawValue)
      let delta = number - previous
      let length = option.value.count
      guard length <= 0xffff + 269 else { throw .notRepresentable }
      try writer.u8(Self.extension(delta).nibble << 4 | Self.extension(length).nibble)
      try Self.emitExtension(delta, into: &writer)
      try Self.emitExtension(length, into: &writer)
      try writer.bytes(option.value)
      previous = number
    }
  }

  private static func `extension`(_ value: Int) -> (nibble: UInt8, bytes: Int) {
    switch value {
    case ..<13: (UInt8(truncatingIfNeeded: value), 0)
    case ..<269: (13, 1)
    default: (14, 2)
    }
  }

  @_lifetime(writer: copy writer)
  private static func emitExtension(_ value: Int, into writer: inout ByteWriter) throws(EmitError) {
    switch value {
    case ..<13: break
    case ..<269: try writer.u8(UInt8(truncatingIfNeeded: value - 13))
    default: try writer.u16(UInt16(truncatingIfNeeded: value - 269))
    }
  }
}
