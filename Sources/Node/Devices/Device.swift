import BorderRouter
import CoAP
import Envelope
import IEEE802154
import Wire

/// What a device does on top of its stack.
public protocol DeviceBehavior: Sendable {
  /// When to call ``timeout(at:stack:)``; `nil` for never.
  var nextTimeout: Instant? { get }

  /// Does what is due, and begins what can begin.
  mutating func timeout(at now: Instant, stack: inout NodeStack)

  /// Takes what happened to the stack.
  mutating func handle(_ event: NodeEvent, stack: inout NodeStack, now: Instant)

  /// What happened since the last call, in order.
  mutating func takeEvents() -> [DeviceEvent]
}

/// What happened to a device, for tests and logs.
public enum DeviceEvent: Sendable, Equatable {
  /// The gateway took a report into custody: the label it was given.
  case reported(UInt64)
  /// The gateway refused a report, or did not answer while it was of use.
  case reportLost(UInt64)
  /// A command was obeyed: its sender and its number.
  case acted(by: Address, sequence: UInt64, EncapsulatedMessage)
  /// A command waits until its sender has sent back a challenge: its sender and its number.
  case challenged(by: Address, sequence: UInt64)
  /// A new peer record is obeyed.
  case recordObeyed(epoch: UInt64)
  /// A held message was not obeyed. ``DropReason/envelopeReplay``: it was before.
  case refused(DropReason)
  /// The gateway passed on a chunk of a stream: its number.
  case chunkTaken(UInt64)
  /// A chunk was left out, or not passed on.
  case chunkLost(UInt64)
  /// The gateway took a receipt into custody, for the command with this number.
  case receiptTaken(UInt64)
  /// A plain CoAP server processed a request.
  case served(CoAPRequest, CoAPCode)
}

/// A whole device without I/O: a ``NodeStack`` and what it is there for. Frames and instants go in; frames and events come
/// out.
public struct Device<Behavior: DeviceBehavior>: ~Copyable {
  public private(set) var stack: NodeStack
  public private(set) var behavior: Behavior
  private var events: [DeviceEvent] = []

  public init(stack: consuming NodeStack, behavior: Behavior) {
    self.stack = stack
    self.behavior = behavior
  }

  /// What happened since the last call, in order.
  public mutating func takeEvents() -> [DeviceEvent] {
    defer { events.removeAll() }
    return events
  }

  /// See ``NodeStack/takeTransmissions()``.
  public mutating func takeTransmissions() -> [[UInt8]] { stack.takeTransmissions() }

  /// When to call ``timeout(at:)``; `nil` for never.
  public var nextTimeout: Instant? {
    guard let first = stack.nextTimeout else { return behavior.nextTimeout }
    return behavior.nextTimeout.map { min($0, first) } ?? first
  }

  /// Begins to join.
  public mutating func start(now: Instant) {
    stack.start(now: now)
    settle(now: now)
  }

  /// Does what is due.
  public mutating func timeout(at now: Instant) {
    stack.timeout(at: now)
    settle(now: now)
  }

  /// Takes a frame that the radio has let pass.
  public mutating func receive(_ frame: RawSpan, metadata: FrameMetadata) {
    stack.receive(frame, metadata: metadata)
    settle(now: metadata.timestamp)
  }

  /// What became of the last of ``takeTransmissions()``.
  public mutating func transmitted(_ outcome: TransmitOutcome, now: Instant) {
    stack.transmitted(outcome, now: now)
    settle(now: now)
  }

  /// Has the behavior do something, such as report.
  public mutating func perform(now: Instant, _ body: (inout Behavior) -> Void) {
    body(&behavior)
    settle(now: now)
  }

  private mutating func settle(now: Instant) {
    while true {
      let batch = stack.takeEvents()
      for event in batch {
        behavior.handle(event, stack: &stack, now: now)
      }
      behavior.timeout(at: now, stack: &stack)
      events += behavior.takeEvents()
      if batch.isEmpty { return }
    }
  }
}
