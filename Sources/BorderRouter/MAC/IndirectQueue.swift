import IEEE802154
import Wire

/// Frames that wait until their devices ask for them (IEEE 802.15.4-2020, 6.7.3).
struct IndirectQueue: Sendable {
  private var frames: [MACAddress: [QueuedFrame]] = [:]
  private(set) var count = 0
  private(set) var byteCount = 0
  /// No frame's deadline is earlier.
  private(set) var earliestDeadline: Instant?

  /// The devices for which frames wait.
  var devices: some Collection<MACAddress> { frames.keys }
  /// Frames that wait for `device`.
  func count(for device: MACAddress) -> Int { frames[device]?.count ?? 0 }

  /// Whether one more frame of this length is within the bounds.
  func hasRoom(for device: MACAddress, length: Int, _ configuration: MACConfiguration) -> Bool {
    count < configuration.maximumIndirectFrames && length <= configuration.maximumIndirectBytes - byteCount
      && count(for: device) < configuration.maximumIndirectFramesPerDevice
  }

  /// Puts a frame behind those of its priority, and never in front of one that was tried, but for the answer to an
  /// association request: a device that joins wants nothing else.
  mutating func append(_ frame: QueuedFrame, for device: MACAddress) {
    var waiting = frames[device, default: []]
    var place = waiting.count
    if case .associationResponse = frame.purpose {
      place = 0
      // It gets the higher counter.
      for index in waiting.indices where frame.isSecured && waiting[index].isSecured { waiting[index].psdu = nil }
    } else if frame.priority == .high {
      place = waiting.lastIndex { $0.priority == .high || $0.attempts > 0 }.map { $0 + 1 } ?? 0
    }
    waiting.insert(frame, at: place)
    frames[device] = waiting
    count += 1
    byteCount += frame.length
    earliestDeadline = earliestDeadline.map { min($0, frame.deadline) } ?? frame.deadline
  }

  /// The frame that `device` gets next; of those in the clear if `inClearOnly`.
  func first(for device: MACAddress, inClearOnly: Bool = false) -> QueuedFrame? {
    inClearOnly ? frames[device]?.first { !$0.isSecured } : frames[device]?.first
  }

  func contains(_ serial: UInt64, for device: MACAddress) -> Bool {
    frames[device]?.contains { $0.serial == serial } ?? false
  }

  /// Takes note of an attempt.
  mutating func update(_ frame: QueuedFrame, for device: MACAddress) {
    guard let index = frames[device]?.firstIndex(where: { $0.serial == frame.serial }) else { return }
    frames[device]?[index] = frame
  }

  /// Takes one frame.
  mutating func remove(_ serial: UInt64, for device: MACAddress) -> QueuedFrame? {
    remove(device) { $0.serial == serial }.first
  }

  /// Takes the frames for `device`.
  mutating func removeAll(for device: MACAddress, where isChosen: (QueuedFrame) -> Bool = { _ in true })
    -> [QueuedFrame]
  {
    remove(device, where: isChosen)
  }

  /// Takes all frames whose time is over, but the one with the serial number `exception`.
  mutating func expire(now: Instant, except exception: UInt64?) -> [(device: MACAddress, frame: QueuedFrame)] {
    guard let earliestDeadline, earliestDeadline <= now else { return [] }
    var expired: [(device: MACAddress, frame: QueuedFrame)] = []
    var earliest: Instant?
    for device in Array(frames.keys) {
      expired += remove(device) { $0.deadline <= now && $0.serial != exception }.map { (device, $0) }
      for frame in frames[device] ?? [] where frame.serial != exception {
        earliest = earliest.map { min($0, frame.deadline) } ?? frame.deadline
      }
    }
    self.earliestDeadline = earliest
    return expired.sorted { $0.frame.serial < $1.frame.serial }
  }

  /// Says that the deadline of a frame counts again after ``expire(now:except:)`` has passed it over.
  mutating func reconsider(_ frame: QueuedFrame) {
    earliestDeadline = earliestDeadline.map { min($0, frame.deadline) } ?? frame.deadline
  }

  private mutating func remove(_ device: MACAddress, where isChosen: (QueuedFrame) -> Bool) -> [QueuedFrame] {
    guard let waiting = frames[device] else { return [] }
    let removed = waiting.filter(isChosen)
    guard !removed.isEmpty else { return [] }
    let kept = waiting.filter { !isChosen($0) }
    frames[device] = kept.isEmpty ? nil : kept
    count -= removed.count
    for frame in removed { byteCount -= frame.length }
    if count == 0 { earliestDeadline = nil }
    return removed
  }
}
