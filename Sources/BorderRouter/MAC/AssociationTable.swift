import IEEE802154

/// A device that has joined the PAN.
public struct Association: Sendable, Hashable {
  public var device: ExtendedAddress
  /// `nil` if it uses its EUI-64 only.
  public var short: ShortAddress?
  public var capabilities: DeviceCapabilities

  public init(device: ExtendedAddress, short: ShortAddress?, capabilities: DeviceCapabilities) {
    self.device = device
    self.short = short
    self.capabilities = capabilities
  }
}

/// The devices that have joined, those that are joining, and their short addresses.
///
/// A device has the same short address for as long as it is known. One that was given up is not soon given to another.
struct AssociationTable: Sendable {
  /// How sure it is that a device has joined.
  enum Certainty: Sendable, Comparable {
    /// It has asked to.
    case joining
    /// The answer was sent to it, and its acknowledgment did not come.
    case presumed
    /// It has acknowledged the answer, or used its address.
    case confirmed
  }

  private struct Entry: Sendable {
    var association: Association
    var certainty: Certainty
    /// Rises from one admission to the next.
    var age: UInt64
  }

  private let range: ClosedRange<UInt16>
  private let own: ShortAddress?
  private let capacity: Int
  private var entries: [ExtendedAddress: Entry] = [:]
  private var devices: [ShortAddress: ExtendedAddress] = [:]
  /// Where to look for a free address next.
  private var next: UInt16
  private var admissions: UInt64 = 0

  /// Of `associations`, those are taken that are within the bounds and whose addresses are no one else's.
  init(
    range: ClosedRange<UInt16>, own: ShortAddress?, capacity: Int, associations: [Association]
  ) {
    self.range = range
    self.own = own
    self.capacity = capacity
    next = range.lowerBound
    for association in associations where entries.count < capacity && entries[association.device] == nil {
      if let short = association.short {
        guard short != own, short < .unassigned, devices[short] == nil else { continue }
        devices[short] = association.device
        if range.contains(short.value), short.value >= next { next = following(short.value) }
      }
      entries[association.device] = Entry(association: association, certainty: .confirmed, age: 0)
    }
  }

  /// All that have joined, by EUI-64.
  var associations: [Association] {
    entries.values.filter { $0.certainty > .joining }.map(\.association).sorted { $0.device < $1.device }
  }

  /// What is known of a device that has joined, or is presumed to have.
  subscript(device: ExtendedAddress) -> Association? {
    entries[device].flatMap { $0.certainty > .joining ? $0.association : nil }
  }

  /// How sure that is; `nil` for a device that has not even asked.
  func certainty(of device: ExtendedAddress) -> Certainty? { entries[device]?.certainty }

  /// Whether no other device can join.
  var isFull: Bool { entries.count >= capacity && leastCertain == nil }
  /// Who has to make room first: of those that are only presumed to have joined, the one admitted first.
  var leastCertain: ExtendedAddress? {
    entries.values.filter { $0.certainty == .presumed }.min { $0.age < $1.age }?.association.device
  }
  /// Whether a device has joined or is about to.
  func knows(_ device: ExtendedAddress) -> Bool { entries[device] != nil }
  /// The device that has a short address, or is about to get it.
  func device(with short: ShortAddress) -> ExtendedAddress? { devices[short] }
  /// The short address that a device has or is about to get.
  func short(of device: ExtendedAddress) -> ShortAddress? { entries[device]?.association.short }

  /// Makes room for a device that wants to join: its short address, ``ShortAddress/unassigned`` if it wants none; `nil` if
  /// the PAN is full.
  mutating func admit(_ device: ExtendedAddress, _ capabilities: DeviceCapabilities) -> ShortAddress? {
    let wantsShort = capabilities.contains(.allocateAddress)
    guard let known = entries[device] else {
      guard entries.count < capacity else { return nil }
      admissions += 1
      let short = wantsShort ? allot() : nil
      guard !wantsShort || short != nil else { return nil }
      let association = Association(device: device, short: short, capabilities: capabilities)
      entries[device] = Entry(association: association, certainty: .joining, age: admissions)
      if let short { devices[short] = device }
      return short ?? .unassigned
    }
    guard wantsShort else { return .unassigned }
    if let short = known.association.short { return short }
    guard let short = allot() else { return nil }
    entries[device]?.association.short = short
    devices[short] = device
    return short
  }

  /// The device has joined, or may have. `capabilities`: what it can do from now on, unless that stays.
  mutating func settle(_ device: ExtendedAddress, _ certainty: Certainty, _ capabilities: DeviceCapabilities? = nil) {
    guard let known = entries[device] else { return }
    entries[device]?.certainty = max(known.certainty, certainty)
    if let capabilities { entries[device]?.association.capabilities = capabilities }
  }

  /// The device has not asked for its answer: forgets it unless it had joined before.
  mutating func giveUp(_ device: ExtendedAddress) {
    if entries[device]?.certainty == .joining { remove(device) }
  }

  /// Forgets a device.
  mutating func remove(_ device: ExtendedAddress) {
    guard let entry = entries.removeValue(forKey: device) else { return }
    if let short = entry.association.short { devices[short] = nil }
  }

  private func following(_ address: UInt16) -> UInt16 {
    address >= range.upperBound ? range.lowerBound : address + 1
  }

  /// A free address; `nil` if there is none.
  private mutating func allot() -> ShortAddress? {
    for _ in range {
      let candidate = ShortAddress(next)
      next = following(next)
      if devices[candidate] == nil, candidate != own, candidate < .unassigned { return candidate }
    }
    return nil
  }
}
