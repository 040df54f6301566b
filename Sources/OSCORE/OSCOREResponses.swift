public import CoAP
import Wire

extension OSCORESecurityContext {
  /// Protects a response to `exchange` (RFC 8613, 8.3): also every error that is not OSCORE's own.
  ///
  /// The first response uses the nonce of the request and is the shorter for it. Later ones, which only an observation
  /// has, get a Partial IV, and so does the first with `withPartialIV`. Each Partial IV uses up a sequence number; see
  /// ``reservation``. An Observe option in a response to a request that registered nothing is left out (RFC 7641, 4.1).
  ///
  /// Throws ``DropReason/oscoreContextOther`` if the exchange is not this context's, for example since the context was
  /// replaced; ``DropReason/oscoreNested``; ``DropReason/oscoreMalformed`` for a code that is no response;
  /// ``DropReason/tooLong`` and ``DropReason/oscoreSequenceExhausted``.
  public mutating func protectResponse(
    _ response: CoAPResponse, in exchange: OSCOREExchange, withPartialIV: Bool = false
  ) throws(OSCOREError) -> CoAPResponse {
    guard exchange.requestKid == recipientID,
      exchange.requestNonce == nonce(recipientID, exchange.requestPartialIV)
    else { throw OSCOREError(.oscoreContextOther) }
    guard response.code.isResponse else { throw OSCOREError(.oscoreMalformed) }
    var response = response
    if !exchange.isObservation { response.observe = nil }
    let isNotification = response.observe != nil
    var (inner, outer) = try response.options.split()
    // The order of notifications is that of their Partial IVs; proxies see the outer value (RFC 8613, 4.1.3.5.2).
    if isNotification { inner[value: .observe] = [] }
    let plaintext = OSCOREPlaintext(code: response.code, options: inner, payload: response.payload)

    let option: OSCOREOptionValue
    let responseNonce: OSCORENonce
    if !withPartialIV, window.takeNonce(of: exchange.requestPartialIV) {
      option = OSCOREOptionValue()
      responseNonce = exchange.requestNonce
    } else {
      let number = try sequence.take()
      option = OSCOREOptionValue(partialIV: number)
      responseNonce = nonce(senderID, number)
    }
    outer.append(try option.option())
    return CoAPResponse(
      code: isNotification ? .content : .changed, options: outer,
      payload: try seal(plaintext, nonce: responseNonce, in: exchange))
  }

  /// Verifies a response to `exchange` (RFC 8613, 8.4), and takes each once.
  ///
  /// The caller finds the exchange by the token, and keeps it if this throws: the right response may still come. A
  /// notification older than one taken before is ``DropReason/oscoreNotificationStale``; the Observe option of one that is
  /// taken counts those taken, so that each is fresher than the last by RFC 7641, 3.4. A protected 4.01 with an Echo
  /// option asks for the request again with that option.
  ///
  /// Throws ``DropReason/oscoreUnprotected`` for a response without OSCORE, which anyone may have sent and which is no
  /// more than a hint (RFC 8613, 7.4 and 8.2); ``DropReason/oscoreMalformed``, ``DropReason/oscoreNested``,
  /// ``DropReason/oscoreContextOther``, ``DropReason/oscoreDecryptionFailed`` and ``DropReason/oscoreReplay``.
  public func unprotectResponse(
    _ response: CoAPResponse, in exchange: inout OSCOREExchange
  ) throws(OSCOREError) -> CoAPResponse {
    let option = try response.oscoreOption()
    guard exchange.requestKid == senderID, exchange.requestNonce == nonce(senderID, exchange.requestPartialIV),
      option.kid == nil || option.kid == recipientID.bytes,
      option.kidContext == nil || option.kidContext == idContext
    else { throw OSCOREError(.oscoreContextOther) }
    guard !exchange.isFinished else { throw OSCOREError(.oscoreReplay) }
    let responseNonce = option.partialIV.map { nonce(recipientID, $0) } ?? exchange.requestNonce
    guard let bytes = open(response.payload, nonce: responseNonce, in: exchange) else {
      throw OSCOREError(.oscoreDecryptionFailed)
    }
    let plaintext = try OSCOREPlaintext(decoding: bytes)
    guard plaintext.code.isResponse else { throw OSCOREError(.oscoreMalformed) }
    var inner = CoAPResponse(
      code: plaintext.code, options: plaintext.options.merging(outer: response.options), payload: plaintext.payload)
    if inner.options.contains(.observe) {
      inner.observe = try exchange.takeNotification(option.partialIV)
    } else {
      exchange.isFinished = true
    }
    return inner
  }
}

extension OSCOREExchange {
  /// Takes a verified notification in its turn (RFC 8613, 7.4.1 and 8.4.2), and gives the value of its Observe option.
  fileprivate mutating func takeNotification(_ partialIV: UInt64?) throws(OSCOREError) -> UInt32 {
    guard isObservation else { throw OSCOREError(.oscoreMalformed) }
    if let partialIV {
      if let notificationNumber, partialIV <= notificationNumber {
        throw OSCOREError(.oscoreNotificationStale)
      }
      notificationNumber = partialIV
    } else if notificationCount > 0 {
      // Without a Partial IV it is the oldest: it came before, or comes too late.
      throw OSCOREError(.oscoreNotificationStale)
    }
    defer { notificationCount &+= 1 }
    return notificationCount & 0xff_ffff
  }
}
