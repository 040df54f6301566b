import IEEE802154
import Wire

// What devices ask of their coordinator (IEEE 802.15.4-2020, 7.5).

extension MACEngine {
  /// How long an empty answer is of use; the device sleeps again after macMaxFrameTotalWaitTime.
  private static let emptyAnswerTime = Duration.milliseconds(200)

  /// Takes a command that was received, once its FCS and its security were checked.
  ///
  /// - Parameters:
  ///   - isSecured: it was secured, is authentic and no replay.
  ///   - framePendingAcknowledged: whether the radio said in its acknowledgment that a frame waits; `nil` if it does not tell.
  public mutating func receive(
    _ command: MACCommand, header: MACHeader, isSecured: Bool, framePendingAcknowledged: Bool? = nil, now: Instant
  ) {
    do throws(ParseError) {
      try checkAddresses(header)
      switch command {
      case .beaconRequest: try answerBeaconRequest(header, now: now)
      case .associationRequest(let capabilities):
        try answerAssociationRequest(capabilities, header, isSecured: isSecured, now: now)
      case .dataRequest:
        try answerDataRequest(
          header, isSecured: isSecured, framePendingAcknowledged: framePendingAcknowledged, now: now)
      default:
        guard isSecured || !requiresSecurity else { throw ParseError(.macUnsecured) }
        try obey(command, header, isSecured: isSecured, now: now)
      }
    } catch {
      drops.count(error.reason)
      actions.append(.dropped(error.reason))
    }
    settle(now: now)
  }

  private var requiresSecurity: Bool { configuration.security?.isRequired ?? false }

  private func checkAddresses(_ header: MACHeader) throws(ParseError) {
    var radio = configuration.radio
    radio.isPromiscuous = false
    guard radio.accepts(header, isPANCoordinator: true) else { throw ParseError(.macNotForUs) }
    switch header.source {
    case .absent: break
    case .extended(let address):
      guard address != radio.extendedAddress else { throw ParseError(.macOwnFrame) }
    case .short(let address):
      guard address != radio.shortAddress else { throw ParseError(.macOwnFrame) }
    }
  }

  private mutating func obey(
    _ command: MACCommand, _ header: MACHeader, isSecured: Bool, now: Instant
  ) throws(ParseError) {
    switch command {
    case .orphanNotification: try realign(header, isSecured: isSecured, now: now)
    case .disassociationNotification:
      guard case .extended(let device) = canonical(header.source), table[device] != nil else {
        throw ParseError(.macDeviceUnknown)
      }
      forget(device)
    default: throw ParseError(.unsupported)
    }
  }

  // MARK: Data requests

  private mutating func answerDataRequest(
    _ header: MACHeader, isSecured: Bool, framePendingAcknowledged: Bool?, now: Instant
  ) throws(ParseError) {
    let isGroup = header.source.isBroadcast || header.source == .short(.unassigned)
    guard header.source != .absent, !isGroup, !header.destination.isBroadcast else {
      throw ParseError(.macAddressingInvalid)
    }
    let device = canonical(header.source)
    // A device that joins without a key asks for its answer in the clear, and gets nothing else.
    let inClearOnly = requiresSecurity && !isSecured
    if inClearOnly, indirect.first(for: device, inClearOnly: true) == nil { throw ParseError(.macUnsecured) }
    counts.polls &+= 1
    if !inClearOnly {
      confirm(header.source)
      learn(device, now: now)
    }
    if flight?.device == device {
      // Perhaps a copy; perhaps it has its frame already and wants the next.
      if !inClearOnly { flight?.wasPolled = true }
      return
    }
    if indirect.first(for: device, inClearOnly: inClearOnly) != nil {
      // Who was told that nothing waits sleeps again.
      guard framePendingAcknowledged != false else { return }
      if let index = releases.firstIndex(where: { $0.device == device }) {
        releases[index].inClearOnly = releases[index].inClearOnly && inClearOnly
      } else {
        releases.append(Release(device: device, inClearOnly: inClearOnly))
      }
    } else if framePendingAcknowledged ?? !configuration.capabilities.contains(.sourceMatch) {
      try answerEmpty(header, now: now)
    }
  }

