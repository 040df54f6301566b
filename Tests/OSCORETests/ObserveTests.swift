import CoAP
import TestSupport
import Testing
import Wire

@testable import OSCORE

/// RFC 8613, 4.1.3.5, 7.4.1 and 8.4.2: observations.
struct ObserveTests {
  /// A registration, and the exchange at both ends.
  private func register(
    _ pair: inout Pair
  ) throws -> (client: OSCOREExchange, server: OSCOREExchange) {
    let (request, exchange) = try pair.send(.observe(0))
    #expect(request.code == .fetch && request.observe == 0)
    let (taken, atServer) = try pair.take(request)
    #expect(taken == .observe(0) && atServer.isObservation)
    return (exchange, atServer)
  }

  private func notification(
    _ value: UInt32, _ pair: inout Pair, _ exchange: OSCOREExchange
  ) throws -> CoAPResponse {
    var response = CoAPResponse(.content, payload: [UInt8(truncatingIfNeeded: value)])
    response.observe = value
    return try pair.server.protectResponse(response, in: exchange)
  }

  @Test("Notifications: 2.05 and the value outside, an empty Observe inside, a Partial IV from the second on")
  func notifications() throws {
    var pair = try Pair()
    var (client, server) = try register(&pair)
    for value in 0..<5 as Range<UInt32> {
      let outer = try notification(value + 100, &pair, server)
      #expect(outer.code == .content && outer.observe == value + 100)
      #expect(outer.options[value: .oscore] == (value == 0 ? [] : [1, UInt8(value) - 1]))
      let plaintext = try #require(
        pair.client.open(
          outer.payload,
          nonce: value == 0
            ? client.requestNonce : pair.client.nonce(pair.client.recipientID, UInt64(value) - 1), in: client))
      #expect(try OSCOREPlaintext(decoding: plaintext).options[values: .observe] == [[]])
      // Whatever a proxy makes of the outer value.
      var changed = outer
      changed.observe = 7
      let inner = try pair.client.unprotectResponse(changed, in: &client)
      #expect(inner.observe == value && inner.payload == [UInt8(value) + 100] && inner.code == .content)
      #expect(pair.refusal(outer, &client) == .oscoreNotificationStale)
      #expect(client.notificationNumber == (value == 0 ? nil : UInt64(value) - 1))
    }
  }

  @Test("Only newer notifications are taken, in whatever order they come")
  func order() throws {
    var pair = try Pair()
    var (client, server) = try register(&pair)
    let all = try (0..<6).map { try notification($0, &pair, server) }
    var taken: [UInt8] = []
    for index in [2, 0, 1, 4, 3, 4, 5, 2] {
      if let inner = try? pair.client.unprotectResponse(all[index], in: &client) { taken += inner.payload }
    }
    #expect(taken == [2, 4, 5])
  }

  @Test("The last response has no Observe option, and ends the observation")
  func end() throws {
    var pair = try Pair()
    var (client, server) = try register(&pair)
    let first = try notification(1, &pair, server)
    let second = try notification(2, &pair, server)
    let last = try pair.server.protectResponse(CoAPResponse(.notFound), in: server)
    #expect(last.options[value: .oscore] == [1, 1] && last.code == .changed)
    #expect(pair.refusal(first, &client) == nil)
    #expect(try pair.client.unprotectResponse(last, in: &client).code == .notFound)
    #expect(pair.refusal(second, &client) == .oscoreReplay)
  }

  @Test("Two observations with their own numbers; one notification is none of the other's")
  func several() throws {
    var pair = try Pair()
    var (one, oneAtServer) = try register(&pair)
    var (other, otherAtServer) = try register(&pair)
    for _ in 0..<3 {
      let forOne = try notification(1, &pair, oneAtServer)
      let forOther = try notification(2, &pair, otherAtServer)
      #expect(pair.refusal(forOne, &other) == .oscoreDecryptionFailed)
      #expect(pair.refusal(forOther, &other) == nil)
      #expect(pair.refusal(forOne, &one) == nil)
    }
  }

  @Test("A cancellation is no registration, and its response no notification")
  func cancellation() throws {
    var pair = try Pair()
    var (request, exchange) = try pair.send(.observe(1))
    #expect(request.code == .fetch && request.observe == 1 && !exchange.isObservation)
    let (taken, atServer) = try pair.take(request)
    #expect(taken.observe == 1)
    let response = try notification(5, &pair, atServer)
    #expect(response.code == .changed && response.observe == nil)
    #expect(try pair.client.unprotectResponse(response, in: &exchange).observe == nil)
  }

  @Test("An inner Observe in the response to a request that registered nothing is refused")
  func uninvited() throws {
    var pair = try Pair()
    var (request, exchange) = try pair.send()
    _ = try pair.take(request)
    let plaintext = OSCOREPlaintext(code: .content, options: [CoAPOption(.observe)], payload: [])
    let response = CoAPResponse(
      code: .content, options: [CoAPOption(.oscore), CoAPOption(.observe)],
      payload: try pair.server.seal(plaintext, nonce: exchange.requestNonce, in: exchange))
    #expect(pair.refusal(response, &exchange) == .oscoreMalformed)
    // Nor does a proxy make a response a notification.
    request = try pair.send().0
    var second = try pair.send()
    let atServer = try pair.take(second.0).1
    var plain = try pair.server.protectResponse(CoAPResponse(.content), in: atServer)
    plain.observe = 3
    #expect(try pair.client.unprotectResponse(plain, in: &second.1).observe == nil)
  }
}
