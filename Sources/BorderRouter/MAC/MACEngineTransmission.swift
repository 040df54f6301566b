import IEEE802154
import Wire

// From the queues to the radio, and what becomes of frames there.

extension MACEngine {
  /// What became of the frame that the radio had last. Without one it says nothing.
  public mutating func transmitted(_ outcome: TransmitOutcome, now: Instant) {
    guard let flight, flight.isOnAir else { return }
    conclude(outcome, now: now)
    settle(now: now)
  }

  /// Gives the radio the next frame if it has none.
  mutating func pump(now: Instant) {
    while flight == nil, let (frame, device) = pick() {
      var frame = frame
      do throws(ParseError) {
        try prepare(&frame, framePending: device.map { indirect.count(for: $0) > 1 } ?? false)
      } catch {
        if let device { removeHeld(frame, for: device) }
        finish(frame, .dropped(error.reason), now: now)
        continue
      }
      launch(Flight(frame: frame, device: device, deadline: now), now: now)
    }
  }

  private mutating func launch(_ flight: Flight, now: Instant) {
    var flight = flight
    guard let psdu = flight.frame.psdu else { return }
    flight.frame.attempts += 1
    flight.isOnAir = true
    flight.deadline = now.advanced(by: configuration.transmitTime)
    self.flight = flight
    if let device = flight.device { indirect.update(flight.frame, for: device) }
    actions.append(.transmit(psdu))
  }

  /// Gives the radio the frame again that it could not send.
  mutating func relaunch(now: Instant) {
    guard let flight, !flight.isOnAir else { return }
    launch(flight, now: now)
  }

  /// The frame whose turn it is, and the device whose indirect queue holds it. Who has asked for a frame is awake for
  /// a moment only, so those go first.
  private mutating func pick() -> (frame: QueuedFrame, device: MACAddress?)? {
    // Secured frames wait until there are counters, or fail once there never will be.
    let canSecure = reserve.isAvailable || reserve.isExhausted
    let lastGroupCounter = lastGroupCounter
    func isReady(_ frame: QueuedFrame) -> Bool {
      !frame.isSecured || canSecure || frame.isFrozen(lastGroupCounter: lastGroupCounter)
    }
    var index = 0
    while index < releases.count {
      let release = releases[index]
      guard let frame = indirect.first(for: release.device, inClearOnly: release.inClearOnly) else {
        releases.remove(at: index)
        continue
      }
      if isReady(frame) {
        releases.remove(at: index)
        return (frame, release.device)
      }
      index += 1
    }
    return direct.next(where: isReady).map { ($0, nil) }
  }

  /// Takes a frame out of a device's indirect queue; false if it is no longer there.
  @discardableResult
  private mutating func removeHeld(_ frame: QueuedFrame, for device: MACAddress) -> Bool {
    isMatchStale = true
    return indirect.remove(frame.serial, for: device) != nil
  }

  /// Ends the flight, or tries again.
  mutating func conclude(_ outcome: TransmitOutcome, now: Instant) {
    guard let current = flight else { return }
    let frame = current.frame
    let end: MACOutcome
    switch outcome {
    case .acknowledged: end = .delivered
    case .sent:
      let knowsMore = configuration.capabilities.contains(.reportsAcknowledgment)
      end = frame.header.control.isAcknowledgmentRequested && !knowsMore ? .delivered : .sent
    case .noAcknowledgment: end = .noAcknowledgment
    case .channelAccessFailure: end = .channelAccessFailure
    case .failed: end = .failed
    }
    if !end.isSuccess { counts.failed &+= 1 }
    guard let device = current.device else {
      let isFinal = end.isSuccess || end == .noAcknowledgment || frame.attempts > configuration.maximumRetries
      guard isFinal else {
        counts.retries &+= 1
        flight?.isOnAir = false
        flight?.deadline = now.advanced(by: configuration.retryDelay)
        return
      }
      flight = nil
      finish(frame, end, now: now)
      return
    }
    flight = nil
    concludeHeld(frame, of: device, end, wasPolled: current.wasPolled, now: now)
  }

