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
  private struct Entry: Sendable {
    var association: Association
    /// Whether the device knows that it has joined.
    var isConfirmed: Bool
  }

  private let range: ClosedRange<UInt16>
  private let own: ShortAddress?
  private let capacity: Int
  private var entries: [ExtendedAddress: Entry] = [:]
  private var devices: [ShortAddress: ExtendedAddress] = [:]
  /// Where to look for a free address next.
  private var next: UInt16

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
      entries[association.device] = Entry(association: association, isConfirmed: true)
    }
  }

  /// All that have joined, by EUI-64.
  var associations: [Association] {
    entries.values.filter(\.isConfirmed).map(\.association).sorted { $0.device < $1.device }
  }

  /// What is known of a device that has joined.
  subscript(device: ExtendedAddress) -> Association? {
    entries[device].flatMap { $0.isConfirmed ? $0.association : nil }
  }

  /// Whether no other device can join.
  var isFull: Bool { entries.count >= capacity }
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
      let short = wantsShort ? allot() : nil
      guard !wantsShort || short != nil else { return nil }
      let association = Association(device: device, short: short, capabilities: capabilities)
      entries[device] = Entry(association: association, isConfirmed: false)
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

  /// The device has its answer: it has joined. `capabilities`: what it can do from now on, unless that stays.
  mutating func confirm(_ device: ExtendedAddress, _ capabilities: DeviceCapabilities?) {
    entries[device]?.isConfirmed = true
    if let capabilities { entries[device]?.association.capabilities = capabilities }
  }

  /// The device did not get its answer: forgets it unless it had joined before.
  mutating func giveUp(_ device: ExtendedAddress) {
    if entries[device]?.isConfirmed == false { remove(device) }
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
