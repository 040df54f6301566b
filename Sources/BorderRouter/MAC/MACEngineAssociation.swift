import IEEE802154
import Wire

// How devices join (IEEE 802.15.4-2020, 6.4.1).

/// What an association response says.
enum AssociationStatus: UInt8, Sendable {
  case successful = 0
  case atCapacity = 1
  case accessDenied = 2
  case fastSuccessful = 0x80

  var isSuccess: Bool { self == .successful || self == .fastSuccessful }
}

/// An answer to an association request that waits.
struct Joining: Sendable {
  var serial: UInt64
  var isAccepted: Bool
  /// The device is presumed to have it.
  var isPresumed = false
}

/// What holds once an association response has arrived.
struct Acceptance: Sendable {
  /// What the device gets.
  var short: ShortAddress
  /// What it can do from then on; `nil` if that stays.
  var capabilities: DeviceCapabilities?
}

extension MACEngine {
  /// Who has joined before may come again, though nobody else may join; unless it is not admitted any more.
  private func mayJoin(_ device: ExtendedAddress) -> Bool {
    guard admitted?.contains(device) ?? true else { return false }
    return permitsJoining || table[device] != nil
  }

  mutating func answerAssociationRequest(
    _ capabilities: DeviceCapabilities, _ header: MACHeader, isSecured: Bool, now: Instant
  ) throws(ParseError) {
    guard case .extended(let device) = header.source, !header.destination.isBroadcast else {
      throw ParseError(.macAddressingInvalid)
    }
    let address = MACAddress.extended(device)
    // The one that the radio has, or is about to get, is as good as another.
    if let waiting = joining[device] {
      guard indirect.contains(waiting.serial, for: address), flight?.frame.serial != waiting.serial else { return }
    }
    try checkJoining(device)
    var status = AssociationStatus.accessDenied
    var short = ShortAddress.broadcast
    if mayJoin(device) {
      let isFast = capabilities.contains(.fastAssociation)
      var given = table.admit(device, capabilities)
      // Who is only presumed to have joined makes room.
      while given == nil, let other = table.leastCertain, other != device {
        forget(other)
        given = table.admit(device, capabilities)
      }
      if let given {
        short = given
        status = isFast ? .fastSuccessful : .successful
      } else {
        status = .atCapacity
      }
    }
    // Anybody can ask in a device's name in the clear: what it can do must not change by that under link security.
    let stays = table[device] != nil && configuration.security?.isRequired == true && !isSecured
    let acceptance =
      status.isSuccess ? Acceptance(short: short, capabilities: stays ? nil : capabilities) : nil
    if let old = joining[device] {
      _ = indirect.remove(old.serial, for: address)
      joining[device] = nil
      isMatchStale = true
    }
    try respond(device, short, status, acceptance, isSecured: isSecured, now: now)
  }

  /// Bounds those that are joining: refusals take at most half of the places.
  private func checkJoining(_ device: ExtendedAddress) throws(ParseError) {
    let others = joining.filter { $0.key != device }
    guard others.count < configuration.maximumJoining else { throw ParseError(.macQueueFull) }
    if !mayJoin(device) || table.isFull && !table.knows(device) {
      let refusals = others.values.count { !$0.isAccepted }
      guard refusals < max(1, configuration.maximumJoining / 2) else { throw ParseError(.macQueueFull) }
    }
  }

  private mutating func respond(
    _ device: ExtendedAddress, _ short: ShortAddress, _ status: AssociationStatus, _ acceptance: Acceptance?,
    isSecured: Bool, now: Instant
  ) throws(ParseError) {
    let command = MACCommand.associationResponse(short, status: status.rawValue)
    guard let payload = try? command.encoded() else { throw ParseError(.unsupported) }
    let answer = MACHeader(
      type: .command, sequenceNumber: 0, destinationPAN: configuration.radio.panID, destination: .extended(device),
      source: .extended(configuration.radio.extendedAddress), acknowledgmentRequested: true,
      panIdentifierCompressed: true)
    let serial = enqueue(
      .associationResponse(device, acceptance), answer, payload, priority: .high, isSecured: isSecured,
      isIndirect: status != .fastSuccessful, time: configuration.joiningPersistence, now: now)
    if let serial {
      joining[device] = Joining(serial: serial, isAccepted: acceptance != nil)
    } else {
      table.giveUp(device)
    }
  }

  /// The answer was sent, and its acknowledgment did not come: that alone may have been lost, and then the device is using
  /// its address already.
  mutating func presume(_ frame: QueuedFrame, now: Instant) {
    guard case .associationResponse(let device, let acceptance?) = frame.purpose,
      joining[device]?.serial == frame.serial, table.certainty(of: device) == .joining
    else { return }
    joining[device]?.isPresumed = true
    join(device, acceptance, .presumed, now: now)
  }

  /// A device has used its short address: it has joined.
  mutating func confirm(_ source: MACAddress) {
    guard case .short(let short) = source, let device = table.device(with: short) else { return }
    if table.certainty(of: device) == .presumed { table.settle(device, .confirmed) }
  }

  private mutating func join(
    _ device: ExtendedAddress, _ acceptance: Acceptance, _ certainty: AssociationTable.Certainty, now: Instant
  ) {
    table.settle(device, certainty, acceptance.capabilities)
    sleepers.forget(.extended(device))
    counts.associations &+= 1
    actions.append(.associated(device, acceptance.short))
    // What was queued by its short address, or as if it were awake or asleep.
    requeue(.short(acceptance.short), now: now)
    requeue(.extended(device), now: now)
  }

  /// The answer to an association request has arrived, or never will.
  mutating func answered(
    _ device: ExtendedAddress, _ acceptance: Acceptance?, _ frame: QueuedFrame, _ outcome: MACOutcome, now: Instant
  ) {
    // A device that was removed in the meantime does not come back by this.
    guard let waiting = joining[device], waiting.serial == frame.serial else { return }
    if outcome == .noAcknowledgment { presume(frame, now: now) }
    joining[device] = nil
    isMatchStale = true
    guard let acceptance else {
      if outcome.isSuccess { counts.associationsRefused &+= 1 }
      return
    }
    guard outcome.isSuccess else { return table.giveUp(device) }
    guard !waiting.isPresumed else { return table.settle(device, .confirmed) }
    join(device, acceptance, .confirmed, now: now)
  }
}
