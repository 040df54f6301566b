import AttackMatrix
import COSE
import Crypto
import Envelope
import Oracle
import TestSupport
import Wire

/// A group that an oracle has made, with a node for each way that messages go. Made once: keys cost more than anything
/// else.
struct MatrixGroup {
  static let shared = Result { try MatrixGroup() }
  /// The second in which everything happens.
  static let now = Instant(seconds: 1_767_225_601)
  private static let founded = UInt64(now.seconds) - 600

  let oracle: Oracle
  private let identities: [String: Identity]

  private init() throws {
    var generator = SeededGenerator(seed: 0x6d61_7472)
    var identities: [String: Identity] = [:]
    func identity(_ name: String) throws -> Identity {
      let new = try Identity.new(name: name, validFrom: Instant(seconds: Int64(Self.founded)), using: &generator)
      identities[name] = new
      return new
    }
    let own = try identity("oracle")
    var oracle = try Oracle(founding: Array("attack--matrix--".utf8), identity: own, now: Self.founded)
    func admit(
      _ name: String, _ roles: Roles, _ class: EnvelopeClass = .noConsequence, traits: Traits = [],
      commanders: [String] = []
    ) throws {
      let identity = try identity(name)
      var admission = Admission(
        name: name, identity: identity.public, agreementKey: identity.agreementKey.publicKey, class: `class`,
        roles: roles)
      if roles == .node {
        admission.gateway = "gateway"
        admission.readers = ["owner"]
        admission.commanders = commanders
        admission.traits = traits
        admission.eui64 = 0x0212_4b00_0000_0000 | UInt64(identities.count)
      }
      try oracle.admit(admission, now: Self.founded)
    }
    try admit("relay", .relay, .authOnly)
    try admit("gateway", .gateway)
    for name in ["owner", "phone", "guest"] { try admit(name, .endpoint) }
    let both = ["owner", "phone"]
    try admit("rain", .node, traits: .vouched)
    try admit("meter", .node, commanders: both)
    try admit("lock", .node, .authOnly, commanders: both)
    try admit("presence", .node, .confidential, commanders: both)
    try admit("presence2", .node, .confidential, commanders: both)
    try admit("thermo", .node, .authOnly, traits: .vouched, commanders: both)
    try admit("thermo2", .node, .authOnly, traits: .vouched, commanders: both)
    try admit("lamp", .node, traits: [.vouched, .coapServer], commanders: both)
    try admit("valve", .node, .authOnly, traits: [.vouched, .coapServer], commanders: both)
    try admit("blinds", .node, .confidential, traits: .coapServer, commanders: both)
    // Streams to phones by its own connection.
    try admit("camera", .endpoint, .confidential)
    self.oracle = oracle
    _ = try identity("stranger")
    self.identities = identities
  }

  subscript(name: String) -> Identity {
    get throws {
      guard let identity = identities[name] else { throw MatrixError.noSuchMember(name) }
      return identity
    }
  }

  func address(_ name: String) throws -> Address { try self[name].address }

  func member(_ name: String) throws -> Member {
    guard let member = oracle.member(named: name) else { throw MatrixError.noSuchMember(name) }
    return member
  }

  /// The oracle after it has removed somebody.
  func removing(_ name: String) throws -> Oracle {
    var oracle = oracle
    try oracle.remove(name, linkKey: [UInt8](repeating: 1, count: 16), now: Self.founded + 1)
    return oracle
  }

  /// What `oracle` tells `name`.
  func record(_ oracle: Oracle, for name: String, sequence: UInt64) throws -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return try oracle.recordEnvelope(
      for: try member(name), sequence: sequence, now: Self.founded + 2, using: &generator
    ).bytes
  }

  func accessList(_ oracle: Oracle, sequence: UInt64) throws -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return try oracle.accessListEnvelope(
      for: try member("relay"), sequence: sequence, now: Self.founded + 2, using: &generator
    ).bytes
  }

  func directory(_ name: String) throws -> PeerDirectory {
    try PeerDirectory.accept(
      SignedEnvelope(parsing: record(oracle, for: name, sequence: 1)), for: self[name], oracle: self["oracle"].public,
      current: nil)
  }

  /// An envelope as its sender makes it.
  func envelope(
    _ sender: String, to recipient: String, _ sequence: UInt64, class: EnvelopeClass, _ content: SignedEnvelope.Content,
    at issued: Instant? = now, form: EnvelopeDraft.AddressForm = .full,
    extensions: EnvelopeExtensions = EnvelopeExtensions()
  ) throws -> SignedEnvelope {
    var generator = SystemRandomNumberGenerator()
    let identity = try self[recipient]
    let draft = EnvelopeDraft(
      class: `class`, recipients: [.init(identity.address, agreementKey: identity.agreementKey.publicKey)],
      sequence: sequence, issuedAt: issued.map { UInt64($0.seconds) }, lifetime: 60, extensions: extensions,
      content: content, addressForm: form)
    return try SignedEnvelope.make(draft, from: try self[sender], using: &generator)
  }

  /// An envelope by hand, whatever it says and whoever signs it.
  func sign(_ header: EnvelopeHeader, _ payload: [UInt8], by signer: String) throws -> [UInt8] {
    let protected = try header.cbor()
    let digest = COSESign1.digest(protected: protected.rawSpan, payload: payload.rawSpan)
    let signature = try self[signer].signingKey.signature(for: digest)
    var writer = CBORWriter()
    writer.tag(18)
    writer.array(4)
    writer.bytes(protected)
    writer.map(0)
    writer.bytes(payload)
    writer.bytes([UInt8](signature.rawRepresentation))
    return writer.bytes
  }
}

enum MatrixError: Error {
  case noSuchMember(String)
  case notExecutable(AttackMatrix.Channel, AttackMatrix.Attack, AttackMatrix.Hop)
}

/// The same envelope with the other signature that is as valid: (r, n - s).
func malleated(_ bytes: [UInt8]) -> [UInt8] {
  // The order of P-256's group.
  let order: [UInt64] = [0xffff_ffff_0000_0000, 0xffff_ffff_ffff_ffff, 0xbce6_faad_a717_9e84, 0xf3b9_cac2_fc63_2551]
  var bytes = bytes
  let start = bytes.count - 32
  var borrow: UInt64 = 0
  for word in (0..<4).reversed() {
    let value = bytes[start + word * 8..<start + word * 8 + 8].reduce(0) { $0 << 8 | UInt64($1) }
    let (first, under) = order[word].subtractingReportingOverflow(value)
    let (second, under2) = first.subtractingReportingOverflow(borrow)
    borrow = under || under2 ? 1 : 0
    for index in 0..<8 { bytes[start + word * 8 + index] = UInt8(truncatingIfNeeded: second >> UInt64(56 - index * 8)) }
  }
  return bytes
}
