import BorderRouter
import Bridge
import CoAP
import Envelope
import Foundation
import IEEE802154
import Queue
import Relay
import SixLoWPAN
import Wire

/// A home on a recorded radio or a live one: a gateway, and either relays over the network or, in the same process, a relay
/// and the owner's endpoint.
///
/// Each has a store of its own, and they pass each other bytes as they would over a network: the next hop's custody is
/// awaited before anything is forgotten.
final class Home {
  var gateway: HomeGateway<SQLiteStore>
  /// The relay in this process; `nil` with relays over the network.
  var embedded: EmbeddedRelay?
  let directory: PeerDirectory
  /// Numbers in the outbox that are on their way to a relay.
  private var uplink: Set<UInt64> = []
  /// Frames for the radio, each when the one before has its outcome.
  private(set) var transmissions: [[UInt8]] = []
  /// The devices for which frames wait, if that has changed.
  private var sourceMatch: SourceMatch?
  private var chunks: [[UInt8]] = []
  /// How many messages are on their way between two hops at a time.
  let window = 32
  private var frameNumber: Int?
  private var records: [HomeRecord] = []

  /// `pan` and `mac` say who the radio is; `state` is a directory, or `nil` for nothing that survives.
  init(
    _ configuration: GatewayConfiguration, pan: PANConfiguration, mac: MACConfiguration, state: String?,
    random: some RandomNumberGenerator & Sendable, now: Instant
  ) throws {
    let identity = try IdentityFiles.identity(configuration.identityFile)
    let oracle = try IdentityFiles.publicIdentity(configuration.oracleFile)
    directory = try PeerRecordFile.directory(configuration.peerRecordFile, for: identity, oracle: oracle)
    guard directory.member(identity.address) != nil else {
      throw Failure.cannotStart(
        "\(configuration.peerRecordFile): its members do not include \(configuration.identityFile)")
    }
    let store = try Self.store(state, "gateway")
    let stack = PANStack(
      configuration: pan, keys: configuration.keys, reassembly: configuration.reassembly,
      blockwise: Self.blockwise(configuration), random: random)
    let bridge = Gateway(
      identity: identity, oracle: oracle, directory: directory, relay: try configuration.relayAddress(directory),
      store: store,
      queues: configuration.queues, limits: configuration.limits)
    do {
      gateway = try HomeGateway(
        gateway: bridge, stack: stack, mac: mac, keys: configuration.keys, store: store, random: random, now: now)
    } catch { throw Failure.cannotStart(error.description) }
    if case .embedded(let files) = configuration.relay {
      embedded = try EmbeddedRelay(
        files, configuration, gateway: identity.address, serving: gateway.gateway.nodes.map(\.address), oracle: oracle,
        directory: directory, state: state)
    }
  }

  private static func blockwise(_ configuration: GatewayConfiguration) -> BlockwiseConfiguration {
    var blockwise = BlockwiseConfiguration()
    blockwise.maximumRequestBody = configuration.limits.maximumEnvelope
    return blockwise
  }

  static func store(_ state: String?, _ part: String) throws -> SQLiteStore {
    do {
      guard let state else { return try SQLiteStore.inMemory() }
      return try SQLiteStore(directory: state + "/" + part)
    } catch { throw Failure.cannotStart(error.description) }
  }

  // MARK: Out

  /// What happened since the last call.
  func takeRecords() -> [HomeRecord] {
    defer { records.removeAll() }
    return records
  }

  /// The next frame for the radio. Its outcome is for ``transmitted(_:now:)``.
  func takeTransmission() -> [UInt8]? { transmissions.isEmpty ? nil : transmissions.removeFirst() }

  /// Chunks of streams for the relay.
  func takeChunks() -> [[UInt8]] {
    defer { chunks.removeAll() }
    return chunks
  }

  /// The devices for which frames wait, if that has changed since the last call.
  func takeSourceMatch() -> SourceMatch? {
    defer { sourceMatch = nil }
    return sourceMatch
  }

  /// When to call ``advance(to:)``; `nil` for never.
  func nextTimeout() throws -> Instant? {
    [gateway.nextTimeout(), try embedded?.relay.earliestExpiry()].compactMap { $0 }.min()
  }

  func note(_ now: Instant, _ event: HomeRecord.Event) {
    records.append(HomeRecord(time: now, frame: frameNumber, event: event))
  }

