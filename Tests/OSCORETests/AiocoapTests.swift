import CoAP
import Crypto
import TestSupport
import Testing
import Wire

@testable import OSCORE

/// RFC 8613 with another implementation at the other end.
@Suite(.enabled(if: Aiocoap.python != nil, "PANGATE_PYTHON is not set: tools/test sets it"))
struct AiocoapTests {
  private let secret = [UInt8](0..<16)
  private let salt = [UInt8](100..<108)

  /// Our context and that of aiocoap.
  private func meet(
    ours: String = "0a", theirs: String = "0b0c", idContext: String? = nil, sequence: Int = 0, echo: String? = nil
  ) throws -> (OSCORESecurityContext, Aiocoap) {
    let peer = try Aiocoap()
    let outcome = try peer.run(
      Aiocoap.Job(
        do: "context", secret: secret.hex, salt: salt.hex, sender: theirs, recipient: ours, idContext: idContext,
        sequence: sequence, echo: echo))
    #expect(outcome.error == nil)
    let context = try OSCORESecurityContext(
      masterSecret: SymmetricKey(data: secret), masterSalt: salt, senderID: OSCOREIdentifier(bytes(ours)),
      recipientID: OSCOREIdentifier(bytes(theirs)), idContext: idContext.map(bytes))
    return (context, peer)
  }

  /// Options with values that they may have, since aiocoap reads and writes by format.
  private func options(_ generator: inout SeededGenerator) -> CoAPOptions {
    var options = CoAPOptions()
    for _ in 0..<Int.random(in: 0...4, using: &generator) {
      switch Int.random(in: 0..<5, using: &generator) {
      case 0: options.append(CoAPOption(.uriPath, string: "a\(generator.next() % 1000)"))
      case 1: options.append(CoAPOption(.uriQuery, string: "b=\(generator.next() % 1000)"))
      case 2: options.append(CoAPOption(.eTag, generator.bytes(in: 1...8)))
      case 3: options[value: .echo] = generator.bytes(in: 1...40)
      default:
        let number = CoAPOptionNumber(rawValue: .random(in: 1000 ... .max, using: &generator))
        options.append(CoAPOption(number, generator.bytes(in: 0...40)))
      }
    }
    return options
  }

  @Test("Our requests and their responses, with every kind of identifier", arguments: [nil, "", "37cbf3210017a2d3"])
  func ourRequests(_ idContext: String?) throws {
    var generator = SeededGenerator(seed: 21)
    for (ours, theirs) in [("0a", "0b0c"), ("", "01020304050607"), ("00", "")] {
      var (context, peer) = try meet(ours: ours, theirs: theirs, idContext: idContext)
      for _ in 0..<20 {
        let request = CoAPRequest(
          code: [.get, .post, .put, .delete, .fetch, .patch, .iPatch].randomElement(using: &generator)!,
          options: options(&generator), payload: generator.bytes(in: 0...200))
        var (protected, exchange) = try context.protectRequest(request)
        let (received, number) = try peer.unprotect(protected)
        #expect(received == request)
        #expect(try peer.refusal(protected).error?.contains("Replay") == true)
        let response = CoAPResponse(
          code: [.content, .changed, .notFound, .serviceUnavailable].randomElement(using: &generator)!,
          options: options(&generator), payload: generator.bytes(in: 0...200))
        let answer = try peer.protect(response, request: number)
        #expect(try context.unprotectResponse(answer, in: &exchange) == response)
      }
    }
  }

  @Test("Their requests and our responses, with and without Partial IV", arguments: [nil, "37cbf3210017a2d3"])
  func theirRequests(_ idContext: String?) throws {
    var generator = SeededGenerator(seed: 22)
    var (context, peer) = try meet(idContext: idContext, sequence: 250)
    for _ in 0..<40 {
      let request = CoAPRequest(code: .post, options: options(&generator), payload: generator.bytes(in: 0...200))
      let (protected, number) = try peer.protect(request)
      guard case .request(let received, let exchange) = try context.unprotectRequest(protected) else {
        Issue.record("challenged")
        continue
      }
      #expect(received == request)
      #expect(throws: OSCORERefusal(.oscoreReplay)) { try context.unprotectRequest(protected) }
      let response = CoAPResponse(code: .content, options: options(&generator), payload: generator.bytes(in: 0...200))
      let answer = try context.protectResponse(response, in: exchange, withPartialIV: generator.oneIn(2))
      #expect(try peer.unprotect(answer, request: number).0 == response)
    }
  }

