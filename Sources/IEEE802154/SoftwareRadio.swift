import Wire

/// What a transceiver does by itself, without I/O, for media that have no transceiver: ZEP over UDP, and simulations.
///
/// It filters by address, checks the FCS, acknowledges at once, and repeats what is not acknowledged. It knows nothing of
/// the channel: no carrier sense, no collisions. Copies of a frame whose acknowledgment was lost are delivered like the
/// first: the layer above tells them apart.
///
/// Acknowledgments are not secured, neither those given nor those taken: as with the hardware this stands for, one that
/// says a frame has arrived is no proof of it.
public struct SoftwareRadio: Sendable {
  /// What it is to drivers and the MAC.
  public static let capabilities: RadioCapabilities = [
    .acknowledges, .retransmits, .reportsAcknowledgment, .sourceMatch, .promiscuous,
  ]

  private struct Transmission {
    /// With FCS.
    var psdu: [UInt8]
    var header: MACHeader
    /// When the acknowledgment is given up.
    var deadline: Instant
    var retriesLeft: Int
  }

  public let configuration: SoftwareRadioConfiguration
  /// Whom it is to be; what comes from now on is judged by it.
  public var settings: RadioSettings
  /// The devices whose acknowledgments say that frames wait for them.
  public var sourceMatch = SourceMatch()
  public private(set) var counters = SoftwareRadioCounters()
  /// Frames that were not taken, by reason.
  public private(set) var drops = DropCounters()
  private var transmission: Transmission?
  private var actions: [SoftwareRadioAction] = []

  public init(settings: RadioSettings, configuration: SoftwareRadioConfiguration = SoftwareRadioConfiguration()) {
    self.settings = settings
    self.configuration = configuration
  }

  /// Whether a frame waits for its acknowledgment, so that ``transmit(_:now:)`` takes none.
  public var isTransmitting: Bool { transmission != nil }

  /// When to call ``timeout(at:)``; `nil` for never.
  public var nextTimeout: Instant? { transmission?.deadline }

  /// What is to be done since the last call, in order.
  public mutating func takeActions() -> [SoftwareRadioAction] {
    defer { actions.removeAll() }
    return actions
  }

  // MARK: Out

  /// Sends a frame, a PSDU without FCS, and repeats it until it is acknowledged if it asks for that. It ends in one
  /// ``SoftwareRadioAction/finished(_:)``; a frame that is too long, in ``TransmitOutcome/failed``.
  ///
  /// False, with nothing done, while another is under way.
  public mutating func transmit(_ psdu: [UInt8], now: Instant) -> Bool {
    guard transmission == nil else { return false }
    guard psdu.count + FCS.length <= configuration.maximumLength else {
      counters.failed &+= 1
      actions.append(.finished(.failed))
      return true
    }
    let whole = Self.withFCS(psdu)
    counters.sent &+= 1
    actions.append(.send(whole))
    // What is no frame, or is for all, has no answer to wait for.
    guard let header = try? MACHeader(reading: psdu.rawSpan), header.isToBeAcknowledged else {
      actions.append(.finished(.sent))
      return true
    }
    transmission = Transmission(
      psdu: whole, header: header, deadline: now.advanced(by: configuration.acknowledgmentWait),
      retriesLeft: configuration.maximumRetries)
    return true
  }

  /// Sends again what was not acknowledged in time, or gives it up.
  public mutating func timeout(at now: Instant) {
    guard var current = transmission, current.deadline <= now else { return }
    guard current.retriesLeft > 0 else {
      counters.unacknowledged &+= 1
      finish(.noAcknowledgment)
      return
    }
    current.retriesLeft -= 1
    current.deadline = now.advanced(by: configuration.acknowledgmentWait)
    transmission = current
    counters.retransmissions &+= 1
    actions.append(.send(current.psdu))
  }

  private mutating func finish(_ outcome: TransmitOutcome) {
    transmission = nil
    actions.append(.finished(outcome))
  }

