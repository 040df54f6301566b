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

/// A whole home in one process: the gateway on a recorded radio, the relay, and the owner's endpoint.
///
/// Each has a store of its own, and they pass each other bytes as they would over a network: the next hop's custody is
/// awaited before anything is forgotten.
final class ReplayHome {
  var stack: PANStack
  var gateway: Gateway<SQLiteStore>
  var relay: RelayCore<SQLiteStore>
  var owner: Endpoint<SQLiteStore>?
  let directory: PeerDirectory
  private let gatewaySession: RelaySession
  private var ownerSession: RelaySession?
  /// How many messages are on their way between two hops at a time.
  private let window = 32
  private var frameNumber = 0
  private(set) var records: [ReplayRecord] = []

  init(_ configuration: GatewayConfiguration, state: String?) throws {
    let identity = try IdentityFiles.identity(configuration.identityFile)
    let oracle = try IdentityFiles.publicIdentity(configuration.oracleFile)
    let relayFile = configuration.relayIdentityFile
    guard let relayIdentity = RelayIdentity(try IdentityFiles.identity(relayFile)) else {
      throw Failure.cannotStart("\(relayFile): its signing key is not the certificate's")
    }
    directory = try Self.peerRecord(configuration.peerRecordFile, for: identity, oracle: oracle)
    guard directory.member(identity.address) != nil else {
      throw Failure.cannotStart(
        "\(configuration.peerRecordFile): its members do not include \(configuration.identityFile)")
    }
    stack = PANStack(
      configuration: configuration.pan, keys: configuration.keys, reassembly: configuration.reassembly,
      blockwise: Self.blockwise(configuration), random: ReplayGenerator(seed: configuration.pan.extendedAddress.value))
    gateway = Gateway(
      identity: identity, oracle: oracle, directory: directory, relay: relayIdentity.address,
      store: try Self.store(state, "gateway"), queues: configuration.queues, limits: configuration.limits)
    do {
      relay = try RelayCore(
        relayIdentity, oracle: oracle, store: try Self.store(state, "relay"), queueLimits: configuration.queues)
    } catch let error as StoreError { throw Failure.cannotStart(error.description) }
    try Self.admit(configuration.accessListFile, to: &relay)
    do {
      gatewaySession = try relay.openSession(
        client: identity.address, serving: gateway.nodes.map(\.address))
    } catch {
      throw Failure.cannotStart(
        "\(configuration.accessListFile): does not let the gateway serve its nodes: \(error.reason.name)")
    }
    try openOwner(configuration, state: state)
  }

  private func openOwner(_ configuration: GatewayConfiguration, state: String?) throws {
    guard let file = configuration.ownerFile else { return }
    let identity = try IdentityFiles.identity(file)
    do {
      ownerSession = try relay.openSession(client: identity.address)
    } catch {
      throw Failure.cannotStart("\(file): is not on the relay's access list: \(error.reason.name)")
    }
    owner = Endpoint(
      identity: identity, directory: directory, relay: relay.identity.address,
      store: try Self.store(state, "owner"), queues: configuration.queues)
  }

  private static func blockwise(_ configuration: GatewayConfiguration) -> BlockwiseConfiguration {
    var blockwise = BlockwiseConfiguration()
    blockwise.maximumRequestBody = configuration.limits.maximumEnvelope
    return blockwise
  }

  private static func peerRecord(
    _ file: String, for identity: Identity, oracle: PublicIdentity
  ) throws -> PeerDirectory {
    let bytes = try InputFile.bytes(file)
    do throws(ParseError) {
      let envelope = try SignedEnvelope(parsing: bytes)
      return try PeerDirectory.accept(envelope, for: identity, oracle: oracle, current: nil)
    } catch {
      throw Failure.cannotStart("\(file): the peer record is refused: \(error)")
    }
  }

  private static func admit(_ file: String, to relay: inout RelayCore<SQLiteStore>) throws {
    switch relay.accept(accessList: try InputFile.bytes(file), now: Instant(seconds: 0)) {
    case .accepted, .alreadyInCustody: break
    // The store has obeyed a newer list, and goes on with it.
    case .refused(.peerRecordEpochStale, _): break
    case .refused(let reason, _):
      throw Failure.cannotStart("\(file): the access list is refused: \(reason.name)")
    }
  }

  private static func store(_ state: String?, _ part: String) throws -> SQLiteStore {
    do {
      guard let state else { return try SQLiteStore.inMemory() }
      return try SQLiteStore(directory: state + "/" + part)
    } catch { throw Failure.cannotStart(error.description) }
  }

  // MARK: The run

  /// What happened since the last call.
  func takeRecords() -> [ReplayRecord] {
    defer { records.removeAll() }
    return records
  }

  private func note(_ now: Instant, _ event: ReplayRecord.Event) {
    records.append(ReplayRecord(time: now, frame: frameNumber == 0 ? nil : frameNumber, event: event))
  }

  private func note(_ now: Instant, _ events: [GatewayEvent]) {
    for event in events { note(now, .gateway(event)) }
  }

