import ArgumentParser
import Bridge
import Envelope
import Foundation
import Relay
import UnixSignals
import Wire

/// `pangate stream`: bytes as they come, sealed, to those who are connected.
struct StreamCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stream", abstract: "Send or receive a stream of bytes: sealed end to end, never stored.",
    subcommands: [StreamSendCommand.self, StreamReceiveCommand.self])
}

/// `pangate stream send`
struct StreamSendCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "send", abstract: "Send standard input, or a file, as a stream.",
    discussion: """
      The key goes to the recipients in a confidential envelope; chunks are sealed with it, and relays pass them to those
      who are connected. Every 16th chunk is answered, and no more than 32 go without an answer: the fastest recipient
      sets the pace, the others see gaps.

      EXAMPLES
        ffmpeg ... -f mpegts - | pangate stream send --config Config/endpoint.yaml --to phone2
        pangate stream send --config Config/endpoint.yaml --to gateway --file clip.ts --rate 2000000

      \(Exit.help)
      """)

  @Option(help: "The endpoint's configuration; Config/endpoint.yaml explains every key.") var config: String
  @Option(help: "The recipients' names in the peer record.") var to: [String]
  @Option(help: "What to send; '-' is standard input.") var file = "-"
  @Option(help: "Bytes of a chunk.") var chunk = 1024
  @Option(help: "Bits a second at most; as fast as it goes without.") var rate: Int?
  @Option(help: "Give up when no answer has come for so many seconds.") var timeout = 10
  @Option(help: ArgumentHelp("See 'pangate relay'.", visibility: .hidden)) var startTime: Int64?

  /// Chunks between two that are answered, and those that may be without an answer.
  static let interval: UInt64 = 16
  static let window: UInt64 = 32

  func validate() throws {
    guard (16...32_768).contains(chunk) else { throw ValidationError("--chunk must be 16 to 32768") }
  }

  func run() async throws {
    let runner = try EndpointRunner(EndpointConfiguration.load(config), clock: ShiftedClock(start: startTime))
    let members = try runner.members(to)
    var generator = SystemRandomNumberGenerator()
    let key = StreamKey(using: &generator)
    let content = SignedEnvelope.Content(format: ContentFormats.streamKey, bytes: try key.cbor())
    let now = runner.clock.now
    let opening = try runner.say {
      try $0.say(
        content, to: members, as: .confidential, description: "\(to.joined(separator: ", ")): a stream", lifetime: 60,
        now: now)
    }
    // Chunks before the key would be lost.
    var waiting = Set(members.map(\.name))
    var failure: Failure?
    let isOpen = try await runner.run(timeout: .seconds(timeout)) { step in
      switch step {
      case .delivered(let delivery) where delivery.inReplyTo == opening:
        waiting.remove(delivery.from)
        try runner.say { try $0.forget(delivery.number) }
      case .refused(opening, let reason): failure = Failure(description: "refused: \(reason)", code: Exit.inputErrors)
      case .down(let url, let reason): note("pangate: \(url): \(reason); trying again")
      default: break
      }
      return waiting.isEmpty || failure != nil
    }
    if let failure { throw failure }
    if !isOpen {
      guard waiting.count < members.count else {
        throw Failure(description: "no recipient has answered within \(timeout) seconds", code: Exit.inputErrors)
      }
      note("pangate: without \(waiting.sorted().joined(separator: ", ")), who did not answer")
    }
    try await send(runner, key, members, opening)
    await runner.stop()
  }

  private func send(
    _ runner: EndpointRunner, _ key: StreamKey, _ members: [Member], _ opening: UInt64
  ) async throws {
    let input = file == "-" ? FileHandle.standardInput : FileHandle(forReadingAtPath: file)
    guard let input else { throw Failure.cannotStart("\(file): cannot be read") }
    let recipients = members.map(\.address)
    let begun = ContinuousClock.now
    var (number, answered, bytes) = (UInt64(0), UInt64(0), 0)
    while let data = try input.read(upToCount: chunk), !data.isEmpty {
      if let rate {
        let due = begun.advanced(by: .seconds(Double(bytes * 8) / Double(rate)))
        if due > .now { try await Task.sleep(until: due) }
      }
      while number - answered >= Self.window { answered = try await answer(runner, answered) }
      let envelope = try key.chunk(
        number, Array(data), to: recipients, from: runner.identity, sequence: opening,
        issuedAt: UInt64(max(0, runner.clock.now.seconds)))
      let wantsAnswer = number % Self.interval == Self.interval - 1
      runner.client.send(chunk: envelope.bytes, number: wantsAnswer ? EndpointRunner.firstChunk + number + 1 : nil)
      number += 1
      bytes += data.count
    }
    // An empty chunk ends the stream, and its answer says that all before it have gone.
    let last = try key.chunk(
      number, [], to: recipients, from: runner.identity, sequence: opening,
      issuedAt: UInt64(max(0, runner.clock.now.seconds)))
    runner.client.send(chunk: last.bytes, number: EndpointRunner.firstChunk + number + 1)
    while answered <= number { answered = try await answer(runner, answered) }
    let seconds = Double((ContinuousClock.now - begun).components.seconds) + 0.001
    note("\(number) chunks, \(bytes) bytes, \(Int(Double(bytes * 8) / seconds)) bit/s")
  }

  /// Waits until a chunk behind `answered` is answered; its number and one.
  private func answer(_ runner: EndpointRunner, _ answered: UInt64) async throws -> UInt64 {
    var latest = answered
    var failure: Failure?
    let isInTime = try await runner.run(timeout: .seconds(timeout)) { step in
      switch step {
      case .answered(let number, .custody): latest = max(latest, number - EndpointRunner.firstChunk)
      case .answered(_, .refused(let code, let reason)):
        failure = Failure(
          description: "the stream ends: \(reason ?? "code \(code >> 5).\(code & 31)")", code: Exit.inputErrors)
      case .down(let url, let reason): note("pangate: \(url): \(reason); trying again")
      default: break
      }
      return latest > answered || failure != nil
    }
    if let failure { throw failure }
    guard isInTime else {
      throw Failure(description: "no recipient has answered for \(timeout) seconds", code: Exit.inputErrors)
    }
    return latest
  }
}

