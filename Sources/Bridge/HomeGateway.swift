import BorderRouter
import CoAP
import Envelope
import IEEE802154
import IPv6
import Queue
import SixLoWPAN
import Wire

/// What a ``HomeGateway`` wants done, in order.
public enum HomeGatewayAction: Sendable {
  /// Hand this PSDU, without FCS, to the radio, and what became of it to ``HomeGateway/transmitted(_:now:)``. The next one
  /// comes after that.
  case transmit([UInt8])
  /// The devices for which the radio sets frame pending.
  case sourceMatch(SourceMatch)
  /// Pass this chunk of a stream to the relay at once, if there is a connection.
  case chunk([UInt8])
  /// Something that people and tests want to know.
  case event(GatewayEvent)
  /// Input that was dropped.
  case dropped(DropReason)
}

/// When and how nodes are talked to.
public struct HomeGatewayLimits: Sendable, Equatable {
  /// Requests to nodes that may be under way at once: 250 kbit/s are shared by all (RFC 7252, 4.7 in spirit).
  public var exchanges = 8
  /// For how long after its last frame a node that sleeps is taken to listen.
  public var listeningTime: Duration = .seconds(2)
  /// The first wait before a node that did not answer is asked again; it doubles from there.
  public var firstRetry: Duration = .seconds(30)
  /// The longest such wait.
  public var longestRetry: Duration = .seconds(3_600)
  /// Radios of no known node that are remembered, for `pangate status`.
  public var strangers = 64

  public init() {}
}

/// A gateway without I/O: MAC, border router and bridge in one. Frames of a radio, envelopes of a relay and instants go in;
/// frames, envelopes and events come out.
///
/// What a node or the relay is acknowledged is on disk before the acknowledgment is among the actions.
public struct HomeGateway<Store: MailboxStore>: ~Copyable {
  public var gateway: Gateway<Store>
  public internal(set) var stack: PANStack
  public internal(set) var mac: MACEngine
  public let limits: HomeGatewayLimits
  let store: Store
  var actions: [HomeGatewayAction] = []
  /// Counted since the start: what was dropped on the PAN side, by reason.
  public internal(set) var drops = DropCounters()

  /// When a device was last heard, and how well.
  public struct Reception: Sendable, Hashable {
    public var last: Instant
    public var frames: UInt64
    public var rssi: Int8?
    public var lqi: UInt8?
    public var radio: MACAddress
  }
  public internal(set) var heard: [ExtendedAddress: Reception] = [:]
  /// The same for radios of no node of the group, at most ``HomeGatewayLimits/strangers``.
  public internal(set) var strangers: [ExtendedAddress: Reception] = [:]

  /// Requests to nodes under way.
  var exchanges: [RequestID<PANPeer>: NodeExchange] = [:]
  /// When a node is tried again that did not answer, or could not take what it was told.
  struct Retry: Sendable {
    var due: Instant
    var failures: Int
    var wasHeard: Bool
  }
  var retries: [Address: Retry] = [:]
  /// Nodes that may have something to be told now.
  var woken: Set<ExtendedAddress> = []
  /// Whom the frames are for that the MAC has.
  var frameDestinations: [UInt64: MACAddress] = [:]
  var lastFrame: UInt64 = 0
  /// Ends of registrations as they are on disk.
  var keptRegistrations: [IPv6Address: Instant] = [:]
  /// Frame counters that the MAC wants reserved, and that the store did not take.
  var unreserved: UInt32?
  var expiry: (due: Instant?, isKnown: Bool) = (nil, false)

  /// `store` is the one that `gateway` has: registrations, short addresses and frame counters of before are read from it.
  /// `keys` are those of link security, `random` draws the first sequence numbers.
  ///
  /// Throws ``StoreError`` if it cannot be read.
  public init(
    gateway: Gateway<Store>, stack: consuming PANStack, mac configuration: MACConfiguration,
    keys: KeyStore = KeyStore(), store: Store, limits: HomeGatewayLimits = HomeGatewayLimits(),
    random: some RandomNumberGenerator, now: Instant
  ) throws(StoreError) {
    let associations = try Self.associations(in: store)
    let registrations = try Self.registrations(in: store, now: now)
    let frameCounter = UInt32(clamping: try store.counter(Self.frameCounterName))
    self.gateway = gateway
    self.stack = stack
    mac = MACEngine(
      configuration: configuration, keys: keys, associations: associations, frameCounter: frameCounter,
      random: random)
    self.store = store
    self.limits = limits
    for association in associations {
      if let short = association.short { self.stack.setShortAddress(short, of: association.device) }
    }
    self.stack.restore(registrations, now: now)
    for (address, entry) in registrations { keptRegistrations[address] = entry.registeredUntil }
  }

