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
  private let endpointName: String?
  private var registration: RequestID<PANPeer>?
  private var registrationDue: Instant?

  /// Seconds of a registration with the resource directory; it is made anew after half of them.
  private static let registrationLifetime: Int64 = 7_200

  /// With `endpointName`, it registers with the gateway's resource directory (RFC 9176, 5): a server that has to agree on
  /// keys with its gateway before it is asked does so by that.
  public init(resources: [[String]: [UInt8]] = [:], endpointName: String? = nil) {
    self.resources = resources
    self.endpointName = endpointName
    registrationDue = endpointName == nil ? nil : Instant(seconds: 0)
  }

  public var nextTimeout: Instant? { registration == nil ? registrationDue : nil }

  public mutating func timeout(at now: Instant, stack: inout NodeStack) {
    guard registration == nil, let registrationDue, registrationDue <= now, let endpointName else { return }
    let links = resources.keys.map { "</\($0.joined(separator: "/"))>" }.sorted().joined(separator: ",")
    let request = CoAPRequest(
      .post, path: ["rd"], query: ["ep=\(endpointName)", "lt=\(Self.registrationLifetime)"],
      contentFormat: .linkFormat, payload: Array(links.utf8))
    registration = stack.request(request, to: .linkLocal, now: now)
    // There is no router yet.
    if registration == nil { self.registrationDue = now.advanced(by: .seconds(5)) }
  }

  public mutating func handle(_ event: NodeEvent, stack: inout NodeStack, now: Instant) {
    switch event {
    case .request(let exchange, let request):
      let response = answer(request)
      events.append(.served(request, response.code))
      stack.respond(to: exchange, with: response, now: now)
    case .response(let id, let response) where id == registration:
      registration = nil
      let wait = response.code.isSuccess ? Self.registrationLifetime / 2 : 60
      registrationDue = now.advanced(by: .seconds(wait))
    case .failed(let id, _) where id == registration:
      registration = nil
      registrationDue = now.advanced(by: .seconds(60))
    default: break
    }
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
