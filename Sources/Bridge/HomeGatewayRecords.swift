import BorderRouter
import COSE
import Envelope
import IEEE802154
import IPv6
import Queue
import Wire

// What the PAN side keeps over a restart: registered addresses, short addresses, frame counters.

extension HomeGateway {
  static var frameCounterName: String { "mac.frame-counter" }
  private static var registrationPrefix: String { "nd." }
  private static var associationPrefix: String { "mac.short." }
  /// A registration that was renewed is written again when the record on disk is older than this.
  private static var writingInterval: Duration { .seconds(60) }

  /// The addresses that are registered; those whose time is over are forgotten.
  static func registrations(
    in store: Store, now: Instant
  ) throws(StoreError) -> [(address: IPv6Address, entry: NeighborCache.Entry)] {
    var registrations: [(address: IPv6Address, entry: NeighborCache.Entry)] = []
    for (name, value) in try store.values(withPrefix: registrationPrefix) {
      guard let address = IPv6Address(String(name.dropFirst(registrationPrefix.count))),
        let kept = try? KeptRegistration(parsing: value), kept.until > now
      else {
        try store.setValue(name, to: nil)
        continue
      }
      let entry = NeighborCache.Entry(
        radio: kept.radio, lastHeard: now, registeredUntil: kept.until, owner: kept.owner)
      registrations.append((address, entry))
    }
    return registrations
  }

  /// The devices that have joined.
  static func associations(in store: Store) throws(StoreError) -> [Association] {
    try store.values(withPrefix: associationPrefix).compactMap { name, value in
      guard let device = ExtendedAddress(String(name.dropFirst(associationPrefix.count))), value.count == 3 else {
        return nil
      }
      let short = ShortAddress(UInt16(value[0]) << 8 | UInt16(value[1]))
      return Association(
        device: device, short: short == .unassigned ? nil : short,
        capabilities: DeviceCapabilities(rawValue: value[2]))
    }
  }

  /// Keeps a registration, or forgets it. One that could not be kept is made again by its node, after a restart.
  mutating func keep(_ address: IPv6Address, _ entry: NeighborCache.Entry?, now: Instant) {
    let name = Self.registrationPrefix + address.description
    guard let entry, let until = entry.registeredUntil, let owner = entry.owner else {
      keptRegistrations[address] = nil
      do { try store.setValue(name, to: nil) } catch { drop(error.reason) }
      return
    }
    if let kept = keptRegistrations[address], kept <= until, kept.duration(to: until) < Self.writingInterval { return }
    guard let value = try? KeptRegistration(owner: owner, radio: entry.radio, until: until).cbor() else { return }
    do {
      try store.setValue(name, to: value)
      keptRegistrations[address] = until
    } catch { drop(error.reason) }
  }

  /// Keeps that a device has joined, or that it has left.
  mutating func associate(_ device: ExtendedAddress, _ short: ShortAddress?) {
    let name = Self.associationPrefix + device.description
    let known = mac.associations.first { $0.device == device }
    do {
      if let short, let known {
        try store.setValue(
          name, to: [UInt8(short.value >> 8), UInt8(short.value & 0xff), known.capabilities.rawValue])
        if short != .unassigned { stack.setShortAddress(short, of: device) }
      } else {
        try store.setValue(name, to: nil)
      }
    } catch { drop(error.reason) }
  }
}

/// A registered address as it is on disk.
struct KeptRegistration: Hashable, Sendable {
  var owner: ExtendedAddress
  var radio: MACAddress
  var until: Instant
}

extension KeptRegistration: CBORItem {
  /// `[owner, kind, radio, until]`: kind 0 for a short address, 1 for an EUI-64; the end in microseconds since 1970.
  @_lifetime(reader: copy reader)
  init(reading reader: inout CBORReader) throws(ParseError) {
    try reader.array(count: 4)
    owner = ExtendedAddress(try reader.unsigned())
    let kind = try reader.unsigned(upTo: 1)
    let value = try reader.unsigned()
    radio = kind == 0 ? .short(ShortAddress(UInt16(truncatingIfNeeded: value))) : .extended(ExtendedAddress(value))
    until = Instant(microseconds: Int64(truncatingIfNeeded: try reader.unsigned(upTo: UInt64(Int64.max))))
  }

  func write(to writer: inout CBORWriter) throws(EmitError) {
    writer.array(4)
    writer.unsigned(owner.value)
    switch radio {
    case .short(let address):
      writer.unsigned(0)
      writer.unsigned(UInt64(address.value))
    case .extended(let address):
      writer.unsigned(1)
      writer.unsigned(address.value)
    case .absent: throw .notRepresentable
    }
    writer.unsigned(UInt64(max(0, until.microseconds)))
  }
}
