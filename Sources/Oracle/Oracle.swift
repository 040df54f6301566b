import COSE
import Crypto
public import Envelope
public import Wire

/// Who may talk to whom in one group: admits members, removes them, and signs what they and the relays obey.
///
/// A value without I/O: changes raise the epoch, and are in force for others when they have what is signed. Times and
/// random numbers are handed in.
public struct Oracle: Sendable {
  public let identity: Identity
  /// The record as it stands.
  public private(set) var record: PeerRecord

  /// An oracle that goes on with `record`. Throws ``OracleError/notItsRecord`` unless it is a member of it with its role.
  public init(_ identity: Identity, record: PeerRecord) throws(OracleError) {
    self.identity = identity
    self.record = record
    guard member(identity.address)?.roles.contains(.oracle) ?? false else { throw .notItsRecord }
  }

  /// A new group, whose only member is its oracle.
  ///
  /// `group` is 16 random bytes; `now` in seconds since 1970.
  public init(founding group: [UInt8], identity: Identity, now: UInt64) throws(OracleError) {
    let own = Member(
      identity: identity.public, agreementKey: identity.agreementKey.publicKey, class: .authOnly, roles: .oracle,
      name: identity.name)
    try self.init(
      identity,
      record: PeerRecord(
        version: GroupEpoch(group: group, epoch: 1), issuedAt: now, members: [own], relays: []))
  }

  public func member(_ address: Address) -> Member? { record.members.first { $0.address == address } }
  public func member(named name: String) -> Member? { record.members.first { $0.name == name } }

  // MARK: Changes

  /// Adds a member, or changes one that is there under the same name and identity.
  ///
  /// Throws ``OracleError`` for a name, radio or short address that another has, for readers, commanders and a gateway
  /// that are no fit members, for a class weaker than what the device itself says it needs, and for a node of class
  /// confidential that its gateway is to vouch for.
  public mutating func admit(_ admission: Admission, now: UInt64) throws(OracleError) {
    let member = try resolve(admission)
    let others = record.members.filter { $0.address != member.address }
    if let taken = others.first(where: { $0.name == member.name }) { throw .nameTaken(taken.name) }
    // What is short for two is refused for both: better that one makes a new identity.
    if let taken = others.first(where: { $0.address.short == member.address.short }) {
      throw .shortAddressTaken(taken.name)
    }
    if let eui64 = member.eui64, let taken = others.first(where: { $0.eui64 == eui64 }) {
      throw .radioTaken(taken.name)
    }
    try change(now: now) { record in
      if let index = record.members.firstIndex(where: { $0.address == member.address }) {
        record.members[index] = member
      } else {
        record.members.append(member)
      }
    }
  }

  /// Removes a member and everything that others have with it: it is read by no one and commanded by no one any more.
  ///
  /// The link keys of the gateway that hosts it, or of its own nodes, are made anew with `linkKey`, 16 random bytes: what
  /// it knew opens nothing that is said from then on. Throws ``OracleError/unknown(_:)``, and
  /// ``OracleError/oracleStays`` for the oracle itself.
  public mutating func remove(_ name: String, linkKey: [UInt8], now: UInt64) throws(OracleError) {
    guard let gone = member(named: name) else { throw .unknown(name) }
    guard gone.address != identity.address else { throw .oracleStays }
    try change(now: now) { record in
      record.members.removeAll { $0.address == gone.address }
      record.relays.removeAll { $0.address == gone.address }
      for index in record.members.indices {
        record.members[index].readers.removeAll { $0 == gone.address }
        record.members[index].commanders.removeAll { $0 == gone.address }
        if record.members[index].gateway == gone.address { record.members[index].gateway = nil }
        if record.members[index].address == gone.gateway, let link = record.members[index].linkKey {
          record.members[index].linkKey = LinkKey(index: link.nextIndex, key: linkKey)
        }
      }
    }
  }

  /// Says under which URL a relay, which is a member, is reached; its other URLs go.
  public mutating func setRelay(_ name: String, url: String, now: UInt64) throws(OracleError) {
    guard let relay = member(named: name), relay.roles.contains(.relay) else { throw .unknown(name) }
    try change(now: now) { record in
      record.relays.removeAll { $0.address == relay.address }
      record.relays.append(RelayEntry(url: url, address: relay.address))
    }
  }

