import CoAP
import Crypto
import TestSupport
import Wire

@testable import OSCORE

/// Bytes of a hexadecimal literal.
func bytes(_ hex: String) -> [UInt8] { [UInt8](hex: hex) ?? [] }

/// A client and a server that share a context.
struct Pair {
  var client: OSCORESecurityContext
  var server: OSCORESecurityContext

  init(
    clientID: String = "c1", serverID: String = "5e02", idContext: [UInt8]? = nil, secret: UInt8 = 7,
    configuration: OSCORESecurityContext.Configuration = .init()
  ) throws {
    let secret = SymmetricKey(data: [UInt8](repeating: secret, count: 16))
    let (one, other) = (try OSCOREIdentifier(bytes(clientID)), try OSCOREIdentifier(bytes(serverID)))
    client = try OSCORESecurityContext(
      masterSecret: secret, senderID: one, recipientID: other, idContext: idContext, configuration: configuration)
    server = try OSCORESecurityContext(
      masterSecret: secret, senderID: other, recipientID: one, idContext: idContext, configuration: configuration)
  }

  /// A request, as it left the client.
  mutating func send(_ request: CoAPRequest = .ping) throws -> (CoAPRequest, OSCOREExchange) {
    try client.protectRequest(request)
  }

  /// What the server makes of a protected request, which it must take.
  mutating func take(_ request: CoAPRequest) throws -> (CoAPRequest, OSCOREExchange) {
    guard case .request(let inner, let exchange) = try server.unprotectRequest(request) else {
      throw OSCOREError(.oscoreReplay)
    }
    return (inner, exchange)
  }

  /// The reason for which the server refuses; `nil` if it does not.
  mutating func refusal(_ request: CoAPRequest) -> OSCORERefusal? {
    do throws(OSCORERefusal) {
      _ = try server.unprotectRequest(request)
      return nil
    } catch { return error }
  }

  /// The reason for which the client does not take a response; `nil` if it does.
  func refusal(_ response: CoAPResponse, _ exchange: inout OSCOREExchange) -> DropReason? {
    do throws(OSCOREError) {
      _ = try client.unprotectResponse(response, in: &exchange)
      return nil
    } catch { return error.reason }
  }
}

extension CoAPRequest {
  static var ping: CoAPRequest { CoAPRequest(.get, path: ["a"]) }

  static func observe(_ value: UInt32) -> CoAPRequest {
    var request = ping
    request.observe = value
    return request
  }
}

extension OSCORERequestOutcome {
  var challenge: CoAPResponse? { if case .challenge(let response) = self { response } else { nil } }
  var request: CoAPRequest? { if case .request(let request, _) = self { request } else { nil } }
}

extension SeededGenerator {
  /// Options of every class, known and unknown, but those that OSCORE changes by rule.
  mutating func options() -> CoAPOptions {
    var options = CoAPOptions()
    for _ in 0..<Int.random(in: 0...8, using: &self) {
      let numbers = CoAPOptionNumber.known.filter { ![.oscore, .observe, .proxyUri].contains($0) }
      let unknown = CoAPOptionNumber(rawValue: .random(in: 300...65_535, using: &self))
      options.append(CoAPOption(oneIn(4) ? unknown : numbers.randomElement(using: &self)!, bytes(in: 0...20)))
    }
    return options
  }

  mutating func request() -> CoAPRequest {
    CoAPRequest(
      code: CoAPCode(class: 0, detail: .random(in: 1...31, using: &self)), options: options(),
      payload: oneIn(3) ? [] : bytes(in: 1...300))
  }

  mutating func response() -> CoAPResponse {
    CoAPResponse(
      code: CoAPCode(class: .random(in: 2...5, using: &self), detail: .random(in: 0...31, using: &self)),
      options: options(), payload: oneIn(3) ? [] : bytes(in: 1...300))
  }
}
