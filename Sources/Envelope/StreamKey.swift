import COSE
import Crypto
import Wire

/// What opens a stream (content format 65006): sent in a confidential envelope to those who may see it.
///
/// Chunks are envelopes of class 3: signed like any other, so that a relay can tell whose they are, and sealed with this key.
public struct StreamKey: Hashable, Sendable {
  /// Tells the streams of one sender apart: drawn by chance, so that no two of them share a key and a nonce.
  public var stream: UInt64
  /// AES-128-GCM, 16 bytes.
  public var key: [UInt8]
  /// 12 bytes; the number of a chunk is added to the last 8 by exclusive or.
  public var nonce: [UInt8]

  public init(stream: UInt64, key: [UInt8], nonce: [UInt8]) {
    self.stream = stream
    self.key = key
    self.nonce = nonce
  }

  /// A new key; `generator` must be fit for keys.
  public init(using generator: inout some RandomNumberGenerator) {
    func draw(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) } }
    self.init(stream: UInt64.random(in: 0...(.max), using: &generator), key: draw(16), nonce: draw(12))
  }

  private func nonce(of chunk: UInt64) -> [UInt8] {
    var nonce = nonce
    for (index, byte) in chunk.bigEndianBytes.enumerated() { nonce[4 + index] ^= byte }
    return nonce
  }

  /// Signs and seals a chunk. Its payload is ciphertext and tag, over the protected header as associated data.
  ///
  /// `sequence` is that of the envelope that opened the stream: chunks are told apart by their number. Throws
  /// ``EmitError/notRepresentable`` for a chunk that is too large, or recipients that an envelope cannot have.
  public func chunk(
    _ number: UInt64, _ bytes: [UInt8], to recipients: [Address], from sender: Identity, sequence: UInt64,
    issuedAt: UInt64, lifetime: UInt64 = 60
  ) throws(EmitError) -> SignedEnvelope {
    let draft = EnvelopeDraft(
      class: .stream, recipients: recipients.map { .init($0) }, sequence: sequence, issuedAt: issuedAt,
      lifetime: lifetime, extensions: EnvelopeExtensions(stream: StreamPosition(stream: stream, chunk: number)),
      content: .init(format: 42, bytes: []), addressForm: .short)
    let header = try draft.header(from: sender.address).cbor()
    guard let nonce = try? AES.GCM.Nonce(data: nonce(of: number)),
      let box = try? AES.GCM.seal(bytes, using: SymmetricKey(data: key), nonce: nonce, authenticating: header)
    else { throw .notRepresentable }
    var whole = draft
    whole.content.bytes = Array(box.ciphertext) + Array(box.tag)
    var generator = SystemRandomNumberGenerator()
    return try SignedEnvelope.make(whole, from: sender, using: &generator)
  }

  /// Opens a chunk whose signature was checked; its number and what is in it.
  ///
  /// Throws ``DropReason/envelopeStructure`` if it is no chunk of this stream, ``DropReason/coseDecryptionFailed``.
  public func open(_ envelope: SignedEnvelope) throws(ParseError) -> (number: UInt64, bytes: [UInt8]) {
    guard envelope.header.class == .stream, let position = envelope.header.extensions.stream, position.stream == stream,
      envelope.payload.count >= 16
    else { throw ParseError(.envelopeStructure) }
    guard let nonce = try? AES.GCM.Nonce(data: nonce(of: position.chunk)),
      let box = try? AES.GCM.SealedBox(
        nonce: nonce, ciphertext: Array(envelope.payload.dropLast(16)), tag: Array(envelope.payload.suffix(16))),
      let bytes = try? AES.GCM.open(
        box, using: SymmetricKey(data: key), authenticating: Array(envelope.protectedHeader))
    else { throw ParseError(.coseDecryptionFailed) }
    return (position.chunk, Array(bytes))
  }
}

extension StreamKey: CBORItem {
  /// Throws ``DropReason/envelopeStructure`` for another key or none, ``DropReason/lengthMismatch``.
  @_lifetime(reader: copy reader)
  public init(reading reader: inout CBORReader) throws(ParseError) {
    let start = reader.error(.envelopeStructure)
    var stream: UInt64?
    var key: [UInt8]?
    var nonce: [UInt8]?
    var map = try reader.map()
    while try reader.nextKey(in: &map) {
      let position = reader.offset
      switch try reader.unsigned() {
      case 1: stream = try reader.unsigned()
      case 2: key = try reader.bytes(16...16)
      case 3: nonce = try reader.bytes(12...12)
      default: throw ParseError(.envelopeStructure, at: position)
      }
    }
    guard let stream, let key, let nonce else { throw start }
    self.init(stream: stream, key: key, nonce: nonce)
  }

  public func write(to writer: inout CBORWriter) throws(EmitError) {
    guard key.count == 16, nonce.count == 12 else { throw .notRepresentable }
    writer.map(3)
    writer.unsigned(1)
    writer.unsigned(stream)
    writer.unsigned(2)
    writer.bytes(key)
    writer.unsigned(3)
    writer.bytes(nonce)
  }
}
