import IEEE802154
import Wire

/// Frames that wait for the radio, fair between destinations.
///
/// Of one priority, destinations take turns, each with its oldest frame. High priority goes first, but after
/// ``longestBurst`` frames of it in a row one of the others is let in.
struct DirectQueue: Sendable {
  fileprivate struct Lane: Sendable {
    /// Destinations with frames, the next in turn first.
    var turns: [MACAddress] = []
    var frames: [MACAddress: [QueuedFrame]] = [:]
  }

  static let longestBurst = 8

  private var high = Lane()
  private var normal = Lane()
  /// Frames of high priority sent in a row while others waited.
  private var burst = 0
  private var frameCounts: [MACAddress: Int] = [:]
  private(set) var count = 0
  private(set) var byteCount = 0
  /// No frame's deadline is earlier.
  private(set) var earliestDeadline: Instant?

  /// Frames that wait for `device`.
  func count(for device: MACAddress) -> Int { frameCounts[device, default: 0] }

  /// Whether one more frame of this length is within the bounds.
  func hasRoom(for device: MACAddress, length: Int, _ configuration: MACConfiguration) -> Bool {
    count < configuration.maximumQueuedFrames && length <= configuration.maximumQueuedBytes - byteCount
      && count(for: device) < configuration.maximumQueuedFramesPerDestination
  }

  /// Puts a frame behind all others for `device`.
  mutating func append(_ frame: QueuedFrame, for device: MACAddress) {
    if frame.priority == .high { high.append(frame, for: device) } else { normal.append(frame, for: device) }
    frameCounts[device, default: 0] += 1
    count += 1
    byteCount += frame.length
    earliestDeadline = earliestDeadline.map { min($0, frame.deadline) } ?? frame.deadline
  }

  /// Takes the frame whose turn it is, of those that are ready.
  mutating func next(where isReady: (QueuedFrame) -> Bool) -> QueuedFrame? {
    let othersWait = !normal.turns.isEmpty
    if burst >= Self.longestBurst, let found = normal.next(where: isReady) {
      burst = 0
      return note(found)
    }
    if let found = high.next(where: isReady) {
      burst = othersWait ? burst + 1 : 0
      return note(found)
    }
    burst = 0
    return normal.next(where: isReady).map { note($0) }
  }

  private mutating func note(_ taken: (device: MACAddress, frame: QueuedFrame)) -> QueuedFrame {
    forget(taken.frame, of: taken.device)
    return taken.frame
  }

  private mutating func forget(_ frame: QueuedFrame, of device: MACAddress) {
    count -= 1
    byteCount -= frame.length
    let left = frameCounts[device, default: 1] - 1
    frameCounts[device] = left > 0 ? left : nil
    if count == 0 { earliestDeadline = nil }
  }

  /// Takes frames for `device`, high priority first.
  mutating func removeAll(
    for device: MACAddress, where isChosen: (QueuedFrame) -> Bool = { _ in true }
  ) -> [QueuedFrame] {
    let removed = high.remove(device, where: isChosen) + normal.remove(device, where: isChosen)
    for frame in removed { forget(frame, of: device) }
    return removed
  }

  /// Takes all frames whose time is over.
  mutating func expire(now: Instant) -> [QueuedFrame] {
    guard let earliestDeadline, earliestDeadline <= now else { return [] }
    var expired: [QueuedFrame] = []
    var earliest: Instant?
    for device in Array(frameCounts.keys) {
      let removed = high.remove(device) { $0.deadline <= now } + normal.remove(device) { $0.deadline <= now }
      for frame in removed { forget(frame, of: device) }
      expired += removed
      for deadline in [high.deadline(of: device), normal.deadline(of: device)].compactMap({ $0 }) {
        earliest = earliest.map { min($0, deadline) } ?? deadline
      }
    }
    self.earliestDeadline = earliest
    return expired.sorted { $0.serial < $1.serial }
  }
}

extension DirectQueue.Lane {
  fileprivate mutating func append(_ frame: QueuedFrame, for device: MACAddress) {
    if frames[device] == nil { turns.append(device) }
    frames[device, default: []].append(frame)
  }

  fileprivate mutating func next(
    where isReady: (QueuedFrame) -> Bool
  ) -> (device: MACAddress, frame: QueuedFrame)? {
    for (index, device) in turns.enumerated() {
      guard let frame = frames[device]?.first, isReady(frame) else { continue }
      turns.remove(at: index)
      frames[device]?.removeFirst()
      if frames[device]?.isEmpty == true { frames[device] = nil } else { turns.append(device) }
      return (device, frame)
    }
    return nil
  }

  fileprivate mutating func remove(_ device: MACAddress, where isChosen: (QueuedFrame) -> Bool) -> [QueuedFrame] {
    guard let waiting = frames[device] else { return [] }
    let removed = waiting.filter(isChosen)
    guard !removed.isEmpty else { return [] }
    let kept = waiting.filter { !isChosen($0) }
    frames[device] = kept.isEmpty ? nil : kept
    if kept.isEmpty { turns.removeAll { $0 == device } }
    return removed
  }

  fileprivate func deadline(of device: MACAddress) -> Instant? { frames[device]?.map(\.deadline).min() }
}
