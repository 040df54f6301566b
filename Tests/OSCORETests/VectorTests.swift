import CoAP
import Testing
import Wire

@testable import OSCORE

/// RFC 8613, C.4 to C.8: whole messages, byte for byte.
struct VectorTests {
  struct Request: Sendable {
    var name: String
    /// Index in ``KeyDerivationTests/vectors``.
    var context: Int
    var plain: String
    var aad: String
    var nonce: String
    var protected: String
  }

  static let requests = [
    Request(
      name: "C.4", context: 0, plain: "44015d1f00003974396c6f63616c686f737483747631",
      aad: "8368456e63727970743040488501810a40411440", nonce: "4622d4dd6d944168eefb549868",
      protected: "44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e"),
    Request(
      name: "C.5", context: 1, plain: "440171c30000b932396c6f63616c686f737483747631",
      aad: "8368456e63727970743040498501810a4100411440", nonce: "bf35ae297d2dace910c52e99ed",
      protected: "440271c30000b932396c6f63616c686f737463091400ff4ed339a5a379b0b8bc731fffb0"),
    Request(
      name: "C.6", context: 2, plain: "44012f8eef9bbf7a396c6f63616c686f737483747631",
      aad: "8368456e63727970743040488501810a40411440", nonce: "2ca58fb85ff1b81c0b7181b84a",
      protected:
        "44022f8eef9bbf7a396c6f63616c686f73746b19140837cbf3210017a2d3ff72cd7273fd331ac45cffbe55c3"),
  ]

  /// The context of a vector; sequence numbers of the client stand at 20.
  static func contexts(_ index: Int) throws -> (client: OSCORESecurityContext, server: OSCORESecurityContext) {
    var contexts = try KeyDerivationTests.contexts(KeyDerivationTests.vectors[index])
    contexts.client.sequence = SenderSequence(from: 20, step: 1)
    return contexts
  }

  @Test("Requests: the client writes the message of the RFC, the server reads it", arguments: requests)
  func request(_ vector: Request) throws {
    var (client, server) = try Self.contexts(vector.context)
    let plain = try CoAPMessage(parsing: bytes(vector.plain))
    let request = CoAPRequest(code: plain.code, options: plain.options, payload: plain.payload)
    let (outer, exchange) = try client.protectRequest(request)
    #expect(exchange.additionalData.hex == vector.aad)
    #expect(exchange.requestNonce.bytes.hex == vector.nonce)
    var message = plain
    (message.code, message.options, message.payload) = (outer.code, outer.options, outer.payload)
    #expect(try message.encoded().hex == vector.protected, "\(vector.name)")

    let received = try CoAPMessage(parsing: bytes(vector.protected))
    let outcome = try server.unprotectRequest(
      CoAPRequest(code: received.code, options: received.options, payload: received.payload))
    #expect(outcome == .request(request, exchange))
  }

  @Test(
    "Responses to C.4, with the nonce of the request (C.7) and with a Partial IV (C.8)",
    arguments: [
      (false, "64445d1f0000397490ffdbaad1e9a7e7b2a813d3c31524378303cdafae119106"),
      (true, "64445d1f00003974920100ff4d4c13669384b67354b2b6175ff4b8658c666a6cf88e"),
    ])
  func response(_ withPartialIV: Bool, _ expected: String) throws {
    var (client, server) = try Self.contexts(0)
    var (request, exchange) = try client.protectRequest(
      CoAPRequest(
        code: .get, options: [CoAPOption(.uriHost, string: "localhost"), CoAPOption(.uriPath, string: "tv1")]))
    guard case .request(_, let atServer) = try server.unprotectRequest(request) else {
      Issue.record("challenged")
      return
    }
    let plain = try CoAPMessage(parsing: bytes("64455d1f00003974ff48656c6c6f20576f726c6421"))
    let outer = try server.protectResponse(
      CoAPResponse(code: plain.code, payload: plain.payload), in: atServer, withPartialIV: withPartialIV)
    var message = plain
    (message.code, message.options, message.payload) = (outer.code, outer.options, outer.payload)
    #expect(try message.encoded().hex == expected)

    let received = try CoAPMessage(parsing: bytes(expected))
    let inner = try client.unprotectResponse(
      CoAPResponse(code: received.code, options: received.options, payload: received.payload), in: &exchange)
    #expect(inner == CoAPResponse(code: plain.code, options: plain.options, payload: plain.payload))
  }
}
