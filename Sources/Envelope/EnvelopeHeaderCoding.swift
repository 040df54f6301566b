import COSE
import Wire

/// Labels of the protected header.
private enum Label {
  static let algorithm: Int64 = 1
  static let critical: Int64 = 2
  static let contentFormat: Int64 = 3
  /// x5t (RFC 9360, 2).
  static let certificateHash: Int64 = 34
  /// The "service assisted communication" block, from COSE's range for private use.
  static let block: Int64 = -65537
}

/// Hash algorithms of x5t (RFC 9054, 2.1).
private enum HashAlgorithm {
  static let sha256: Int64 = -16
  static let sha256Truncated64: Int64 = -15
}

extension EnvelopeHeader: CBORItem {
  /// Reads the map. A header that nobody here understands is refused, whether marked as critical or not: what is
  /// signed must mean the same to all.
  ///
  /// Throws ``DropReason/coseHeaderMissing``, ``DropReason/coseHeaderUnknown``, ``DropReason/coseCriticalUnknown``,
  /// ``DropReason/coseAlgorithmUnsupported``, ``DropReason/envelopeClassReserved``,
  /// ``DropReason/envelopeTooManyRecipients``, ``DropReason/envelopeStructure``, and the reasons of CBOR.
  @_lifetime(reader: copy reader)
  public init(reading reader: inout CBORReader) throws(ParseError) {
    var algorithm: SignatureAlgorithm?
    var contentFormat: UInt64?
    var sender: AddressReference?
    var block: Block?
    var map = try reader.map()
    while try reader.nextKey(in: &map) {
      let position = reader.offset
      guard [.unsigned, .negative].contains(try reader.peekKind()) else {
        throw reader.error(.coseHeaderUnknown)
      }
      switch try reader.integer() {
      case Label.algorithm:
        let value = try reader.integer()
        guard let known = Int8(exactly: value).flatMap(SignatureAlgorithm.init(rawValue:)) else {
          throw ParseError(.coseAlgorithmUnsupported, at: position)
        }
        algorithm = known
      case Label.critical: throw ParseError(.coseCriticalUnknown, at: position)
      case Label.contentFormat: contentFormat = try reader.unsigned()
      case Label.certificateHash: sender = try EnvelopeHeader.sender(&reader)
      case Label.block: block = try Block(&reader)
      default: throw ParseError(.coseHeaderUnknown, at: position)
      }
    }
    guard let algorithm, let sender, let block else { throw reader.error(.coseHeaderMissing) }
    self.init(
      algorithm: algorithm, contentFormat: contentFormat, sender: sender, class: block.class,
      recipients: block.recipients, sequence: block.sequence, issuedAt: block.issuedAt,
      lifetime: block.lifetime,
      flags: block.flags, extensions: block.extensions)
  }

  @_lifetime(reader: copy reader)
  private static func sender(_ reader: inout CBORReader) throws(ParseError) -> AddressReference {
    let position = reader.offset
    try reader.array(count: 2)
    let hash = try reader.integer()
    let value = try reader.bytes().array()
    switch hash {
    case HashAlgorithm.sha256:
      if let address = Address(value) { return .full(address) }
    case HashAlgorithm.sha256Truncated64:
      if let short = Address.Short(value) { return .short(short) }
    default: throw ParseError(.coseAlgorithmUnsupported, at: position)
    }
    throw ParseError(.envelopeStructure, at: position)
  }

  /// Throws ``EmitError/notRepresentable`` for no or more than 32 recipients, and for a challenge of a wrong length.
  public func write(to writer: inout CBORWriter) throws(EmitError) {
    guard EnvelopeHeader.recipientCounts.contains(recipients.count) else { throw .notRepresentable }
    // The keys in the order of their encodings: 01, 03, 1822, 3a00010000.
    writer.map(contentFormat == nil ? 3 : 4)
    writer.integer(Label.algorithm)
    writer.integer(Int64(algorithm.rawValue))
    if let contentFormat {
      writer.integer(Label.contentFormat)
      writer.unsigned(contentFormat)
    }
    writer.integer(Label.certificateHash)
    writer.array(2)
    switch sender {
    case .full: writer.integer(HashAlgorithm.sha256)
    case .short: writer.integer(HashAlgorithm.sha256Truncated64)
    }
    writer.bytes(sender.bytes)
    writer.integer(Label.block)
    writer.array(extensions.isEmpty ? 6 : 7)
    writer.unsigned(UInt64(`class`.rawValue))
    writer.array(recipients.count)
    for recipient in recipients { writer.bytes(recipient.bytes) }
    writer.unsigned(sequence)
    if let issuedAt { writer.unsigned(issuedAt) } else { writer.null() }
    writer.unsigned(lifetime)
    writer.unsigned(UInt64(flags.rawValue))
    if !extensions.isEmpty { try extensions.write(to: &writer) }
  }
}

