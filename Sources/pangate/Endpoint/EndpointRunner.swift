import Bridge
import Envelope
import Foundation
import NIOPosix
import Queue
import Relay
import Wire

/// An endpoint with its relays, for as long as a command takes: what it says leaves its outbox when a relay has custody,
/// what it hears is in its inbox before the relay forgets it.
final class EndpointRunner {
  /// What happens.
  enum Event: Sendable {
    case relay(RelayClientEvent)
    case timeout(Int)
    case interrupted
  }

  /// What a step has brought.
  enum Step {
    case up(RelayURL)
    case down(RelayURL, String)
    /// A relay has custody of what was said under this sequence number.
    case accepted(UInt64)
    case refused(UInt64, String)
    case delivered(Endpoint<SQLiteStore>.Delivery)
    case chunk(SignedEnvelope, RelayDelivery)
    case heardRefused(DropReason)
    case answered(UInt64, RelayAnswer)
  }

  let identity: Identity
  let client: RelayClient
  let clock: ShiftedClock
  private(set) var endpoint: Endpoint<SQLiteStore>
  private let events: AsyncStream<Event>
  private let input: AsyncStream<Event>.Continuation
  /// Numbers in the outbox that are with the client, and the sequence numbers they are for.
  private var submitted: [UInt64: UInt64] = [:]
  private var timer: Task<Void, Never>?
  private var timers = 0
  private let window: UInt64 = 64
  /// Numbers under which chunks are sent are above those of the outbox.
  static let firstChunk: UInt64 = 1 << 62

  init(_ configuration: EndpointConfiguration, clock: ShiftedClock) throws {
    self.clock = clock
    identity = try IdentityFiles.identity(configuration.identityFile)
    let store: SQLiteStore
    do { store = try SQLiteStore(directory: configuration.state) } catch {
      throw Failure.cannotStart(error.description)
    }
    let given = try configuration.directory(identity)
    let settings = try configuration.relay.client(identity, serving: [], directory: given)
    endpoint = Endpoint(
      identity: identity, directory: given, oracle: try IdentityFiles.publicIdentity(configuration.oracleFile),
      relay: settings.relays[0].address, store: store, queues: configuration.queues)
    let (events, input) = AsyncStream.makeStream(of: Event.self)
    (self.events, self.input) = (events, input)
    client = RelayClient(
      settings, group: MultiThreadedEventLoopGroup.singleton, clock: { clock.now },
      receive: { input.yield(.relay($0)) })
  }

  /// The newest peer record that it has.
  var directory: PeerDirectory { endpoint.directory }

  /// Its name in the peer record.
  var name: String { directory.member(identity.address)?.name ?? identity.name }

  /// The members with these names. Throws ``Failure``.
  func members(_ names: [String]) throws -> [Member] {
    try names.map { name in
      guard let member = directory.member(named: name) else {
        let known = directory.record.members.map(\.name).joined(separator: ", ")
        throw Failure.usage("--to '\(name)': no such member in the peer record; there are \(known)")
      }
      return member
    }
  }

  /// Says something; it is on disk when this returns.
  func say<Result>(_ body: (inout Endpoint<SQLiteStore>) throws -> Result) throws -> Result {
    do { return try body(&endpoint) } catch let error as StoreError {
      throw Failure.cannotStart(error.description)
    }
  }

  /// Connects and runs until `body` says that it is enough, or `timeout` has passed: since the start, or since something
  /// happened last if that `restarts` it. False if it has.
  func run(timeout: Duration?, restarts: Bool = false, until body: (Step) async throws -> Bool) async throws -> Bool {
    var last = ContinuousClock.now
    if let timeout { setTimer(timeout) }
    defer { timer?.cancel() }
    client.start()
    try pump()
    for await event in events {
      switch event {
      case .timeout(let number):
        // One of an earlier run, perhaps.
        guard number == timers, let timeout else { break }
        let left = timeout - last.duration(to: .now)
        guard restarts, left > .zero else { return false }
        setTimer(left)
      case .interrupted: return true
      case .relay(let event):
        last = .now
        for step in try take(event) { if try await body(step) { return true } }
      }
      try pump()
    }
    return true
  }

  private func setTimer(_ duration: Duration) {
    timers += 1
    let (input, number) = (input, timers)
    timer = Task {
      try? await Task.sleep(for: duration)
      if !Task.isCancelled { input.yield(.timeout(number)) }
    }
  }

  /// Ends ``run(timeout:restarts:until:)``, for a signal.
  var interruption: @Sendable () -> Void {
    let input = input
    return { input.yield(.interrupted) }
  }

  func stop() async { await client.stop() }

  private func pump() throws {
    guard submitted.count < window else { return }
    do throws(StoreError) {
      let after = submitted.keys.max() ?? 0
      for message in try endpoint.outbound(after: after, limit: Int(window) - submitted.count) {
        submitted[message.number] = message.seq
        client.submit(message.bytes, number: message.number)
      }
    } catch { throw Failure.cannotStart(error.description) }
  }

  private func take(_ event: RelayClientEvent) throws -> [Step] {
    switch event {
    case .up(let url): return [.up(url)]
    case .down(let url, let reason): return [.down(url, reason)]
    case .answered(let number, let answer) where number >= Self.firstChunk: return [.answered(number, answer)]
    case .answered(let number, let answer):
      guard let sequence = submitted.removeValue(forKey: number) else { return [] }
      do { try endpoint.confirmOutbound(number) } catch { throw Failure.cannotStart(error.description) }
      switch answer {
      case .custody: return [.accepted(sequence)]
      case .refused(let code, let reason): return [.refused(sequence, reason ?? "code \(code >> 5).\(code & 31)")]
      }
    case .held: return []
    case .delivery(let delivery): return take(delivery)
    }
  }

  private func take(_ delivery: RelayDelivery) -> [Step] {
    if let envelope = try? SignedEnvelope(parsing: delivery.bytes), envelope.header.class == .stream {
      return [.chunk(envelope, delivery)]
    }
    let (custody, delivered) = endpoint.deliver(delivery.bytes, now: clock.now)
    var steps: [Step] = []
    switch custody {
    case .taken: delivery.answer(.taken)
    case .later(let reason): delivery.answer(.later(reason))
    case .refused(let reason):
      delivery.answer(.refused(reason))
      steps.append(.heardRefused(reason))
    }
    if let delivered { steps.append(.delivered(delivered)) }
    return steps
  }
}
