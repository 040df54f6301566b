import Benchmark
import BorderRouter
import Crypto
import Envelope
import Foundation
import IEEE802154
import IPv6
import Queue
import Radio
import Relay
import SixLoWPAN
import Wire

/// Frames of the 10,000-frame corpus, loaded outside the measurement.
private func corpus() throws -> [CapturedFrame] {
  let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../../../Captures/corpus/linux-6lowpan-10k.pcap").standardized.path
  var reader = try CaptureReader(path: file)
  var frames: [CapturedFrame] = []
  while let frame = try reader.nextFrame() { frames.append(frame) }
  return frames
}

private func identity(_ name: String) throws -> Identity {
  var generator = SystemRandomNumberGenerator()
  return try Identity.new(name: name, validFrom: Instant(seconds: 1_790_000_000), using: &generator)
}

private func draft(_ protection: EnvelopeClass, to recipients: [Identity], sequence: UInt64) -> EnvelopeDraft {
  EnvelopeDraft(
    class: protection,
    recipients: recipients.map { .init($0.address, agreementKey: $0.agreementKey.publicKey) }, sequence: sequence,
    issuedAt: 1_790_000_000, lifetime: 3600,
    content: .init(format: ContentFormats.senmlCBOR, bytes: [UInt8](repeating: 7, count: 10)), addressForm: .short)
}

let benchmarks: @Sendable () -> Void = {
  Benchmark.defaultConfiguration = .init(
    metrics: [.cpuTotal, .wallClock, .throughput], warmupIterations: 2, maxDuration: .seconds(5),
    maxIterations: 10_000)

  Benchmark("decode 10,000 frames", configuration: .init(scalingFactor: .one)) { benchmark in
    let frames = try corpus()
    var decoder = FrameDecoder()
    guard let prefix = IPv6Prefix("fd00:1::/64") else { return }
    decoder.contexts.set(1, prefix: prefix, compress: true, expires: nil)
    benchmark.startMeasurement()
    for _ in benchmark.scaledIterations {
      decoder.reset()
      for frame in frames {
        let decoded = decoder.decode(frame.bytes.rawSpan, frame.metadata)
        blackHole(decoded.outcome)
      }
    }
    benchmark.stopMeasurement()
  }

  for (name, protection, count) in [
    ("auth-only", EnvelopeClass.authOnly, 1), ("confidential to one", .confidential, 1),
    ("confidential to two", .confidential, 2),
  ] {
    Benchmark("envelope make, \(name)") { benchmark in
      let sender = try identity("sender")
      let recipients = try (0..<count).map { try identity("recipient \($0)") }
      var generator = SystemRandomNumberGenerator()
      benchmark.startMeasurement()
      for _ in benchmark.scaledIterations {
        blackHole(
          try SignedEnvelope.make(
            draft(protection, to: recipients, sequence: 1), from: sender, using: &generator))
      }
      benchmark.stopMeasurement()
    }
    Benchmark("envelope parse, verify and open, \(name)") { benchmark in
      let sender = try identity("sender")
      let recipients = try (0..<count).map { try identity("recipient \($0)") }
      var generator = SystemRandomNumberGenerator()
      let bytes = try SignedEnvelope.make(
        draft(protection, to: recipients, sequence: 1), from: sender, using: &generator
      ).bytes
      benchmark.startMeasurement()
      for _ in benchmark.scaledIterations {
        let envelope = try SignedEnvelope(parsing: bytes)
        try envelope.verify(with: sender.public.signingKey)
        blackHole(try envelope.open(with: recipients[0]))
      }
      benchmark.stopMeasurement()
    }
  }

  for group in [1, 64] {
    Benchmark("queue put on disk, \(group) a transaction", configuration: .init(scalingFactor: .one)) { benchmark in
      let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pangate-\(UUID().uuidString)").path
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let store = try SQLiteStore(directory: folder)
      var mailboxes = Mailboxes(store)
      let mailbox = Mailbox(.outbox, .zero)
      var sequence: UInt64 = 0
      benchmark.startMeasurement()
      for _ in benchmark.scaledIterations {
        _ = try mailboxes.transaction { (mailboxes) throws(StoreError) in
          for _ in 0..<group {
            sequence += 1
            let deposit = Deposit(
              sender: .zero, seq: sequence, protectionClass: 0, accepted: Instant(seconds: 1),
              bytes: [UInt8](repeating: 1, count: 224))
            _ = try mailboxes.put(deposit, in: mailbox)
          }
        }
      }
      benchmark.stopMeasurement()
      store.close()
    }
  }
}
