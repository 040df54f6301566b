import ArgumentParser
import Envelope
import Foundation
import NIOPosix
import Relay

/// From sent to received.
struct LatencyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "latency",
    abstract: "Send at a steady rate to connected receivers, and say how long each envelope took.")

  @OptionGroup var options: LoadOptions
  @Option(help: "Envelopes a second, over all senders.") var rate = 1_000

  func run() async throws {
    let (relay, envelopes) = try options.prepare()
    let each = envelopes[0].count
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let receivers = try (0..<options.senders).map {
      LoadClient(relay, try options.identity("receiver\($0)"), group: group, keepsTimes: true)
    }
    let senders = try (0..<options.senders).map { LoadClient(relay, try options.identity("sender\($0)"), group: group) }
    for client in receivers + senders { try await client.up() }
    var sent: [[UInt64: ContinuousClock.Instant]] = Array(repeating: [:], count: options.senders)
    let begun = ContinuousClock.now
    for number in 0..<each {
      for index in 0..<options.senders {
        let due = begun.advanced(by: .seconds(Double(number * options.senders + index) / Double(rate)))
        if due > .now { try await Task.sleep(until: due) }
        let envelope = envelopes[index][number]
        sent[index][envelope.header.sequence] = .now
        senders[index].client.submit(envelope.bytes, number: UInt64(number))
      }
    }
    while receivers.map(\.received).reduce(0, +) < each * options.senders {
      try await Task.sleep(for: .milliseconds(5))
    }
    var times: [Double] = []
    for (index, receiver) in receivers.enumerated() {
      for (sequence, at) in receiver.times {
        guard let start = sent[index][sequence] else { continue }
        let taken = start.duration(to: at)
        times.append(Double(taken.components.seconds) * 1e6 + Double(taken.components.attoseconds) / 1e12)
      }
    }
    times.sort()
    print(
      "\(times.count) envelopes at \(rate) a second: p50 \(Int(times[times.count / 2])) us, p99 "
        + "\(Int(times[times.count * 99 / 100])) us, most \(Int(times.last ?? 0)) us")
    for client in receivers + senders { await client.client.stop() }
  }
}
