import COSE
import Crypto
import Envelope
import Foundation
import TestSupport
import Testing
import Wire

/// A small group of World's identities.
struct Group {
  let world = World()
  var record: PeerRecord

  init(epoch: UInt64 = 1) {
    let gateway = Group.member(world.oracle, "gateway", .noConsequence, .gateway)
    var lock = Group.member(world.sender, "lock", .authOnly, .node)
    lock.eui64 = 0x0270_616e_6700_0b01
    lock.readers = [world.reader.address]
    lock.commanders = [world.reader.address]
    lock.gateway = gateway.address
    lock.traits = [.sleeps, .vouched]
    lock.configuration = ["interval": 60, "name": "front", "nested": [1: [true, nil]]]
    record = PeerRecord(
      version: GroupEpoch(group: Array("pangate-testing!".utf8), epoch: epoch), issuedAt: World.now,
      members: [gateway, lock, Group.member(world.reader, "owner", .noConsequence, .endpoint)],
      relays: [RelayEntry(url: "coaps+tcp://relay.example", address: world.other.address)])
  }

  static func member(_ identity: Identity, _ name: String, _ memberClass: EnvelopeClass, _ roles: Roles)
    -> Member
  {
    Member(
      identity: identity.public, agreementKey: identity.agreementKey.publicKey, class: memberClass,
      roles: roles,
      name: name)
  }
}

@Suite struct PeerRecordTests {
  let world = World()

  @Test func peerRecordRoundTrips() throws {
    let record = Group().record
    let bytes = try record.encoded()
    #expect(try PeerRecord(parsing: bytes) == record)
    #expect(bytes.count == record.encodedLength)
    for length in stride(from: 0, to: bytes.count, by: 3) {
      #expect(throws: ParseError.self) { try PeerRecord(parsing: Array(bytes.prefix(length))) }
    }
  }

  @Test func mutatedRecordsNeverTrap() throws {
    var random = SeededGenerator(seed: 1)
    let bytes = try Group().record.encoded()
    for _ in 0..<2_000 {
      var changed = bytes
      changed[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
      guard let record = try? PeerRecord(parsing: changed) else { continue }
      #expect(try PeerRecord(parsing: record.encoded()) == record)
    }
  }

  @Test func whatIsAmbiguousIsInvalid() throws {
    let record = Group().record
    func refused(_ change: (inout PeerRecord) -> Void) -> DropReason? {
      var changed = record
      change(&changed)
      #expect(((try? changed.encoded()) == nil) == (changed != record))
      return reason { try changed.validate() }
    }
    #expect(refused { _ in } == nil)
    #expect(refused { $0.members = [] } == .peerRecordInvalid)
    #expect(refused { $0.members[1].name = "owner" } == .peerRecordInvalid)
    #expect(refused { $0.members.append($0.members[1]) } == .peerRecordInvalid)
    #expect(refused { $0.members[2].eui64 = $0.members[1].eui64 } == .peerRecordInvalid)
    #expect(refused { $0.members[1].class = .stream } == .peerRecordInvalid)
    #expect(refused { $0.version.group.removeLast() } == .peerRecordInvalid)
    // The same certificate under another name: one short address for two members.
    #expect(
      refused {
        var twin = $0.members[0]
        twin.name = "twin"
        $0.members.append(twin)
      } == .peerRecordInvalid)
  }

