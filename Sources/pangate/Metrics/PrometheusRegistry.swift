import CoreMetrics
import Synchronization

/// A backend of swift-metrics that keeps every metric in memory and prints them in Prometheus's text format.
final class PrometheusRegistry: MetricsFactory, Sendable {
  private struct Key: Hashable {
    var name: String
    var labels: String
  }

  private struct State {
    var counters: [Key: PrometheusCounter] = [:]
    var gauges: [Key: PrometheusGauge] = [:]
    var summaries: [Key: PrometheusSummary] = [:]
  }

  private let state = Mutex(State())

  private static func key(_ label: String, _ dimensions: [(String, String)]) -> Key {
    let labels = dimensions.map { name, value in
      let escaped = value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
      return "\(name)=\"\(escaped)\""
    }
    return Key(name: label, labels: labels.isEmpty ? "" : "{" + labels.joined(separator: ",") + "}")
  }

  func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
    let key = Self.key(label, dimensions)
    return state.withLock { state in
      if let known = state.counters[key] { return known }
      let new = PrometheusCounter()
      state.counters[key] = new
      return new
    }
  }

  func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
    let key = Self.key(label, dimensions)
    return state.withLock { state in
      if let known = state.gauges[key] { return known }
      let new = PrometheusGauge()
      state.gauges[key] = new
      return new
    }
  }

  func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
    summary(Self.key(label, dimensions), scale: 1)
  }

  /// In seconds, as Prometheus wants times.
  func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    summary(Self.key(label, dimensions), scale: 1e-9)
  }

  private func summary(_ key: Key, scale: Double) -> PrometheusSummary {
    state.withLock { state in
      if let known = state.summaries[key] { return known }
      let new = PrometheusSummary(scale: scale)
      state.summaries[key] = new
      return new
    }
  }

  func destroyCounter(_ handler: any CounterHandler) {}
  func destroyMeter(_ handler: any MeterHandler) {}
  func destroyRecorder(_ handler: any RecorderHandler) {}
  func destroyTimer(_ handler: any TimerHandler) {}

  /// Everything, in the text exposition format 0.0.4.
  var text: String {
    let (counters, gauges, summaries) = state.withLock { ($0.counters, $0.gauges, $0.summaries) }
    var lines: [String] = []
    func add(_ kind: String, _ samples: [(key: Key, values: [(suffix: String, value: Double)])]) {
      for (name, group) in Dictionary(grouping: samples, by: \.key.name).sorted(by: { $0.key < $1.key }) {
        lines.append("# TYPE \(name) \(kind)")
        for sample in group.sorted(by: { $0.key.labels < $1.key.labels }) {
          for (suffix, value) in sample.values {
            lines.append("\(name)\(suffix)\(sample.key.labels) \(Self.text(value))")
          }
        }
      }
    }
    add("counter", counters.map { ($0.key, [("", Double($0.value.value))]) })
    add("gauge", gauges.map { ($0.key, [("", $0.value.value)]) })
    add("summary", summaries.map { ($0.key, [("_count", Double($0.value.count)), ("_sum", $0.value.sum)]) })
    return lines.joined(separator: "\n") + "\n"
  }

  private static func text(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
  }
}

final class PrometheusCounter: CounterHandler {
  private let state = Mutex<Int64>(0)
  var value: Int64 { state.withLock { $0 } }
  func increment(by amount: Int64) { state.withLock { $0 &+= amount } }
  func reset() { state.withLock { $0 = 0 } }
}

final class PrometheusGauge: MeterHandler {
  private let state = Mutex<Double>(0)
  var value: Double { state.withLock { $0 } }
  func set(_ value: Int64) { set(Double(value)) }
  func set(_ value: Double) { state.withLock { $0 = value } }
  func increment(by amount: Double) { state.withLock { $0 += amount } }
  func decrement(by amount: Double) { state.withLock { $0 -= amount } }
}

final class PrometheusSummary: RecorderHandler, TimerHandler {
  private let state = Mutex<(count: UInt64, sum: Double)>((0, 0))
  private let scale: Double

  init(scale: Double) { self.scale = scale }

  var count: UInt64 { state.withLock { $0.count } }
  var sum: Double { state.withLock { $0.sum } }
  func record(_ value: Int64) { record(Double(value)) }
  func record(_ value: Double) {
    state.withLock { state in
      state.count += 1
      state.sum += value * scale
    }
  }
  func recordNanoseconds(_ duration: Int64) { record(Double(duration)) }
}
