import COSE
import Envelope
import Wire

/// What is in a node's flash, as deterministic CBOR: a map of sequence limit (1), windows by commander (2), receipts that
/// are owed (3) and commands that wait for their echo (4), security contexts end to end (5) and
/// the peer record that is obeyed, or null (6).
extension EnvelopeMemory: CBORItem {
  /// Throws ``DropReason/envelopeStructure`` for unknown keys, and what the fields throw.
  @_lifetime(reader: copy reader)
  public init(reading reader: inout CBORReader) throws(ParseError) {
    self.init()
    var map = try reader.map()
    while try reader.nextKey(in: &map) {
      let position = reader.offset
      switch try reader.unsigned() {
      case 1: sequenceLimit = try reader.unsigned()
      case 2:
        var entries = try reader.map()
        while try reader.nextKey(in: &entries) {
          let address = try Address(parsing: try reader.bytes(count: Address.length))
          windows[address] = try ReplayWindow(parsing: try reader.bytes())
        }
      case 3:
        for _ in 0..<(try reader.array()) { owed.append(try OwedReceipt(reading: &reader)) }
      case 4:
        for _ in 0..<(try reader.array()) { challenges.append(try EchoChallenge(reading: &reader)) }
      case 5:
        var entries = try reader.map()
        while try reader.nextKey(in: &entries) {
          let address = try Address(parsing: try reader.bytes(count: Address.length))
          endToEnd[address] = try reader.bytes().array()
        }
      case 6: record = try reader.takeNull() ? nil : try reader.bytes().array()
      default: throw ParseError(.envelopeStructure, at: position)
      }
    }
  }

  public func write(to writer: inout CBORWriter) throws(EmitError) {
    writer.map(6)
    writer.unsigned(1)
    writer.unsigned(sequenceLimit)
    writer.unsigned(2)
    writer.map(windows.count)
    for (address, window) in windows.sorted(by: { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) }) {
      writer.bytes(address.bytes)
      writer.bytes(try window.encoded())
    }
    writer.unsigned(3)
    writer.array(owed.count)
    for receipt in owed { try receipt.write(to: &writer) }
    writer.unsigned(4)
    writer.array(challenges.count)
    for challenge in challenges { try challenge.write(to: &writer) }
    writer.unsigned(5)
    writer.map(endToEnd.count)
    for (address, state) in endToEnd.sorted(by: { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) }) {
      writer.bytes(address.bytes)
      writer.bytes(state)
    }
    writer.unsigned(6)
    if let record { writer.bytes(record) } else { writer.null() }
  }
}

extension EchoChallenge: CBORItem {
  @_lifetime(reader: copy reader)
  public init(reading reader: inout CBORReader) throws(ParseError) {
    try reader.array(count: 7)
    self.init(
      commander: try Address(parsing: try reader.bytes(count: Address.length)), sequence: try reader.unsigned(),
      answerHash: try reader.unsigned(), lifetime: try reader.unsigned(),
      content: try ContentDigest(parsing: try reader.bytes(count: ContentDigest.length)),
      challenge: try reader.bytes().array(), isTaken: try reader.bool())
  }

  public func write(to writer: inout CBORWriter) throws(EmitError) {
    writer.array(7)
    writer.bytes(commander.bytes)
    writer.unsigned(sequence)
    writer.unsigned(answerHash)
    writer.unsigned(lifetime)
    writer.bytes(try content.encoded())
    writer.bytes(challenge)
    writer.bool(isTaken)
  }
}

extension OwedReceipt: CBORItem {
  @_lifetime(reader: copy reader)
  public init(reading reader: inout CBORReader) throws(ParseError) {
    try reader.array(count: 5)
    self.init(
      commander: try Address(parsing: try reader.bytes(count: Address.length)), sequence: try reader.unsigned(),
      answerHash: try reader.unsigned(), receipt: try Receipt(reading: &reader),
      answer: try reader.takeNull() ? nil : try reader.bytes().array())
  }

  public func write(to writer: inout CBORWriter) throws(EmitError) {
    writer.array(5)
    writer.bytes(commander.bytes)
    writer.unsigned(sequence)
    writer.unsigned(answerHash)
    try receipt.write(to: &writer)
    if let answer { writer.bytes(answer) } else { writer.null() }
  }
}
