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

/// A home in one process: a gateway, the relay, and the owner's endpoint, on a recorded radio or a live one.
///
/// Each has a store of its own, and they pass each other bytes as they would over a network: the next hop's custody is
/// awaited before anything is forgotten.
final class Home {
  var gateway: HomeGateway<SQLiteStore>
  var relay: RelayCore<LocalRelayStore<SQLiteStore>>
  var owner: Endpoint<SQLiteStore>?
  let directory: PeerDirectory
  /// Frames for the radio, each when the one before has its outcome.
  private(set) var transmissions: [[UInt8]] = []
  /// The devices for which frames wait, if that has changed.
  private var sourceMatch: SourceMatch?
  private var gatewaySession: RelaySession
  private var ownerSession: RelaySession?
  /// Whether the relay may hold something for the gateway, or for the owner: looked for only then, since the gateway's
  /// nodes have a mailbox each.
  private var mail = (gateway: true, owner: true)
  /// How many messages are on their way between two hops at a time.
  private let window = 32
  private var frameNumber: Int?
  private var records: [HomeRecord] = []

  /// `pan` and `mac` say who the radio is; `state` is a directory, or `nil` for nothing that survives.
  init(
    _ configuration: GatewayConfiguration, pan: PANConfiguration, mac: MACConfiguration, state: String?,
    random: some RandomNumberGenerator & Sendable, now: Instant
  ) throws {
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
    let store = try Self.store(state, "gateway")
    let stack = PANStack(
      configuration: pan, keys: configuration.keys, reassembly: configuration.reassembly,
      blockwise: Self.blockwise(configuration), random: random)
    let bridge = Gateway(
      identity: identity, oracle: oracle, directory: directory, relay: relayIdentity.address, store: store,
      queues: configuration.queues, limits: configuration.limits)
    do {
      gateway = try HomeGateway(
        gateway: bridge, stack: stack, mac: mac, keys: configuration.keys, store: store, random: random, now: now)
      relay = try RelayCore(
        relayIdentity, oracle: oracle, store: try Self.store(state, "relay"), queueLimits: configuration.queues)
    } catch let error as StoreError { throw Failure.cannotStart(error.description) }
    try Self.admit(configuration.accessListFile, to: &relay)
    do {
      gatewaySession = try relay.openSession(
        client: identity.address, serving: gateway.gateway.nodes.map(\.address))
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
      let envelope = try SignedEnvelope(parsing: bytes, maximumSize: SignedEnvelope.maximumRecordSize)
      return try PeerDirectory.accept(envelope, for: identity, oracle: oracle, current: nil)
    } catch {
      throw Failure.cannotStart("\(file): the peer record is refused: \(error)")
    }
  }

  private static func admit(_ file: String, to relay: inout RelayCore<LocalRelayStore<SQLiteStore>>) throws {
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

  // MARK: Out

  /// What happened since the last call.
  func takeRecords() -> [HomeRecord] {
    defer { records.removeAll() }
    return records
  }

  /// The next frame for the radio. Its outcome is for ``transmitted(_:now:)``.
  func takeTransmission() -> [UInt8]? { transmissions.isEmpty ? nil : transmissions.removeFirst() }

  /// The devices for which frames wait, if that has changed since the last call.
  func takeSourceMatch() -> SourceMatch? {
    defer { sourceMatch = nil }
    return sourceMatch
  }

  /// When to call ``advance(to:)``; `nil` for never.
  func nextTimeout() throws -> Instant? {
    [gateway.nextTimeout(), try relay.earliestExpiry()].compactMap { $0 }.min()
  }

  private func note(_ now: Instant, _ event: HomeRecord.Event) {
    records.append(HomeRecord(time: now, frame: frameNumber, event: event))
  }

  // MARK: In

  /// Gives the owner's commands. `label` tells one from the others for all time: one that the state directory knows is not
  /// given again.
  func command(_ command: CommandText, label: String, now: Instant) throws -> UInt64? {
    guard let sequence = try owner?.command(command, label: label, now: now) else { return nil }
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
    if let due = try relay.earliestExpiry(), due <= now, try relay.expire(now: now) > 0 { mail = (true, true) }
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
  func pass(now: Instant) throws { try pump(now: now) }

  private func collect(now: Instant) {
    for action in gateway.takeActions() {
      switch action {
      // The MAC has one frame at the radio at a time: what was there before it has given up.
      case .transmit(let psdu): transmissions = [psdu]
      case .sourceMatch(let devices): sourceMatch = devices
      case .event(let event): note(now, .gateway(event))
      case .dropped(let reason): note(now, .dropped(reason))
      }
    }
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
    for message in try gateway.gateway.outbound(limit: window) {
      guard submit(message, gatewaySession, from: "gateway", now: now) else { continue }
      try gateway.gateway.confirmOutbound(message.number)
      moved = true
    }
    guard mail.gateway else { return moved }
    let pending = try relay.pending(for: gatewaySession, limit: window, now: now)
    mail.gateway = pending.count == window
    for message in pending {
      guard let address = Address(message.mailbox.address) else { continue }
      let custody = gateway.deliver(message.bytes, now: now)
      collect(now: now)
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
    guard mail.owner else { return moved }
    let pending = try relay.pending(for: session, limit: window, now: now)
    mail.owner = pending.count == window
    for message in pending {
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
    case .accepted, .alreadyInCustody:
      mail = (true, true)
      return true
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
    case .taken: return try relay.delivered(message.number, to: address, in: session)
    case .refused(let reason):
      // Its sender may have a status message now.
      mail = (true, true)
      return try relay.rejected(message, in: session, reason: reason, now: now)
    case .later:
      // When something else happens.
      mail = (true, true)
      return false
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