  /// Gives the owner's commands. One that the state directory knows from an earlier run is not given again.
  func command(_ commands: [CommandText], now: Instant) throws {
    guard owner != nil else {
      if commands.isEmpty { return }
      throw Failure.usage("--command needs an owner: the configuration has no 'demo.owner'")
    }
    for (index, command) in commands.enumerated() {
      do {
        if let sequence = try owner?.command(command, label: "\(index) \(command)", now: now) {
          note(now, .commandGiven(command.description, sequence: sequence))
        }
      } catch let error as CommandError {
        throw Failure.usage("--command '\(command)': \(error)")
      }
    }
    try pump(now: now)
  }

  /// Takes the next frame of the capture and returns the frames that the gateway sends because of it.
  func receive(_ frame: RawSpan, metadata: FrameMetadata, number: Int) throws -> [[UInt8]] {
    let now = metadata.timestamp
    var sent = try advance(to: now)
    frameNumber = number
    stack.receive(frame, metadata: metadata)
    try settle(now: now)
    sent += stack.takeTransmissions().map { $0 }
    return sent
  }

  /// Notes what was no frame at all.
  func drop(_ reason: DropReason, at now: Instant, number: Int) {
    frameNumber = number
    note(now, .dropped(reason))
  }

  /// What stands in the queues.
  func waiting() throws -> [ReplaySummary.Waiting] {
    var rows = try gateway.nodes.filter { $0.traits.contains(.sleeps) }.map { node in
      let usage = try gateway.queueUsage(of: node)
      return ReplaySummary.Waiting(queue: node.name, messages: usage.messages, bytes: usage.bytes)
    }
    let outbox = try gateway.outboxUsage()
    rows.append(ReplaySummary.Waiting(queue: "outbox", messages: outbox.messages, bytes: outbox.bytes))
    return rows
  }

  /// Does what the passing of time asks for.
  func advance(to now: Instant) throws -> [[UInt8]] {
    while let due = stack.nextTimeout, due <= now { stack.timeout(at: max(due, .init(microseconds: .min + 1))) }
    try settle(now: now)
    if let due = try gateway.nextExpiry(), due <= now { note(now, try gateway.expire(now: now)) }
    if let due = try relay.earliestExpiry(), due <= now { try relay.expire(now: now) }
    try pump(now: now)
    return stack.takeTransmissions()
  }

  private func settle(now: Instant) throws {
    var events = stack.takeEvents()
    while !events.isEmpty {
      for event in events {
        switch event {
        case .dropped(let reason): note(now, .dropped(reason))
        // A recording cannot be asked anything, and holds nobody's association.
        case .response, .failed, .command, .heard, .registration: break
        case .request(let exchange, let request):
          let answer = gateway.receive(
            NodeRequest(
              request: request.request, eui64: request.extendedAddress?.value, fingerprint: request.fingerprint),
            now: now)
          note(now, answer.events)
          stack.respond(to: exchange, with: answer.response, now: now)
        }
      }
      events = stack.takeEvents()
    }
    try pump(now: now)
  }

  // MARK: Between the hops

  /// Passes envelopes on until nobody has anything to pass.
  private func pump(now: Instant) throws {
    var moved = true
    while moved {
      moved = false
      if try pumpGateway(now: now) { moved = true }
      if try pumpOwner(now: now) { moved = true }
    }
  }

  private func pumpGateway(now: Instant) throws -> Bool {
    var moved = false
    for message in try gateway.outbound(limit: window) {
      guard submit(message, gatewaySession, from: "gateway", now: now) else { continue }
      try gateway.confirmOutbound(message.number)
      moved = true
    }
    for message in try relay.pending(for: gatewaySession, limit: window, now: now) {
      guard let address = Address(message.mailbox.address) else { continue }
      let (custody, events) = gateway.deliver(message.bytes, now: now)
      note(now, events)
      if try settle(custody, message, address, gatewaySession, now: now) { moved = true }
    }
    return moved
  }

  private func pumpOwner(now: Instant) throws -> Bool {
    guard let session = ownerSession, let outbound = try owner?.outbound(limit: window) else { return false }
    var moved = false
    for message in outbound {
      guard submit(message, session, from: "owner", now: now) else { continue }
      try owner?.confirmOutbound(message.number)
      moved = true
    }
    for message in try relay.pending(for: session, limit: window, now: now) {
      guard let address = Address(message.mailbox.address),
        let (custody, delivery) = owner?.deliver(message.bytes, now: now)
      else { continue }
      if let delivery { note(now, .delivered(DeliveredMessage(delivery))) }
      if case .refused(let reason) = custody { note(now, .ownerRefused(reason)) }
      if try settle(custody, message, address, session, now: now) { moved = true }
    }
    return moved
  }

  /// Whether the relay has decided about a message, so that its sender may forget it.
  private func submit(
    _ message: HeldMessage, _ session: RelaySession, from sender: String, now: Instant
  ) -> Bool {
    switch relay.submit(message.bytes, session: session, now: now) {
    case .accepted, .alreadyInCustody: return true
    case .refused(let reason, _):
      note(now, .relayRefused(reason, from: sender, sequence: message.seq))
      switch reason {
      case .queueUnavailable, .queueFull, .queueNodeFull: return false
      default: return true
      }
    }
  }

  private func settle(
    _ custody: Custody, _ message: HeldMessage, _ address: Address, _ session: RelaySession, now: Instant
  ) throws -> Bool {
    switch custody {
    case .taken: try relay.delivered(message.number, to: address, in: session)
    case .refused(let reason):
      try relay.rejected(message.number, to: address, in: session, reason: reason, now: now)
    case .later: false
    }
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