  private static func withFCS(_ psdu: [UInt8]) -> [UInt8] {
    let fcs = FCS.compute(psdu.rawSpan)
    return psdu + [UInt8(truncatingIfNeeded: fcs), UInt8(truncatingIfNeeded: fcs >> 8)]
  }

  // MARK: In

  /// Takes what came over the medium: a PSDU, whose FCS is checked if the metadata says that it has one.
  public mutating func receive(_ frame: RawSpan, metadata: FrameMetadata) {
    do throws(ParseError) {
      try accept(frame, metadata)
    } catch {
      drops.count(error.reason)
      actions.append(.dropped(error.reason))
    }
  }

  private mutating func accept(_ frame: RawSpan, _ metadata: FrameMetadata) throws(ParseError) {
    let length = frame.byteCount &- (metadata.fcsPresent ? FCS.length : 0)
    guard length >= 0 else { throw ParseError(.truncated) }
    guard length &+ FCS.length <= configuration.maximumLength else { throw ParseError(.macFrameTooLong) }
    if metadata.fcsPresent, !FCS.isValid(frame) { throw ParseError(.macFCSMismatch, at: length) }
    let header: MACHeader
    do throws(ParseError) {
      header = try MACHeader(reading: frame.extracting(first: length))
    } catch {
      guard settings.isPromiscuous else { throw error }
      deliver(frame, metadata)
      return
    }
    if header.control.type == .acknowledgment {
      let isAwaited = acceptAcknowledgment(header)
      if settings.isPromiscuous { return deliver(frame, metadata) }
      guard isAwaited else { throw ParseError(.macNotForUs) }
      return
    }
    guard settings.accepts(header, isPANCoordinator: configuration.isPANCoordinator) else {
      throw ParseError(.macNotForUs)
    }
    if !settings.isPromiscuous { acknowledge(header) }
    deliver(frame, metadata)
  }

  private mutating func deliver(_ frame: RawSpan, _ metadata: FrameMetadata) {
    counters.delivered &+= 1
    actions.append(.deliver(CapturedFrame(bytes: frame.array(), metadata: metadata)))
  }

  private mutating func acknowledge(_ header: MACHeader) {
    guard header.control.type == .data || header.control.type == .command,
      let answer = header.acknowledgment(framePending: sourceMatch.contains(header.source)),
      let psdu = try? MACFrame(header: answer).encoded(withFCS: true)
    else { return }
    counters.acknowledgmentsSent &+= 1
    actions.append(.send(psdu))
  }

  /// Whether the acknowledgment is the one that is waited for.
  private mutating func acceptAcknowledgment(_ acknowledgment: MACHeader) -> Bool {
    guard let current = transmission, acknowledgment.answers(current.header) else { return false }
    counters.acknowledged &+= 1
    finish(.acknowledged(framePending: acknowledgment.control.isFramePending))
    return true
  }
}

extension MACHeader {
  /// The header at the start of a PSDU without FCS.
  fileprivate init(reading psdu: RawSpan) throws(ParseError) {
    var reader = ByteReader(psdu)
    try self.init(parsing: &reader)
  }

  /// Whether somebody is to answer the frame: it asks for it and is not for all.
  fileprivate var isToBeAcknowledged: Bool { acknowledgment(framePending: false) != nil }

  /// Whether this acknowledgment is for `frame`: the sequence number is the same; an enhanced one also answers a frame of
  /// 2015 only, and where it names a destination, that is where the frame came from (6.7.4.3).
  ///
  /// An immediate one is taken for a frame of 2015 too: older transceivers give no other.
  fileprivate func answers(_ frame: MACHeader) -> Bool {
    guard sequenceNumber == frame.sequenceNumber else { return false }
    guard control.version == .v2015 else { return true }
    guard frame.control.version == .v2015, destination != .absent || sequenceNumber != nil else { return false }
    guard destination == .absent || destination == frame.source else { return false }
    return destinationPAN == nil || destinationPAN == frame.effectiveSourcePAN
  }
}
