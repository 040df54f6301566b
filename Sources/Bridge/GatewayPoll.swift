import CoAP
import Envelope
import Queue
import Wire

extension Gateway {
  /// `GET /e`: the oldest message held for the node, its number as the entity tag, and how many wait behind it.
  /// `GET /e?done=N` confirms number N first, so that a node empties its queue with one exchange a message.
  mutating func poll(_ request: NodeRequest, now: Instant) -> NodeAnswer {
    let node: Member
    do { node = try speaker(request) } catch { return refuse(error.reason, request) }
    var events: [GatewayEvent] = []
    do throws(StoreError) {
      events += try expire(now: now)
      for argument in request.request.uriQuery {
        guard argument.hasPrefix("done="), let number = UInt64(argument.dropFirst(5)) else {
          return NodeAnswer(CoAPResponse(.badRequest), events)
        }
        if let confirmed = try confirm(number, for: node) { events.append(.confirmed(confirmed)) }
      }
      guard let (message, more) = try mailboxes.peek(queue(of: node)) else {
        events.append(.nothingHeld(node: node.name))
        return NodeAnswer(CoAPResponse(.content), events)
      }
      var response = CoAPResponse(
        .content, contentFormat: .coseSign1, eTag: CoAPOption(.eTag, uint: message.number).value,
        payload: message.bytes)
      if more > 0 { response.locationQuery = ["more=\(more)"] }
      events.append(.handed(command(message), more: more))
      return NodeAnswer(response, events)
    } catch {
      var answer = refuse(error.reason, request)
      answer.events = events + answer.events
      return answer
    }
  }

  /// `DELETE /e/N`: confirms number N. Confirming what is not held is harmless.
  mutating func delete(_ request: NodeRequest, number text: String, now: Instant) -> NodeAnswer {
    let node: Member
    do { node = try speaker(request) } catch { return refuse(error.reason, request) }
    guard let number = UInt64(text) else { return NodeAnswer(CoAPResponse(.badRequest)) }
    do throws(StoreError) {
      let confirmed = try confirm(number, for: node)
      return NodeAnswer(CoAPResponse(.deleted), confirmed.map { [.confirmed($0)] } ?? [])
    } catch {
      return refuse(error.reason, request)
    }
  }

  private func confirm(_ number: UInt64, for node: Member) throws(StoreError) -> HeldCommand? {
    let queue = queue(of: node)
    guard number > 0, let message = try mailboxes.next(in: queue, after: number - 1), message.number == number else {
      return nil
    }
    try mailboxes.confirm(number, in: queue)
    return command(message)
  }

  mutating func refuse(_ reason: DropReason, _ request: NodeRequest) -> NodeAnswer {
    refusals.count(reason)
    let refusal = Refusal(
      reason: reason, radio: node(eui64: request.eui64)?.name, kind: .plain, size: request.request.payload.count)
    return NodeAnswer(.refusal(reason), [.refused(refusal)])
  }
}
