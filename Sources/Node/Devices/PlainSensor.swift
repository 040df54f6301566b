import BorderRouter
import CoAP
import Wire

/// A sensor of no consequence: it posts its plain representation to `/e`, once, and forgets it.
public struct PlainSensor: DeviceBehavior {
  private struct Report: Sendable {
    var label: UInt64
    var payload: [UInt8]
  }

  /// Reports that wait for the one under way.
  private static let maximumWaiting = 4

  private let format: CoAPContentFormat
  private let destination: NodeStack.Destination
  private var waiting: [Report] = []
  private var current: (id: RequestID<PANPeer>, label: UInt64)?
  private var events: [DeviceEvent] = []

  public init(format: CoAPContentFormat = .senMLCBOR, destination: NodeStack.Destination = .linkLocal) {
    self.format = format
    self.destination = destination
  }

  /// Posts a representation as soon as the one before is done with; of too many that wait the oldest is lost.
  public mutating func report(_ payload: [UInt8], label: UInt64) {
    if waiting.count >= Self.maximumWaiting { events.append(.reportLost(waiting.removeFirst().label)) }
    waiting.append(Report(label: label, payload: payload))
  }

  public var nextTimeout: Instant? { nil }

  public mutating func timeout(at now: Instant, stack: inout NodeStack) {
    guard current == nil, let next = waiting.first else { return }
    let request = CoAPRequest(.post, path: ["e"], contentFormat: format, payload: next.payload)
    guard let id = stack.request(request, to: destination, now: now) else { return }
    current = (id, next.label)
    waiting.removeFirst()
  }

  public mutating func handle(_ event: NodeEvent, stack: inout NodeStack, now: Instant) {
    switch event {
    case .response(let id, let response):
      guard let done = current, done.id == id else { return }
      current = nil
      events.append(response.code.isSuccess ? .reported(done.label) : .reportLost(done.label))
    case .failed(let id, _):
      guard let done = current, done.id == id else { return }
      current = nil
      events.append(.reportLost(done.label))
    case .request(let exchange, _): stack.respond(to: exchange, with: CoAPResponse(.notFound), now: now)
    default: break
    }
  }

  public mutating func takeEvents() -> [DeviceEvent] {
    defer { events.removeAll() }
    return events
  }
}
