import COSE
import Envelope
import Foundation
import Wire

/// What `envelope inspect` found.
struct EnvelopeReport: Encodable {
  struct Party: Encodable {
    var address: String
    var name: String?

    init(_ reference: AddressReference, _ known: KnownParties) {
      address = reference.description
      name = known.name(reference)
    }

    var text: String { name.map { "\(address) (\($0))" } ?? address }
  }

  struct Header: Encodable {
    var algorithm: String
    var contentFormat: UInt64?
    var sender: Party
    var `class`: String
    var recipients: [Party]
    var sequence: UInt64
    var issuedAt: UInt64?
    var lifetime: UInt64
    var flags: UInt8
    var extensions: [Extension]
  }

  struct Extension: Encodable {
    var name: String
    var value: String
  }

  struct Content: Encodable {
    var format: UInt64?
    var formatName: String?
    var size: Int
    var text: [String]
    var hex: String
  }

  var file: String
  var size: Int
  var structure: String?
  var header: Header?
  var signature: String?
  var readableBy: String?
  var encryption: String?
  var contentDigest: String?
  var content: Content?
  /// Why there is no content to show.
  var contentMissing: String?
  var notes: [String]
  var errors: [String] = []

  init(file: String, bytes: [UInt8], maximumSize: Int, known: KnownParties) {
    self.file = file
    size = bytes.count
    notes = known.notes
    let envelope: SignedEnvelope
    do throws(ParseError) {
      envelope = try SignedEnvelope(parsing: bytes, maximumSize: maximumSize)
    } catch {
      structure = (try? CBORValue(parsing: bytes))?.description
      errors.append("not an envelope: \(error)")
      return
    }
    structure = EnvelopeReport.diagnostic(envelope)
    header = EnvelopeReport.header(envelope.header, known)
    contentDigest = envelope.contentDigest.hex
    checkSignature(envelope, known)
    describeReaders(envelope, known)
    openContent(envelope, known)
  }

  /// Diagnostic notation (RFC 8949, 8), byte strings that hold CBOR as `<<...>>` (RFC 8610, G.3).
  private static func diagnostic(_ envelope: SignedEnvelope) -> String {
    func embedded(_ bytes: ArraySlice<UInt8>, _ holdsCBOR: Bool = true) -> String {
      if holdsCBOR, let value = try? CBORValue(parsing: Array(bytes)) { return "<<\(value)>>" }
      return "h'\(Array(bytes).hex)'"
    }
    let payload = embedded(envelope.payload, envelope.sealed != nil)
    return "18([\(embedded(envelope.protectedHeader)), {}, \(payload), h'\(Array(envelope.signature).hex)'])"
  }

