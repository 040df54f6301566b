public import CoAP
public import Wire

/// Why a server does not process an OSCORE request, with the unprotected answer that it may give
/// (RFC 8613, 7.4 and 8.2).
public struct OSCORERefusal: Error, Hashable, Sendable, CustomStringConvertible {
  /// What was wrong: ``DropReason/oscoreUnprotected``, ``DropReason/oscoreMalformed``,
  /// ``DropReason/oscoreContextUnknown``, ``DropReason/oscoreReplay``, ``DropReason/oscoreDecryptionFailed`` or
  /// ``DropReason/oscoreSequenceExhausted``.
  public var reason: DropReason

  public init(_ reason: DropReason) { self.reason = reason }

  /// The code of the answer: 4.02, 4.00 or 4.01.
  public var code: CoAPCode {
    switch reason {
    case .oscoreMalformed, .oscoreNested: .badOption
    case .oscoreDecryptionFailed: .badRequest
    default: .unauthorized
    }
  }

  /// The text that the RFC gives for the answer; empty where it has none.
  public var diagnostic: String {
    switch reason {
    case .oscoreMalformed: "Failed to decode COSE"
    case .oscoreContextUnknown: "Security context not found"
    case .oscoreReplay: "Replay detected"
    case .oscoreDecryptionFailed: "Decryption failed"
    default: ""
    }
  }

  /// The answer, sent without OSCORE: code, Max-Age 0 so that no proxy keeps it (RFC 8613, 4.1.3.1), and text.
  public var response: CoAPResponse {
    var response = CoAPResponse(code: code, payload: Array(diagnostic.utf8))
    response.maxAge = 0
    return response
  }

  public var description: String { reason.name }
}
