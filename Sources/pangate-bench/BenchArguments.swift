import IPv6

struct BenchError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// The command line.
struct BenchArguments {
  let path: String
  let iterations: Int
  private(set) var contexts: [(UInt8, IPv6Prefix)] = []

  static let usage = "usage: pangate-bench PCAP ITERATIONS [--context N=PREFIX/LENGTH]..."

  init(_ arguments: some Sequence<String>) throws(BenchError) {
    var positional: [String] = []
    var rest = arguments.makeIterator()
    while let argument = rest.next() {
      guard argument == "--context" else {
        positional.append(argument)
        continue
      }
      let parts = (rest.next() ?? "").split(separator: "=", maxSplits: 1)
      guard parts.count == 2, let identifier = UInt8(parts[0]), identifier < 16,
        let prefix = IPv6Prefix(String(parts[1]))
      else { throw BenchError(Self.usage) }
      contexts.append((identifier, prefix))
    }
    guard positional.count == 2, let iterations = Int(positional[1]), iterations > 0 else {
      throw BenchError(Self.usage)
    }
    path = positional[0]
    self.iterations = iterations
  }
}
