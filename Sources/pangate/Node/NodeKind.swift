import ArgumentParser
import COSE
import CoAP
import Envelope
import Node
import Wire

/// What a reference device is there for: what it measures, and what it does when it is told something.
enum NodeKind: String, ExpressibleByArgument, CaseIterable, Sendable {
  case lock, thermostat, occupancy, rain, temperature, camera

  /// What it says when nothing was written to it, at the `number`-th time; a SenML pack (RFC 8428).
  func reading(_ number: UInt64, values: [String: [UInt8]]) -> SenMLRecord {
    func written(_ path: String) -> String? { values[path].map { String(decoding: $0, as: UTF8.self) } }
    // A day in 96 readings.
    let wave = abs(Int64(number % 96) - 48)
    switch self {
    case .lock: return SenMLRecord(name: "bolt", text: written("/lock") == "open" ? "open" : "closed")
    case .thermostat:
      return SenMLRecord(name: "setpoint", unit: "Cel", value: written("/setpoint").flatMap(Double.init) ?? 20)
    case .occupancy: return SenMLRecord(name: "occupancy", flag: number % 3 == 1)
    case .rain: return SenMLRecord(name: "rain", unit: "mm", value: Double(number % 7) / 2)
    case .temperature: return SenMLRecord(name: "temperature", unit: "Cel", value: 18 + Double(wave) / 8)
    case .camera: return SenMLRecord(name: "camera", text: "ready")
    }
  }

  /// The path whose change is worth a report of its own.
  var controlledPath: String? {
    switch self {
    case .lock: "/lock"
    case .thermostat: "/setpoint"
    default: nil
    }
  }
}

/// One record of a SenML pack, in CBOR (RFC 8428, 6): a number, a text or a flag.
struct SenMLRecord: Sendable {
  var name: String
  var unit: String?
  var value: Double?
  var text: String?
  var flag: Bool?

  init(name: String, unit: String? = nil, value: Double? = nil, text: String? = nil, flag: Bool? = nil) {
    self.name = name
    self.unit = unit
    self.value = value
    self.text = text
    self.flag = flag
  }

  /// A record whose pack has `count` bytes, as near as one can: for measurements.
  static func filler(_ count: Int) -> SenMLRecord {
    SenMLRecord(name: "r", text: String(repeating: "x", count: max(0, min(count, 64) - (count > 30 ? 8 : 7))))
  }

  var encoded: [UInt8] {
    var pairs = [CBORPair(0, .text(name))]
    if let unit { pairs.append(CBORPair(1, .text(unit))) }
    if let value { pairs.append(CBORPair(2, .float(value))) }
    if let text { pairs.append(CBORPair(3, .text(text))) }
    if let flag { pairs.append(CBORPair(4, .bool(flag))) }
    return (try? CBORValue.array([.map(pairs)]).encoded()) ?? []
  }

  /// For people: `temperature 21.5 Cel`.
  var description: String {
    let what = value.map { "\($0)" } ?? text ?? flag.map { $0 ? "yes" : "no" } ?? ""
    return [name, what, unit].compactMap(\.self).joined(separator: " ")
  }
}
