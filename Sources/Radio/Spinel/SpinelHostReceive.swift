import IEEE802154
import Wire

extension SpinelHost {
  /// Takes bytes from the line, in whatever pieces they come.
  public mutating func receive(_ bytes: RawSpan, at now: Instant) {
    if case .idle = phase { return }
    var reader = ByteReader(bytes)
    let dropped = decoder.drops.total
    while !isOver, let content = decoder.next(&reader) {
      do throws(ParseError) {
        try handle(content, at: now)
      } catch {
        malformed.count(error.reason)
        statistics.malformed &+= 1
      }
    }
    statistics.malformed &+= decoder.drops.total &- dropped
    checkBabble(at: now)
  }

  /// Bytes since the last frame that made sense.
  var garbage: UInt64 { decoder.garbage &+ foreign &- garbageBefore }

  private mutating func handle(_ content: [UInt8], at now: Instant) throws(ParseError) {
    // What only hosts say is an echo.
    guard let frame = try? SpinelFrame(parsing: content), frame.command.isAnswer, let property = frame.property else {
      foreign &+= UInt64(content.count)
      throw ParseError(.spinelMalformed)
    }
    garbageBefore = decoder.garbage &+ foreign
    lastHeard = now
    // Another network on the same co-processor is not ours.
    guard frame.header.interface == 0 else { return }
    let transaction = frame.header.transaction
    if transaction == 0 {
      try notified(frame.command, property, frame.value, at: now)
    } else if case .resetting = phase {
      // Late.
    } else if transaction == transmission?.transaction {
      guard property == .lastStatus else { return }
      try transmitted(frame.value, at: now)
    } else if let request = pending?.request, transaction == pending?.transaction {
      guard property == request.property || property == .lastStatus else { return }
      pending = nil
      do throws(ParseError) {
        try answered(request, property, frame.value, at: now)
      } catch {
        nonsense(request, at: now)
        throw error
      }
      advance(at: now)
    }
  }

  /// A frame that nobody asked for.
  private mutating func notified(
    _ command: SpinelCommand, _ property: SpinelProperty, _ value: [UInt8], at now: Instant
  ) throws(ParseError) {
    guard command == .valueIs else { return }
    switch property {
    case .lastStatus:
      var reader = ByteReader(value.rawSpan)
      if SpinelStatus(rawValue: try reader.spinelPacked()).isReset { wasReset(at: now) }
    case .streamRaw:
      guard case .ready = phase else { return }
      var reader = ByteReader(value.rawSpan)
      try received(SpinelReceivedFrame(parsing: &reader), at: now)
    default: break
    }
  }

  private mutating func received(_ frame: SpinelReceivedFrame, at now: Instant) throws(ParseError) {
    if frame.flags.contains(.acknowledgedSecured), let counter = frame.acknowledgmentSecurity?.frameCounter {
      security?.used(counter)
    }
    guard !frame.flags.contains(.badFCS), frame.error == 0 else { throw ParseError(.macFCSMismatch) }
    // The radio has verified the FCS; many leave something else in its place.
    guard frame.psdu.count > FCS.length else { throw ParseError(.truncated) }
    let type = FrameControl(rawValue: UInt16(frame.psdu.first ?? 0)).type
    if type == .acknowledgment, !settings.isPromiscuous { return }
    statistics.received &+= 1
    events.append(
      .frame(
        CapturedFrame(
          bytes: Array(frame.psdu.dropLast(FCS.length)),
          metadata: FrameMetadata(
            timestamp: now, fcsPresent: false, rssi: frame.rssi == 127 ? nil : frame.rssi,
            lqi: frame.lqi == 0 ? nil : frame.lqi, channel: frame.channel))))
  }

  /// The answer to a request.
  private mutating func answered(
    _ request: SpinelRequest, _ property: SpinelProperty, _ value: [UInt8], at now: Instant
  ) throws(ParseError) {
    var status = SpinelStatus.ok
    if property == .lastStatus {
      var reader = ByteReader(value.rawSpan)
      status = SpinelStatus(rawValue: try reader.spinelPacked())
    }
    switch request.role {
    case .probe: try probed(request.property, status, value)
    case .setting, .keys, .rawStream:
      guard status == .ok else { return fail(refused(request, status)) }
      if case .rawStream = request.role { isStreaming = true }
      if case .keys = request.role, case .ready = phase { keysAnswered() }
    case .sourceMatchSwitch:
      hasSourceMatch = status == .ok
    case .shortList(let entries, let isLast):
      listAnswered(\.shortList, request, status, entries, isLast)
    case .extendedList(let entries, let isLast):
      listAnswered(\.extendedList, request, status, entries, isLast)
    case .liveness:
      // It answers, and has lost everything: it was reset, and the notification with it.
      if status == .ok, value.first == 0 { configurationLost(at: now) }
    }
  }

  /// Sends what is next: a request if none is on its way, and the frame that waits.
  mutating func advance(at now: Instant) {
    while pending == nil, !isOver {
      if queue.isEmpty {
        guard drained(at: now) else { break }
      } else {
        send(queue.removeFirst(), at: now)
      }
    }
    sendTransmission(at: now)
  }

  private mutating func send(_ request: SpinelRequest, at now: Instant) {
    let transaction = nextTransaction()
    write(SpinelFrame(request.command, request.property, request.value, transaction: transaction))
    pending = (request, transaction, now.advanced(by: timing.answer))
  }

  /// 1 to 15 in turn, without those that wait for an answer.
  mutating func nextTransaction() -> UInt8 {
    repeat {
      lastTransaction = lastTransaction % 15 + 1
    } while lastTransaction == transmission?.transaction
      || lastTransaction == pending?.transaction
    return lastTransaction
  }

  mutating func write(_ frame: SpinelFrame) {
    guard let content = try? frame.encoded() else { preconditionFailure("a request has a form") }
    output += HDLCLite.encode(content)
  }
}