  // MARK: In

  /// Gives the owner's commands. `label` tells one from the others for all time: one that the state directory knows is not
  /// given again.
  func command(_ command: CommandText, label: String, now: Instant) throws -> UInt64? {
    guard let sequence = try embedded?.owner?.command(command, label: label, now: now) else { return nil }
    note(now, .commandGiven(command.description, sequence: sequence))
    return sequence
  }

  /// Takes a frame from the radio; `number` is that in the recording.
  func receive(_ frame: RawSpan, metadata: FrameMetadata, number: Int? = nil) {
    frameNumber = number
    gateway.receive(frame, metadata: metadata)
    collect(now: metadata.timestamp)
  }

  /// What became of the frame that was taken last.
  func transmitted(_ outcome: TransmitOutcome, now: Instant) {
    gateway.transmitted(outcome, now: now)
    collect(now: now)
  }

  /// The radio works, for the first time or again.
  func radioStarted(isFirst: Bool, now: Instant) {
    transmissions.removeAll()
    if isFirst { gateway.start(now: now) } else { gateway.radioRestarted(now: now) }
    collect(now: now)
  }

  /// Notes what was no frame at all.
  func drop(_ reason: DropReason, at now: Instant, number: Int) {
    frameNumber = number
    note(now, .dropped(reason))
  }

  /// Does what the passing of time asks for.
  func advance(to now: Instant) throws {
    while let due = gateway.nextTimeout(), due <= now {
      gateway.timeout(at: due)
      collect(now: now)
      if gateway.nextTimeout() == due { break }
    }
    try embedded?.expire(now: now)
    collect(now: now)
  }

  /// What stands in the queues.
  func waiting() throws -> [ReplaySummary.Waiting] {
    var rows = try gateway.gateway.nodes.filter { $0.traits.contains(.sleeps) }.map { node in
      let usage = try gateway.gateway.queueUsage(of: node)
      return ReplaySummary.Waiting(queue: node.name, messages: usage.messages, bytes: usage.bytes)
    }
    let outbox = try gateway.gateway.outboxUsage()
    rows.append(ReplaySummary.Waiting(queue: "outbox", messages: outbox.messages, bytes: outbox.bytes))
    return rows
  }

  /// Passes envelopes on between gateway, relay and owner, until nobody has anything to pass. Apart from the rest, so that
  /// a node is answered before its envelope travels.
  func pass(now: Instant) throws { if embedded != nil { try pump(now: now) } }

  func collect(now: Instant) {
    for action in gateway.takeActions() {
      switch action {
      // The MAC has one frame at the radio at a time: what was there before it has given up.
      case .transmit(let psdu): transmissions = [psdu]
      case .sourceMatch(let devices): sourceMatch = devices
      // They are of use now or not at all.
      case .chunk(let bytes): if embedded == nil, chunks.count < window { chunks.append(bytes) }
      case .event(let event): note(now, .gateway(event))
      case .dropped(let reason): note(now, .dropped(reason))
      }
    }
  }

  // MARK: Relays over the network

  /// Whether the owner's endpoint is in this process.
  var hasOwner: Bool { embedded?.owner != nil }

  /// What is to be sent to a relay now; each number once, until ``answered(_:_:now:)``.
  func takeUplink() throws -> [HeldMessage] {
    guard embedded == nil, uplink.count < window else { return [] }
    let messages = try gateway.gateway.outbound(after: uplink.max() ?? 0, limit: window - uplink.count)
    uplink.formUnion(messages.map(\.number))
    return messages
  }

  /// A relay has decided about an envelope.
  func answered(_ number: UInt64, _ answer: RelayAnswer, now: Instant) throws {
    guard uplink.remove(number) != nil else { return }
    if case .refused(_, let name) = answer {
      let reason = name.flatMap(DropReason.init(named:)) ?? .deliveryRefused
      note(now, .relayRefused(reason, from: "gateway", sequence: number))
    }
    try gateway.gateway.confirmOutbound(number)
  }

  /// A relay hands something over.
  func deliver(_ bytes: [UInt8], now: Instant) -> Custody {
    defer { collect(now: now) }
    return gateway.deliver(bytes, now: now)
  }
}

/// SplitMix64 with a seed from the configuration: a replay's random numbers (sequence numbers, message IDs) are the same
/// each time. Never for keys.
struct ReplayGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}
