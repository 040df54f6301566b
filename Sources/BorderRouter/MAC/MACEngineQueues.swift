import IEEE802154
import Wire

// Which frames wait where.

extension MACEngine {
  /// The one address under which a device is known here: its EUI-64 if it has joined.
  func canonical(_ address: MACAddress) -> MACAddress {
    guard case .short(let short) = address, let device = table.device(with: short) else { return address }
    return .extended(device)
  }

  /// Whether a device, by its canonical address, cannot hear while it is idle: configured, or said when it joined, or learnt
  /// from its data requests.
  func sleeps(_ device: MACAddress) -> Bool {
    if let configured = configuredSleep(device) { return configured }
    if case .extended(let address) = device, let association = table[address] {
      return !association.capabilities.contains(.receiverOnWhenIdle)
    }
    return sleepers.isLearnt(device)
  }

  /// What was configured for a device under any of its addresses.
  func configuredSleep(_ device: MACAddress) -> Bool? {
    if let configured = sleepers.configured(device) { return configured }
    guard case .extended(let address) = device, let short = table.short(of: address) else { return nil }
    return sleepers.configured(.short(short))
  }

  /// Queues a frame, or finishes it at once if it cannot be sent; its serial number.
  @discardableResult
  mutating func enqueue(
    _ purpose: QueuedFrame.Purpose, _ header: MACHeader, _ payload: [UInt8], priority: FramePriority = .normal,
    isSecured: Bool = true, isIndirect: Bool? = nil, time: Duration? = nil, now: Instant
  ) -> UInt64? {
    var header = header
    header.security = nil
    header.control.isSecured = false
    header.control.isFramePending = false
    if header.destination.isBroadcast { header.control.isAcknowledgmentRequested = false }
    let secures = securing(isSecured)
    let whole = secures ? protected(header, counter: 0) : header
    let device = canonical(header.destination)
    let waitsForPoll = isIndirect ?? (!header.destination.isBroadcast && sleeps(device))
    serial &+= 1
    let frame = QueuedFrame(
      serial: serial, purpose: purpose, header: header, payload: payload, priority: priority, isSecured: secures,
      isPinned: isIndirect != nil,
      length: whole.encodedLength + payload.count + (whole.security?.level.micLength ?? 0),
      deadline: now.advanced(
        by: time ?? (waitsForPoll ? configuration.transactionPersistence : configuration.queueTime)))
    do throws(ParseError) {
      try check(frame, whole)
      try place(frame, for: device, isIndirect: waitsForPoll)
      return frame.serial
    } catch {
      finish(frame, .dropped(error.reason), now: now)
      return nil
    }
  }

  /// Throws why a frame can never be sent.
  private func check(_ frame: QueuedFrame, _ whole: MACHeader) throws(ParseError) {
    guard !configuration.capabilities.contains(.listensOnly), !whole.control.hasInformationElements,
      (try? whole.encoded()) != nil
    else { throw ParseError(.unsupported) }
    guard frame.length + FCS.length <= configuration.maximumFrameLength else { throw ParseError(.macFrameTooLong) }
    guard frame.isSecured, let currentKey else { return }
    guard !reserve.isExhausted else { throw ParseError(.macFrameCounterExhausted) }
    _ = try keys.key(for: currentKey)
  }

  private mutating func place(_ frame: QueuedFrame, for device: MACAddress, isIndirect: Bool) throws(ParseError) {
    if isIndirect {
      guard indirect.hasRoom(for: device, length: frame.length, configuration) else { throw ParseError(.macQueueFull) }
      indirect.append(frame, for: device)
      isMatchStale = true
    } else {
      guard direct.hasRoom(for: device, length: frame.length, configuration) else { throw ParseError(.macQueueFull) }
      direct.append(frame, for: device)
    }
  }

  /// Moves the frames that are queued under a device's address to where they belong now, in their order.
  mutating func requeue(_ device: MACAddress, now: Instant) {
    let waiting = direct.removeAll(for: device) { !$0.isPinned }
    let flying = flight?.frame.serial
    let held = indirect.removeAll(for: device) { !$0.isPinned && $0.serial != flying }
    guard !waiting.isEmpty || !held.isEmpty else { return }
    isMatchStale = true
    let wasHeld = Set(held.map(\.serial))
    for var frame in (waiting + held).sorted(by: { $0.serial < $1.serial }) {
      let device = canonical(frame.destination)
      let waitsForPoll = !frame.destination.isBroadcast && sleeps(device)
      if waitsForPoll, !wasHeld.contains(frame.serial) {
        frame.deadline = now.advanced(by: configuration.transactionPersistence)
      } else if !waitsForPoll, wasHeld.contains(frame.serial) {
        frame.deadline = min(frame.deadline, now.advanced(by: configuration.queueTime))
        // Others may go in front of it now, with higher counters.
        if frame.isSecured { frame.psdu = nil }
      }
      do throws(ParseError) {
        try place(frame, for: device, isIndirect: waitsForPoll)
      } catch { finish(frame, .dropped(error.reason), now: now) }
    }
  }

  /// Forgets a device, its addresses and its frames.
  mutating func forget(_ device: ExtendedAddress) {
    let address = MACAddress.extended(device)
    let flying = flight?.frame.serial
    let waiting = direct.removeAll(for: address) + indirect.removeAll(for: address)
    let isKnown = table[device] != nil
    if let short = table.short(of: device) { sleepers.remove(.short(short)) }
    sleepers.remove(address)
    table.remove(device)
    joining[device] = nil
    releases.removeAll { $0.device == address }
    isMatchStale = true
    // The one that the radio has ends with its outcome.
    for frame in waiting where frame.serial != flying { report(frame, .dropped(.macDeviceUnknown)) }
    if isKnown { actions.append(.disassociated(device)) }
  }

  /// Ends a frame that is in no queue any more.
  mutating func finish(_ frame: QueuedFrame, _ outcome: MACOutcome, now: Instant) {
    report(frame, outcome)
    if case .associationResponse(let device, let acceptance) = frame.purpose {
      answered(device, acceptance, frame, outcome, now: now)
    }
  }

  private mutating func report(_ frame: QueuedFrame, _ outcome: MACOutcome) {
    switch outcome {
    case .delivered, .sent: counts.sent &+= 1
    case .expired: counts.expired &+= 1
    case .dropped(let reason): drops.count(reason)
    case .noAcknowledgment, .channelAccessFailure, .failed: break
    }
    if case .caller(let id) = frame.purpose {
      actions.append(.finished(id, outcome))
    } else if case .dropped(let reason) = outcome {
      actions.append(.dropped(reason))
    }
  }
}
