import Bridge
import CoAP
import Envelope
import IEEE802154
import Node
import Queue
import Relay
import TestSupport
import Wire

/// A whole home in simulated time: nodes and gateway on one lossy medium, the relay, the owner, and what goes wrong.
///
/// Everything is drawn from the plan's seed.
final class HomeSimulation {
  enum Event {
    /// A frame reaches a station: 0 is the gateway, node N is station N + 1.
    case frame([UInt8], to: Int)
    /// A station has something to do.
    case timer(Int)
    case report(Int)
    case command
    case reset
    case start(Int)
    case powerCut
    case outage(Bool)
    case restart(Host)
    case pump
    case check
  }

  /// What loses power and comes back with its store.
  enum Host: Int, CaseIterable { case gateway, relay, owner }

  /// A node, running or not.
  final class Station {
    let spec: SimulatedGroup.Node
    let configuration: NodeConfiguration
    var process: (any RunningNode)?
    var memory = EnvelopeMemory()
    /// It never loses power.
    let isSteady: Bool

    init(spec: SimulatedGroup.Node, configuration: NodeConfiguration, isSteady: Bool) {
      self.spec = spec
      self.configuration = configuration
      self.isSteady = isSteady
    }
  }

  let plan: SimulationPlan
  let group: SimulatedGroup
  var generator: SeededGenerator
  var events = EventQueue<Event>()
  var now = SimulatedGroup.start
  var stations: [Station] = []
  /// When each station's timer is due in ``events``.
  var timers: [Instant?]
  /// Timers in a row, by station, that were due when they were set.
  var lateTimers: [Int]
  /// Stations by radio address, as frames name them.
  var radios: [MACAddress: Int] = [:]
  let stores = Host.allCases.map { _ in MemoryStore() }
  var gateway: GatewayProcess?
  var relay: RelayCore<LocalRelayStore<MemoryStore>>?
  var owner: Endpoint<MemoryStore>?
  var isRelayReachable = true
  var isPumpDue = false
  /// Somebody's mailbox at the relay may hold something.
  var isMailWaiting = (gateway: true, owner: true)
  var ledger = Ledger()
  var lastLabel: UInt64 = 0
  /// A command that may or may not have been given when the power went.
  var doubtful: (command: Ledger.Command, text: CommandText, label: String)?
  var statistics = SimulationStatistics()
  /// Of everything that happened, in order.
  var digest = EventDigest()
  /// Messages of no consequence that gave way, in gateways that are no more.
  var droppedBefore: UInt64 = 0

  init(_ plan: SimulationPlan) throws {
    self.plan = plan
    group = try SimulatedGroup.shared.get()
    generator = SeededGenerator(seed: plan.seed &* 0x9e37_79b9 &+ 1)
    timers = [Instant?](repeating: nil, count: group.nodes.count + 1)
    lateTimers = [Int](repeating: 0, count: timers.count)
    radios[.extended(GatewayProcess.radio)] = 0
    radios[.short(ShortAddress(0))] = 0
    for (index, spec) in group.nodes.enumerated() {
      stations.append(
        Station(spec: spec, configuration: configuration(of: spec), isSteady: generator.oneIn(3)))
      radios[.extended(spec.radio)] = index + 1
      schedule(.start(index), in: 0...60)
      if !spec.kind.isServer { schedule(.report(index), in: plan.reporting) }
    }
    for host in [Host.relay, .owner, .gateway] { restart(host) }
    schedule(.command, in: plan.commanding)
    schedule(.reset, in: plan.resetting)
    schedule(.powerCut, in: plan.powerCuts)
    schedule(.outage(true), in: plan.outages)
    schedule(.check, in: 300...300)
  }

  private func configuration(of spec: SimulatedGroup.Node) -> NodeConfiguration {
    var configuration = NodeConfiguration(
      extendedAddress: spec.radio, panID: GatewayProcess.pan, channel: GatewayProcess.channel)
    configuration.associates = generator.oneIn(3)
    configuration.registrationLifetime = generator.oneIn(4) ? 10 : 60
    if spec.kind.sleeps { configuration.sleep = SleepSchedule() }
    return configuration
  }

