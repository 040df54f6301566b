import COSE
import Crypto
import Wire

/// What a member is for. Unknown bits are kept and mean nothing here.
@frozen
public struct Roles: OptionSet, Hashable, Sendable {
  public var rawValue: UInt64
  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// A constrained device on the PAN.
  public static let node = Roles(rawValue: 1)
  /// A border router.
  public static let gateway = Roles(rawValue: 2)
  /// A phone, a laptop, a server.
  public static let endpoint = Roles(rawValue: 4)
  /// Holds mailboxes; has no decryption key.
  public static let relay = Roles(rawValue: 8)
  /// Says who may talk to whom.
  public static let oracle = Roles(rawValue: 16)

  /// The names of the roles, in the order of the bits.
  public var names: [String] {
    let all: [(Roles, String)] = [
      (.node, "node"), (.gateway, "gateway"), (.endpoint, "endpoint"), (.relay, "relay"), (.oracle, "oracle"),
    ]
    return all.filter { contains($0.0) }.map(\.1)
  }
}

/// What is special about a node. Unknown bits are kept and mean nothing here.
@frozen
public struct Traits: OptionSet, Hashable, Sendable {
  public var rawValue: UInt64
  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// Its radio is off most of the time: messages wait until it asks.
  public static let sleeps = Traits(rawValue: 1)
  /// Its envelopes have no time of issue.
  public static let clockless = Traits(rawValue: 2)
  /// It is commanded by plain CoAP requests, which the gateway makes of envelopes.
  public static let coapServer = Traits(rawValue: 4)
  /// It signs nothing: its gateway signs on its behalf.
  public static let vouched = Traits(rawValue: 8)

  /// The names of the traits, in the order of the bits.
  public var names: [String] {
    let all: [(Traits, String)] = [
      (.sleeps, "sleeps"), (.clockless, "no clock"), (.coapServer, "CoAP server"),
      (.vouched, "vouched for by its gateway"),
    ]
    return all.filter { contains($0.0) }.map(\.1)
  }
}

/// One member of a group as the oracle describes it. Its keys were parsed once and are kept.
public struct Member: Sendable, Hashable {
  /// Certificate, address and signing key.
  public var identity: PublicIdentity
  /// What is sealed for the member is sealed with this key.
  public var agreementKey: P256.KeyAgreement.PublicKey
  /// What its traffic needs: no-consequence, auth-only or confidential.
  public var `class`: EnvelopeClass
  public var roles: Roles
  /// Unique in the group.
  public var name: String
  /// Its radio's address, first octet most significant.
  public var eui64: UInt64?
  /// Who receives its reports.
  public var readers: [Address]
  /// Who may command it.
  public var commanders: [Address]
  /// The gateway that hosts it.
  public var gateway: Address?
  public var traits: Traits
  /// Its configuration.
  public var configuration: [String: CBORValue]

  public init(
    identity: PublicIdentity, agreementKey: P256.KeyAgreement.PublicKey, class: EnvelopeClass, roles: Roles,
    name: String, eui64: UInt64? = nil, readers: [Address] = [], commanders: [Address] = [],
    gateway: Address? = nil,
    traits: Traits = [], configuration: [String: CBORValue] = [:]
  ) {
    self.identity = identity
    self.agreementKey = agreementKey
    self.class = `class`
    self.roles = roles
    self.name = name
    self.eui64 = eui64
    self.readers = readers
    self.commanders = commanders
    self.gateway = gateway
    self.traits = traits
    self.configuration = configuration
  }

  public var address: Address { identity.address }
  public var signingKey: P256.Signing.PublicKey { identity.signingKey }

  public static func == (left: Member, right: Member) -> Bool {
    left.identity == right.identity && left.agreementKey.point == right.agreementKey.point
      && left.class == right.class && left.roles == right.roles && left.name == right.name
      && left.eui64 == right.eui64 && left.readers == right.readers && left.commanders == right.commanders
      && left.gateway == right.gateway && left.traits == right.traits
      && left.configuration == right.configuration
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(address) }
}