/// `sac` as read.
private struct Block {
  var `class`: EnvelopeClass
  var recipients: [AddressReference]
  var sequence: UInt64
  var issuedAt: UInt64?
  var lifetime: UInt64
  var flags: EnvelopeFlags
  var extensions = EnvelopeExtensions()

  @_lifetime(reader: copy reader)
  init(_ reader: inout CBORReader) throws(ParseError) {
    let position = reader.offset
    let count = try reader.array()
    guard count == 6 || count == 7 else { throw ParseError(.envelopeStructure, at: position) }
    let classPosition = reader.offset
    let rawClass = try reader.unsigned()
    guard let known = UInt8(exactly: rawClass).flatMap(EnvelopeClass.init(rawValue:)) else {
      throw ParseError(.envelopeClassReserved, at: classPosition)
    }
    `class` = known
    let recipientsPosition = reader.offset
    let recipientCount = try reader.array()
    guard recipientCount > 0 else { throw ParseError(.envelopeStructure, at: recipientsPosition) }
    guard EnvelopeHeader.recipientCounts.contains(recipientCount) else {
      throw ParseError(.envelopeTooManyRecipients, at: recipientsPosition)
    }
    recipients = []
    for _ in 0..<recipientCount { recipients.append(try reader.addressReference()) }
    sequence = try reader.unsigned()
    issuedAt = try reader.takeNull() ? nil : try reader.unsigned()
    lifetime = try reader.unsigned()
    flags = EnvelopeFlags(rawValue: UInt8(truncatingIfNeeded: try reader.unsigned(upTo: 255)))
    if count == 7 { extensions = try EnvelopeExtensions(reading: &reader) }
  }
}

extension EnvelopeExtensions: CBORItem {
  /// Reads the map. An unknown key is ``DropReason/envelopeStructure``.
  @_lifetime(reader: copy reader)
  public init(reading reader: inout CBORReader) throws(ParseError) {
    self.init()
    var map = try reader.map()
    while try reader.nextKey(in: &map) {
      let position = reader.offset
      switch try reader.unsigned() {
      case 1: inReplyTo = try reader.unsigned()
      case 2: answerHash = try reader.word()
      case 3: echoChallenge = try reader.bytes(EnvelopeExtensions.echoLengths)
      case 4: echoResponse = try reader.bytes(EnvelopeExtensions.echoLengths)
      case 5: onBehalfOf = try reader.addressReference()
      case 6:
        try reader.array(count: 2)
        stream = StreamPosition(stream: try reader.unsigned(), chunk: try reader.unsigned())
      case 7: topic = try reader.unsigned()
      default: throw ParseError(.envelopeStructure, at: position)
      }
    }
  }

  public func write(to writer: inout CBORWriter) throws(EmitError) {
    for echo in [echoChallenge, echoResponse].compactMap({ $0 }) {
      guard EnvelopeExtensions.echoLengths.contains(echo.count) else { throw .notRepresentable }
    }
    let present = [
      inReplyTo != nil, answerHash != nil, echoChallenge != nil, echoResponse != nil, onBehalfOf != nil,
      stream != nil,
      topic != nil,
    ]
    writer.map(present.count { $0 })
    if let inReplyTo {
      writer.unsigned(1)
      writer.unsigned(inReplyTo)
    }
    if let answerHash {
      writer.unsigned(2)
      writer.word(answerHash)
    }
    if let echoChallenge {
      writer.unsigned(3)
      writer.bytes(echoChallenge)
    }
    if let echoResponse {
      writer.unsigned(4)
      writer.bytes(echoResponse)
    }
    if let onBehalfOf {
      writer.unsigned(5)
      writer.bytes(onBehalfOf.bytes)
    }
    if let stream {
      writer.unsigned(6)
      writer.array(2)
      writer.unsigned(stream.stream)
      writer.unsigned(stream.chunk)
    }
    if let topic {
      writer.unsigned(7)
      writer.unsigned(topic)
    }
  }
}
