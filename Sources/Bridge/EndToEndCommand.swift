import COSE
import Envelope
import Wire

/// A command on its way end to end, as an endpoint keeps it until it is answered: over any number of envelopes, and over
/// the end of the process between them. It holds keys.
struct EndToEndCommand: Hashable, Sendable {
  /// What people know it by.
  var number: UInt64
  var node: Address
  /// The last second, since 1970, in which it is to be obeyed.
  var lastSecond: UInt64
  /// How often it was begun again.
  var failures: UInt64 = 0
  /// The number of the envelope that awaits an answer; `nil` while it waits for its turn.
  var sent: UInt64?
  /// ``ProtectedRequest/kept()``.
  var request: [UInt8]
}

/// `[number, node, last second, failures, sent / nil, request]`.
extension EndToEndCommand: CBORItem {
  @_lifetime(reader: copy reader)
  init(reading reader: inout CBORReader) throws(ParseError) {
    try reader.array(count: 6)
    number = try reader.unsigned()
    let invalid = reader.error(.lengthMismatch)
    guard let node = Address(try reader.bytes().array()) else { throw invalid }
    self.node = node
    lastSecond = try reader.unsigned()
    failures = try reader.unsigned()
    sent = try reader.takeNull() ? nil : try reader.unsigned()
    request = try reader.bytes().array()
  }

  func write(to writer: inout CBORWriter) throws(EmitError) {
    writer.array(6)
    writer.unsigned(number)
    writer.bytes(node.bytes)
    writer.unsigned(lastSecond)
    writer.unsigned(failures)
    if let sent { writer.unsigned(sent) } else { writer.null() }
    writer.bytes(request)
  }
}

/// What an answer end to end says, as it is kept beside the envelope in the inbox, which is opened only once.
struct EndToEndAnswer: Hashable, Sendable {
  /// The command that is answered.
  var number: UInt64
  /// The response, format 65004; `nil` for a verdict.
  var response: [UInt8]?
  /// Why there is no response.
  var receipt: Receipt?
}

/// `[number, response / nil, receipt / nil]`.
extension EndToEndAnswer: CBORItem {
  @_lifetime(reader: copy reader)
  init(reading reader: inout CBORReader) throws(ParseError) {
    try reader.array(count: 3)
    number = try reader.unsigned()
    response = try reader.takeNull() ? nil : try reader.bytes().array()
    receipt = try reader.takeNull() ? nil : try Receipt(reading: &reader)
  }

  func write(to writer: inout CBORWriter) throws(EmitError) {
    writer.array(3)
    writer.unsigned(number)
    if let response { writer.bytes(response) } else { writer.null() }
    if let receipt { try receipt.write(to: &writer) } else { writer.null() }
  }
}
