import CoAP
import Crypto
import Foundation
import OSCORE
import Wire

/// Contexts that no run changes, so that a finding is found again: client "", server 1, as in RFC 8613, C.1.
let secret = SymmetricKey(data: [UInt8](1...16))
let salt: [UInt8] = [0x9e, 0x7c, 0xa9, 0x22, 0x23, 0x78, 0x63, 0x40]
let client = try! context(sender: [], recipient: [1])
let server = try! context(sender: [1], recipient: [])
let restored = OSCORESecurityContext(restoring: server.durableState, challenge: 1)

func context(sender: [UInt8], recipient: [UInt8]) throws -> OSCORESecurityContext {
  try OSCORESecurityContext(
    masterSecret: secret, masterSalt: salt, senderID: OSCOREIdentifier(sender),
    recipientID: OSCOREIdentifier(recipient))
}

/// What parses is emitted as the bytes that it was parsed from.
func roundTrip<T: WireValue & Equatable>(_: T.Type, _ bytes: [UInt8]) -> T? {
  guard let value = try? T(parsing: bytes) else { return nil }
  precondition(value.encodedLength == bytes.count)
  guard let emitted = try? value.encoded() else { preconditionFailure("\(value) parsed and has no encoding") }
  precondition(emitted == bytes)
  precondition((try? T(parsing: emitted)) == value)
  return value
}

/// What a request protects to is what it comes out as, but for a Proxy-Uri, which is taken apart.
func protect(_ request: CoAPRequest) {
  var (client, server) = (client, server)
  guard let (protected, sent) = try? client.protectRequest(request) else { return }
  var exchange = sent
  precondition(client.reservation != nil)
  guard case .request(let taken, let atServer) = try? server.unprotectRequest(protected) else {
    preconditionFailure("a protected request was not taken")
  }
  precondition(taken.code == request.code && taken.payload == request.payload)
  precondition(request.options.contains(.proxyUri) || taken.options == request.options)
  precondition((try? server.unprotectRequest(protected)) == nil, "a replay was taken")
  var response = CoAPResponse(code: .content, options: request.options, payload: request.payload)
  response.options.remove(.proxyUri)
  guard let answer = try? server.protectResponse(response, in: atServer) else { return }
  guard let received = try? client.unprotectResponse(answer, in: &exchange) else {
    preconditionFailure("a protected response was not taken")
  }
  precondition(received.code == response.code && received.payload == response.payload)
}

/// Arbitrary messages never verify: nobody but the two has the keys.
func unprotect(_ request: CoAPRequest) {
  for server in [server, restored] {
    var server = server
    if case .request? = try? server.unprotectRequest(request), request.options[value: .oscore]?.isEmpty != false {
      preconditionFailure("a request without Partial IV was taken")
    }
  }
  var client = client
  guard var (_, exchange) = try? client.protectRequest(CoAPRequest(.get)) else { return }
  let response = CoAPResponse(code: request.code, options: request.options, payload: request.payload)
  _ = try? client.unprotectResponse(response, in: &exchange)
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let data, count > 0 else { return 0 }
  let bytes = [UInt8](UnsafeBufferPointer(start: data + 1, count: count - 1))
  switch data.pointee % 4 {
  case 0: _ = roundTrip(OSCOREOptionValue.self, bytes)
  case 1:
    guard let state = roundTrip(OSCOREDurableState.self, bytes) else { break }
    var context = OSCORESecurityContext(restoring: state, challenge: 2)
    _ = try? context.protectRequest(CoAPRequest(.get))
  case 2:
    guard let message = try? CoAPMessage(parsing: bytes) else { break }
    unprotect(CoAPRequest(code: message.code, options: message.options, payload: message.payload))
  default:
    guard let message = try? CoAPMessage(parsing: bytes) else { break }
    protect(CoAPRequest(code: message.code, options: message.options, payload: message.payload))
  }
  return 0
}
