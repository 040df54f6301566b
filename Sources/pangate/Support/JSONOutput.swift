import Foundation

/// JSON as every command prints it: sorted keys, no escaped slashes, one value a line.
enum JSONOutput {
  static func line(_ value: some Encodable) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(value) else { return "{}" }
    return String(decoding: data, as: UTF8.self)
  }
}

/// Buffered standard output: one write for many lines.
struct OutputBuffer: ~Copyable {
  private var buffer: [UInt8] = []
  private let handle: FileHandle

  init(_ handle: FileHandle = .standardOutput) {
    self.handle = handle
    buffer.reserveCapacity(1 << 16)
  }

  mutating func line(_ text: String) throws {
    buffer.append(contentsOf: text.utf8)
    buffer.append(0x0a)
    if buffer.count >= 1 << 16 { try flush() }
  }

  mutating func flush() throws {
    guard !buffer.isEmpty else { return }
    try handle.write(contentsOf: Data(buffer))
    buffer.removeAll(keepingCapacity: true)
  }
}
