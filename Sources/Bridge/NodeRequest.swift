import CoAP
import Envelope
import Queue
import Wire

/// A complete CoAP request of a node, and what the PAN side knows of where it came from.
public struct NodeRequest: Sendable {
  public var request: CoAPRequest
  /// The EUI-64 of the radio, first octet most significant; `nil` if it is not known.
  public var eui64: UInt64?
  /// Tells this request from others of the node, and the same from one that was sent again: the sender's address and
  /// port, message ID and token.
  public var fingerprint: [UInt8]
  /// The member that has proven by OSCORE to have made the request; `nil` if nobody has, whatever the radio address says.
  public internal(set) var provenBy: Address?

  public init(request: CoAPRequest, eui64: UInt64?, fingerprint: [UInt8]) {
    self.request = request
    self.eui64 = eui64
    self.fingerprint = fingerprint
  }
}

/// What a node is answered, and what happened.
public struct NodeAnswer: Sendable {
  public var response: CoAPResponse
  public var events: [GatewayEvent]

  public init(_ response: CoAPResponse, _ events: [GatewayEvent] = []) {
    self.response = response
    self.events = events
  }
}

extension CoAPResponse {
  /// A refusal with problem details (RFC 9290): key -1 is the title, here the reason's name.
  static func refusal(_ reason: DropReason) -> CoAPResponse {
    let code = reason.responseCode
    guard !code.isSuccess else { return CoAPResponse(code) }
    var response = CoAPResponse(
      code, contentFormat: .problemDetails, payload: ProblemDetails(title: reason.name).encoded)
    if code == .serviceUnavailable { response.maxAge = 60 }
    return response
  }
}

extension Address {
  /// As queues know it.
  public var bytes32: Bytes32 { Bytes32(bytes) ?? .zero }

  /// From what queues know.
  public init?(_ bytes: Bytes32) { self.init(bytes.bytes) }
}

extension ContentDigest {
  /// As queues know it: 16 bytes of digest, 16 of zero.
  public var bytes32: Bytes32 {
    guard let bytes = try? encoded(), let padded = Bytes32(bytes + [UInt8](repeating: 0, count: 16)) else {
      return .zero
    }
    return padded
  }
}

extension ReplayScope {
  /// Plain requests that a gateway signed for a node: see ``PlainDeduplication``.
  static let plain = ReplayScope(rawValue: 4)
  /// What an endpoint takes from its relay.
  static let endpoint = ReplayScope(rawValue: 5)
}
