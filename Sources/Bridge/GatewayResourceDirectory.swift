import CoAP
import Envelope
import Queue
import Wire

// The resource directory for the gateway's nodes (RFC 9176, 5): one registration a node, on disk. Nobody looks it up over
// the radio; owners see it in `pangate status`.

extension Gateway {
  private static var prefix: String { "rd." }
  private static func key(_ node: Member) -> String { prefix + node.address.bytes.hex }

  /// What a node registered, unless its lifetime is over.
  public func registration(of node: Member, now: Instant) -> ResourceRegistration? {
    guard let bytes = try? mailboxes.store.value(Self.key(node)),
      let registration = try? ResourceRegistration(parsing: bytes), registration.expires > now
    else { return nil }
    return registration
  }

  /// `POST /rd?ep=NAME...`: a registration, or the same node's anew (RFC 9176, 5).
  mutating func register(_ request: NodeRequest, now: Instant) -> NodeAnswer {
    do throws(ParseError) {
      let node = try speaker(request)
      let format = request.request.contentFormat
      guard format == nil || format == .linkFormat else {
        return NodeAnswer(CoAPResponse(.unsupportedContentFormat))
      }
      let registration = try ResourceRegistration(
        query: request.request.uriQuery, payload: request.request.payload, now: now)
      for other in nodes where other.address != node.address {
        if self.registration(of: other, now: now)?.endpoint == registration.endpoint {
          throw ParseError(.coapRequestRefused)
        }
      }
      try keep(registration, of: node)
      var response = CoAPResponse(.created)
      response.locationPath = ["rd", node.name]
      return NodeAnswer(response, [event(registration, of: node)])
    } catch {
      return refused(error.reason, request)
    }
  }

  /// `POST /rd/ID` renews, `DELETE /rd/ID` removes (RFC 9176, 5.3).
  mutating func changeRegistration(_ request: NodeRequest, id: String, now: Instant) -> NodeAnswer {
    do throws(ParseError) {
      // A node's registration is its own.
      let node = try speaker(request)
      guard node.name == id, let current = registration(of: node, now: now) else {
        return NodeAnswer(CoAPResponse(.notFound))
      }
      guard request.request.code == .post else {
        try keep(nil, of: node)
        return NodeAnswer(CoAPResponse(.deleted), [.deregistered(node: node.name)])
      }
      let renewed = try ResourceRegistration(
        query: request.request.uriQuery, payload: request.request.payload, previous: current, now: now)
      guard renewed.endpoint == current.endpoint else { throw ParseError(.coapRequestRefused) }
      try keep(renewed, of: node)
      return NodeAnswer(CoAPResponse(.changed), [event(renewed, of: node)])
    } catch {
      return refused(error.reason, request)
    }
  }

  private func keep(_ registration: ResourceRegistration?, of node: Member) throws(ParseError) {
    let bytes: [UInt8]?
    do { bytes = try registration?.cbor() } catch { throw ParseError(.coapRequestRefused) }
    do { try mailboxes.store.setValue(Self.key(node), to: bytes) } catch { throw ParseError(error.reason) }
  }

  private func event(_ registration: ResourceRegistration, of node: Member) -> GatewayEvent {
    .registered(node: node.name, endpoint: registration.endpoint, lifetime: registration.lifetime)
  }

  private mutating func refused(_ reason: DropReason, _ request: NodeRequest) -> NodeAnswer {
    refusals.count(reason)
    let refusal = Refusal(
      reason: reason, radio: node(eui64: request.eui64)?.name, kind: .plain, size: request.request.payload.count)
    return NodeAnswer(.refusal(reason), [.refused(refusal)])
  }
}
