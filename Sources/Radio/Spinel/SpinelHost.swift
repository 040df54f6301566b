import IEEE802154
import Wire

/// The host side of a radio co-processor (OpenThread's RCP), without any input or output of its own: bytes and an instant go in;
/// bytes to write, events and the next timeout come out.
///
/// It resets the co-processor, finds out what it is, configures it, and keeps it configured: a co-processor that resets by
/// itself, falls silent or babbles is reset and configured again. What cannot be mended ends in ``SpinelEvent/failed(_:)``,
/// and a new host is needed.
public struct SpinelHost: Sendable {
  /// What the radio is called in errors.
  public let radio: String
  public let settings: RadioSettings
  public let timing: SpinelTiming
  public internal(set) var statistics: RadioStatistics

  /// What a host is doing.
  enum Phase: Sendable {
    case idle
    /// A reset was asked for; how often, and until when an answer is awaited.
    case resetting(attempt: Int, deadline: Instant)
    case probing
    case configuring
    case ready
    case failed
  }

  var phase = Phase.idle
  var decoder = HDLCDecoder()
  /// Frames that were whole and made no sense.
  var malformed = DropCounters()
  var output: [UInt8] = []
  var events: [SpinelEvent] = []

  /// Requests that wait for their turn, and the one that waits for its answer.
  var queue: [SpinelRequest] = []
  var pending: (request: SpinelRequest, transaction: UInt8, deadline: Instant)?
  var lastTransaction: UInt8 = 0
  /// The frame that is to be sent or on its way.
  var transmission: SpinelTransmission?
  /// When the last frame came that made sense.
  var lastHeard = Instant(microseconds: 0)

  /// What the probe found.
  var probe = SpinelProbe()
  /// Whether ``SpinelEvent/ready(_:)`` has been said.
  var wasReady = false
  /// STREAM_RAW is enabled: the last step of the configuration.
  var isStreaming = false

  var shortList = SpinelSourceMatchList<ShortAddress>()
  var extendedList = SpinelSourceMatchList<ExtendedAddress>()
  /// Somebody waits for ``SpinelEvent/sourceMatchSet(leftOut:)``.
  var isSourceMatchAwaited = false
  var hasSourceMatch = true

  var security: SpinelSecurity?

  /// Resets since the co-processor was last ready.
  var relapses = 0
  /// Whether it was reset because it babbled, since it was last ready.
  var hasBabbled = false
  /// Bytes that made no sense, up to the last frame that did.
  var garbageBefore: UInt64 = 0
  /// Bytes of frames that no co-processor says.
  var foreign: UInt64 = 0

  /// A host that begins to count at `statistics`.
  public init(
    radio: String, settings: RadioSettings, timing: SpinelTiming = SpinelTiming(),
    statistics: RadioStatistics = RadioStatistics()
  ) {
    self.radio = radio
    self.settings = settings
    self.timing = timing
    self.statistics = statistics
  }

  /// Begins: the first thing is a reset.
  public mutating func start(at now: Instant) {
    guard case .idle = phase else { return }
    lastHeard = now
    if let refusal = settingsRefusal() { return fail(refusal) }
    reset(at: now)
  }

  /// Ends: a co-processor that is not listened to any more must not go on acknowledging frames. What it answers is of no interest.
  public mutating func stop(at now: Instant) {
    switch phase {
    case .idle, .failed, .resetting: break
    case .probing, .configuring, .ready:
      for property in [SpinelProperty.macRawStreamEnabled, .phyEnabled] {
        write(SpinelFrame(.set, property, [0], transaction: nextTransaction()))
      }
    }
    queue = []
    pending = nil
    finishTransmission(.failed)
    phase = .failed
  }

  /// The bytes to write to the line, in order; they are gone from the host then.
  public mutating func takeOutput() -> [UInt8] {
    defer { output.removeAll(keepingCapacity: true) }
    return output
  }

  /// What has happened since the last call.
  public mutating func takeEvents() -> [SpinelEvent] {
    defer { events.removeAll(keepingCapacity: true) }
    return events
  }

  /// Input that was dropped, by reason.
  public var drops: DropCounters {
    var all = decoder.drops
    all.add(malformed)
    return all
  }