extension Member: CBORItem {
  /// Throws ``DropReason/peerRecordInvalid`` for missing or unknown keys and a class that no member can have,
  /// ``DropReason/certificateInvalid``, ``DropReason/certificateKeyUnsupported`` and ``DropReason/coseKeyInvalid``.
  @_lifetime(reader: copy reader)
  public init(reading reader: inout CBORReader) throws(ParseError) {
    let start = reader.error(.peerRecordInvalid)
    var identity: PublicIdentity?
    var agreementKey: P256.KeyAgreement.PublicKey?
    var memberClass: EnvelopeClass?
    var roles: Roles?
    var name: String?
    var eui64: UInt64?
    var readers: [Address] = []
    var commanders: [Address] = []
    var gateway: Address?
    var traits: Traits = []
    var configuration: [String: CBORValue] = [:]
    var map = try reader.map()
    while try reader.nextKey(in: &map) {
      let position = reader.offset
      switch try reader.unsigned() {
      case 1: identity = try PublicIdentity(certificate: try reader.bytes().array())
      case 2: agreementKey = try P256.KeyAgreement.PublicKey(point: try reader.bytes(count: 65))
      case 3: memberClass = try EnvelopeClass(ofMember: &reader)
      case 4: roles = Roles(rawValue: try reader.unsigned())
      case 5: name = try reader.text()
      case 6: eui64 = try reader.word()
      case 7: readers = try reader.addresses()
      case 8: commanders = try reader.addresses()
      case 9: gateway = try reader.address()
      case 10: traits = Traits(rawValue: try reader.unsigned())
      case 11:
        var entries = try reader.map()
        while try reader.nextKey(in: &entries) {
          let key = try reader.text()
          configuration[key] = try CBORValue(reading: &reader)
        }
      default: throw ParseError(.peerRecordInvalid, at: position)
      }
    }
    guard let identity, let agreementKey, let memberClass, let roles, let name else { throw start }
    self.init(
      identity: identity, agreementKey: agreementKey, class: memberClass, roles: roles, name: name,
      eui64: eui64,
      readers: readers, commanders: commanders, gateway: gateway, traits: traits, configuration: configuration
    )
  }

  /// Empty lists, no traits and no configuration are left out.
  public func write(to writer: inout CBORWriter) throws(EmitError) {
    guard `class` != .stream else { throw .notRepresentable }
    let optional = [
      eui64 != nil, !readers.isEmpty, !commanders.isEmpty, gateway != nil, !traits.isEmpty,
      !configuration.isEmpty,
    ]
    writer.map(5 + optional.count { $0 })
    writer.unsigned(1)
    writer.bytes(identity.certificate)
    writer.unsigned(2)
    writer.bytes(agreementKey.point)
    writer.unsigned(3)
    writer.unsigned(UInt64(`class`.rawValue))
    writer.unsigned(4)
    writer.unsigned(roles.rawValue)
    writer.unsigned(5)
    writer.text(name)
    if let eui64 {
      writer.unsigned(6)
      writer.word(eui64)
    }
    if !readers.isEmpty {
      writer.unsigned(7)
      writer.addresses(readers)
    }
    if !commanders.isEmpty {
      writer.unsigned(8)
      writer.addresses(commanders)
    }
    if let gateway {
      writer.unsigned(9)
      writer.bytes(gateway.bytes)
    }
    if !traits.isEmpty {
      writer.unsigned(10)
      writer.unsigned(traits.rawValue)
    }
    if !configuration.isEmpty {
      writer.unsigned(11)
      try CBORValue.map(configuration.map { CBORPair(.text($0.key), $0.value) }).write(to: &writer)
    }
  }
}

extension EnvelopeClass {
  /// The class of a member: 0, 1 or 2; anything else is ``DropReason/peerRecordInvalid``.
  @_lifetime(reader: copy reader)
  init(ofMember reader: inout CBORReader) throws(ParseError) {
    let invalid = reader.error(.peerRecordInvalid)
    guard let known = UInt8(exactly: try reader.unsigned()).flatMap(EnvelopeClass.init(rawValue:)),
      known != .stream
    else { throw invalid }
    self = known
  }
}
