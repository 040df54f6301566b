import IEEE802154
import Wire

/// Which devices cannot hear while they are idle, beside what they said when they joined.
struct SleepyDevices: Sendable {
  private var configured: [MACAddress: Bool] = [:]
  /// Devices that ask for their frames, with the time when they last did.
  private var learnt: [MACAddress: Instant] = [:]
  private let capacity: Int

  init(capacity: Int) { self.capacity = capacity }

  /// What was configured for an address; `nil` if nothing was.
  func configured(_ address: MACAddress) -> Bool? { configured[address] }
  mutating func configure(_ address: MACAddress, _ isSleepy: Bool?) { configured[address] = isSleepy }

  /// Whether a device's data requests say that it sleeps.
  func isLearnt(_ device: MACAddress) -> Bool { learnt[device] != nil }
  /// When a learnt device last asked.
  func lastPoll(_ device: MACAddress) -> Instant? { learnt[device] }

  /// Takes note of a data request. Beyond the capacity the device is forgotten that has not asked for the longest time, of
  /// those that `isIdle`.
  mutating func learn(_ device: MACAddress, now: Instant, isIdle: (MACAddress) -> Bool) {
    if learnt[device] == nil, learnt.count >= capacity {
      guard let oldest = learnt.filter({ isIdle($0.key) }).min(by: { $0.value < $1.value }) else { return }
      learnt[oldest.key] = nil
    }
    learnt[device] = now
  }

  mutating func forget(_ device: MACAddress) { learnt[device] = nil }

  /// Forgets everything of an address.
  mutating func remove(_ address: MACAddress) {
    learnt[address] = nil
    configured[address] = nil
  }
}