  /// Devices of the source match lists for which the co-processor has no room.
  public var sourceMatchLeftOut: Int { shortList.leftOut + extendedList.leftOut }

  /// When ``timeout(at:)`` wants to be called at the latest; `nil` for never.
  public var nextTimeout: Instant? {
    var next: Instant?
    func consider(_ deadline: Instant?) {
      guard let deadline else { return }
      next = next.map { min($0, deadline) } ?? deadline
    }
    if case .resetting(_, let deadline) = phase { consider(deadline) }
    consider(pending?.deadline)
    consider(transmission?.deadline)
    if case .ready = phase, pending == nil, let quiet = timing.quiet { consider(lastHeard.advanced(by: quiet)) }
    return next
  }

  /// Does what is due at `now`. Harmless if nothing is.
  public mutating func timeout(at now: Instant) {
    switch phase {
    case .resetting(let attempt, let deadline):
      if deadline <= now { resetUnanswered(attempt, at: now) }
    case .probing, .configuring, .ready:
      if let pending, pending.deadline <= now {
        unanswered(pending.request, at: now)
      } else if let deadline = transmission?.deadline, deadline <= now {
        recover("does not say what became of a frame", at: now)
      } else if case .ready = phase, pending == nil, let quiet = timing.quiet, lastHeard.advanced(by: quiet) <= now {
        queue.append(SpinelRequest(.get, .macRawStreamEnabled, role: .liveness))
        advance(at: now)
      }
    case .idle, .failed: break
    }
  }

  /// Ends for good.
  mutating func fail(_ error: RadioError) {
    guard !isOver else { return }
    phase = .failed
    queue = []
    pending = nil
    finishTransmission(.failed)
    events.append(.failed(error))
  }

  var isOver: Bool {
    if case .failed = phase { true } else { false }
  }
}

/// What happened at a radio co-processor.
public enum SpinelEvent: Sendable, Hashable {
  /// It is configured, for the first time.
  case ready(RadioDescription)
  /// It is configured again, after a reset.
  case recovered
  case frame(CapturedFrame)
  /// What became of the frame of ``SpinelHost/transmit(_:at:)``.
  case transmitted(TransmitOutcome)
  /// The co-processor has the source match lists of ``SpinelHost/setSourceMatch(_:at:)``, except for `leftOut` devices for which it
  /// has no room.
  case sourceMatchSet(leftOut: Int)
  /// The co-processor has the keys of ``SpinelHost/setKeys(_:frameCounter:at:)``.
  case keysSet
  /// It cannot be used any more. Nothing follows.
  case failed(RadioError)
}

/// How long a host waits, and how much it puts up with.
public struct SpinelTiming: Sendable, Hashable {
  /// For the answer to a request, which is made twice: serial lines lose bytes.
  public var answer: Duration = .seconds(1)
  /// For the notification of a reset.
  public var reset: Duration = .seconds(2)
  /// For the result of a transmission: retransmissions and back-offs take it up to half a second.
  public var transmission: Duration = .seconds(3)
  /// Without any frame from the co-processor, until it is asked whether it is alive; `nil` for never.
  public var quiet: Duration? = .seconds(30)
  /// Bytes in a row that are no frames until the co-processor is taken for something else. A boot log fits in.
  public var garbage: UInt64 = 4096
  /// Resets in a row without becoming ready.
  public var relapses = 4

  public init() {}
}

/// A request to the co-processor, and what its answer is for.
struct SpinelRequest: Sendable {
  enum Role: Sendable {
    case probe
    /// Without success there is no going on.
    case setting
    /// Whether there is source match at all.
    case sourceMatchSwitch
    /// After it the table has the first `entries` of the list.
    case shortList(entries: Int, isLast: Bool)
    case extendedList(entries: Int, isLast: Bool)
    /// The last key or counter.
    case keys
    case rawStream
    case liveness
  }

  var command: SpinelCommand
  var property: SpinelProperty
  var value: [UInt8]
  var role: Role
  /// It was made before and got no answer.
  var isRepeated = false

  init(_ command: SpinelCommand, _ property: SpinelProperty, _ value: [UInt8] = [], role: Role) {
    self.command = command
    self.property = property
    self.value = value
    self.role = role
  }
}
