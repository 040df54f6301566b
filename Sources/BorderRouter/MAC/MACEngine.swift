import IEEE802154
import Wire

/// The MAC of a PAN coordinator above a radio, without I/O (IEEE 802.15.4-2020, 6): sequence numbers, link security, one
/// frame at the radio at a time, frames held for devices that sleep, association, beacons.
///
/// The PAN has no periodic beacons. Radios differ in what they do by themselves (``RadioCapabilities``); acknowledging they
/// all must do, because no other layer is fast enough.
public struct MACEngine: ~Copyable, Sendable {
  /// The frame that the radio has, or gets again.
  struct Flight: Sendable {
    var frame: QueuedFrame
    /// Whose indirect queue holds it; `nil` if none does.
    var device: MACAddress?
    /// The radio has it; else it is tried again at ``deadline``.
    var isOnAir = true
    var deadline: Instant
    /// The device has asked for a frame since.
    var wasPolled = false
  }

  /// A device that has asked for a frame.
  struct Release: Sendable {
    var device: MACAddress
    var inClearOnly: Bool
  }

  public let configuration: MACConfiguration
  /// Keys for frames that are sent; see ``rotate(to:)``.
  public var keys: KeyStore
  /// The key that frames are sent under; `nil` without link security.
  public internal(set) var currentKey: KeyIdentifier?
  /// Whether devices may join that have not joined before.
  public var permitsJoining = false
  /// Devices that may join; `nil` for all.
  public var admitted: Set<ExtendedAddress>?
  /// What was dropped or refused, by reason.
  public internal(set) var drops = DropCounters()

  var table: AssociationTable
  /// Answers to association requests that wait, by their serial numbers.
  var joining: [ExtendedAddress: Joining] = [:]
  var direct = DirectQueue()
  var indirect = IndirectQueue()
  var sleepers: SleepyDevices
  var releases: [Release] = []
  var flight: Flight?
  var reserve: FrameCounterReserve
  /// The counter of the last secured frame to more than one device.
  var lastGroupCounter: UInt32?
  var sequenceNumber: UInt8
  var beaconSequenceNumber: UInt8
  var serial: UInt64 = 0
  var beaconLimit: RateLimit
  var emptyAnswerLimit: RateLimit
  var announcedMatch = SourceMatch()
  var isMatchStale = false
  var counts = MACStatistics()
  var actions: [MACAction] = []

  /// - Parameters:
  ///   - associations: what ``associations`` was before.
  ///   - frameCounter: what was last reserved; 0 for keys that were never used.
  ///   - random: draws the first sequence numbers.
  public init(
    configuration: MACConfiguration, keys: KeyStore = KeyStore(), associations: [Association] = [],
    frameCounter: UInt32 = 0, random: some RandomNumberGenerator
  ) {
    var random = random
    self.configuration = configuration
    self.keys = keys
    currentKey = configuration.security?.key
    table = AssociationTable(
      range: configuration.shortAddresses, own: configuration.radio.shortAddress,
      capacity: configuration.maximumDevices, associations: associations)
    sleepers = SleepyDevices(capacity: configuration.maximumLearntSleepers)
    reserve = FrameCounterReserve(from: frameCounter, step: configuration.security?.counterStep ?? 1)
    sequenceNumber = UInt8.random(in: 0...255, using: &random)
    beaconSequenceNumber = UInt8.random(in: 0...255, using: &random)
    beaconLimit = RateLimit(perSecond: configuration.beaconsPerSecond)
    emptyAnswerLimit = RateLimit(perSecond: configuration.emptyAnswersPerSecond)
    requestCounters()
  }

  // MARK: Out

  /// What is to be done since the last call, in order.
  public mutating func takeActions() -> [MACAction] {
    defer { actions.removeAll() }
    return actions
  }

  /// When to call ``timeout(at:)``; `nil` for never.
  public var nextTimeout: Instant? {
    [flight?.deadline, direct.earliestDeadline, indirect.earliestDeadline].compactMap { $0 }.min()
  }

  public var statistics: MACStatistics {
    var statistics = counts
    statistics.queued = direct.count
    statistics.queuedBytes = direct.byteCount
    if let flight, flight.device == nil {
      statistics.queued += 1
      statistics.queuedBytes += flight.frame.length
    }
    statistics.indirectPending = indirect.count
    statistics.indirectBytes = indirect.byteCount
    return statistics
  }

  /// The devices that have joined, by EUI-64: to be stored, and given to the next engine.
  public var associations: [Association] { table.associations }