  // MARK: Out

  /// What is to be done since the last call, in order.
  public mutating func takeActions() -> [HomeGatewayAction] {
    defer { actions.removeAll() }
    return actions
  }

  /// When to call ``timeout(at:)``; `nil` for never.
  public mutating func nextTimeout() -> Instant? {
    if !expiry.isKnown { expiry = ((try? gateway.nextExpiry()) ?? nil, true) }
    var first = stack.nextTimeout
    func consider(_ due: Instant?) {
      if let due, first.map({ due < $0 }) ?? true { first = due }
    }
    consider(mac.nextTimeout)
    consider(expiry.due)
    for retry in retries.values { consider(retry.due) }
    return first
  }

  // MARK: In

  /// Begins: the router advertises itself, and nodes that are awake are told what is held for them.
  public mutating func start(now: Instant) {
    stack.startAdvertising(now: now)
    for node in gateway.nodes where isAwake(node, now: now) {
      if let eui64 = node.eui64 { woken.insert(ExtendedAddress(eui64)) }
    }
    settle(now: now)
  }

  /// Whether devices may associate that have not before, and which; none named is all.
  public mutating func permitJoining(_ isPermitted: Bool, admitted: [ExtendedAddress]) {
    mac.permitsJoining = isPermitted
    mac.admitted = admitted.isEmpty ? nil : Set(admitted)
  }

  /// Takes a frame from the radio.
  public mutating func receive(_ frame: RawSpan, metadata: FrameMetadata) {
    stack.receive(frame, metadata: metadata)
    settle(now: metadata.timestamp)
  }

  /// What became of the last ``HomeGatewayAction/transmit(_:)``.
  public mutating func transmitted(_ outcome: TransmitOutcome, now: Instant) {
    mac.transmitted(outcome, now: now)
    settle(now: now)
  }

  /// The radio works again after it did not: what was with it is lost, and it knows no devices.
  public mutating func radioRestarted(now: Instant) {
    mac.radioRestarted(now: now)
    settle(now: now)
  }

  /// Takes what the relay delivers; see ``Gateway/deliver(_:now:)``.
  public mutating func deliver(_ bytes: [UInt8], now: Instant) -> Custody {
    let (custody, events) = gateway.deliver(bytes, now: now)
    note(events)
    for event in events {
      switch event {
      case .commandHeld(let held):
        if let node = gateway.nodes.first(where: { $0.name == held.node }), let eui64 = node.eui64,
          isAwake(node, now: now)
        {
          woken.insert(ExtendedAddress(eui64))
        }
      default: break
      }
    }
    settle(now: now)
    return custody
  }

  /// Does what is due.
  public mutating func timeout(at now: Instant) {
    stack.timeout(at: now)
    mac.timeout(at: now)
    if let due = expiry.due, due <= now {
      let isDone = noting { (gateway) throws(StoreError) in try gateway.expire(now: now) }
      // What was to expire may have left before, and then nothing happened. A store that fails is not asked all the time.
      expiry = isDone ? (nil, false) : (now.advanced(by: .seconds(1)), true)
    }
    for (address, retry) in retries where retry.due <= now {
      guard let node = gateway.directory.member(address), let eui64 = node.eui64 else {
        retries[address] = nil
        continue
      }
      // One that sleeps is asked when it is heard.
      if isAwake(node, now: now) {
        retries[address]?.due = now.advanced(by: limits.longestRetry)
        retries[address]?.wasHeard = false
        woken.insert(ExtendedAddress(eui64))
      } else {
        retries[address] = nil
      }
    }
    settle(now: now)
  }

  // MARK: Events

  mutating func note(_ events: [GatewayEvent]) {
    if !events.isEmpty { expiry.isKnown = false }
    actions += events.map { .event($0) }
  }

  /// Runs what may fail because of the store; then nothing was changed, it is counted, and this returns false.
  @discardableResult
  mutating func noting(_ body: (inout Gateway<Store>) throws(StoreError) -> [GatewayEvent]) -> Bool {
    do { note(try body(&gateway)) } catch {
      drop(error.reason)
      return false
    }
    return true
  }

  mutating func drop(_ reason: DropReason) {
    drops.count(reason)
    actions.append(.dropped(reason))
  }

  /// Whether a node listens now: it never sleeps, or was heard just now.
  func isAwake(_ node: Member, now: Instant) -> Bool {
    let sleeps = node.traits.contains(.sleeps) || gateway.registration(of: node, now: now)?.isQueueMode == true
    guard sleeps else { return true }
    guard let eui64 = node.eui64, let last = heard[ExtendedAddress(eui64)]?.last else { return false }
    return last.advanced(by: limits.listeningTime) >= now
  }
}