  /// Gives a gateway a key for its radio network, or a new one.
  public mutating func setLinkKey(of name: String, to key: [UInt8], now: UInt64) throws(OracleError) {
    guard let gateway = member(named: name), gateway.roles.contains(.gateway) else { throw .unknown(name) }
    try change(now: now) { record in
      guard let index = record.members.firstIndex(where: { $0.address == gateway.address }) else { return }
      record.members[index].linkKey = LinkKey(index: gateway.linkKey?.nextIndex ?? 1, key: key)
    }
  }

  private mutating func change(now: UInt64, _ body: (inout PeerRecord) -> Void) throws(OracleError) {
    var new = record
    body(&new)
    new.version.epoch += 1
    new.issuedAt = max(now, record.issuedAt)
    do throws(ParseError) { try new.validate() } catch { throw .invalid(error.reason) }
    record = new
  }

  private func resolve(_ admission: Admission) throws(OracleError) -> Member {
    let stated = admission.statedClass ?? .noConsequence
    guard admission.class != .stream, admission.class.satisfies(stated) else { throw .classTooWeak(stated) }
    func address(_ name: String, _ roles: Roles) throws(OracleError) -> Address {
      // A device may be its own reader in no case.
      guard let member = self.member(named: name), member.address != admission.identity.address,
        !member.roles.isDisjoint(with: roles)
      else { throw .unknown(name) }
      return member.address
    }
    var member = Member(
      identity: admission.identity, agreementKey: admission.agreementKey, class: admission.class,
      roles: admission.roles, name: admission.name, eui64: admission.eui64, traits: admission.traits,
      configuration: admission.configuration)
    for name in admission.readers { member.readers.append(try address(name, [.endpoint, .gateway])) }
    for name in admission.commanders { member.commanders.append(try address(name, [.endpoint, .gateway])) }
    if let name = admission.gateway { member.gateway = try address(name, .gateway) }
    if member.roles.contains(.node), member.gateway == nil { throw .nodeWithoutGateway(admission.name) }
    // Whoever vouches has read it.
    if member.class == .confidential, member.traits.contains(.vouched) {
      throw .confidentialIsNotVouched(admission.name)
    }
    return member
  }
}

/// Someone who is to be a member: what its code says, and what the owner says.
public struct Admission: Sendable {
  public var name: String
  public var identity: PublicIdentity
  public var agreementKey: P256.KeyAgreement.PublicKey
  public var `class`: EnvelopeClass
  public var roles: Roles
  /// What the device itself says it needs; the oracle may demand more, not less.
  public var statedClass: EnvelopeClass?
  public var eui64: UInt64?
  /// By name.
  public var readers: [String] = []
  public var commanders: [String] = []
  public var gateway: String?
  public var traits: Traits = []
  public var configuration: [String: CBORValue] = [:]

  public init(
    name: String, identity: PublicIdentity, agreementKey: P256.KeyAgreement.PublicKey, class: EnvelopeClass,
    roles: Roles
  ) {
    self.name = name
    self.identity = identity
    self.agreementKey = agreementKey
    self.class = `class`
    self.roles = roles
  }
}

/// Why an oracle does not do what it is told.
public enum OracleError: Error, Hashable, Sendable, CustomStringConvertible {
  case unknown(String)
  case nameTaken(String)
  case shortAddressTaken(String)
  case radioTaken(String)
  case classTooWeak(EnvelopeClass)
  case nodeWithoutGateway(String)
  case confidentialIsNotVouched(String)
  case oracleStays
  case notItsRecord
  case invalid(DropReason)

  public var description: String {
    switch self {
    case .unknown(let name): "'\(name)' is no member with the role that this needs: see 'pangate oracle list'"
    case .nameTaken(let name): "another member is called '\(name)': choose another name, or remove that one first"
    case .shortAddressTaken(let name):
      "the first 8 bytes of its address are those of '\(name)': make a new identity for the device ('pangate identity new')"
    case .radioTaken(let name):
      "the radio with this EUI-64 is that of '\(name)': check the number, or remove that one first"
    case .classTooWeak(let stated):
      "its code says that it needs class \(stated.name) or stronger: give --class \(stated.name)"
    case .nodeWithoutGateway(let name): "'\(name)' is a node, and which gateway hosts it is not said: give --gateway"
    case .confidentialIsNotVouched(let name):
      "'\(name)' is confidential: no gateway can vouch for what it must not read; let it sign, or speak OSCORE end to end"
    case .oracleStays: "the oracle cannot remove itself"
    case .notItsRecord: "the record does not name this identity as its oracle"
    case .invalid(let reason): "the record would not be valid: \(reason.name)"
    }
  }
}
