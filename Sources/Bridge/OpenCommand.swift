import COSE
import Envelope
import Wire

/// A command that is not answered yet, as an endpoint keeps it to say it again when its node asks for an echo.
struct OpenCommand: Hashable, Sendable {
  var `class`: EnvelopeClass
  var content: SignedEnvelope.Content
  /// ``SignedEnvelope/answerHash`` of its envelope.
  var answerHash: UInt64
  /// The last second, since 1970, in which it is to be obeyed.
  var lastSecond: UInt64
  /// The nodes that have not answered.
  var waiting: [Address]
  /// The nodes whose challenge was answered: each may ask once.
  var challenged: [Address] = []
}

extension OpenCommand: CBORItem {
  /// Reads `[class, format / nil, content, answer hash, last second, [waiting], [challenged]]`. Another class is
  /// ``DropReason/envelopeClassReserved``.
  @_lifetime(reader: copy reader)
  init(reading reader: inout CBORReader) throws(ParseError) {
    try reader.array(count: 7)
    let position = reader.offset
    guard let known = EnvelopeClass(rawValue: UInt8(truncatingIfNeeded: try reader.unsigned(upTo: 255))) else {
      throw ParseError(.envelopeClassReserved, at: position)
    }
    `class` = known
    let format = try reader.takeNull() ? nil : try reader.unsigned()
    content = SignedEnvelope.Content(format: format, bytes: try reader.bytes().array())
    answerHash = try reader.unsigned()
    lastSecond = try reader.unsigned()
    waiting = try Self.addresses(&reader)
    challenged = try Self.addresses(&reader)
  }

  func write(to writer: inout CBORWriter) throws(EmitError) {
    writer.array(7)
    writer.unsigned(UInt64(`class`.rawValue))
    if let format = content.format { writer.unsigned(format) } else { writer.null() }
    writer.bytes(content.bytes)
    writer.unsigned(answerHash)
    writer.unsigned(lastSecond)
    for addresses in [waiting, challenged] {
      writer.array(addresses.count)
      for address in addresses { writer.bytes(address.bytes) }
    }
  }

  @_lifetime(reader: copy reader)
  private static func addresses(_ reader: inout CBORReader) throws(ParseError) -> [Address] {
    var addresses: [Address] = []
    for _ in 0..<(try reader.array()) {
      addresses.append(try Address(parsing: try reader.bytes(count: Address.length)))
    }
    return addresses
  }
}
