import BorderRouter
import COSE
import CoAP
import Envelope
import MemberSecurity
import OSCORE
import Wire

// What a stack with security does with the requests of its behavior, and with those that come to it.

extension NodeStack {
  // MARK: As a client

  mutating func requestProtected(
    _ request: CoAPRequest, to destination: Destination, peer: PANPeer, isOwn: Bool = false, now: Instant
  ) -> RequestID<PANPeer>? {
    let word = random.next()
    let tag = (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) }
    return security?.add(request, to: destination, peer: peer, isOwn: isOwn, tag: tag, now: now)
  }

  /// Begins what is due and has room: one request at a time. Returns whether it did something.
  mutating func startSecured(now: Instant) -> Bool {
    guard let due = security?.due, due <= now, let job = security?.jobs.first,
      let peer = peer(for: job.destination, now: now)
    else { return false }
    do throws(OSCOREError) {
      let next = try security?.keeping { (contexts, keep) throws(OSCOREError) in
        var request = job.request
        let message = try request.start(anew: job.isAnew, &contexts, keep: keep)
        return (request, message)
      }
      guard let (request, message) = next else { return false }
      security?.jobs[0].request = request
      security?.jobs[0].current = coap.request(message, to: peer, at: now)
    } catch { failSecured(at: 0, error.reason, now: now) }
    return true
  }

  /// Takes a response if it belongs to one of these requests.
  mutating func receiveSecured(_ id: RequestID<PANPeer>, _ response: CoAPResponse, now: Instant) -> Bool {
    guard let index = security?.jobs.firstIndex(where: { $0.current == id }), let job = security?.jobs[index] else {
      return false
    }
    let outcome = security?.keeping { contexts, keep in
      var request = job.request
      return (request.receive(response, &contexts, keep: keep), request)
    }
    guard let (step, request) = outcome else { return false }
    security?.jobs[index].request = request
    switch step {
    case .send(let message):
      guard let peer = peer(for: job.destination, now: now) else {
        failSecured(at: index, .nodeUnreachable, now: now)
        break
      }
      security?.jobs[index].current = coap.request(message, to: peer, at: now)
    case .response(let inner):
      security?.jobs.remove(at: index)
      if let name = job.name {
        events.append(.response(name, inner))
        fetchLinkKey(after: inner, to: job.destination, now: now)
      } else {
        takeLinkKey(inner)
      }
    case .failed(let reason): failSecured(at: index, reason, now: now)
    }
    return true
  }

  /// Takes it that a CoAP request had no response, if it belongs to one of these requests.
  mutating func failedSecured(_ id: RequestID<PANPeer>, _ failure: RequestFailure) -> Bool {
    guard let index = security?.jobs.firstIndex(where: { $0.current == id }), let job = security?.jobs[index] else {
      return false
    }
    security?.jobs.remove(at: index)
    if let name = job.name { events.append(.failed(name, failure)) }
    return true
  }

  private mutating func failSecured(at index: Int, _ reason: DropReason, now: Instant) {
    drop(reason)
    // A link key that cannot be fetched now is announced again.
    let isOwn = security?.jobs[index].name == nil
    if !isOwn, security?.postpone(at: index, now: now) == true { return }
    if let name = security?.jobs.remove(at: index).name { events.append(.failed(name, .reset)) }
  }

  // MARK: The key of the radio network

  /// The gateway has a key that we do not have: `key=INDEX` in an answer says so.
  private mutating func fetchLinkKey(after response: CoAPResponse, to destination: Destination, now: Instant) {
    guard
      let index = response.locationQuery.lazy.compactMap({ $0.hasPrefix("key=") ? UInt8($0.dropFirst(4)) : nil }).first,
      index != security?.memory.linkKey?.index, let peer = peer(for: destination, now: now)
    else { return }
    _ = requestProtected(CoAPRequest(.get, path: ["key"]), to: destination, peer: peer, isOwn: true, now: now)
  }

  private mutating func takeLinkKey(_ response: CoAPResponse) {
    guard response.code == .content, let key = LinkKey(try? CBORValue(parsing: response.payload)) else { return }
    security?.memory.linkKey = key
    events.append(.linkKey(key))
  }

  // MARK: As a server

  /// Takes a request: what the behavior is to see of it is an event, the rest is answered here.
  mutating func serveSecured(_ id: ExchangeID<PANPeer>, _ request: CoAPRequest, now: Instant) {
    guard let roster = security?.roster, let open = security?.configuration.openPaths else { return }
    let received = security?.keeping { contexts, keep in
      contexts.receive(request, from: roster, now: now, keep: keep)
    }
    switch received {
    case .request(let inner, let member, let exchange):
      if security?.serving.count ?? 0 >= 16 { security?.serving.removeFirst() }
      security?.serving.append((id, member, exchange))
      events.append(.request(id, inner))
    case .answered(let response, let reason):
      if let reason { drop(reason) }
      coap.respond(to: id, with: response, at: now)
    case .unprotected where open.contains(request.uriPath): events.append(.request(id, request))
    case .unprotected, nil:
      drop(.oscoreUnprotected)
      coap.respond(to: id, with: CoAPResponse(.unauthorized), at: now)
    }
  }

  /// The response as it leaves the node: protected, if the request was.
  mutating func secured(_ response: CoAPResponse, to id: ExchangeID<PANPeer>) -> CoAPResponse {
    guard let index = security?.serving.firstIndex(where: { $0.id == id }),
      let served = security?.serving.remove(at: index)
    else { return response }
    do throws(OSCOREError) {
      let protected = try security?.keeping { (contexts, keep) throws(OSCOREError) in
        try contexts.protect(response, to: served.member, in: served.exchange, keep: keep)
      }
      return protected ?? CoAPResponse(.unauthorized)
    } catch {
      drop(error.reason)
      return CoAPResponse(.unauthorized)
    }
  }
}
