import COSE
import CoAP
import Envelope
import NIOCore
import Queue
import Wire

/// What the engine and other connections say to a client.
extension RelayChannelHandler {
  /// On the event loop.
  func take(_ replies: [RelayReply]) {
    guard !isClosing else {
      for case .chunk(let chunk) in replies { chunk.credit?.failed() }
      return
    }
    for reply in replies {
      switch reply {
      case .answer(let ticket, let outcome):
        waitingBytes -= ticket.size
        answer(ticket, outcome)
      case .opened:
        guard let exchange = opening else { break }
        opening = nil
        respond(exchange, CoAPResponse(.created))
        opened()
      case .deliver(let message): deliver(message)
      case .held(let exchange, let count):
        guard let count else {
          refuse(exchange, .queueUnavailable)
          break
        }
        let state = SessionState(held: UInt64(max(0, count)))
        respond(exchange, CoAPResponse(.content, contentFormat: .cbor, payload: state.encoded))
      case .chunk(let chunk): deliver(chunk)
      case .end(let reason):
        if let exchange = opening {
          opening = nil
          refuse(exchange, reason)
        }
        session = nil
        end(reason)
      }
    }
    act()
    context?.flush()
    regulate()
  }

  // MARK: Delivery

  private func deliver(_ message: HeldMessage) {
    let request = CoAPRequest(.post, path: ["e"], contentFormat: .coseSign1, payload: message.bytes)
    deliveries[connection.request(request, at: now)] = message
    act()
  }

  func take(_ response: CoAPResponse, to id: CoAPStreamConnection.RequestID) {
    if let credit = chunks.removeValue(forKey: id) {
      chunksInFlight = 0
      return response.code.isSuccess ? credit.taken() : credit.failed()
    }
    guard let message = deliveries.removeValue(forKey: id), let peer else { return }
    let name = MessageName(message.mailbox, message.number)
    switch response.code {
    case let code where code.isSuccess: shared.inbox.put(.taken(name, peer))
    // It is in its custody already, or it will not be.
    case .tooManyRequests, .serviceUnavailable, .internalServerError, .gatewayTimeout, .badGateway:
      later(message, after: response.maxAge ?? 5)
    default: shared.inbox.put(.rejected(name, Self.reason(response), peer))
    }
  }

  func take(_ failure: RequestFailure, of id: CoAPStreamConnection.RequestID) {
    if let credit = chunks.removeValue(forKey: id) {
      // A client that answers nothing is not sent more until it does.
      return credit.failed()
    }
    guard let message = deliveries.removeValue(forKey: id) else { return }
    switch failure {
    case .limit, .notRepresentable, .unacceptable:
      // A client that cannot be given it, ever: what is behind it must not wait for that, and its sender is told.
      if let peer {
        shared.inbox.put(.rejected(MessageName(message.mailbox, message.number), .envelopeTooLarge, peer))
      }
      return
    default: break
    }
    // Silence: the message stays, and comes with the next connection.
    if failure != .closed { end(.connectionTooSlow) }
  }

  /// The reason that a client gives in problem details (RFC 9290), if it is one that is known here.
  private static func reason(_ response: CoAPResponse) -> DropReason {
    guard let title = ProblemDetails(parsing: response.payload)?.title else { return .deliveryRefused }
    return DropReason(named: title) ?? .deliveryRefused
  }

  /// The same again after a while: the client has no room now.
  private func later(_ message: HeldMessage, after seconds: UInt32) {
    guard let context else { return }
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    context.eventLoop.scheduleTask(in: .seconds(Int64(min(max(1, seconds), 60)))) {
      let handler = bound.value
      guard !handler.isClosing else { return }
      handler.take([.deliver(message)])
    }
  }

  // MARK: Streams

  /// One chunk to the client: every one of them, or none and a gap that the client sees.
  private func deliver(_ chunk: RelayChunk) {
    guard let context, context.channel.isWritable, chunksInFlight < shared.limits.chunkWindow else {
      shared.metrics.chunk(forwarded: false)
      chunk.credit?.failed()
      return
    }
    chunksInFlight += 1
    shared.metrics.chunk(forwarded: true)
    var request = CoAPRequest(.post, path: ["e"], contentFormat: .coseSign1, payload: chunk.bytes)
    if chunk.credit == nil { request.noResponse = 26 }
    let id = connection.request(request, at: now)
    if let credit = chunk.credit { chunks[id] = credit }
    act()
  }
}
