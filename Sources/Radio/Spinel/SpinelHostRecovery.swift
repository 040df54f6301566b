import IEEE802154
import Wire

extension SpinelHost {
  /// Everything that was on its way is lost.
  private mutating func forgetRequests() {
    queue = []
    pending = nil
    // One that the co-processor has not seen may still go.
    if transmission?.transaction != nil { finishTransmission(.failed) }
  }

  /// Asks for a reset and waits for its notification.
  mutating func reset(at now: Instant) {
    forgetRequests()
    sendReset(attempt: 0, at: now)
  }

  private mutating func sendReset(attempt: Int, at now: Instant) {
    phase = .resetting(attempt: attempt, deadline: now.advanced(by: timing.reset))
    // The stack alone first: a stick with a USB interface of its own stays on the bus.
    write(.reset(attempt == 0 ? .stack : .platform))
  }

  mutating func resetUnanswered(_ attempt: Int, at now: Instant) {
    guard attempt > 0 else { return sendReset(attempt: 1, at: now) }
    fail(silent("does not answer"))
  }

  /// A request got no answer: it is made again, once. Doing one of them twice does no harm.
  mutating func unanswered(_ request: SpinelRequest, at now: Instant) {
    guard !request.isRepeated else { return recover("does not answer (\(request.property))", at: now) }
    pending = nil
    var request = request
    request.isRepeated = true
    queue.insert(request, at: 0)
    advance(at: now)
  }

  /// A request or a frame got no answer.
  mutating func recover(_ what: String, at now: Instant) {
    guard countRelapse(silent(what), isOurs: true) else { return }
    reset(at: now)
  }

  /// The notification of a reset, asked for or not.
  mutating func wasReset(at now: Instant) {
    switch phase {
    case .idle, .failed: return
    case .resetting: break
    case .probing, .configuring, .ready:
      let error = RadioError(
        .failed, radio: radio, detail: "the radio resets itself again and again",
        remedy: "look at its power supply and its firmware")
      guard countRelapse(error) else { return }
      forgetRequests()
    }
    begin(at: now)
  }

  /// It answers, and is not configured.
  mutating func configurationLost(at now: Instant) {
    let error = RadioError(
      .failed, radio: radio, detail: "the radio forgets its configuration again and again",
      remedy: "look at its power supply and its firmware")
    guard countRelapse(error) else { return }
    forgetRequests()
    begin(at: now)
  }

  /// Goes on with a co-processor fresh from a reset.
  private mutating func begin(at now: Instant) {
    if probe.isComplete {
      passOverCounters()
      guard !isOver else { return }
      beginConfiguration()
    } else {
      probe = SpinelProbe()
      beginProbe()
    }
    advance(at: now)
  }

  /// Counts one more reset; `false` if there were too many, and `error` was the end.
  ///
  /// What a co-processor says of resets before it was ever ready may be left from before: it is no mending.
  private mutating func countRelapse(_ error: RadioError, isOurs: Bool = false) -> Bool {
    relapses += 1
    guard relapses <= timing.relapses else {
      fail(error)
      return false
    }
    if isOurs || wasReady { statistics.resets &+= 1 }
    return true
  }

  /// Resets what sends only garbage; the second time it is given up.
  mutating func checkBabble(at now: Instant) {
    guard garbage > timing.garbage, !isOver else { return }
    guard !hasBabbled else { return fail(babbling) }
    hasBabbled = true
    let count = garbage
    garbageBefore &+= garbage
    guard countRelapse(babbling(count), isOurs: true) else { return }
    reset(at: now)
  }

  private static let remedy =
    "check that it runs OpenThread RCP firmware and at which baud rate (spinel:/dev/ttyACM0?baud=460800)"

  /// One that was a radio once may be one again.
  private func babbling(_ count: UInt64) -> RadioError {
    RadioError(
      probe.isComplete ? .failed : .notSupported, radio: radio,
      detail: "\(count) bytes came from it that are no spinel frames", remedy: Self.remedy)
  }

  private var babbling: RadioError { babbling(garbage) }

  private func silent(_ what: String) -> RadioError {
    let noise = garbage > 0 ? ", and \(garbage) bytes came that are no spinel frames" : ""
    return RadioError(
      .silent, radio: radio, detail: "the radio \(what)" + noise,
      remedy: Self.remedy + "; unplug it and plug it in again")
  }
}