  @Test("We observe, they notify")
  func theirNotifications() throws {
    var (context, peer) = try meet(sequence: 1000)
    var (registration, exchange) = try context.protectRequest(.observe(0))
    let (received, number) = try peer.unprotect(registration)
    #expect(received == .observe(0))
    for count in 0..<5 as Range<UInt32> {
      var notification = CoAPResponse(.content, payload: [UInt8(count)])
      notification.observe = count + 50
      let protected = try peer.protect(notification, request: number)
      let taken = try context.unprotectResponse(protected, in: &exchange)
      #expect(taken.observe == count && taken.payload == [UInt8(count)])
      #expect(exchange.notificationNumber == (count == 0 ? nil : 999 + UInt64(count)))
      #expect(throws: OSCOREError(.oscoreNotificationStale)) {
        try context.unprotectResponse(protected, in: &exchange)
      }
    }
    let end = try peer.protect(CoAPResponse(.notFound), request: number)
    #expect(try context.unprotectResponse(end, in: &exchange).code == .notFound)
    let (cancellation, _) = try context.protectRequest(.observe(1))
    #expect(cancellation.code == .fetch)
  }

  @Test("They observe, we notify")
  func ourNotifications() throws {
    var (context, peer) = try meet()
    let (registration, number) = try peer.protect(.observe(0))
    #expect(registration.code == .fetch && registration.observe == 0)
    guard case .request(let received, let exchange) = try context.unprotectRequest(registration) else {
      Issue.record("challenged")
      return
    }
    #expect(received == .observe(0) && exchange.isObservation)
    for count in 0..<5 as Range<UInt32> {
      var notification = CoAPResponse(.content, payload: [UInt8(count)])
      notification.observe = count + 50
      let (taken, observe) = try peer.unprotect(context.protectResponse(notification, in: exchange), request: number)
      #expect(taken.payload == [UInt8(count)])
      #expect(observe == Int64(count) - 1)
    }
  }

  @Test("The blocks of a body travel inside, both ways")
  func innerBlocks() throws {
    var (context, peer) = try meet()
    let body = [UInt8](0..<200)
    for number in 0..<4 {
      let part = Array(body[(number * 64)..<min(200, number * 64 + 64)])
      var request = CoAPRequest(.put, path: ["firmware"], payload: part)
      request.block1 = CoAPBlock(number: number, more: number < 3, szx: 2)
      if number == 0 { request.size1 = 200 }
      request.requestTag = [9]
      var (protected, exchange) = try context.protectRequest(request)
      #expect(protected.options.map(\.number) == [.oscore])
      let (received, index) = try peer.unprotect(protected)
      #expect(received == request)
      var response = CoAPResponse(number < 3 ? .continue : .changed)
      response.block1 = request.block1
      let answer = try peer.protect(response, request: index)
      #expect(try context.unprotectResponse(answer, in: &exchange) == response)

      var get = CoAPRequest(.get, path: ["log"])
      get.block2 = CoAPBlock(number: number, more: false, szx: 2)
      let (theirs, their) = try peer.protect(get)
      guard case .request(let asked, let ours) = try context.unprotectRequest(theirs) else {
        Issue.record("challenged")
        return
      }
      #expect(asked == get)
      var block = CoAPResponse(.content, payload: part)
      block.block2 = CoAPBlock(number: number, more: number < 3, szx: 2)
      #expect(try peer.unprotect(context.protectResponse(block, in: ours), request: their).0 == block)
    }
  }

  @Test("We lose our window: they repeat the request with our Echo value")
  func ourRestart() throws {
    var (context, peer) = try meet()
    let (old, _) = try peer.protect(.ping)
    context = OSCORESecurityContext(restoring: context.durableState, challenge: 0xfeed_0000_0000_0001)
    let (first, number) = try peer.protect(.ping)
    let challenge = try #require(try context.unprotectRequest(first).challenge)
    let answer = try peer.unprotect(challenge, request: number).0
    #expect(answer.code == .unauthorized && answer.options.map(\.number) == [.echo])
    var again = CoAPRequest.ping
    again.echo = answer.echo
    let (second, secondNumber) = try peer.protect(again)
    guard case .request(let taken, let exchange) = try context.unprotectRequest(second) else {
      Issue.record("challenged again")
      return
    }
    #expect(taken == again)
    let response = try context.protectResponse(CoAPResponse(.content, payload: [1]), in: exchange)
    #expect(try peer.unprotect(response, request: secondNumber).0.payload == [1])
    #expect(throws: OSCORERefusal(.oscoreReplay)) { try context.unprotectRequest(old) }
  }

  @Test("They lose their window: we repeat the request with their Echo value")
  func theirRestart() throws {
    var (context, peer) = try meet(sequence: 64, echo: "0102030405060708")
    var (request, exchange) = try context.protectRequest(.ping)
    let (error, challenge) = try peer.refusal(request)
    #expect(error == "echo")
    let answer = try context.unprotectResponse(try #require(challenge), in: &exchange)
    #expect(answer.code == .unauthorized && answer.echo == bytes("0102030405060708"))
    var again = CoAPRequest.ping
    again.echo = answer.echo
    (request, exchange) = try context.protectRequest(again)
    let (taken, number) = try peer.unprotect(request)
    #expect(taken == again)
    let response = try peer.protect(CoAPResponse(.content, payload: [2]), request: number)
    #expect(try context.unprotectResponse(response, in: &exchange).payload == [2])
  }

  @Test("Path and query of our Proxy-Uri reach them inside; their Uri-Host stays outside")
  func proxyOptions() throws {
    var (context, peer) = try meet()
    var request = CoAPRequest(code: .get, options: [CoAPOption(.proxyUri, string: "coap://example.com/a/b?c=1&d")])
    let (ours, _) = try context.protectRequest(request)
    #expect(ours.options[strings: .proxyUri] == ["coap://example.com"])
    #expect(try peer.unprotect(ours).0 == CoAPRequest(.get, path: ["a", "b"], query: ["c=1", "d"]))
    request = CoAPRequest(code: .get, options: [CoAPOption(.uriHost, string: "h"), CoAPOption(.uriPath, string: "x")])
    let (theirs, _) = try peer.protect(request)
    #expect(theirs.options.map(\.number) == [.uriHost, .oscore])
    #expect(try context.unprotectRequest(theirs).request == request)
  }
}
