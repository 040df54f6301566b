import BorderRouter
import CoAP
import Envelope
import IEEE802154
import IPv6
import Queue
import Wire

extension HomeGateway {
  /// Passes on what the layers say to each other until they say no more.
  mutating func settle(now: Instant) {
    if let limit = unreserved { reserve(limit, now: now) }
    var isQuiet = false
    while !isQuiet {
      isQuiet = true
      for event in stack.takeEvents() {
        isQuiet = false
        handle(event, now: now)
      }
      for frame in stack.takeFrames() {
        isQuiet = false
        send(frame, now: now)
      }
      for action in mac.takeActions() {
        isQuiet = false
        handle(action, now: now)
      }
      if startExchanges(now: now) { isQuiet = false }
    }
  }

  private mutating func handle(_ event: PANEvent, now: Instant) {
    switch event {
    case .request(let exchange, let request):
      let answer = gateway.receive(
        NodeRequest(
          request: request.request, eui64: request.extendedAddress?.value, fingerprint: request.fingerprint),
        now: now)
      note(answer.events)
      stack.respond(to: exchange, with: answer.response, now: now)
    case .response(let id, let response): finish(id, with: response, now: now)
    case .failed(let id, _): fail(id, now: now)
    case .command(let command, let header):
      mac.receive(command, header: header, isSecured: header.security != nil, now: now)
    case .heard(let device, let radio, let metadata): hear(device, radio, metadata)
    case .registration(let address, let entry): keep(address, entry, now: now)
    case .dropped(let reason): drop(reason)
    }
  }

  private mutating func send(_ frame: MACFrame, now: Instant) {
    lastFrame += 1
    frameDestinations[lastFrame] = frame.header.destination
    mac.send(OutgoingFrame(id: lastFrame, header: frame.header, payload: frame.payload), now: now)
  }

  private mutating func handle(_ action: MACAction, now: Instant) {
    switch action {
    case .transmit(let psdu): actions.append(.transmit(psdu))
    case .sourceMatch(let devices): actions.append(.sourceMatch(devices))
    case .finished(let id, let outcome):
      let destination = frameDestinations.removeValue(forKey: id)
      if case .dropped(let reason) = outcome { drop(reason) }
      if outcome == .noAcknowledgment, let destination { stack.linkFailed(to: destination, now: now) }
    case .associated(let device, let short): associate(device, short)
    case .disassociated(let device): associate(device, nil)
    case .reserveFrameCounter(let limit): reserve(limit, now: now)
    case .dropped(let reason): drop(reason)
    }
  }

  /// Secured frames wait until this has succeeded; the MAC asks once, so it is tried again here.
  private mutating func reserve(_ limit: UInt32, now: Instant) {
    do {
      try store.setCounter(Self.frameCounterName, to: UInt64(limit))
      unreserved = nil
      mac.frameCounterReserved(upTo: limit, now: now)
    } catch {
      unreserved = limit
      drop(error.reason)
    }
  }

  private mutating func hear(_ device: ExtendedAddress, _ radio: MACAddress, _ metadata: FrameMetadata) {
    let isNode = gateway.node(eui64: device.value) != nil
    let before = isNode ? heard[device] : strangers[device]
    let reception = Reception(
      last: metadata.timestamp, frames: (before?.frames ?? 0) + 1, rssi: metadata.rssi ?? before?.rssi,
      lqi: metadata.lqi ?? before?.lqi, radio: radio)
    guard isNode else {
      if before == nil, strangers.count >= limits.strangers,
        let oldest = strangers.min(by: { $0.value.last < $1.value.last })?.key
      {
        strangers[oldest] = nil
      }
      strangers[device] = reception
      return
    }
    heard[device] = reception
    woken.insert(device)
  }

  // MARK: Requests to nodes

  /// Starts what is to be said to nodes that listen now, as far as the bounds allow. False if nothing was started.
  private mutating func startExchanges(now: Instant) -> Bool {
    var started = false
    for device in woken.sorted() {
      guard exchanges.count < limits.exchanges else { break }
      woken.remove(device)
      guard let node = gateway.node(eui64: device.value), gateway.isAsked(node, now: now),
        !exchanges.values.contains(where: { $0.node.address == node.address }), !isDeferred(node, now: now)
      else { continue }
      do {
        let (exchange, events) = try gateway.nextExchange(with: node, now: now)
        note(events)
        guard let exchange else {
          retries[node.address] = nil
          continue
        }
        let id = stack.request(exchange.request, to: device, now: now)
        exchanges[id] = exchange
        started = true
      } catch {
        drop(error.reason)
        postpone(node, wasHeard: true, now: now)
      }
    }
    return started
  }

  private mutating func finish(_ id: RequestID<PANPeer>, with response: CoAPResponse, now: Instant) {
    guard let exchange = exchanges.removeValue(forKey: id) else { return }
    if let again = gateway.challenged(exchange, by: response) {
      exchanges[stack.request(again.request, to: ExtendedAddress(again.eui64), now: now)] = again
      return
    }
    do {
      let events = try gateway.finish(exchange, with: response, now: now)
      note(events)
      let isHeld = events.contains { if case .exchangeFailed(_, .nodeUnreachable) = $0 { true } else { false } }
      guard !isHeld else { return postpone(exchange.node, wasHeard: true, now: now) }
    } catch {
      drop(error.reason)
      return postpone(exchange.node, wasHeard: true, now: now)
    }
    retries[exchange.node.address] = nil
    // It is there: the next one.
    woken.insert(ExtendedAddress(exchange.eui64))
  }

  private mutating func fail(_ id: RequestID<PANPeer>, now: Instant) {
    guard let exchange = exchanges.removeValue(forKey: id) else { return }
    noting { (gateway) throws(StoreError) in try gateway.fail(exchange, now: now) }
    postpone(exchange.node, wasHeard: false, now: now)
    // Others may have waited for room.
    for node in gateway.nodes where node.address != exchange.node.address && isAwake(node, now: now) {
      if let eui64 = node.eui64, retries[node.address] == nil { woken.insert(ExtendedAddress(eui64)) }
    }
  }

  /// What is held for a node stays, and is tried again later. `wasHeard`: it is there, so that hearing it again is no reason
  /// to try earlier.
  private mutating func postpone(_ node: Member, wasHeard: Bool, now: Instant) {
    let failures = (retries[node.address]?.failures ?? 0) + 1
    let wait = min(limits.longestRetry, limits.firstRetry * (1 << min(failures - 1, 16)))
    retries[node.address] = Retry(due: now.advanced(by: wait), failures: failures, wasHeard: wasHeard)
  }

  private func isDeferred(_ node: Member, now: Instant) -> Bool {
    retries[node.address].map { $0.wasHeard && $0.due > now } ?? false
  }
}
