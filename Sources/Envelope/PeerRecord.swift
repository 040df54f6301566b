import COSE
import Wire

/// Which group, and which of its records: each new record of a group has a higher epoch.
@frozen
public struct GroupEpoch: Hashable, Sendable {
  /// The group's identifier, 16 bytes.
  public var group: [UInt8]
  public var epoch: UInt64

  /// Bytes of a group identifier.
  public static let groupLength = 16

  public init(group: [UInt8], epoch: UInt64) {
    self.group = group
    self.epoch = epoch
  }

  /// Throws ``DropReason/peerRecordEpochStale`` unless this is newer than `current`, and
  /// ``DropReason/peerRecordInvalid`` if it is of another group.
  public func checkNewer(than current: GroupEpoch?) throws(ParseError) {
    guard let current else { return }
    guard group == current.group else { throw ParseError(.peerRecordInvalid) }
    guard epoch > current.epoch else { throw ParseError(.peerRecordEpochStale) }
  }
}

/// A relay that the group uses.
public struct RelayEntry: Hashable, Sendable {
  /// `coaps+tcp://relay.example`.
  public var url: String
  /// The relay's identity, which it must prove whatever its TLS certificate says.
  public var address: Address

  public init(url: String, address: Address) {
    self.url = url
    self.address = address
  }
}

/// Who is in a group, and what each may do (content format 65001). Only the oracle's signature gives it force.
public struct PeerRecord: Hashable, Sendable {
  public var version: GroupEpoch
  /// Seconds since 1970.
  public var issuedAt: UInt64
  public var members: [Member]
  public var relays: [RelayEntry]

  public init(version: GroupEpoch, issuedAt: UInt64, members: [Member], relays: [RelayEntry]) {
    self.version = version
    self.issuedAt = issuedAt
    self.members = members
    self.relays = relays
  }

  /// Throws ``DropReason/peerRecordInvalid`` for what would be ambiguous: a group without members, and two members
  /// with one name, one EUI-64 or one short address.
  ///
  /// An address of a reader, commander or gateway that is no member's is let pass: nobody can sign for it or be
  /// found under it. To refuse the whole record would keep alive the older one, in which that member was still there.
  public func validate() throws(ParseError) {
    let invalid = ParseError(.peerRecordInvalid)
    guard version.group.count == GroupEpoch.groupLength, !members.isEmpty else { throw invalid }
    guard members.allSatisfy({ $0.class != .stream }) else { throw invalid }
    guard Set(members.map(\.name)).count == members.count else { throw invalid }
    guard Set(members.map(\.address.short)).count == members.count else { throw invalid }
    let radios = members.compactMap(\.eui64)
    guard Set(radios).count == radios.count else { throw invalid }
  }
}

extension PeerRecord: CBORItem {
  /// Reads and validates; see ``validate()``.
  @_lifetime(reader: copy reader)
  public init(reading reader: inout CBORReader) throws(ParseError) {
    let start = reader.error(.peerRecordInvalid)
    var group: [UInt8]?
    var epoch: UInt64?
    var issuedAt: UInt64?
    var members: [Member]?
    var relays: [RelayEntry]?
    var map = try reader.map()
    while try reader.nextKey(in: &map) {
      let position = reader.offset
      switch try reader.unsigned() {
      case 1: group = try reader.bytes(count: GroupEpoch.groupLength).array()
      case 2: epoch = try reader.unsigned()
      case 3: issuedAt = try reader.unsigned()
      case 4:
        var list: [Member] = []
        for _ in 0..<(try reader.array()) { list.append(try Member(reading: &reader)) }
        members = list
      case 5:
        var list: [RelayEntry] = []
        for _ in 0..<(try reader.array()) { list.append(try RelayEntry(reading: &reader)) }
        relays = list
      default: throw ParseError(.peerRecordInvalid, at: position)
      }
    }
    guard let group, let epoch, let issuedAt, let members, let relays else { throw start }
    self.init(
      version: GroupEpoch(group: group, epoch: epoch), issuedAt: issuedAt, members: members, relays: relays)
    try validate()
  }

  /// Throws ``EmitError/notRepresentable`` for a record that is not valid.
  public func write(to writer: inout CBORWriter) throws(EmitError) {
    do throws(ParseError) { try validate() } catch { throw .notRepresentable }
    writer.map(5)
    writer.unsigned(1)
    writer.bytes(version.group)
    writer.unsigned(2)
    writer.unsigned(version.epoch)
    writer.unsigned(3)
    writer.unsigned(issuedAt)
    writer.unsigned(4)
    writer.array(members.count)
    for member in members { try member.write(to: &writer) }
    writer.unsigned(5)
    writer.array(relays.count)
    for relay in relays { try relay.write(to: &writer) }
  }
}

extension RelayEntry: CBORItem {
  @_lifetime(reader: copy reader)
  public init(reading reader: inout CBORReader) throws(ParseError) {
    let start = reader.error(.peerRecordInvalid)
    var url: String?
    var address: Address?
    var map = try reader.map()
    while try reader.nextKey(in: &map) {
      let position = reader.offset
      switch try reader.unsigned() {
      case 1: url = try reader.text()
      case 2: address = try reader.address()
      default: throw ParseError(.peerRecordInvalid, at: position)
      }
    }
    guard let url, let address else { throw start }
    self.init(url: url, address: address)
  }

  public func write(to writer: inout CBORWriter) throws(EmitError) {
    writer.map(2)
    writer.unsigned(1)
    writer.text(url)
    writer.unsigned(2)
    writer.bytes(address.bytes)
  }
}
