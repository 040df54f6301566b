import IEEE802154
import IPv6
import Wire

/// Which radio a node's IPv6 address is at (RFC 4861, 5.1), bounded per radio and in total.
///
/// An entry is made by neighbour discovery, by registration (RFC 6775) or by a frame that carried a packet from the
/// address: the answer goes back the way the question came. The link layer is not trusted, so nothing that must be
/// authentic follows from an entry.
public struct NeighborCache: Sendable {
  public struct Entry: Sendable, Equatable {
    /// Where frames for the address are sent.
    public var radio: MACAddress
    public var lastHeard: Instant
    /// The end of its registration, if the node registered.
    public var registeredUntil: Instant?
    /// Who registered it.
    public var owner: ExtendedAddress?
    /// Frames that it did not acknowledge since it was last heard.
    public var failures = 0

    public init(
      radio: MACAddress, lastHeard: Instant, registeredUntil: Instant? = nil, owner: ExtendedAddress? = nil
    ) {
      self.radio = radio
      self.lastHeard = lastHeard
      self.registeredUntil = registeredUntil
      self.owner = owner
    }
  }

  /// Failures in a row after which an address that is not registered is forgotten (MAX_UNICAST_SOLICIT of RFC 4861, 10).
  public static let maximumFailures = 3

  public private(set) var entries: [IPv6Address: Entry] = [:]
  private let maximum: Int
  private let maximumPerRadio: Int

  public init(maximum: Int, maximumPerRadio: Int) {
    self.maximum = maximum
    self.maximumPerRadio = maximumPerRadio
  }

  public subscript(address: IPv6Address) -> Entry? { entries[address] }

  /// Notes that `address` is at `radio`. When a bound is reached, the address heard longest ago gives way, but never a
  /// registered one; returns false if there was no room.
  @discardableResult
  public mutating func learn(_ address: IPv6Address, at radio: MACAddress, now: Instant) -> Bool {
    guard address.isUnicast, radio != .absent, !radio.isBroadcast else { return false }
    if var entry = entries[address] {
      // A registered address stays where its owner registered it until the registration ends.
      if entry.registeredUntil.map({ $0 > now }) != true {
        guard makeRoom(toMove: address, to: radio, now: now) else { return false }
        entry.radio = radio
      }
      entry.lastHeard = now
      entry.failures = 0
      entries[address] = entry
      return true
    }
    guard makeRoom(for: radio, now: now) else { return false }
    entries[address] = Entry(radio: radio, lastHeard: now)
    return true
  }

  /// What a registration comes to (RFC 6775, 6.5.2): a lifetime of zero removes it.
  public mutating func register(
    _ address: IPv6Address, owner: ExtendedAddress, at radio: MACAddress, lifetimeMinutes: UInt16, now: Instant
  ) -> RegistrationStatus {
    if let entry = entries[address], let until = entry.registeredUntil, until > now, entry.owner != owner {
      return .duplicateAddress
    }
    guard lifetimeMinutes > 0 else {
      entries[address] = nil
      return .success
    }
    guard makeRoom(toMove: address, to: radio, now: now) else { return .neighborCacheFull }
    entries[address] = Entry(
      radio: radio, lastHeard: now, registeredUntil: now.advanced(by: .seconds(60 * Int(lifetimeMinutes))), owner: owner
    )
    return .success
  }

  /// Makes room for an address, known or not, at a radio: one that moves counts for where it goes.
  private mutating func makeRoom(toMove address: IPv6Address, to radio: MACAddress, now: Instant) -> Bool {
    let known = entries[address]
    if known?.radio == radio { return true }
    entries[address] = nil
    let hasRoom = makeRoom(for: radio, now: now)
    entries[address] = known
    return hasRoom
  }

  /// Puts an entry back that was kept elsewhere, unless it is over or there is no room.
  mutating func restore(_ address: IPv6Address, _ entry: Entry, now: Instant) {
    guard entry.registeredUntil.map({ $0 > now }) == true, makeRoom(for: entry.radio, now: now) else { return }
    entries[address] = entry
  }

  /// The address of a device that was heard last, and the lowest of those heard at once; `extended` tells whose a radio is.
  func addresses(of device: ExtendedAddress, _ extended: (MACAddress) -> ExtendedAddress?) -> IPv6Address? {
    entries.filter { $0.value.owner == device || extended($0.value.radio) == device }
      .max { ($0.value.lastHeard, $1.key) < ($1.value.lastHeard, $0.key) }?.key
  }

  /// Notes that a radio did not answer. Returns the addresses to probe; those that failed too often are forgotten.
  mutating func fail(_ radio: MACAddress, now: Instant) -> [IPv6Address] {
    var probed: [IPv6Address] = []
    for (address, entry) in entries where entry.radio == radio {
      entries[address]?.failures += 1
      if entry.failures + 1 < Self.maximumFailures {
        probed.append(address)
      } else if entry.registeredUntil.map({ $0 > now }) != true {
        entries[address] = nil
      }
    }
    return probed.sorted()
  }

  private mutating func makeRoom(for radio: MACAddress, now: Instant) -> Bool {
    let ofRadio = entries.filter { $0.value.radio == radio }
    if ofRadio.count >= maximumPerRadio { return removeOldest(of: ofRadio, now: now) }
    if entries.count >= maximum { return removeOldest(of: entries, now: now) }
    return true
  }

  private mutating func removeOldest(of candidates: [IPv6Address: Entry], now: Instant) -> Bool {
    let removable = candidates.filter { $0.value.registeredUntil.map { $0 <= now } ?? true }
    guard
      let oldest = removable.min(by: { ($0.value.lastHeard, $0.key) < ($1.value.lastHeard, $1.key) })
    else { return false }
    entries[oldest.key] = nil
    return true
  }
}
