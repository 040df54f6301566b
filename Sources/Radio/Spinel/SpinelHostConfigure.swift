import IEEE802154
import Wire

extension SpinelHost {
  /// What is wrong with the settings before anybody is asked.
  func settingsRefusal() -> RadioError? {
    guard settings.page == 0 else {
      return RadioError(
        .settingRefused, radio: radio, detail: "spinel has no channel page \(settings.page)", remedy: "choose page 0")
    }
    return nil
  }

  /// Queues all settings. The PHY comes first, since nothing can be sent before, and the raw stream last, after the lists of the
  /// source match: see ``drained(at:)``.
  mutating func beginConfiguration() {
    phase = .configuring
    isStreaming = false
    hasSourceMatch = true
    shortList.forget()
    extendedList.forget()
    func set(_ property: SpinelProperty, _ value: [UInt8]) {
      queue.append(SpinelRequest(.set, property, value, role: .setting))
    }
    queue = []
    set(.phyEnabled, [1])
    set(.phyChannel, [settings.channel])
    set(.macPANIdentifier, Self.octets(settings.panID.value))
    // An address of zero stands for the one that the co-processor was made with.
    let own = settings.extendedAddress.value == 0 ? probe.hardwareAddress : settings.extendedAddress
    if let own { set(.macExtendedAddress, own.bytes) }
    set(.macShortAddress, Self.octets((settings.shortAddress ?? .unassigned).value))
    if let power = settings.transmitPower { set(.phyTransmitPower, [UInt8(bitPattern: power)]) }
    queueKeys()
    set(.macPromiscuousMode, [settings.isPromiscuous ? 2 : 0])
    queue.append(SpinelRequest(.set, .sourceMatchEnabled, [1], role: .sourceMatchSwitch))
  }

  /// Little-endian.
  static func octets(_ value: UInt16) -> [UInt8] {
    [UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8)]
  }

  /// The queue is empty: queues what comes next, and says whether there is anything.
  mutating func drained(at now: Instant) -> Bool {
    switch phase {
    case .probing:
      probe.isComplete = true
      beginConfiguration()
    case .configuring:
      if queueSourceMatch() { return true }
      if isStreaming {
        becameReady()
      } else {
        queue.append(SpinelRequest(.set, .macRawStreamEnabled, [1], role: .rawStream))
      }
    case .ready:
      if queueSourceMatch() { return true }
      if isSourceMatchAwaited {
        isSourceMatchAwaited = false
        events.append(.sourceMatchSet(leftOut: sourceMatchLeftOut))
      }
      return false
    case .idle, .resetting, .failed: return false
    }
    return true
  }

  private mutating func becameReady() {
    phase = .ready
    relapses = 0
    hasBabbled = false
    if wasReady {
      events.append(.recovered)
    } else {
      wasReady = true
      events.append(.ready(description))
    }
    keysAnswered()
  }

  /// The error for a setting that was not taken.
  func refused(_ request: SpinelRequest, _ status: SpinelStatus) -> RadioError {
    let value =
      switch request.property {
      case .phyChannel: " \(settings.channel)"
      case .phyTransmitPower: settings.transmitPower.map { " \($0) dBm" } ?? ""
      default: ""
      }
    return RadioError(
      .settingRefused, radio: radio, detail: "it does not take the \(request.property)\(value) (\(status))",
      remedy: request.property == .rcpMACKey ? "leave link security to the gateway" : "choose another")
  }
}

// MARK: - Source match

extension SpinelHost {
  /// Sets the devices for which frames wait. ``SpinelEvent/sourceMatchSet(leftOut:)`` follows when the co-processor has them; of
  /// calls in quick succession only the last may be seen by it.
  public mutating func setSourceMatch(_ devices: SourceMatch, at now: Instant) {
    guard !isOver else { return }
    shortList.wanted = devices.short
    extendedList.wanted = devices.extended
    isSourceMatchAwaited = true
    if case .ready = phase { advance(at: now) }
  }

  /// Octets of a value that every co-processor takes: its buffer has 512 for a whole frame unless it was built otherwise.
  private static let maximumValue = 480

  /// Queues the requests that make one of the lists what it should be; `false` if both are.
  ///
  /// A list is set anew after every change: REMOVE takes extended addresses in another order than INSERT. What does not fit into one
  /// request is inserted.
  mutating func queueSourceMatch() -> Bool {
    guard hasSourceMatch else { return false }
    if let list = shortList.next() {
      let octets = list.map { Self.octets($0.value) }
      queue += Self.requests(.sourceMatchShortAddresses, octets) { .shortList(entries: $0, isLast: $1) }
      return true
    }
    if let list = extendedList.next() {
      let octets = list.map(\.bytes)
      queue += Self.requests(.sourceMatchExtendedAddresses, octets) { .extendedList(entries: $0, isLast: $1) }
      return true
    }
    return false
  }

  private static func requests(
    _ property: SpinelProperty, _ list: [[UInt8]], _ role: (Int, Bool) -> SpinelRequest.Role
  ) -> [SpinelRequest] {
    let first = list.prefix(maximumValue / max(1, list.first?.count ?? 1))
    var requests = [
      SpinelRequest(.set, property, first.flatMap(\.self), role: role(first.count, first.count == list.count))
    ]
    for (index, address) in list.enumerated().dropFirst(first.count) {
      requests.append(SpinelRequest(.insert, property, address, role: role(index + 1, index + 1 == list.count)))
    }
    return requests
  }

  /// The answer to a part of a list.
  mutating func listAnswered<Address>(
    _ list: WritableKeyPath<SpinelHost, SpinelSourceMatchList<Address>>, _ request: SpinelRequest,
    _ status: SpinelStatus, _ entries: Int, _ isLast: Bool
  ) {
    switch status {
    case .ok:
      if isLast { self[keyPath: list].accepted(entries) }
    case .noMemory where entries > 0:
      // What is left of this list makes no sense any more.
      queue.removeAll { $0.property == request.property }
      if request.command == .insert {
        self[keyPath: list].isFull(at: entries - 1)
      } else {
        self[keyPath: list].refused(entries)
      }
    default:
      queue.removeAll { $0.property == request.property }
      hasSourceMatch = false
    }
  }
}
