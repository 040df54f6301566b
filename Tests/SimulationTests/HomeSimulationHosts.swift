import Bridge
import Envelope
import Queue
import Relay
import TestSupport
import Wire

// Gateway, relay and owner: power, and what they pass to each other.

extension HomeSimulation {
  private func store(_ host: Host) -> MemoryStore { stores[host.rawValue] }

  // MARK: Power

  /// Lets a host lose its power at one of its next writes.
  func cutPower() {
    let host = generator.oneIn(2) ? Host.gateway : generator.oneIn(2) ? .relay : .owner
    let moment = MemoryStore.Moment.allCases.randomElement(using: &generator) ?? .write
    store(host).cutPower(afterWrites: Int.random(in: 1...8, using: &generator), moment)
  }

  /// A host has lost its power.
  func lost(_ host: Host) {
    statistics.powerCuts += 1
    note(7, UInt64(host.rawValue))
    switch host {
    case .gateway:
      if let gateway { droppedBefore += dropped(by: gateway) }
      gateway = nil
      timers[0] = nil
    case .relay: relay = nil
    case .owner: owner = nil
    }
    schedule(.restart(host), in: plan.downtimes)
  }

  func restart(_ host: Host) {
    store(host).restart()
    isMailWaiting = (true, true)
    note(8, UInt64(host.rawValue))
    do {
      switch host {
      case .gateway:
        gateway = try GatewayProcess(
          group, plan, store: store(.gateway), relay: group.relay.address,
          random: SeededGenerator(seed: generator.next()), now: now)
        settleGateway()
      case .relay:
        guard let identity = RelayIdentity(group.relay) else { return }
        var new = try RelayCore(identity, oracle: group.oracle.public, store: store(.relay))
        if new.directory == nil { _ = new.accept(accessList: group.accessList, now: now) }
        relay = new
      case .owner:
        owner = Endpoint(
          identity: group.owner, directory: group.directory, relay: group.relay.address, store: store(.owner))
        repeatDoubtful()
      }
      requestPump()
    } catch {
      ledger.note(problem: "\(host) does not start: \(error)")
    }
  }

  // MARK: Commands

  /// The owner commands some node.
  func command() {
    let index = Int.random(in: stations.indices, using: &generator)
    let kind = stations[index].spec.kind
    guard owner != nil, !kind.isPlain else { return }
    lastLabel += 1
    // What must not be done twice is asked only of servers that never forget what they have done.
    let method: Ledger.Method =
      !kind.isServer ? .put : generator.oneIn(3) ? .get : generator.oneIn(2) && stations[index].isSteady ? .post : .put
    let verb = method == .get ? "GET" : method == .post ? "POST" : "PUT"
    let value = method == .get ? "" : " v\(lastLabel)"
    guard let text = CommandText("node\(index): \(verb) /value\(value)") else { return }
    let command = Ledger.Command(node: index, kind: kind, method: method, text: "v\(lastLabel)", given: now)
    give(command, text, label: "\(lastLabel)")
  }

  private func give(_ command: Ledger.Command, _ text: CommandText, label: String) {
    let lifetime = UInt64(plan.commandLifetime.components.seconds)
    let given = try? owner?.command(text, label: label, lifetime: lifetime, now: now)
    if store(.owner).isPowerCut {
      doubtful = (command, text, label)
      return lost(.owner)
    }
    note(9, given ?? 0)
    if let given {
      ledger.give(command, number: given)
    } else if let bytes = try? store(.owner).value("command.\(label)"),
      let number = UInt64(String(decoding: bytes, as: UTF8.self))
    {
      // It had been given.
      ledger.give(command, number: number)
    } else {
      ledger.note(problem: "'\(text)' was not given")
    }
    requestPump()
  }

  /// Gives the command again that the owner does not know to have given.
  private func repeatDoubtful() {
    guard let (command, text, label) = doubtful else { return }
    doubtful = nil
    give(command, text, label: label)
  }

  // MARK: Between the hops