  /// Byte strings of more than 40 bytes cut short, for a terminal; JSON has them whole.
  private static func abbreviated(_ diagnostic: String) -> String {
    diagnostic.split(separator: "'", omittingEmptySubsequences: false).map { part in
      guard part.utf8.count > 80, part.utf8.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }) else {
        return String(part)
      }
      return "\(part.prefix(32))...\(part.utf8.count / 2) bytes"
    }.joined(separator: "'")
  }

  private static func header(_ header: EnvelopeHeader, _ known: KnownParties) -> Header {
    let ext = header.extensions
    var extensions: [Extension] = []
    func add(_ name: String, _ value: String?) {
      if let value { extensions.append(Extension(name: name, value: value)) }
    }
    add("in reply to", ext.inReplyTo.map { "envelope \($0)" })
    add("answers", ext.answerHash.map { Address.Short($0).description })
    add("echo challenge", ext.echoChallenge?.hex)
    add("echo response", ext.echoResponse?.hex)
    add("on behalf of", ext.onBehalfOf.map { Party($0, known).text })
    add("stream", ext.stream.map { "\($0.stream), chunk \($0.chunk)" })
    add("topic", ext.topic.map(String.init))
    return Header(
      algorithm: header.algorithm == .es256 ? "ES256" : "ESP256", contentFormat: header.contentFormat,
      sender: Party(header.sender, known), class: header.class.name,
      recipients: header.recipients.map { Party($0, known) }, sequence: header.sequence,
      issuedAt: header.issuedAt,
      lifetime: header.lifetime, flags: header.flags.rawValue, extensions: extensions)
  }

  private mutating func checkSignature(_ envelope: SignedEnvelope, _ known: KnownParties) {
    let candidates = known.candidates(envelope.header.sender)
    if candidates.isEmpty {
      signature = "not checked: sender's key not given (--peers, --certificate)"
    } else if let signer = candidates.first(where: { (try? envelope.verify(with: $0.signingKey)) != nil }) {
      signature = "valid, by \(known.name(.full(signer.address)) ?? signer.address.description)"
    } else {
      signature = "INVALID"
      errors.append("the signature is not the sender's: \(DropReason.coseSignatureInvalid.name)")
    }
  }

  private mutating func describeReaders(_ envelope: SignedEnvelope, _ known: KnownParties) {
    switch envelope.readers {
    case .everyone: readableBy = "everyone on the way"
    case .recipients(let list): readableBy = list.map { Party($0, known).text }.joined(separator: ", ")
    case .holdersOfStreamKey: readableBy = "whoever was given the stream's key"
    }
    if let sealed = envelope.sealed {
      let names = sealed.algorithms.map { algorithm in
        switch algorithm {
        case .hpke0: "HPKE-0"
        case .hpke0KE: "HPKE-0-KE"
        case .ecdhESA128KW: "ECDH-ES+A128KW"
        default: "algorithm \(algorithm.rawValue)"
        }
      }
      if case .several = sealed {
        encryption = "A128GCM, key by \(names.joined(separator: ", "))"
      } else {
        encryption = names.joined()
      }
    }
  }

  private mutating func openContent(_ envelope: SignedEnvelope, _ known: KnownParties) {
    if envelope.header.class == .stream {
      contentMissing = "sealed with the stream's key, \(envelope.payload.count) bytes"
      return
    }
    do throws(ParseError) {
      let opened: SignedEnvelope.Content
      if let readable = envelope.readableContent {
        opened = readable
      } else if let own = known.own {
        opened = try envelope.open(with: own)
      } else {
        contentMissing = "sealed: give --identity with the identity of a recipient"
        return
      }
      content = Content(
        format: opened.format, formatName: opened.format.flatMap(ContentFormats.name),
        size: opened.bytes.count,
        text: ContentText.lines(opened, known), hex: opened.bytes.hex)
    } catch {
      if error.reason == .envelopeNotForUs {
        contentMissing = "sealed, and not for this identity"
      } else {
        contentMissing = "cannot be opened"
        errors.append("the content cannot be opened: \(error)")
      }
    }
  }

  var text: String {
    var lines: [String] = []
    func add(_ label: String, _ value: String?) {
      guard let value else { return }
      lines.append(label + String(repeating: " ", count: max(1, 16 - label.count)) + value)
    }
    add("file", "\(Printable.line(file)), \(size) bytes")
    if let header {
      add("sender", header.sender.text)
      for recipient in header.recipients { add("to", recipient.text) }
      add("class", header.class)
      add("sequence", String(header.sequence))
      add(
        "issued",
        header.issuedAt.map { "\($0) (\(Printable.time($0)))" } ?? "no time: the sender has no clock")
      let expiry = header.issuedAt.map { issued -> String in
        let (last, overflow) = issued.addingReportingOverflow(header.lifetime)
        return overflow ? ", never expires" : ", until \(Printable.time(last))"
      }
      add("lifetime", "\(header.lifetime) s" + (expiry ?? ", from arrival"))
      add("flags", header.flags & 1 == 1 ? "\(header.flags) (receipt wanted)" : "\(header.flags)")
      for ext in header.extensions { add(ext.name, ext.value) }
      add("algorithm", header.algorithm)
      add(
        "content format",
        header.contentFormat.map { "\($0)\(ContentFormats.name($0).map { " (\($0))" } ?? "")" })
    }
    add("signature", signature)
    add("readable by", readableBy)
    add("encryption", encryption)
    add("digest", contentDigest)
    add("structure", structure.map(EnvelopeReport.abbreviated))
    if let content {
      let kind = content.formatName ?? content.format.map { "content format \($0)" } ?? "no content format"
      add("content", "\(kind), \(content.size) bytes")
      lines += content.text.map { "  " + $0 }
    }
    add("content", contentMissing)
    for note in notes { add("note", Printable.line(note)) }
    for error in errors { add("error", error) }
    return lines.joined(separator: "\n")
  }
}
