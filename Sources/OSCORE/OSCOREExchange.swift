/// What binds responses to a request (RFC 8613, 7.1): kept with the token of the request until the last response.
///
/// The client gets one from ``OSCORESecurityContext/protectRequest(_:withIDContext:)``, the server from
/// ``OSCORESecurityContext/unprotectRequest(_:)``. It holds no key, and is of no use with another security context.
public struct OSCOREExchange: Hashable, Sendable {
  /// The kid of the request: the client's Sender ID.
  public let requestKid: OSCOREIdentifier
  /// The Partial IV of the request.
  public let requestPartialIV: UInt64
  /// Whether the request registers an observation, so that several responses may come (RFC 7641, 3.1).
  public let isObservation: Bool
  /// The nonce of the request, which no other security context has.
  let requestNonce: OSCORENonce

  /// At the client: the highest Partial IV of the notifications so far (RFC 8613, 4.1.3.5.2).
  public internal(set) var notificationNumber: UInt64?
  /// At the client: notifications taken so far.
  var notificationCount: UInt32 = 0
  /// At the client: whether the last response has come, after which no other is taken.
  public internal(set) var isFinished = false

  init(kid: OSCOREIdentifier, partialIV: UInt64, nonce: OSCORENonce, isObservation: Bool) {
    requestKid = kid
    requestPartialIV = partialIV
    requestNonce = nonce
    self.isObservation = isObservation
  }
}

extension OSCOREExchange: CustomStringConvertible {
  public var description: String {
    "OSCORE exchange, kid \(requestKid), Partial IV \(requestPartialIV)" + (isObservation ? ", observation" : "")
  }
}
