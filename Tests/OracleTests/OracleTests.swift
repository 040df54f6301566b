import COSE
import Crypto
import Envelope
import Oracle
import TestSupport
import Testing
import Wire

/// Groups: who is admitted, who is removed, and what everybody is told (DESIGN.md, "Peers, revocation, configuration").
@Suite struct OracleTests {
  static let now: UInt64 = 1_767_225_600
  var generator = SeededGenerator(seed: 1)

  private mutating func identity(_ name: String) throws -> Identity {
    try Identity.new(name: name, validFrom: Instant(seconds: Int64(Self.now)), using: &generator)
  }

  private mutating func admission(
    _ name: String, _ roles: Roles, _ class: EnvelopeClass = .authOnly, readers: [String] = [],
    commanders: [String] = [],
    gateway: String? = nil, traits: Traits = []
  ) throws -> (Admission, Identity) {
    let identity = try identity(name)
    var admission = Admission(
      name: name, identity: identity.public, agreementKey: identity.agreementKey.publicKey, class: `class`, roles: roles
    )
    (admission.readers, admission.commanders, admission.gateway) = (readers, commanders, gateway)
    admission.traits = traits
    return (admission, identity)
  }

  /// A home with a gateway, two phones, a lock and a rain meter, and what identities they have.
  private mutating func home() throws -> (oracle: Oracle, identities: [String: Identity]) {
    let own = try identity("oracle")
    var oracle = try Oracle(founding: [UInt8](repeating: 9, count: 16), identity: own, now: Self.now)
    var identities = ["oracle": own]
    for (name, roles) in [("relay", Roles.relay), ("home", .gateway), ("phone", .endpoint), ("phone2", .endpoint)] {
      let (admission, identity) = try admission(name, roles)
      try oracle.admit(admission, now: Self.now)
      identities[name] = identity
    }
    let (lock, lockIdentity) = try admission(
      "lock", .node, readers: ["phone", "phone2"], commanders: ["phone"], gateway: "home")
    let (rain, rainIdentity) = try admission(
      "rain", .node, .noConsequence, readers: ["phone"], gateway: "home", traits: .vouched)
    try oracle.admit(lock, now: Self.now)
    try oracle.admit(rain, now: Self.now)
    identities["lock"] = lockIdentity
    identities["rain"] = rainIdentity
    return (oracle, identities)
  }

  private func directions(_ oracle: Oracle) -> Set<String> {
    let (members, entries) = (oracle.record.members, oracle.accessList().entries)
    return Set(
      entries.indices.flatMap { from in entries[from].recipients.map { "\(members[from].name)>\(members[$0].name)" } })
  }