  /// The end of an attempt to send a frame that the device has asked for. If it failed, the frame waits to be asked for again.
  private mutating func concludeHeld(
    _ frame: QueuedFrame, of device: MACAddress, _ end: MACOutcome, wasPolled: Bool, now: Instant
  ) {
    if !indirect.contains(frame.serial, for: device) {
      finish(frame, end, now: now)
    } else if end.isSuccess {
      removeHeld(frame, for: device)
      finish(frame, end, now: now)
    } else if frame.deadline <= now {
      if end == .noAcknowledgment { presume(frame, now: now) }
      removeHeld(frame, for: device)
      finish(frame, .expired, now: now)
    } else {
      indirect.reconsider(frame)
      if end == .noAcknowledgment { presume(frame, now: now) }
      if canonical(device) != device || !sleeps(device) { requeue(device, now: now) }
    }
    if wasPolled, indirect.count(for: device) > 0 { releases.append(Release(device: device, inClearOnly: false)) }
  }

  // MARK: Frames

  /// Whether frames are secured here; if the radio does it, they are not.
  func securing(_ isWanted: Bool) -> Bool {
    guard isWanted, let security = configuration.security, security.level != .none else { return false }
    return !configuration.capabilities.contains(.secures)
  }

  /// The header with its auxiliary security header; of 2006 at least, since 2003 had none.
  func protected(_ header: MACHeader, counter: UInt32) -> MACHeader {
    guard let security = configuration.security, let currentKey else { return header }
    var header = header
    header.security = AuxiliarySecurityHeader(
      level: security.level, keyIdentifier: currentKey, frameCounter: counter)
    header.control.isSecured = true
    if header.control.version == .v2003 { header.control = FrameControl(rawValue: header.control.rawValue | 0x1000) }
    return header
  }

  /// Makes the PSDU of a frame, unless it has one that may be sent again.
  private mutating func prepare(_ frame: inout QueuedFrame, framePending: Bool) throws(ParseError) {
    guard !frame.isFrozen(lastGroupCounter: lastGroupCounter) else { return }
    if !frame.isNumbered, !frame.header.control.isSequenceNumberSuppressed {
      if frame.header.control.type == .beacon {
        frame.header.sequenceNumber = beaconSequenceNumber
        beaconSequenceNumber &+= 1
      } else {
        frame.header.sequenceNumber = sequenceNumber
        sequenceNumber &+= 1
      }
      frame.isNumbered = true
    }
    var header = frame.header
    header.control.isFramePending = framePending
    if frame.isSecured, let currentKey {
      let key = try keys.key(for: currentKey)
      guard let counter = reserve.take() else { throw ParseError(.macFrameCounterExhausted) }
      frame.counter = counter
      if frame.destination.isBroadcast { lastGroupCounter = counter }
      header = protected(header, counter: counter)
      frame.psdu = try Self.secured(
        MACFrame(header: header, payload: frame.payload), key, configuration.radio.extendedAddress)
    } else {
      frame.psdu = try Self.encoded(MACFrame(header: header, payload: frame.payload))
    }
  }

  private static func secured(
    _ frame: MACFrame, _ key: LinkKey, _ source: ExtendedAddress
  ) throws(ParseError) -> [UInt8] {
    let secured: MACFrame
    do throws(EmitError) {
      secured = try FrameSecurity.secure(frame, key: key, source: source)
    } catch { throw ParseError(.macSecurityUnsupported) }
    return try encoded(secured)
  }

  private static func encoded(_ frame: MACFrame) throws(ParseError) -> [UInt8] {
    do throws(EmitError) {
      return try frame.encoded(withFCS: false)
    } catch { throw ParseError(.unsupported) }
  }
}
