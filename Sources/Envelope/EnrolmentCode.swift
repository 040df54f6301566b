import Crypto
import Wire

/// What an owner scans to enrol a device: the text of its QR code.
///
///     PANGATE:1:CLASS:F:ADDRESS                     fingerprint form
///     PANGATE:1:CLASS:C:CERTIFICATE:AGREEMENT       certificate form
///
/// 1 is the version, CLASS is 0 (no-consequence), 1 (auth-only) or 2 (confidential). ADDRESS is the 32 bytes of the
/// address, CERTIFICATE the DER, AGREEMENT the compressed point (33 bytes) of the key-agreement key, each in Base32
/// without padding (RFC 4648, 6). All characters are of QR's alphanumeric set, in which a character takes 5.5 bits, and
/// none is a space, so that the text survives being copied.
///
/// The certificate form is all that the oracle needs. The fingerprint form is for small labels: the certificate and
/// the key-agreement key come over the network, the first proven by the address, the second by a signature.
public struct EnrolmentCode: Hashable, Sendable, CustomStringConvertible {
  /// What is said of the identity.
  public enum Content: Hashable, Sendable {
    case fingerprint(Address)
    /// The certificate in DER and the key-agreement key as a compressed point, 33 bytes.
    case certificate([UInt8], agreementKey: [UInt8])
  }

  /// What the device's traffic needs, as its maker says; the oracle may demand more.
  public var `class`: EnvelopeClass
  public var content: Content

  /// A code of the fingerprint form.
  public init(fingerprint address: Address, class: EnvelopeClass) {
    self.class = `class`
    content = .fingerprint(address)
  }

  /// A code of the certificate form.
  public init(certificateOf identity: Identity, class: EnvelopeClass) {
    self.class = `class`
    content = .certificate(
      identity.public.certificate,
      agreementKey: [UInt8](identity.agreementKey.publicKey.compressedRepresentation))
  }

  /// The address of the device.
  public var address: Address {
    switch content {
    case .fingerprint(let address): address
    case .certificate(let der, _): Address(ofCertificate: der)
    }
  }

  /// Reads the text; spaces and line breaks around it are passed over. Throws ``DropReason/reservedValue`` for
  /// another version or class, ``DropReason/certificateInvalid``, ``DropReason/certificateKeyUnsupported``,
  /// ``DropReason/coseKeyInvalid``, and ``DropReason/envelopeStructure`` for anything else that is not a code.
  public init(text: String) throws(ParseError) {
    let malformed = ParseError(.envelopeStructure)
    let trimmed = text.filter { !$0.isWhitespace }
    guard trimmed.utf8.count <= 8_192 else { throw ParseError(.tooLong) }
    let fields = trimmed.split(separator: ":", omittingEmptySubsequences: false)
    guard fields.count >= 5, fields[0] == "PANGATE" else { throw malformed }
    guard fields[1] == "1" else { throw ParseError(.reservedValue) }
    guard fields[2].count == 1, let raw = UInt8(fields[2]), let stated = EnvelopeClass(rawValue: raw),
      stated != .stream
    else { throw ParseError(.reservedValue) }
    `class` = stated
    guard let first = [UInt8](base32: fields[4]) else { throw malformed }
    switch (fields[3], fields.count) {
    case ("F", 5):
      guard let address = Address(first) else { throw malformed }
      content = .fingerprint(address)
    case ("C", 6):
      guard let point = [UInt8](base32: fields[5]) else { throw malformed }
      _ = try PublicIdentity(certificate: first)
      guard (try? P256.KeyAgreement.PublicKey(compressedRepresentation: point)) != nil else {
        throw ParseError(.coseKeyInvalid)
      }
      content = .certificate(first, agreementKey: point)
    default: throw malformed
    }
  }

  /// The text of the code.
  public var description: String {
    let start = "PANGATE:1:\(`class`.rawValue):"
    switch content {
    case .fingerprint(let address): return start + "F:" + address.bytes.base32
    case .certificate(let der, let point): return start + "C:" + der.base32 + ":" + point.base32
    }
  }
}

extension [UInt8] {
  /// Base32 without padding (RFC 4648, 6).
  var base32: String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)
    var text: [UInt8] = []
    text.reserveCapacity((count * 8 + 4) / 5)
    var buffer: UInt32 = 0
    var bits: UInt32 = 0
    for byte in self {
      buffer = (buffer << 8 | UInt32(byte)) & 0xffff
      bits += 8
      while bits >= 5 {
        bits -= 5
        text.append(alphabet[Int(buffer >> bits & 31)])
      }
    }
    if bits > 0 { text.append(alphabet[Int(buffer << (5 - bits) & 31)]) }
    return String(decoding: text, as: UTF8.self)
  }

  /// Reads ``base32``; `nil` for other characters, a length that no bytes have, or spare bits that are not zero: every
  /// code has one text only.
  init?(base32 text: some StringProtocol) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count * 5 / 8)
    var buffer: UInt32 = 0
    var bits: UInt32 = 0
    for character in text.utf8 {
      let digit: UInt8
      switch character {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit = character - UInt8(ascii: "A")
      case UInt8(ascii: "2")...UInt8(ascii: "7"): digit = character - UInt8(ascii: "2") + 26
      default: return nil
      }
      buffer = (buffer << 5 | UInt32(digit)) & 0xffff
      bits += 5
      if bits >= 8 {
        bits -= 8
        bytes.append(UInt8(truncatingIfNeeded: buffer >> bits))
      }
    }
    guard bits < 5, buffer & (1 << bits - 1) == 0 else { return nil }
    self = bytes
  }
}