  @Test("Relays are told the directions that the record allows, and no others")
  mutating func directions() throws {
    let (oracle, _) = try home()
    let allowed = directions(oracle).filter { !$0.hasPrefix("oracle>") && !$0.hasSuffix(">oracle") }
    #expect(
      allowed == [
        "lock>phone", "lock>phone2", "phone>lock", "home>phone", "home>phone2", "phone>home", "phone2>home",
        "rain>phone",
        "phone>phone2", "phone2>phone",
      ])
    let entries = oracle.accessList().entries
    let hosts = entries.map { $0.host.map { oracle.record.members[$0].name } }
    #expect(hosts == [nil, nil, nil, nil, nil, "home", "home"])
    #expect(oracle.accessList().version.epoch == oracle.record.version.epoch)
  }

  @Test("Who is removed has no direction, reads nothing and commands nothing; the epoch and the link key are new")
  mutating func removal() throws {
    var (oracle, _) = try home()
    try oracle.setLinkKey(of: "home", to: [UInt8](repeating: 1, count: 16), now: Self.now)
    let before = oracle.record.version.epoch
    try oracle.remove("phone", linkKey: [UInt8](repeating: 2, count: 16), now: Self.now + 5)
    #expect(oracle.record.version.epoch == before + 1 && oracle.record.issuedAt == Self.now + 5)
    #expect(oracle.member(named: "phone") == nil)
    #expect(!directions(oracle).contains { $0.contains("phone>") || $0.hasSuffix(">phone") })
    #expect(oracle.member(named: "lock")?.commanders.isEmpty ?? false)
    // A phone never knew the key of the radio network.
    #expect(oracle.member(named: "home")?.linkKey == LinkKey(index: 1, key: [UInt8](repeating: 1, count: 16)))
    try oracle.remove("lock", linkKey: [UInt8](repeating: 3, count: 16), now: Self.now)
    #expect(oracle.member(named: "home")?.linkKey == LinkKey(index: 2, key: [UInt8](repeating: 3, count: 16)))
    #expect(throws: OracleError.unknown("lock")) { try oracle.remove("lock", linkKey: [], now: Self.now) }
    #expect(throws: OracleError.oracleStays) { try oracle.remove("oracle", linkKey: [], now: Self.now) }
    // A gateway that goes leaves its nodes without one, and the record valid.
    try oracle.remove("home", linkKey: [], now: Self.now)
    #expect(oracle.member(named: "rain")?.gateway == nil)
  }

  @Test("What would be ambiguous or weaker than the device says is not admitted")
  mutating func refusals() throws {
    var (oracle, _) = try home()
    let record = oracle.record
    var (other, _) = try admission("lock", .node, gateway: "home")
    #expect(throws: OracleError.nameTaken("lock")) { try oracle.admit(other, now: Self.now) }
    other.name = "lock2"
    other.statedClass = .confidential
    #expect(throws: OracleError.classTooWeak(.confidential)) { try oracle.admit(other, now: Self.now) }
    other.statedClass = .noConsequence
    other.gateway = nil
    #expect(throws: OracleError.nodeWithoutGateway("lock2")) { try oracle.admit(other, now: Self.now) }
    other.gateway = "phone"
    #expect(throws: OracleError.unknown("phone")) { try oracle.admit(other, now: Self.now) }
    other.gateway = "home"
    other.readers = ["rain"]
    #expect(throws: OracleError.unknown("rain")) { try oracle.admit(other, now: Self.now) }
    other.readers = []
    (other.class, other.traits) = (.confidential, .vouched)
    #expect(throws: OracleError.confidentialIsNotVouched("lock2")) { try oracle.admit(other, now: Self.now) }
    other.traits = []
    other.eui64 = 7
    try oracle.admit(other, now: Self.now)
    var (third, _) = try admission("lock3", .node, gateway: "home")
    third.eui64 = 7
    #expect(throws: OracleError.radioTaken("lock2")) { try oracle.admit(third, now: Self.now) }
    #expect(oracle.record.version.epoch == record.version.epoch + 1)
    // The same identity again is a change, also of its name.
    other.name = "door"
    try oracle.admit(other, now: Self.now)
    #expect(oracle.member(named: "lock2") == nil && oracle.member(named: "door")?.class == .confidential)
  }

  @Test("Each member opens its record, and finds the configuration of nobody else in it")
  mutating func records() throws {
    var (oracle, identities) = try home()
    let key = [UInt8](repeating: 5, count: 16)
    try oracle.setLinkKey(of: "home", to: key, now: Self.now)
    for (index, member) in oracle.told.enumerated() {
      let envelope = try oracle.recordEnvelope(
        for: member, sequence: UInt64(index + 1), now: Self.now, using: &generator)
      let identity = try #require(identities[member.name])
      let directory = try PeerDirectory.accept(
        envelope, for: identity, oracle: oracle.identity.public, current: nil)
      #expect((directory.member(named: "home")?.linkKey != nil) == (member.name == "home"))
      #expect((directory.member(named: "relay") == nil) == (member.roles == .node))
      #expect(throws: ParseError.self) {
        try PeerDirectory.accept(
          envelope, for: identity, oracle: oracle.identity.public, current: oracle.record.version)
      }
      #expect(!envelope.bytes.contains(key))
    }
    #expect(Set(oracle.told.map(\.name)) == ["home", "phone", "phone2", "lock", "rain"])
    // A node has to do with few.
    let lock = oracle.record(for: try #require(oracle.member(named: "lock")))
    #expect(Set(lock.members.map(\.name)) == ["oracle", "home", "phone", "phone2", "lock"])
    let rain = oracle.record(for: try #require(oracle.member(named: "rain")))
    #expect(Set(rain.members.map(\.name)) == ["oracle", "home", "phone", "rain"])
    let list = try oracle.accessListEnvelope(
      for: try #require(oracle.relays.first), sequence: 99, now: Self.now, using: &generator)
    let access = try AccessDirectory.accept(
      list, for: try #require(identities["relay"]).address, oracle: oracle.identity.public, current: nil)
    #expect(access.list == oracle.accessList())
  }

  @Test func anOracleGoesOnWithItsOwnRecordOnly() throws {
    var copy = self
    let (oracle, identities) = try copy.home()
    #expect(try Oracle(oracle.identity, record: oracle.record).record == oracle.record)
    let phone = try #require(identities["phone"])
    #expect(throws: OracleError.notItsRecord) { try Oracle(phone, record: oracle.record) }
  }
}
