import COSE
import Foundation
import Wire

/// SenML (RFC 8428) as lines for people: one a record, base values applied.
enum SenMLText {
  /// A record by the names of the JSON form, values as they are to be printed.
  private typealias Fields = [String: String]

  /// Labels of the CBOR form (RFC 8428, 6).
  private static let labels: [Int64: String] = [
    -1: "bver", -2: "bn", -3: "bt", -4: "bu", -5: "bv", -6: "bs", 0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb",
    5: "s",
    6: "t", 7: "ut", 8: "vd",
  ]

  /// `nil` if it is not a SenML pack.
  static func lines(cbor bytes: [UInt8]) -> [String]? {
    guard let pack = (try? CBORValue(parsing: bytes))?.arrayValue else { return nil }
    var records: [Fields] = []
    for item in pack {
      guard let pairs = item.mapValue else { return nil }
      var fields: Fields = [:]
      for pair in pairs {
        let key = pair.key.integerValue.flatMap { labels[$0] } ?? pair.key.textValue ?? pair.key.description
        fields[key] = pair.value.textValue.map(Printable.line) ?? pair.value.description
      }
      records.append(fields)
    }
    return lines(records)
  }

  /// `nil` if it is not a SenML pack.
  static func lines(json bytes: [UInt8]) -> [String]? {
    guard let pack = try? JSONDecoder().decode([[String: JSONScalar]].self, from: Data(bytes)) else {
      return nil
    }
    return lines(pack.map { $0.mapValues(\.text) })
  }

  private static func lines(_ records: [Fields]) -> [String] {
    var base: Fields = [:]
    return records.map { fields in
      for key in ["bn", "bt", "bu", "bv", "bs"] { base[key] = fields[key] ?? base[key] }
      var parts = [(base["bn"] ?? "") + (fields["n"] ?? "")]
      if let value = sum(base["bv"], fields["v"]) ?? fields["vs"] ?? fields["vb"] ?? fields["vd"] {
        parts.append(value)
      }
      if let unit = fields["u"] ?? base["bu"] { parts.append(unit) }
      if let total = sum(base["bs"], fields["s"]) { parts.append("sum \(total)") }
      if let time = sum(base["bt"], fields["t"]), let seconds = Double(time) {
        parts.append("at \(moment(seconds))")
      }
      return parts.filter { !$0.isEmpty }.joined(separator: " ")
    }
  }

  /// A base value added to a value (RFC 8428, 4.1); one alone stands as it is.
  private static func sum(_ base: String?, _ value: String?) -> String? {
    guard let base, let value else { return value ?? base }
    guard let first = Double(base), let second = Double(value) else { return value }
    return number(first + second)
  }

  private static func number(_ value: Double) -> String {
    value == value.rounded() && value.magnitude < 1e15 ? String(Int64(value)) : String(value)
  }

  /// Times before 2^28 are relative to now (RFC 8428, 4.5.3).
  private static func moment(_ seconds: Double) -> String {
    guard seconds >= 268_435_456, seconds < 253_402_300_800 else { return "\(number(seconds)) s from now" }
    return Printable.time(UInt64(seconds))
  }
}

/// A value of a SenML record in JSON.
private enum JSONScalar: Decodable {
  case number(Double)
  case bool(Bool)
  case string(String)

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else {
      self = .string(try container.decode(String.self))
    }
  }

  var text: String {
    switch self {
    case .number(let value):
      value == value.rounded() && value.magnitude < 1e15 ? String(Int64(value)) : String(value)
    case .bool(let value): value ? "true" : "false"
    case .string(let value): Printable.line(value)
    }
  }
}
