import BorderRouter
import CoAP
import Wire

/// A plain CoAP server: resources that are read and written. It knows of no envelopes; its gateway vouches for it.
public struct CoAPServerNode: DeviceBehavior {
  /// Resources at most.
  private static let maximumResources = 16

  /// What was last written, by path.
  public private(set) var resources: [[String]: [UInt8]]
  private var events: [DeviceEvent] = []

  public init(resources: [[String]: [UInt8]] = [:]) { self.resources = resources }

  public var nextTimeout: Instant? { nil }

  public mutating func timeout(at now: Instant, stack: inout NodeStack) {}

  public mutating func handle(_ event: NodeEvent, stack: inout NodeStack, now: Instant) {
    guard case .request(let exchange, let request) = event else { return }
    let response = answer(request)
    events.append(.served(request, response.code))
    stack.respond(to: exchange, with: response, now: now)
  }

  /// GET reads, PUT writes, POST appends, DELETE removes (RFC 7252, 5.8).
  private mutating func answer(_ request: CoAPRequest) -> CoAPResponse {
    let path = request.uriPath
    switch request.code {
    case .get:
      guard let value = resources[path] else { return CoAPResponse(.notFound) }
      return CoAPResponse(.content, contentFormat: .textPlain, payload: value)
    case .put, .post:
      guard resources[path] != nil || resources.count < Self.maximumResources else {
        return CoAPResponse(.internalServerError)
      }
      let isNew = resources[path] == nil
      if request.code == .post {
        // As much as fits one block.
        resources[path] = Array(((resources[path] ?? []) + request.payload).suffix(64))
      } else {
        resources[path] = request.payload
      }
      return CoAPResponse(isNew ? .created : .changed)
    case .delete:
      resources[path] = nil
      return CoAPResponse(.deleted)
    default: return CoAPResponse(.methodNotAllowed)
    }
  }

  public mutating func takeEvents() -> [DeviceEvent] {
    defer { events.removeAll() }
    return events
  }
}
