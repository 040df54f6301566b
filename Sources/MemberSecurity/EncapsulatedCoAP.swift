import CoAP
import Envelope
import Wire

// Content format 65004 and CoAP messages are the same without what belongs to a hop.

extension EncapsulatedMessage {
  /// A request or response as it goes into an envelope.
  public init(_ message: some CoAPContent) {
    self.init(
      code: message.code.rawValue, options: message.options.map { Option($0.number.rawValue, $0.value) },
      payload: message.payload)
  }

  private var coapOptions: CoAPOptions {
    CoAPOptions(options.map { CoAPOption(CoAPOptionNumber(rawValue: $0.number), $0.value) })
  }

  /// The message as a request. Throws ``DropReason/coapCodeClassReserved`` if it is none.
  public func request() throws(ParseError) -> CoAPRequest {
    let code = CoAPCode(rawValue: code)
    guard code.isRequest else { throw ParseError(.coapCodeClassReserved) }
    return CoAPRequest(code: code, options: coapOptions, payload: payload)
  }

  /// The message as a response. Throws ``DropReason/coapCodeClassReserved`` if it is none.
  public func response() throws(ParseError) -> CoAPResponse {
    let code = CoAPCode(rawValue: code)
    guard code.isResponse else { throw ParseError(.coapCodeClassReserved) }
    return CoAPResponse(code: code, options: coapOptions, payload: payload)
  }
}