  /// Octets of payload that fit into a frame with this header.
  public func room(for header: MACHeader, isSecured: Bool = true) -> Int {
    let header = securing(isSecured) ? protected(header, counter: 0) : header
    let code = header.security?.level.micLength ?? 0
    return max(0, configuration.maximumFrameLength - FCS.length - header.encodedLength - code)
  }

  // MARK: In

  /// Sends a frame as soon as it is its turn, or, for a device that sleeps, as soon as that asks for it.
  public mutating func send(_ frame: OutgoingFrame, now: Instant) {
    enqueue(
      .caller(frame.id), frame.header, frame.payload, priority: frame.priority, isSecured: frame.isSecured, now: now)
    settle(now: now)
  }

  /// Says whether a device cannot hear while it is idle, whatever it says itself; `nil` lets it say so again.
  public mutating func setSleepy(_ device: MACAddress, _ isSleepy: Bool?, now: Instant) {
    sleepers.configure(device, isSleepy)
    requeue(canonical(device), now: now)
    settle(now: now)
  }

  /// Whether frames for a device wait until it asks for them.
  public func isSleepy(_ device: MACAddress) -> Bool { sleeps(canonical(device)) }

  /// A frame of this source was received that is no command, and authentic where security is required. It shows that a device
  /// has joined whose acknowledgment of that was lost.
  public mutating func heard(from source: MACAddress) { confirm(source) }

  /// Forgets a device that has joined; its short address is free, and what waits for it is dropped.
  public mutating func remove(_ device: ExtendedAddress, now: Instant) {
    forget(device)
    settle(now: now)
  }

  /// Secures the frames to come under another key. Frame counters go on rising: they are one row for all keys.
  ///
  /// Throws ``DropReason/macKeyUnknown``, and ``DropReason/macSecurityUnsupported`` without link security.
  public mutating func rotate(to key: KeyIdentifier) throws(ParseError) {
    guard configuration.security != nil else { throw ParseError(.macSecurityUnsupported) }
    _ = try keys.key(for: key)
    currentKey = key
  }

  /// All frame counters below `limit` are durably stored as used: see ``MACAction/reserveFrameCounter(upTo:)``.
  public mutating func frameCounterReserved(upTo limit: UInt32, now: Instant) {
    reserve.reserved(upTo: limit)
    settle(now: now)
  }

  /// The radio is a new one or was started again: it gets what it had anew.
  public mutating func radioRestarted(now: Instant) {
    if var current = flight, current.isOnAir {
      current.isOnAir = false
      current.deadline = now
      flight = current
      relaunch(now: now)
    }
    announcedMatch = SourceMatch()
    isMatchStale = true
    settle(now: now)
  }

  /// Tries again what is to be tried again and gives up what is over.
  public mutating func timeout(at now: Instant) {
    if let current = flight, current.deadline <= now {
      if current.isOnAir { conclude(.failed, now: now) } else { relaunch(now: now) }
    }
    for frame in direct.expire(now: now) { finish(frame, .expired, now: now) }
    let exception = flight.flatMap { $0.device == nil ? nil : $0.frame.serial }
    var devices: Set<MACAddress> = []
    for (device, frame) in indirect.expire(now: now, except: exception) {
      devices.insert(device)
      isMatchStale = true
      finish(frame, .expired, now: now)
    }
    for device in devices { reconsider(device, now: now) }
    settle(now: now)
  }

  /// A device of which only its data requests said that it sleeps, and that asks no more, counts as awake again.
  private mutating func reconsider(_ device: MACAddress, now: Instant) {
    guard let last = sleepers.lastPoll(device), last.advanced(by: configuration.transactionPersistence) <= now
    else { return }
    sleepers.forget(device)
    requeue(device, now: now)
  }

  /// What follows from any change.
  mutating func settle(now: Instant) {
    requestCounters()
    pump(now: now)
    requestCounters()
    guard isMatchStale, configuration.capabilities.contains(.sourceMatch) else { return }
    isMatchStale = false
    let match = sourceMatch
    guard match != announcedMatch else { return }
    announcedMatch = match
    actions.append(.sourceMatch(match))
  }

  private mutating func requestCounters() {
    guard securing(true), let limit = reserve.request() else { return }
    actions.append(.reserveFrameCounter(upTo: limit))
  }

  /// The devices for which frames wait, under each of their addresses.
  private var sourceMatch: SourceMatch {
    var match = SourceMatch()
    for device in indirect.devices {
      switch device {
      case .absent: break
      case .short(let address): match.short.insert(address)
      case .extended(let address):
        match.extended.insert(address)
        if let short = table.short(of: address) { match.short.insert(short) }
      }
    }
    return match
  }
}