  func requestPump() {
    guard !isPumpDue else { return }
    isPumpDue = true
    schedule(.pump, in: 0.02...0.5)
  }

  /// Passes on some of what waits.
  func pump() {
    isPumpDue = false
    guard isRelayReachable, relay != nil else { return }
    do {
      if try relay?.expire(now: now) ?? 0 > 0 { isMailWaiting.owner = true }
      if store(.relay).isPowerCut { return lost(.relay) }
      let moved = (try pumpGateway(), try pumpOwner())
      if moved.0 || moved.1 { requestPump() }
    } catch {
      // Whoever lost power in the act, or had before.
      for host in Host.allCases where store(host).isPowerCut && isRunning(host) { lost(host) }
    }
  }

  private func isRunning(_ host: Host) -> Bool {
    switch host {
    case .gateway: gateway != nil
    case .relay: relay != nil
    case .owner: owner != nil
    }
  }

  private struct PowerCut: Error {}

  private func pumpGateway() throws -> Bool {
    guard let gateway else { return false }
    let outbound = try gateway.home.gateway.outbound(limit: 8)
    guard isMailWaiting.gateway || !outbound.isEmpty,
      let session = try relay?.openSession(
        client: group.gateway.address, serving: group.nodes.map(\.member.address))
    else { return false }
    for message in outbound where try submit(message, session) { try gateway.confirmOutbound(message.number) }
    guard isMailWaiting.gateway else { return !outbound.isEmpty }
    let pending = try relay?.pending(for: session, limit: 8, now: now) ?? []
    for message in pending {
      let custody = gateway.deliver(message.bytes, now: now)
      if store(.gateway).isPowerCut { throw PowerCut() }
      settleGateway()
      try settle(custody, message, session)
    }
    isMailWaiting.gateway = !pending.isEmpty
    settleGateway()
    return !outbound.isEmpty || !pending.isEmpty
  }

  private func pumpOwner() throws -> Bool {
    guard owner != nil else { return false }
    let outbound = try owner?.outbound(limit: 8) ?? []
    guard isMailWaiting.owner || !outbound.isEmpty,
      let session = try relay?.openSession(client: group.owner.address)
    else { return false }
    for message in outbound where try submit(message, session) { try owner?.confirmOutbound(message.number) }
    let pending = try relay?.pending(for: session, limit: 8, now: now) ?? []
    for message in pending {
      guard let custody = owner?.deliver(message.bytes, now: now).custody else { break }
      if store(.owner).isPowerCut { throw PowerCut() }
      if case .refused(let reason) = custody { ledger.note(problem: "the owner refuses an envelope: \(reason.name)") }
      try settle(custody, message, session)
    }
    isMailWaiting.owner = !pending.isEmpty
    return !outbound.isEmpty || !pending.isEmpty
  }

  /// Whether the relay has decided about a message, so that its sender may forget it.
  private func submit(_ message: HeldMessage, _ session: RelaySession) throws -> Bool {
    guard let outcome = relay?.submit(message.bytes, session: session, now: now) else { return false }
    if store(.relay).isPowerCut { throw PowerCut() }
    note(10, message.seq, UInt64(outcome.code))
    switch outcome {
    case .accepted, .alreadyInCustody:
      isMailWaiting = (true, true)
      return true
    case .refused(let reason, _):
      switch reason {
      case .queueUnavailable, .queueFull, .queueNodeFull: return false
      case .envelopeExpired: return true
      default:
        ledger.note(problem: "the relay refuses an envelope: \(reason.name)")
        return true
      }
    }
  }

  private func settle(_ custody: Custody, _ message: HeldMessage, _ session: RelaySession) throws {
    guard let address = Address(message.mailbox.address) else { return }
    switch custody {
    case .taken: try relay?.delivered(message.number, to: address, in: session)
    case .refused(let reason):
      try relay?.rejected(message, in: session, reason: reason, now: now)
      isMailWaiting.owner = true
    case .later: break
    }
  }
}
