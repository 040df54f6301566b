import COSE
import CoAP
import Crypto
import Wire

// The COSE object of a message (RFC 8613, 5): plaintext, additional data and the AEAD between.

/// The code, inner options and payload of a message, as they are encrypted (RFC 8613, 5.3).
struct OSCOREPlaintext {
  var code: CoAPCode
  var options: CoAPOptions
  var payload: [UInt8]

  /// Throws ``DropReason/tooLong`` for more than AES-CCM takes, and ``DropReason/oscoreMalformed`` for options that have
  /// no form on the wire.
  func encoded() throws(OSCOREError) -> [UInt8] {
    let content = CoAPRequest(code: code, options: options, payload: payload)
    let length = 1 + options.encodedLength + (payload.isEmpty ? 0 : 1 + payload.count)
    guard length <= AESCCM.maximumLength else { throw OSCOREError(.tooLong) }
    do throws(EmitError) {
      return try withWriter(capacity: length) { (writer) throws(EmitError) in
        try writer.u8(code.rawValue)
        try content.emitContent(into: &writer)
      }
    } catch { throw OSCOREError(.oscoreMalformed) }
  }

  /// Throws ``DropReason/oscoreMalformed`` for what is no content of a message.
  init(decoding bytes: [UInt8]) throws(OSCOREError) {
    do throws(ParseError) {
      var reader = ByteReader(bytes.rawSpan)
      code = CoAPCode(rawValue: try reader.u8())
      let content = try CoAPContentView(reader.takeRest(), offset: 1)
      options = CoAPOptions(content)
      payload = content.payload.array()
    } catch { throw OSCOREError(.oscoreMalformed) }
    guard !options.contains(.oscore) else { throw OSCOREError(.oscoreNested) }
  }

  init(code: CoAPCode, options: CoAPOptions, payload: [UInt8]) {
    self.code = code
    self.options = options
    self.payload = payload
  }
}

extension OSCOREExchange {
  /// The Enc_structure around the external_aad (RFC 8613, 5.4), the same for the request and all its responses.
  var additionalData: [UInt8] {
    var writer = CBORWriter(capacity: 24)
    writer.array(5)
    writer.unsigned(1)
    writer.array(1)
    writer.integer(COSEAlgorithm.aes128CCM8.rawValue)
    writer.bytes(requestKid.bytes)
    writer.bytes(OSCOREOptionValue.encode(partialIV: requestPartialIV))
    // There are no Class I options.
    writer.bytes([])
    let external = writer.bytes
    return encryptionStructure("Encrypt0", protected: [], externalAAD: external.rawSpan)
  }
}

extension OSCORESecurityContext {
  /// The ciphertext of a message to the other endpoint.
  func seal(
    _ plaintext: OSCOREPlaintext, nonce: OSCORENonce, in exchange: OSCOREExchange
  ) throws(OSCOREError) -> [UInt8] {
    let bytes = try plaintext.encoded()
    guard
      let ciphertext = AESCCM.seal(bytes, key: senderKey, nonce: nonce.bytes, aad: exchange.additionalData)
    else { throw OSCOREError(.tooLong) }
    return ciphertext
  }

  /// The plaintext of a message from the other endpoint; `nil` if it does not verify.
  func open(_ ciphertext: [UInt8], nonce: OSCORENonce, in exchange: OSCOREExchange) -> [UInt8]? {
    AESCCM.open(ciphertext, key: recipientKey, nonce: nonce.bytes, aad: exchange.additionalData)
  }

  /// The nonce of what the owner of `identifier` numbered `partialIV`.
  func nonce(_ identifier: OSCOREIdentifier, _ partialIV: UInt64) -> OSCORENonce {
    OSCORENonce(commonIV: commonIV, identifier: identifier, partialIV: partialIV)
  }
}

extension CoAPContent {
  /// The OSCORE option of a received message.
  ///
  /// Throws ``DropReason/oscoreUnprotected`` without one, and ``DropReason/oscoreMalformed`` for several, for one whose
  /// value has no meaning, and for a message without payload (RFC 8613, 2).
  func oscoreOption() throws(OSCOREError) -> OSCOREOptionValue {
    let values = options[values: .oscore]
    guard let value = values.first else { throw OSCOREError(.oscoreUnprotected) }
    guard values.count == 1, !payload.isEmpty, let option = try? OSCOREOptionValue(parsing: value) else {
      throw OSCOREError(.oscoreMalformed)
    }
    return option
  }
}

extension OSCOREOptionValue {
  /// The option, to be put into a message. Throws ``DropReason/tooLong`` if the ID Context does not fit.
  func option() throws(OSCOREError) -> CoAPOption {
    do throws(EmitError) { return CoAPOption(.oscore, try encoded()) } catch { throw OSCOREError(.tooLong) }
  }
}
