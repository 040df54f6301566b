import Wire

/// The keys of a co-processor that secures frames itself, and the frame counter that goes with them.
struct SpinelSecurity: Sendable {
  var keys: SpinelMACKeys
  /// The next counter, as far as is known.
  var frameCounter: UInt32
  /// Somebody waits for ``SpinelEvent/keysSet``.
  var isAwaited = true

  /// Counters that a co-processor may have used without the host having heard of it, when it was reset.
  static let guardBand: UInt32 = 1000

  /// A frame went with this counter. They only rise.
  mutating func used(_ counter: UInt32) { frameCounter = max(frameCounter, counter &+ 1) }
}

extension SpinelHost {
  /// Lets the co-processor secure frames of key identifier mode 1, with counters from `frameCounter` on: none may ever have been
  /// used with ``SpinelMACKeys/current`` by this device. ``SpinelEvent/keysSet`` follows.
  ///
  /// A co-processor that was reset gets the keys again, with a counter beyond all that it can have used.
  public mutating func setKeys(_ keys: SpinelMACKeys, frameCounter: UInt32, at now: Instant) {
    guard !isOver else { return }
    guard (try? keys.encoded()) != nil else {
      return fail(RadioError(.settingRefused, radio: radio, detail: "a MAC key has not 16 octets"))
    }
    let known = security.flatMap { $0.keys.current == keys.current ? $0.frameCounter : nil } ?? 0
    security = SpinelSecurity(keys: keys, frameCounter: max(frameCounter, known))
    switch phase {
    case .idle, .resetting, .probing, .failed: break
    // Once more if the configuration has them already: with the same counter or a higher one.
    case .configuring, .ready: queueKeys()
    }
    if case .ready = phase { advance(at: now) }
  }

  /// The counter that goes with the keys; see ``setKeys(_:frameCounter:at:)``. To be kept by whoever starts a host again.
  public var frameCounter: UInt32? { security?.frameCounter }

  mutating func queueKeys() {
    guard let security, let value = try? security.keys.encoded() else { return }
    guard probe.radio.contains(.security) else {
      return fail(
        RadioError(
          .settingRefused, radio: radio, detail: "it does not secure frames",
          remedy: "leave link security to the gateway")
      )
    }
    let counter = security.frameCounter
    queue.append(SpinelRequest(.set, .rcpMACKey, value, role: .setting))
    let octets = (0..<4).map { UInt8(truncatingIfNeeded: counter >> (8 * UInt32($0))) }
    queue.append(SpinelRequest(.set, .rcpMACFrameCounter, octets, role: .keys))
  }

  /// The co-processor has the keys.
  mutating func keysAnswered() {
    guard security?.isAwaited == true else { return }
    security?.isAwaited = false
    events.append(.keysSet)
  }

  /// The co-processor has lost its counter: the next may be far beyond the last that is known.
  mutating func passOverCounters() {
    guard let counter = security?.frameCounter else { return }
    let (next, isOver) = counter.addingReportingOverflow(SpinelSecurity.guardBand)
    guard !isOver else {
      return fail(
        RadioError(
          .settingRefused, radio: radio, detail: "the frame counter is used up", remedy: "change the link key"))
    }
    security?.frameCounter = next
  }
}