  // MARK: Time

  func schedule(_ event: Event, in seconds: ClosedRange<Double>) {
    let wait = Duration.microseconds(Int64(Double.random(in: seconds, using: &generator) * 1_000_000))
    events.push(event, at: now.advanced(by: wait))
  }

  var end: Instant { SimulatedGroup.start.advanced(by: plan.span) }
  /// Nothing new begins after this, and nothing goes wrong but on the medium.
  var isActive: Bool { now < SimulatedGroup.start.advanced(by: plan.activeSpan) }

  /// Runs to the end and settles the ledger.
  func run() throws {
    while let (time, event) = events.pop(), time <= end {
      now = time
      statistics.events += 1
      try perform(event)
    }
    now = end
    try ledger.read(stores[Host.owner.rawValue], of: group.owner, nodes: group.nodes)
    // What gave way in a transaction that the loss of power did not let be counted is not counted.
    let uncounted = plan.isTight ? UInt64(statistics.powerCuts) : 0
    let dropped = droppedBefore + (gateway.map { self.dropped(by: $0) } ?? 0)
    statistics.dropped = Int(dropped)
    ledger.close(nodes: group.nodes, dropped: dropped == 0 ? 0 : dropped + uncounted)
  }

  func dropped(by process: GatewayProcess) -> UInt64 { process.home.gateway.counters[.queueOldestDropped] }

  private func perform(_ event: Event) throws {
    switch event {
    case .frame(let frame, let station): receive(frame, at: station)
    case .timer(let station): timeout(of: station)
    case .report(let node): report(node)
    case .command:
      guard isActive else { return }
      command()
      schedule(.command, in: plan.commanding)
    case .reset:
      guard isActive else { return }
      reset(Int.random(in: stations.indices, using: &generator))
      schedule(.reset, in: plan.resetting)
    case .start(let node): start(node)
    case .powerCut:
      guard isActive else { return }
      cutPower()
      schedule(.powerCut, in: plan.powerCuts)
    case .outage(let begins):
      isRelayReachable = !begins
      note(6, begins ? 1 : 0)
      if begins {
        statistics.outages += 1
        schedule(.outage(false), in: plan.outageLengths)
      } else {
        requestPump()
        if isActive { schedule(.outage(true), in: plan.outages) }
      }
    case .restart(let host): restart(host)
    case .pump: pump()
    case .check:
      try check()
      schedule(.check, in: 300...300)
    }
  }

  /// Adds to the digest.
  func note(_ kind: UInt64, _ values: UInt64...) {
    digest.add(UInt64(bitPattern: now.microseconds))
    digest.add(kind)
    for value in values { digest.add(value) }
  }

  // MARK: Invariants that hold at all times

  private func check() throws {
    if owner != nil { try ledger.read(stores[Host.owner.rawValue], of: group.owner, nodes: group.nodes) }
    if let excess = gateway?.excess() { ledger.note(problem: "gateway: \(excess)") }
    for (index, station) in stations.enumerated() {
      if let excess = station.process?.excess() { ledger.note(problem: "node \(index): \(excess)") }
    }
    guard let gateway else { return }
    for (mailbox, usage) in try stores[Host.gateway.rawValue].mailboxes() {
      if !usage.fits(plan.queues[mailbox.kind]) { ledger.note(problem: "\(mailbox.kind) holds \(usage)") }
    }
    if try !stores[Host.gateway.rawValue].totalUsage().fits(plan.queues.total) {
      ledger.note(problem: "the gateway holds too much")
    }
    statistics.longestOutbox = max(statistics.longestOutbox, try gateway.home.gateway.outboxUsage().messages)
    // Let what is left over from before drain: the periodic duties of the hosts.
    requestPump()
  }
}
