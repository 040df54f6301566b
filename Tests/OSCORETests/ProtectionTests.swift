import CoAP
import TestSupport
import Testing
import Wire

@testable import OSCORE

/// RFC 8613, 8: protecting and verifying requests and responses.
struct ProtectionTests {
  @Test("Arbitrary requests and responses come out as they went in")
  func roundTrip() throws {
    var generator = SeededGenerator(seed: 1)
    for round in 0..<200 {
      var pair = try Pair(
        clientID: generator.bytes(in: 0...3).hex, serverID: generator.bytes(in: 4...7).hex,
        idContext: round.isMultiple(of: 3) ? generator.bytes(in: 0...12) : nil)
      for _ in 0..<5 {
        let request = generator.request()
        var (protected, exchange) = try pair.client.protectRequest(request, withIDContext: generator.oneIn(2))
        #expect(protected.code == .post)
        let (taken, atServer) = try pair.take(protected)
        #expect(taken == request)
        #expect(atServer == exchange)
        let response = generator.response()
        let outer = try pair.server.protectResponse(response, in: atServer, withPartialIV: generator.oneIn(3))
        #expect(outer.code == .changed)
        #expect(try pair.client.unprotectResponse(outer, in: &exchange) == response)
        #expect(exchange.isFinished)
        #expect(pair.refusal(outer, &exchange) == .oscoreReplay)
      }
    }
  }

  @Test("Both ends are client and server of one context")
  func bothRoles() throws {
    var pair = try Pair()
    let (toServer, _) = try pair.send()
    let (toClient, _) = try pair.server.protectRequest(.ping)
    #expect(toServer != toClient)
    #expect(try pair.take(toServer).0 == .ping)
    #expect(try pair.client.unprotectRequest(toClient).request == .ping)
    // A message reflected to its sender is not for it.
    #expect(throws: OSCORERefusal(.oscoreContextUnknown)) { try pair.client.unprotectRequest(toServer) }
  }

  @Test("No byte of a request can be changed")
  func tamperedRequest() throws {
    var pair = try Pair(idContext: [1, 2, 3])
    let (protected, _) = try pair.send(CoAPRequest(.put, path: ["lock"], payload: [1]))
    let option = try #require(protected.options[value: .oscore])
    for position in 0..<(option.count + protected.payload.count) {
      for bit in 0..<8 {
        var changed = protected
        if position < option.count {
          var value = option
          value[position] ^= 1 << bit
          changed.options[value: .oscore] = value
        } else {
          changed.payload[position - option.count] ^= 1 << bit
        }
        #expect(pair.refusal(changed) != nil, "byte \(position), bit \(bit)")
      }
    }
    for count in 0..<protected.payload.count {
      var short = protected
      short.payload = Array(protected.payload.prefix(count))
      #expect(pair.refusal(short)?.reason == (count == 0 ? .oscoreMalformed : .oscoreDecryptionFailed))
    }
    // None of it cost the window anything.
    #expect(try pair.take(protected).0.payload == [1])
  }

  @Test("No byte of a response can be changed", arguments: [false, true])
  func tamperedResponse(_ withPartialIV: Bool) throws {
    var pair = try Pair()
    var (protected, exchange) = try pair.send()
    let atServer = try pair.take(protected).1
    let response = try pair.server.protectResponse(
      CoAPResponse(.content, payload: [1]), in: atServer, withPartialIV: withPartialIV)
    let option = try #require(response.options[value: .oscore])
    for position in 0..<(option.count + response.payload.count) {
      for bit in 0..<8 {
        var changed = response
        if position < option.count {
          var value = option
          value[position] ^= 1 << bit
          changed.options[value: .oscore] = value
        } else {
          changed.payload[position - option.count] ^= 1 << bit
        }
        #expect(pair.refusal(changed, &exchange) != nil, "byte \(position), bit \(bit)")
      }
    }
    #expect(try pair.client.unprotectResponse(response, in: &exchange).payload == [1])
  }

  @Test("A response is bound to its request")
  func binding() throws {
    var pair = try Pair()
    var (first, one) = try pair.send()
    var (second, other) = try pair.send()
    let (atServer, otherAtServer) = (try pair.take(first).1, try pair.take(second).1)
    let responses = [
      try pair.server.protectResponse(CoAPResponse(.content), in: atServer),
      try pair.server.protectResponse(CoAPResponse(.changed), in: otherAtServer, withPartialIV: true),
    ]
    #expect(pair.refusal(responses[0], &other) == .oscoreDecryptionFailed)
    #expect(pair.refusal(responses[1], &one) == .oscoreDecryptionFailed)
    #expect(try pair.client.unprotectResponse(responses[0], in: &one).code == .content)
    #expect(try pair.client.unprotectResponse(responses[1], in: &other).code == .changed)
  }

