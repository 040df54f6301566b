/// What the fuzzer says, read from the front; zeros when it has said all.
struct Input {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { position >= bytes.count }

  mutating func byte() -> UInt8 {
    guard position < bytes.count else { return 0 }
    defer { position += 1 }
    return bytes[position]
  }

  mutating func take(_ count: Int) -> [UInt8] {
    let taken = Array(bytes[min(position, bytes.count)...].prefix(count))
    position += taken.count
    return taken
  }

  /// As many bytes as the next one says.
  mutating func run() -> [UInt8] { take(Int(byte())) }

  mutating func rest() -> [UInt8] { take(bytes.count) }

  /// One of `choices`, which are not empty.
  mutating func choice<Value>(_ choices: [Value]) -> Value { choices[Int(byte()) % choices.count] }

  /// A small number, or one near a power of two.
  mutating func number() -> UInt64 {
    let byte = byte()
    guard byte >= 128 else { return UInt64(byte) }
    return (1 << UInt64(byte & 63)) &+ UInt64(bitPattern: Int64(byte & 64 == 0 ? 0 : -1))
  }
}

extension [UInt8] {
  /// Changes some bytes, cuts some off the end, or adds some.
  mutating func mutate(_ input: inout Input) {
    for _ in 0..<Int(input.byte() & 7) {
      let place = Int(input.byte()) << 8 | Int(input.byte())
      let value = input.byte()
      guard !isEmpty else { return append(value) }
      switch place >> 14 {
      case 0, 1: self[place % count] = value
      case 2: self[place % count] ^= 1 << (value & 7)
      default: if value & 1 == 0 { removeLast(Swift.min(count, Int(value >> 1))) } else { append(value) }
      }
    }
  }
}
