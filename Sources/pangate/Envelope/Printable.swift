import Foundation

/// Text from outside, made fit for a terminal.
enum Printable {
  /// One line: control characters, which could move the cursor or start escape sequences, become `\u{...}`, and so do
  /// the characters that turn the direction of writing.
  static func line(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned:
        result += "\\u{\(String(scalar.value, radix: 16))}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// Text if the bytes are text, hexadecimal otherwise.
  static func bytes(_ bytes: [UInt8]) -> String {
    guard let text = String(validating: bytes, as: UTF8.self), !text.contains("\0") else {
      return "h'\(bytes.hexText)'"
    }
    return line(text)
  }

  /// `2026-01-01T00:00:00Z`, or the number if no calendar reaches that far.
  static func time(_ seconds: UInt64) -> String {
    guard seconds <= 253_402_300_799 else { return "\(seconds) s after 1970" }
    return Date(timeIntervalSince1970: TimeInterval(seconds)).formatted(.iso8601)
  }
}

extension [UInt8] {
  fileprivate var hexText: String { map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() }
}