  @Test func fieldsOfARecordAreExact() throws {
    guard case .map(let pairs) = try CBORValue(parsing: Group().record.encoded()) else {
      Issue.record("not a map")
      return
    }
    func refused(_ key: Int64, _ value: CBORValue?) -> DropReason? {
      var changed = pairs.filter { $0.key != .integer(key) }
      if let value { changed.append(CBORPair(.integer(key), value)) }
      return reason { _ = try PeerRecord(parsing: try CBORValue.map(changed).encoded()) }
    }
    for key: Int64 in 1...5 { #expect(refused(key, nil) == .peerRecordInvalid) }
    #expect(refused(6, 1) == .peerRecordInvalid)
    #expect(refused(1, .bytes([1])) == .lengthMismatch)
    #expect(refused(2, -1) == .cborTypeMismatch)
    #expect(refused(4, []) == .peerRecordInvalid)
    #expect(refused(5, []) == nil)
    #expect(refused(5, [[1: "url"]]) == .peerRecordInvalid)
    #expect(refused(5, [[1: "url", 2: .bytes([1])]]) == .lengthMismatch)

    guard let member = pairs.first(where: { $0.key == 4 })?.value.arrayValue?[1].mapValue else {
      Issue.record("no member")
      return
    }
    func refusedMember(_ key: Int64, _ value: CBORValue?) -> DropReason? {
      var changed = member.filter { $0.key != .integer(key) }
      if let value { changed.append(CBORPair(.integer(key), value)) }
      return refused(4, [.map(changed)])
    }
    for key: Int64 in 1...5 { #expect(refusedMember(key, nil) == .peerRecordInvalid) }
    for key: Int64 in 6...11 { #expect(refusedMember(key, nil) == nil) }
    #expect(refusedMember(1, .bytes([0x30, 0])) == .certificateInvalid)
    #expect(refusedMember(2, .bytes([UInt8](repeating: 4, count: 65))) == .coseKeyInvalid)
    #expect(refusedMember(2, .bytes([4])) == .lengthMismatch)
    #expect(refusedMember(3, 3) == .peerRecordInvalid)
    #expect(refusedMember(6, .bytes([1])) == .lengthMismatch)
    #expect(refusedMember(7, [.bytes([1])]) == .lengthMismatch)
    #expect(refusedMember(7, []) == nil)
    #expect(refusedMember(11, [1: 2]) == .cborTypeMismatch)
    #expect(refusedMember(12, 1) == .peerRecordInvalid)
  }

  @Test func accessListRoundTripsAndIsExact() throws {
    let list = try Self.accessList()
    #expect(try AccessList(parsing: list.encoded()) == list)
    func refused(_ change: (inout AccessList) -> Void) -> DropReason? {
      var changed = list
      change(&changed)
      return reason { try changed.validate() }
    }
    #expect(refused { _ in } == nil)
    #expect(refused { $0.entries = [] } == nil)
    #expect(refused { $0.entries[0].recipients = [3] } == .peerRecordInvalid)
    #expect(refused { $0.entries[0].recipients = [-1] } == .peerRecordInvalid)
    #expect(refused { $0.entries[0].host = 3 } == .peerRecordInvalid)
    #expect(refused { $0.entries[0].host = 0 } == .peerRecordInvalid)
    #expect(refused { $0.entries[0].key[0] = 2 } == .peerRecordInvalid)
    #expect(refused { $0.entries[0].class = .stream } == .peerRecordInvalid)
    #expect(refused { $0.entries[0] = $0.entries[1] } == .peerRecordInvalid)
    let bytes = try list.encoded()
    for length in 0..<bytes.count {
      #expect(throws: ParseError.self) { try AccessList(parsing: Array(bytes.prefix(length))) }
    }
    var offCurve = list
    offCurve.entries[0].key[40] ^= 1
    #expect(reason { _ = try AccessDirectory(offCurve) } == .coseKeyInvalid)
  }

  /// lock (hosted by the gateway) and owner may send to each other; the gateway to the owner.
  static func accessList(epoch: UInt64 = 1) throws -> AccessList {
    let record = Group(epoch: epoch).record
    func entry(_ index: Int, host: Int?, to: [Int]) -> AccessList.Entry {
      let member = record.members[index]
      return AccessList.Entry(
        address: member.address, key: member.identity.signingPoint, class: member.class, host: host,
        recipients: to)
    }
    return AccessList(
      version: record.version,
      entries: [entry(0, host: nil, to: [2]), entry(1, host: 0, to: [2]), entry(2, host: nil, to: [1])])
  }
}
