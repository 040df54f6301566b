import Wire

extension CBORValue: CustomStringConvertible {
  /// Diagnostic notation (RFC 8949, 8): what a person reads. Text is quoted with the escapes of JSON.
  public var description: String {
    switch self {
    case .unsigned(let value): String(value)
    // -1 - argument without overflow: 2^64 is the one value whose magnitude does not fit.
    case .negative(let argument): argument == .max ? "-18446744073709551616" : "-\(argument + 1)"
    case .bytes(let bytes): "h'\(bytes.hex)'"
    case .text(let text): Self.quoted(text)
    case .array(let items): "[\(items.map(\.description).joined(separator: ", "))]"
    case .map(let pairs): "{\(pairs.map { "\($0.key): \($0.value)" }.joined(separator: ", "))}"
    case .tag(let number, let content): "\(number)(\(content))"
    case .bool(let value): value ? "true" : "false"
    case .null: "null"
    case .undefined: "undefined"
    case .simple(let value): "simple(\(value))"
    case .float(let value): Self.number(value)
    }
  }

  /// Swift prints the shortest digits that read back; only the names of the special values differ.
  private static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
    return "\(value)"
  }

  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case "\u{0}"..<"\u{20}", "\u{7f}"..<"\u{a0}":
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
