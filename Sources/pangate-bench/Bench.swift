import BorderRouter
import Glibc
import IEEE802154
import IPv6
import Radio
import SixLoWPAN
import Wire

/// Measures what decoding a frame costs: `pangate-bench PCAP ITERATIONS [--context N=PREFIX/LENGTH]...`.
///
/// Decodes all frames of a capture, down to CoAP with all checksums, ITERATIONS times in each of five runs, and
/// prints the CPU time per frame. The file is read and laid out in memory before.
@main
struct Bench {
  static let runs = 5

  static func main() {
    do throws(BenchError) {
      try run(try BenchArguments(CommandLine.arguments.dropFirst()))
    } catch {
      complain(error.description)
      exit(1)
    }
  }

  static func run(_ arguments: BenchArguments) throws(BenchError) {
    let frames = try FrameSet(path: arguments.path)
    guard frames.count > 0 else { throw BenchError("\(arguments.path) has no frames") }
    var decoder = FrameDecoder()
    for (identifier, prefix) in arguments.contexts {
      decoder.contexts.set(identifier, prefix: prefix, compress: true, expires: nil)
    }
    let expected = frames.decode(with: &decoder)
    print("\(frames.count) frames, \(frames.byteCount) bytes, \(expected) datagrams, \(decoder.drops.total) dropped")
    for (reason, count) in decoder.drops.nonZero { print("  \(reason.name) \(count)") }

    var costs: [Double] = []
    for run in 1...runs {
      let start = processorNanoseconds()
      for _ in 0..<arguments.iterations {
        let datagrams = frames.decode(with: &decoder)
        guard datagrams == expected else {
          throw BenchError("a pass gave \(datagrams) datagrams, not \(expected)")
        }
      }
      let elapsed = Double(processorNanoseconds() - start)
      let cost = elapsed / Double(arguments.iterations) / Double(frames.count)
      costs.append(cost)
      print("run \(run): \(tenths(cost)) ns/frame")
    }
    costs.sort()
    print("best \(tenths(costs[0])) ns/frame, median \(tenths(costs[costs.count / 2])) ns/frame")
  }

  static func tenths(_ value: Double) -> String {
    let number = Int((value * 10).rounded())
    return "\(number / 10).\(number % 10)"
  }
}
