public import CoAP
import Wire

/// What a server learns from a request that verifies.
public enum OSCORERequestOutcome: Hashable, Sendable {
  /// The request as the client made it, and what its responses need.
  case request(CoAPRequest, OSCOREExchange)
  /// This endpoint has restarted and cannot tell a replay: send this protected 4.01 with its Echo option, and do not act
  /// on the request (RFC 8613, B.1.2). The client sends it again with the Echo value.
  case challenge(CoAPResponse)
}

extension OSCORESecurityContext {
  /// Protects a request (RFC 8613, 8.1): the outer request to send, and what its responses are verified with.
  ///
  /// `withIDContext` sends the ID Context, if there is one, as the kid context. Each call uses up a sequence number; see
  /// ``reservation``. Retransmit the same bytes; for a new attempt, protect again.
  ///
  /// Throws ``DropReason/oscoreNested`` for a request with an OSCORE option, ``DropReason/oscoreMalformed`` for a code
  /// that is no method and a Proxy-Uri that is no URI, ``DropReason/tooLong``, and
  /// ``DropReason/oscoreSequenceExhausted``, after which the context is of no more use.
  public mutating func protectRequest(
    _ request: CoAPRequest, withIDContext: Bool = true
  ) throws(OSCOREError) -> (request: CoAPRequest, exchange: OSCOREExchange) {
    guard request.code.isRequest else { throw OSCOREError(.oscoreMalformed) }
    let (inner, outer) = try request.options.split()
    let plaintext = OSCOREPlaintext(code: request.code, options: inner, payload: request.payload)
    let number = try sequence.take()
    let exchange = OSCOREExchange(
      kid: senderID, partialIV: number, nonce: nonce(senderID, number), isObservation: request.observe == 0)
    let option = try OSCOREOptionValue(
      partialIV: number, kidContext: withIDContext ? idContext : nil, kid: senderID.bytes
    ).option()
    // POST has no Observe option, so requests with one are FETCH to proxies (RFC 8613, 4.1.3.5).
    var protected = CoAPRequest(code: request.observe == nil ? .post : .fetch, options: outer)
    protected.options.append(option)
    protected.payload = try seal(plaintext, nonce: exchange.requestNonce, in: exchange)
    return (protected, exchange)
  }

  /// Verifies a request (RFC 8613, 8.2) of the endpoint whose context this is.
  ///
  /// Outer block-wise transfer is over before (RFC 8613, 8.2.1). A challenge uses up a sequence number; see
  /// ``reservation``. Throws the refusal, whose answer may be sent.
  public mutating func unprotectRequest(
    _ request: CoAPRequest
  ) throws(OSCORERefusal) -> OSCORERequestOutcome {
    let header = try OSCORERequestHeader(request)
    guard matches(header) else { throw OSCORERefusal(.oscoreContextUnknown) }
    return try unprotectRequest(request, header)
  }

  /// Whether a request with this header may be one for this context (RFC 8613, 5.1): without a kid context, whatever the
  /// ID Context is.
  func matches(_ header: OSCORERequestHeader) -> Bool {
    header.kid == recipientID && (header.kidContext == nil || header.kidContext == idContext)
  }

  mutating func unprotectRequest(
    _ request: CoAPRequest, _ header: OSCORERequestHeader
  ) throws(OSCORERefusal) -> OSCORERequestOutcome {
    if challenge == nil, !window.isNew(header.partialIV) { throw OSCORERefusal(.oscoreReplay) }
    let requestNonce = nonce(recipientID, header.partialIV)
    let opening = OSCOREExchange(
      kid: recipientID, partialIV: header.partialIV, nonce: requestNonce, isObservation: false)
    guard let bytes = open(request.payload, nonce: requestNonce, in: opening) else {
      throw OSCORERefusal(.oscoreDecryptionFailed)
    }
    do throws(OSCOREError) {
      // Verified: the number counts as received, whatever the plaintext holds.
      if challenge == nil { window.record(header.partialIV) }
      let plaintext = try OSCOREPlaintext(decoding: bytes)
      guard plaintext.code.isRequest else { throw OSCOREError(.oscoreMalformed) }
      if let challenge {
        guard plaintext.options.first(.echo, equals: challenge) else {
          return .challenge(try protectChallenge(challenge, in: opening))
        }
        window = PartialIVWindow(size: window.size, from: header.partialIV)
        self.challenge = nil
      }
      let inner = CoAPRequest(
        code: plaintext.code, options: plaintext.options.merging(outer: request.options),
        payload: plaintext.payload)
      let exchange = OSCOREExchange(
        kid: recipientID, partialIV: header.partialIV, nonce: requestNonce, isObservation: inner.observe == 0)
      return .request(inner, exchange)
    } catch { throw OSCORERefusal(error.reason) }
  }

  /// The 4.01 with nothing but an Echo option, under a Partial IV of its own (RFC 8613, B.1.2).
  private mutating func protectChallenge(
    _ challenge: UInt64, in exchange: OSCOREExchange
  ) throws(OSCOREError) -> CoAPResponse {
    var response = CoAPResponse(code: .unauthorized)
    response.echo = challenge.echo
    return try protectResponse(response, in: exchange, withPartialIV: true)
  }
}

/// What finds the context of a request (RFC 8613, 8.2, step 2).
struct OSCORERequestHeader: Hashable, Sendable {
  let partialIV: UInt64
  /// `nil` if it is longer than any that a context has.
  let kid: OSCOREIdentifier?
  let kidContext: [UInt8]?

  init(_ request: CoAPRequest) throws(OSCORERefusal) {
    do throws(OSCOREError) {
      let option = try request.oscoreOption()
      guard let partialIV = option.partialIV, let kid = option.kid else { throw OSCOREError(.oscoreMalformed) }
      self.partialIV = partialIV
      self.kid = try? OSCOREIdentifier(kid)
      kidContext = option.kidContext
    } catch { throw OSCORERefusal(error.reason) }
  }
}

extension UInt64 {
  /// The 8 bytes of an Echo option, network order.
  fileprivate var echo: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: self >> UInt64(56 - 8 * $0)) } }
}

extension CoAPOptions {
  /// Compares an option of 8 bytes in constant time.
  fileprivate func first(_ number: CoAPOptionNumber, equals expected: UInt64) -> Bool {
    guard let value = self[value: number], value.count == 8 else { return false }
    return value.reduce(0) { $0 << 8 | UInt64($1) } ^ expected == 0
  }
}
