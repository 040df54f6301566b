import COSE
import Wire

/// What a relay must know of a group (content format 65005): addresses, keys and directions, no names.
public struct AccessList: Hashable, Sendable {
  /// The group and the epoch of the peer record it belongs to.
  public var version: GroupEpoch
  public var entries: [Entry]

  public init(version: GroupEpoch, entries: [Entry]) {
    self.version = version
    self.entries = entries
  }

  /// One member, as the relay sees it.
  public struct Entry: Hashable, Sendable {
    public var address: Address
    /// The signing key as an uncompressed P-256 point, 65 bytes.
    public var key: [UInt8]
    /// The weakest class it may send or be sent.
    public var `class`: EnvelopeClass
    /// The index of the gateway that hosts it.
    public var host: Int?
    /// The indexes of those it may send to.
    public var recipients: [Int]

    public init(address: Address, key: [UInt8], class: EnvelopeClass, host: Int?, recipients: [Int]) {
      self.address = address
      self.key = key
      self.class = `class`
      self.host = host
      self.recipients = recipients
    }
  }

  /// Throws ``DropReason/peerRecordInvalid`` for indexes out of range, an entry that hosts itself, two entries with
  /// one short address, keys that are no uncompressed points by their form, and a class that no member can have.
  public func validate() throws(ParseError) {
    let invalid = ParseError(.peerRecordInvalid)
    guard version.group.count == GroupEpoch.groupLength else { throw invalid }
    guard Set(entries.map(\.address.short)).count == entries.count else { throw invalid }
    for (index, entry) in entries.enumerated() {
      guard entry.class != .stream, entry.key.count == 65, entry.key.first == 4 else { throw invalid }
      if let host = entry.host { guard entries.indices.contains(host), host != index else { throw invalid } }
      guard entry.recipients.allSatisfy(entries.indices.contains) else { throw invalid }
    }
  }
}

extension AccessList: CBORItem {
  /// Reads and validates; see ``validate()``.
  @_lifetime(reader: copy reader)
  public init(reading reader: inout CBORReader) throws(ParseError) {
    let start = reader.error(.peerRecordInvalid)
    var group: [UInt8]?
    var epoch: UInt64?
    var entries: [Entry]?
    var map = try reader.map()
    while try reader.nextKey(in: &map) {
      let position = reader.offset
      switch try reader.unsigned() {
      case 1: group = try reader.bytes(count: GroupEpoch.groupLength).array()
      case 2: epoch = try reader.unsigned()
      case 3:
        var list: [Entry] = []
        for _ in 0..<(try reader.array()) { list.append(try Entry(reading: &reader)) }
        entries = list
      default: throw ParseError(.peerRecordInvalid, at: position)
      }
    }
    guard let group, let epoch, let entries else { throw start }
    self.init(version: GroupEpoch(group: group, epoch: epoch), entries: entries)
    try validate()
  }

  /// Throws ``EmitError/notRepresentable`` for a list that is not valid.
  public func write(to writer: inout CBORWriter) throws(EmitError) {
    do throws(ParseError) { try validate() } catch { throw .notRepresentable }
    writer.map(3)
    writer.unsigned(1)
    writer.bytes(version.group)
    writer.unsigned(2)
    writer.unsigned(version.epoch)
    writer.unsigned(3)
    writer.array(entries.count)
    for entry in entries { try entry.write(to: &writer) }
  }
}

extension AccessList.Entry: CBORItem {
  @_lifetime(reader: copy reader)
  public init(reading reader: inout CBORReader) throws(ParseError) {
    try reader.array(count: 5)
    let address = try reader.address()
    let key = try reader.bytes(count: 65).array()
    let memberClass = try EnvelopeClass(ofMember: &reader)
    let host = try reader.takeNull() ? nil : try reader.index()
    var recipients: [Int] = []
    for _ in 0..<(try reader.array()) { recipients.append(try reader.index()) }
    self.init(address: address, key: key, class: memberClass, host: host, recipients: recipients)
  }

  public func write(to writer: inout CBORWriter) throws(EmitError) {
    guard host ?? 0 >= 0, recipients.allSatisfy({ $0 >= 0 }) else { throw .notRepresentable }
    writer.array(5)
    writer.bytes(address.bytes)
    writer.bytes(key)
    writer.unsigned(UInt64(`class`.rawValue))
    if let host { writer.unsigned(UInt64(host)) } else { writer.null() }
    writer.array(recipients.count)
    for recipient in recipients { writer.unsigned(UInt64(recipient)) }
  }
}

extension CBORReader {
  /// An index into a list that fits memory.
  @_lifetime(self: copy self)
  fileprivate mutating func index() throws(ParseError) -> Int {
    Int(try unsigned(upTo: UInt64(Int32.max)))
  }
}