/// `pangate stream receive`
struct StreamReceiveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "receive", abstract: "Receive a stream and write it to standard output, or a file.",
    discussion: """
      Waits for the first stream that a member opens; gaps are reported, and exit code 1 says that there were some.

      EXAMPLES
        pangate stream receive --config Config/endpoint.yaml | ffplay -

      \(Exit.help)
      """)

  @Option(help: "The endpoint's configuration; Config/endpoint.yaml explains every key.") var config: String
  @Option(help: "Where to; '-' is standard output.") var output = "-"
  @Option(help: "End when nothing has come for so many seconds.") var timeout = 30
  @Option(help: ArgumentHelp("See 'pangate relay'.", visibility: .hidden)) var startTime: Int64?

  func run() async throws {
    let runner = try EndpointRunner(EndpointConfiguration.load(config), clock: ShiftedClock(start: startTime))
    if output != "-" { _ = FileManager.default.createFile(atPath: output, contents: nil) }
    guard let handle = output == "-" ? .standardOutput : FileHandle(forWritingAtPath: output) else {
      throw Failure.cannotStart("\(output): cannot be written")
    }
    var inbox = StreamInbox()
    var (next, bytes, missing) = (UInt64(0), 0, UInt64(0))
    // Chunks that were faster than the key of their stream, which relays store and they do not.
    var early: [(SignedEnvelope, RelayDelivery)] = []
    var isOpen = false
    func take(_ envelope: SignedEnvelope, _ delivery: RelayDelivery) throws -> Bool {
      let chunk: StreamInbox.Chunk
      do throws(ParseError) {
        chunk = try inbox.take(envelope, runner.directory, now: runner.clock.now)
      } catch {
        delivery.answer(.refused(error.reason))
        return false
      }
      // In order on one connection: what is missing now will not come.
      if chunk.missing > 0 { note("pangate: \(chunk.missing) chunks missing before number \(chunk.number)") }
      missing += chunk.missing
      next = chunk.number + 1
      if !chunk.bytes.isEmpty {
        try handle.write(contentsOf: Data(chunk.bytes))
        bytes += chunk.bytes.count
      }
      delivery.answer(.taken)
      return chunk.bytes.isEmpty
    }
    let isEnded = try await runner.run(timeout: .seconds(timeout), restarts: true) { step in
      switch step {
      case .up(let url): note("connected to \(url)")
      case .down(let url, let reason): note("pangate: \(url): \(reason); trying again")
      case .delivered(let delivery) where delivery.content.format == ContentFormats.streamKey:
        let opens = try inbox.open(delivery, runner.directory)
        try runner.say { try $0.forget(delivery.number) }
        guard opens else { break }
        isOpen = true
        note("a stream of \(delivery.from)")
        defer { early.removeAll() }
        for (envelope, delivery) in early where try take(envelope, delivery) { return true }
      case .chunk(let envelope, let delivery) where !isOpen && early.count < 64: early.append((envelope, delivery))
      case .chunk(let envelope, let delivery): return try take(envelope, delivery)
      default: break
      }
      return false
    }
    await runner.stop()
    note("\(next) chunks, \(missing) missing, \(bytes) bytes")
    guard isEnded else { throw Failure(description: "nothing came for \(timeout) seconds", code: Exit.inputErrors) }
    if missing > 0 { throw ExitCode(Exit.inputErrors) }
  }
}
