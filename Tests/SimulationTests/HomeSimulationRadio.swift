import Bridge
import CoAP
import Envelope
import IEEE802154
import Node
import Queue
import TestSupport
import Wire

// The medium, and the stations on it.

extension HomeSimulation {
  // MARK: Medium

  /// Puts a frame of a station on the medium. Whoever it is for hears it, or does not, or late, or twice.
  private func transmit(_ frame: [UInt8], from station: Int) {
    statistics.frames += 1
    note(1, UInt64(station), UInt64(frame.count), UInt64(frame[0]), UInt64(frame[2]))
    guard let header = try? MACFrameView(frame.rawSpan, fcsPresent: true).header else { return }
    let isForAll = header.destination.isBroadcast || header.control.type == .beacon
    if header.control.type == .acknowledgment {
      // An acknowledgment has no address: it is for whoever waits for one.
      if station > 0 { return reach(0, frame) }
      for node in stations.indices where stations[node].process?.awaitsAcknowledgment == true { reach(node + 1, frame) }
    } else if isForAll {
      for other in 0...stations.count where other != station { reach(other, frame) }
    } else {
      // Without a destination it is for the coordinator.
      reach(radios[header.destination] ?? 0, frame)
    }
  }

  private func reach(_ station: Int, _ frame: [UInt8]) {
    guard Int.random(in: 0..<100, using: &generator) >= plan.loss else { return }
    let copies = Int.random(in: 0..<100, using: &generator) < plan.duplication ? 2 : 1
    for _ in 0..<copies {
      let isLate = Int.random(in: 0..<100, using: &generator) < plan.lateness
      // 32 µs an octet, 192 µs of preamble and header, and the stations' own delays.
      let delay = 192 + 32 * frame.count + Int.random(in: 0...(isLate ? 400_000 : 2_000), using: &generator)
      events.push(.frame(frame, to: station), at: now.advanced(by: .microseconds(delay)))
    }
  }

  func receive(_ frame: [UInt8], at station: Int) {
    if station == 0 {
      guard let gateway else { return }
      gateway.receive(frame, now: now)
      settleGateway()
    } else if let node = stations[station - 1].process, node.hears(at: now) {
      node.receive(frame, now: now)
      settle(station - 1)
    }
  }

  // MARK: Timers

  func timeout(of station: Int) {
    guard timers[station] == now else { return }
    timers[station] = nil
    if station == 0 {
      guard let gateway else { return }
      gateway.timeout(at: now)
      settleGateway()
    } else if let node = stations[station - 1].process {
      node.timeout(at: now)
      settle(station - 1)
    }
  }

  private func setTimer(of station: Int, to due: Instant?) {
    guard let due else { return }
    if let known = timers[station], known <= due { return }
    // What is due at once is due a moment later, so that nobody can hold the time; and nobody asks for that for long.
    let isLate = due <= now
    lateTimers[station] = isLate ? lateTimers[station] + 1 : 0
    if lateTimers[station] == 1_000 { ledger.note(problem: "station \(station) has something to do all the time") }
    let time = isLate ? now.advanced(by: .milliseconds(lateTimers[station] > 1_000 ? 1_000 : 1)) : due
    timers[station] = time
    events.push(.timer(station), at: time)
  }

  // MARK: Nodes

  func start(_ index: Int) {
    let station = stations[index]
    let spec = station.spec
    let random = SeededGenerator(seed: generator.next())
    let process: any RunningNode
    let destination: NodeStack.Destination = index.isMultiple(of: 2) ? .linkLocal : .global
    if spec.kind.isServer {
      process = NodeProcess(station.configuration, CoAPServerNode(), random: random)
    } else if spec.kind.isPlain {
      process = NodeProcess(station.configuration, PlainSensor(destination: destination), random: random)
    } else {
      guard let owner = group.directory.member(named: "owner") else { return }
      var configuration = EnvelopeNodeConfiguration(
        identity: spec.identity, class: spec.kind.class, readers: [owner], commanders: [owner])
      configuration.lifetime = plan.readingLifetime
      configuration.pollInterval = plan.polling
      configuration.longestRetry = plan.longestRetry
      configuration.destination = destination
      configuration.hasClock = !index.isMultiple(of: 5)
      if spec.kind == .signed { configuration.endpointName = spec.member.name }
      let node = EnvelopeNode(
        configuration: configuration, memory: station.memory, random: SeededGenerator(seed: generator.next()))
      process = NodeProcess(station.configuration, node, random: random)
    }
    station.process = process
    process.start(now: now)
    note(2, UInt64(index))
    settle(index)
  }

