import Metrics
import Testing

@testable import pangate

/// The text exposition format of Prometheus, version 0.0.4.
@Suite struct PrometheusRegistryTests {
  private func lines(_ registry: PrometheusRegistry) -> [String] {
    #expect(registry.text.last == "\n")
    return registry.text.split(separator: "\n").map(String.init)
  }

  @Test("Metrics of one name stand together under their type, in order of their labels")
  func order() {
    let registry = PrometheusRegistry()
    func counter(_ name: String, _ labels: [(String, String)], _ value: Int64) {
      Counter(label: name, dimensions: labels, factory: registry).increment(by: value)
    }
    counter("b_total", [("reason", "y")], 2)
    counter("a_total", [], 1)
    counter("b_total", [("reason", "x")], 3)
    counter("b_total", [], 4)
    Meter(label: "level", factory: registry).set(-5)
    #expect(
      lines(registry) == [
        "# TYPE a_total counter", "a_total 1", "# TYPE b_total counter", "b_total 4", #"b_total{reason="x"} 3"#,
        #"b_total{reason="y"} 2"#, "# TYPE level gauge", "level -5",
      ])
  }

  @Test("The same name and labels are the same metric, whoever asks for it")
  func identity() {
    let registry = PrometheusRegistry()
    for _ in 0..<3 {
      Counter(label: "n_total", dimensions: [("a", "1"), ("b", "2")], factory: registry).increment()
    }
    #expect(lines(registry) == ["# TYPE n_total counter", #"n_total{a="1",b="2"} 3"#])
    Counter(label: "n_total", dimensions: [("a", "1"), ("b", "2")], factory: registry).reset()
    #expect(lines(registry).last == #"n_total{a="1",b="2"} 0"#)
  }

  @Test("Backslash, quotation mark and line feed are escaped in labels, so that no line can be forged")
  func escaping() {
    let registry = PrometheusRegistry()
    Counter(label: "n_total", dimensions: [("l", "a\\b\"c\nforged 1")], factory: registry).increment()
    #expect(lines(registry) == ["# TYPE n_total counter", #"n_total{l="a\\b\"c\nforged 1"} 1"#])
  }

  @Test("Gauges go up and down and keep fractions; large numbers keep their size")
  func gauges() {
    let registry = PrometheusRegistry()
    let gauge = Meter(label: "g", factory: registry)
    gauge.set(2.5)
    gauge.increment(by: 1)
    gauge.decrement(by: 0.25)
    #expect(lines(registry).last == "g 3.25")
    gauge.set(Double(UInt64.max))
    #expect(lines(registry).last.flatMap { Double($0.dropFirst(2)) } == Double(UInt64.max))
    gauge.set(Double.infinity)
    #expect(lines(registry).last.flatMap { Double($0.dropFirst(2)) } == .infinity)
    gauge.set(Double.nan)
    #expect(lines(registry).last.flatMap { Double($0.dropFirst(2)) }?.isNaN == true)
  }

  @Test("A recorder is a summary with count and sum, a timer the same in seconds")
  func summaries() {
    let registry = PrometheusRegistry()
    let recorder = Recorder(label: "size", dimensions: [("k", "v")], factory: registry)
    recorder.record(100)
    recorder.record(20.5)
    let timer = Timer(label: "time", factory: registry)
    timer.recordNanoseconds(1_500_000_000)
    timer.recordNanoseconds(500_000_000)
    #expect(
      lines(registry) == [
        "# TYPE size summary", #"size_count{k="v"} 2"#, #"size_sum{k="v"} 120.5"#, "# TYPE time summary",
        "time_count 2", "time_sum 2",
      ])
  }

  @Test("A counter wraps around and never traps")
  func overflow() {
    let registry = PrometheusRegistry()
    let counter = Counter(label: "n_total", factory: registry)
    counter.increment(by: Int64.max)
    counter.increment(by: Int64.max)
    #expect(lines(registry).count == 2)
  }

  @Test("Nothing counted is nothing but an end of line")
  func empty() { #expect(lines(PrometheusRegistry()).isEmpty) }
}