  @Test("The nonce of a request protects one response, also if the caller asks again")
  func nonceOnce() throws {
    var pair = try Pair()
    let atServer = try pair.take(pair.send().0).1
    #expect(try pair.server.protectResponse(CoAPResponse(.content), in: atServer).options[value: .oscore] == [])
    for number in 0..<3 as Range<UInt8> {
      let again = try pair.server.protectResponse(CoAPResponse(.content), in: atServer)
      #expect(again.options[value: .oscore] == [1, number])
    }
    // An exchange that the window has left behind gets a Partial IV, too.
    let early = try pair.take(pair.send().0).1
    for _ in 0..<32 { _ = try pair.take(pair.send().0) }
    #expect(try pair.server.protectResponse(CoAPResponse(.content), in: early).options[value: .oscore] == [1, 3])
  }

  @Test("An exchange of another context is refused on both sides")
  func otherContext() throws {
    var (old, new) = (try Pair(secret: 1), try Pair(secret: 2))
    var (protected, exchange) = try old.send()
    let atServer = try old.take(protected).1
    #expect(throws: OSCOREError(.oscoreContextOther)) {
      try new.server.protectResponse(CoAPResponse(.content), in: atServer)
    }
    let response = try old.server.protectResponse(CoAPResponse(.content), in: atServer)
    #expect(new.refusal(response, &exchange) == .oscoreContextOther)
    #expect(old.refusal(response, &exchange) == nil)
  }

  @Test("Refusals and their unprotected answers (7.4 and 8.2)")
  func refusals() throws {
    var pair = try Pair()
    let (protected, _) = try pair.send()
    var broken = protected
    broken.options[value: .oscore] = [0xe0]
    var twice = protected
    twice.options.append(CoAPOption(.oscore))
    var noNumber = protected
    noNumber.options[value: .oscore] = [0x08, 0xc1]
    var noKid = protected
    noKid.options[value: .oscore] = [0x01, 0]
    var stranger = protected
    stranger.options[value: .oscore] = [0x09, 0, 9]
    var long = protected
    long.options[value: .oscore] = [0x09, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    var forged = protected
    forged.payload[0] ^= 1
    for malformed in [broken, twice, noNumber, noKid] {
      expect(pair.refusal(malformed), .oscoreMalformed, .badOption, "Failed to decode COSE")
    }
    for unknown in [stranger, long] {
      expect(pair.refusal(unknown), .oscoreContextUnknown, .unauthorized, "Security context not found")
    }
    expect(pair.refusal(forged), .oscoreDecryptionFailed, .badRequest, "Decryption failed")
    expect(pair.refusal(.ping), .oscoreUnprotected, .unauthorized, "")
    _ = try pair.take(protected)
    expect(pair.refusal(protected), .oscoreReplay, .unauthorized, "Replay detected")
  }

  private func expect(_ refusal: OSCORERefusal?, _ reason: DropReason, _ code: CoAPCode, _ text: String) {
    #expect(refusal?.reason == reason)
    #expect(refusal?.response == CoAPResponse(code: code, options: [CoAPOption(.maxAge)], payload: Array(text.utf8)))
  }

  @Test("A plaintext that is no request, no response or nested is refused, though it verifies")
  func plaintexts() throws {
    var pair = try Pair()
    let good = OSCOREPlaintext(code: .get, options: [], payload: [])
    for (plaintext, reason) in [
      (OSCOREPlaintext(code: .content, options: [], payload: []), DropReason.oscoreMalformed),
      (OSCOREPlaintext(code: .empty, options: [], payload: []), .oscoreMalformed),
      (OSCOREPlaintext(code: .get, options: [CoAPOption(.oscore)], payload: []), .oscoreNested),
    ] {
      var (request, exchange) = try pair.send()
      request.payload = try pair.client.seal(plaintext, nonce: exchange.requestNonce, in: exchange)
      #expect(pair.refusal(request)?.code == .badOption)
      #expect(pair.refusal(request)?.reason == .oscoreReplay, "it counts as received")
      let atServer = OSCOREExchange(
        kid: exchange.requestKid, partialIV: exchange.requestPartialIV, nonce: exchange.requestNonce,
        isObservation: false)
      if plaintext.code == .content { continue }
      let response = CoAPResponse(
        code: .changed, options: [CoAPOption(.oscore)],
        payload: try pair.server.seal(
          plaintext.code == .get && reason == .oscoreNested ? plaintext : good, nonce: exchange.requestNonce,
          in: atServer))
      #expect(pair.refusal(response, &exchange) == (reason == .oscoreNested ? .oscoreNested : .oscoreMalformed))
    }
  }

  @Test("Responses without OSCORE, and what AES-CCM cannot hold")
  func limits() throws {
    var pair = try Pair(idContext: [UInt8](repeating: 1, count: 256))
    var exchange = try pair.client.protectRequest(.ping, withIDContext: false).exchange
    #expect(pair.refusal(OSCORERefusal(.oscoreReplay).response, &exchange) == .oscoreUnprotected)
    #expect(!exchange.isFinished)
    #expect(throws: OSCOREError(.tooLong)) { try pair.client.protectRequest(.ping) }
    let large = CoAPRequest(.post, payload: [UInt8](repeating: 0, count: 65_534))
    #expect(throws: OSCOREError(.tooLong)) { try pair.client.protectRequest(large, withIDContext: false) }
    let full = CoAPRequest(.post, payload: [UInt8](repeating: 0, count: 65_533))
    #expect(try pair.take(pair.client.protectRequest(full, withIDContext: false).request).0 == full)
  }
}