  /// Who asks for its frames sleeps, unless it was said that it does not, or it asks because it joins.
  private mutating func learn(_ device: MACAddress, now: Instant) {
    guard configuredSleep(device) == nil else { return }
    if case .extended(let address) = device, table.knows(address) || joining[address] != nil { return }
    let isNew = !sleepers.isLearnt(device)
    let held = indirect
    sleepers.learn(device, now: now) { held.count(for: $0) == 0 }
    if isNew { requeue(device, now: now) }
  }

  /// Lets a device sleep at once that waits for a frame in vain (6.7.3).
  private mutating func answerEmpty(_ header: MACHeader, now: Instant) throws(ParseError) {
    guard emptyAnswerLimit.take(now: now) else { throw ParseError(.macRateLimited) }
    let answer = MACHeader(
      type: .data, sequenceNumber: 0, destinationPAN: configuration.radio.panID, destination: header.source,
      source: .extended(configuration.radio.extendedAddress), panIdentifierCompressed: true)
    let serial = enqueue(
      .emptyAnswer, answer, [], priority: .high, isIndirect: false, time: Self.emptyAnswerTime, now: now)
    if serial != nil { counts.emptyAnswers &+= 1 }
  }

  // MARK: Beacons and orphans

  private mutating func answerBeaconRequest(_ header: MACHeader, now: Instant) throws(ParseError) {
    // One of 2015 wants an enhanced beacon and may have filters in elements that are not looked into here.
    guard header.control.version != .v2015 else { throw ParseError(.unsupported) }
    guard beaconLimit.take(now: now) else { throw ParseError(.macRateLimited) }
    let radio = configuration.radio
    let superframe = SuperframeSpecification.nonBeacon(isCoordinator: true, permitsAssociation: permitsJoining)
    let beacon = Beacon(superframe: superframe, payload: configuration.beaconPayload)
    guard let payload = try? beacon.encoded() else { throw ParseError(.unsupported) }
    let source = radio.assignedShortAddress.map { MACAddress.short($0) } ?? .extended(radio.extendedAddress)
    let answer = MACHeader(
      type: .beacon, version: .v2003, sequenceNumber: 0, sourcePAN: radio.panID, source: source)
    let serial = enqueue(.beacon, answer, payload, priority: .high, isSecured: false, isIndirect: false, now: now)
    if serial != nil { counts.beacons &+= 1 }
  }

  /// Tells a device that has lost its coordinator where it is (7.5.10).
  private mutating func realign(_ header: MACHeader, isSecured: Bool, now: Instant) throws(ParseError) {
    guard case .extended(let device) = header.source else { throw ParseError(.macAddressingInvalid) }
    guard let association = table[device] else { throw ParseError(.macDeviceUnknown) }
    guard beaconLimit.take(now: now) else { throw ParseError(.macRateLimited) }
    let radio = configuration.radio
    let command = MACCommand.coordinatorRealignment(
      pan: radio.panID, coordinator: radio.assignedShortAddress ?? .unassigned, channel: radio.channel,
      device: association.short ?? .unassigned, page: radio.page == 0 ? nil : radio.page)
    guard let payload = try? command.encoded() else { throw ParseError(.unsupported) }
    // The device knows no PAN: it is addressed in all of them.
    let answer = MACHeader(
      type: .command, sequenceNumber: 0, destinationPAN: .broadcast, destination: .extended(device),
      sourcePAN: radio.panID, source: .extended(radio.extendedAddress), acknowledgmentRequested: true)
    enqueue(.realignment, answer, payload, priority: .high, isSecured: isSecured, isIndirect: false, now: now)
  }
}

extension RadioSettings {
  /// The short address, unless that is the one of those that have none.
  fileprivate var assignedShortAddress: ShortAddress? {
    shortAddress.flatMap { $0 < .unassigned ? $0 : nil }
  }
}