  func settle(_ index: Int) {
    guard let process = stations[index].process else { return }
    for frame in process.takeFrames() { transmit(frame, from: index + 1) }
    for event in process.takeEvents() {
      note(3, UInt64(index), event.digestCode)
      ledger.note(event, of: index, owner: group.owner.address)
    }
    if let memory = process.memory { stations[index].memory = memory }
    if let short = process.shortAddress { radios[.short(short)] = index + 1 }
    setTimer(of: index + 1, to: process.nextTimeout)
  }

  func report(_ index: Int) {
    guard isActive else { return }
    schedule(.report(index), in: plan.reporting)
    guard let process = stations[index].process else { return }
    lastLabel += 1
    ledger.reports[lastLabel] = Ledger.Report(node: index)
    let length = generator.oneIn(6) ? 150 : 24
    let text = "\(lastLabel);" + String(repeating: "x", count: Int.random(in: 0...length, using: &generator))
    process.report(text, label: lastLabel, now: now)
    settle(index)
  }

  func reset(_ index: Int) {
    guard !stations[index].isSteady, stations[index].process != nil else { return }
    statistics.resets += 1
    note(4, UInt64(index))
    stations[index].process = nil
    timers[index + 1] = nil
    schedule(.start(index), in: 1...30)
  }

  // MARK: Gateway

  /// Takes what the gateway says, unless it lost its power in the act: then nobody ever hears it.
  func settleGateway() {
    guard let gateway else { return }
    guard !stores[Host.gateway.rawValue].isPowerCut else { return lost(.gateway) }
    for frame in gateway.takeFrames() { transmit(frame, from: 0) }
    for event in gateway.takeEvents() {
      note(5, event.digestCode)
      statistics.count(event)
      if event.leavesEnvelope { requestPump() }
    }
    setTimer(of: 0, to: gateway.nextTimeout())
  }
}

extension DeviceEvent {
  fileprivate var digestCode: UInt64 {
    switch self {
    case .reported(let label): label << 4 | 1
    case .reportLost(let label): label << 4 | 2
    case .acted(_, let sequence, _): sequence << 4 | 3
    case .refused(let reason): UInt64(reason.rawValue) << 4 | 4
    case .receiptTaken(let sequence): sequence << 4 | 5
    case .served(_, let code): UInt64(code.rawValue) << 4 | 6
    case .chunkTaken(let number): number << 4 | 7
    case .chunkLost(let number): number << 4 | 8
    case .recordObeyed(let epoch): epoch << 4 | 10
    case .challenged(_, let sequence): sequence << 4 | 9
    }
  }
}

extension GatewayEvent {
  /// Something for the relay may be in the outbox.
  fileprivate var leavesEnvelope: Bool {
    switch self {
    case .accepted, .displaced, .expired, .exchanged, .exchangeFailed: true
    default: false
    }
  }

  fileprivate var digestCode: UInt64 {
    switch self {
    case .accepted(let report): UInt64(report.size) << 4 | 1
    case .refused(let refusal): UInt64(refusal.reason.rawValue) << 4 | 2
    case .commandHeld(let held): held.sequence << 4 | 3
    case .downlinkRefused(let refusal): UInt64(refusal.reason.rawValue) << 4 | 4
    case .handed(let held, _): held.sequence << 4 | 5
    case .confirmed(let held): held.sequence << 4 | 6
    case .nothingHeld: 7
    case .displaced(let held, _): held.sequence << 4 | 8
    case .expired(let held, _): held.sequence << 4 | 9
    case .exchanging(let held): held.sequence << 4 | 10
    case .exchanged(let held, _, _): held.sequence << 4 | 11
    case .exchangeFailed(let held, _): held.sequence << 4 | 12
    case .registered: 13
    case .deregistered: 14
    case .peerRecord: 15
    }
  }
}
