import COSE
import Crypto
import Wire

/// A peer record made ready for look-ups: whom an address, a short address, a radio or a name stands for.
///
/// All keys in it were parsed once, when the record came.
public struct PeerDirectory: Sendable {
  public let record: PeerRecord
  private let byAddress: [Address: Int]
  private let byShortAddress: [Address.Short: [Int]]
  private let byEUI64: [UInt64: Int]
  private let byName: [String: Int]

  /// Takes a record that the oracle signed; see ``accept(_:for:oracle:current:)``. Throws
  /// ``DropReason/peerRecordInvalid``.
  public init(_ record: PeerRecord) throws(ParseError) {
    try record.validate()
    self.init(unchecked: record)
  }

  /// A record that need not be valid, for what is asked of it when it is not.
  init(unchecked record: PeerRecord) {
    self.record = record
    let members = record.members.enumerated()
    byAddress = Dictionary(members.map { ($1.address, $0) }, uniquingKeysWith: { first, _ in first })
    byShortAddress = Dictionary(grouping: record.members.indices) { record.members[$0].address.short }
    byEUI64 = Dictionary(
      members.compactMap { index, member in member.eui64.map { ($0, index) } },
      uniquingKeysWith: { first, _ in first })
    byName = Dictionary(members.map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// Takes a peer record from an envelope, or refuses it. Its freshness is for the caller to check.
  ///
  /// - Parameters:
  ///   - envelope: as it came, from wherever: only the oracle's signature gives it force.
  ///   - identity: ours, for whom it must be.
  ///   - oracle: the one that was pinned when we were enrolled.
  ///   - current: what is obeyed now; `nil` at first.
  /// - Throws: ``DropReason/peerRecordNotFromOracle``, ``DropReason/coseSignatureInvalid``,
  ///   ``DropReason/envelopeNotForUs``, ``DropReason/peerRecordInvalid`` for another content format, group or broken
  ///   content, ``DropReason/peerRecordEpochStale`` unless it is newer, and the reasons of ``SignedEnvelope/open(with:)``.
  public static func accept(
    _ envelope: SignedEnvelope, for identity: Identity, oracle: PublicIdentity, current: GroupEpoch?
  ) throws(ParseError) -> PeerDirectory {
    try envelope.checkOracle(oracle)
    let content = try envelope.open(with: identity)
    guard content.format == ContentFormats.peerRecord else { throw ParseError(.peerRecordInvalid) }
    let record = try PeerRecord(parsing: content.bytes)
    try record.version.checkNewer(than: current)
    return PeerDirectory(unchecked: record)
  }

  /// A record that was accepted before, out of its envelope; `nil` if it is not newer than `current`, or of another group
  /// or oracle, and so no longer ours.
  public static func kept(
    _ bytes: [UInt8], for identity: Identity, oracle: PublicIdentity, current: GroupEpoch?
  ) -> PeerDirectory? {
    guard let envelope = try? SignedEnvelope(parsing: bytes, maximumSize: .max) else { return nil }
    return try? accept(envelope, for: identity, oracle: oracle, current: current)
  }

  /// The member with this address.
  public func member(_ address: Address) -> Member? { byAddress[address].map { record.members[$0] } }

  /// The member with this name.
  public func member(named name: String) -> Member? { byName[name].map { record.members[$0] } }

  /// The member whose radio this is; the EUI-64 has its first octet in the most significant byte.
  public func member(eui64: UInt64) -> Member? { byEUI64[eui64].map { record.members[$0] } }

  /// The member that an envelope names as its sender. Throws ``DropReason/envelopeSenderUnknown`` or
  /// ``DropReason/envelopeSenderAmbiguous``.
  public func sender(_ reference: AddressReference) throws(ParseError) -> Member {
    try find(reference, unknown: .envelopeSenderUnknown, ambiguous: .envelopeSenderAmbiguous)
  }

  /// The members that an envelope names as its recipients, in its order and each once. Throws
  /// ``DropReason/envelopeRecipientUnknown`` or ``DropReason/envelopeRecipientAmbiguous``.
  public func recipients(_ references: [AddressReference]) throws(ParseError) -> [Member] {
    var found: [Member] = []
    for reference in references {
      let member = try find(
        reference, unknown: .envelopeRecipientUnknown, ambiguous: .envelopeRecipientAmbiguous)
      if !found.contains(where: { $0.address == member.address }) { found.append(member) }
    }
    return found
  }

  /// The node that a gateway vouches for.
  ///
  /// `nil` if the envelope vouches for nobody. Throws ``DropReason/envelopeOnBehalfOfRefused`` unless the node is
  /// hosted by `sender` and has the trait of being vouched for: a node that signs for itself is never spoken for, and a
  /// confidential one neither. What is protected end to end a gateway only carries: that it may for every CoAP server.
  public func vouched(
    _ header: EnvelopeHeader, by sender: Member, endToEnd: EndToEndProtection? = nil
  ) throws(ParseError) -> Member? {
    guard let reference = header.extensions.onBehalfOf else { return nil }
    let node = try find(reference, unknown: .envelopeOnBehalfOfRefused, ambiguous: .envelopeOnBehalfOfRefused)
    let isCarried = endToEnd != nil && node.traits.contains(.coapServer)
    guard node.gateway == sender.address,
      isCarried || node.traits.contains(.vouched) && node.class != .confidential
    else { throw ParseError(.envelopeOnBehalfOfRefused) }
    return node
  }

  /// The sender of an envelope, whose signature is valid. Throws as ``sender(_:)`` and
  /// ``SignedEnvelope/verify(with:)``.
  public func verifiedSender(of envelope: SignedEnvelope) throws(ParseError) -> Member {
    let member = try sender(envelope.header.sender)
    try envelope.verify(with: member.signingKey)
    return member
  }

  private func find(
    _ reference: AddressReference, unknown: DropReason, ambiguous: DropReason
  ) throws(ParseError) -> Member {
    switch reference {
    case .full(let address):
      guard let member = member(address) else { throw ParseError(unknown) }
      return member
    case .short(let short):
      guard let indexes = byShortAddress[short], let index = indexes.first else { throw ParseError(unknown) }
      guard indexes.count == 1 else { throw ParseError(ambiguous) }
      return record.members[index]
    }
  }
}

extension SignedEnvelope {
  /// Throws ``DropReason/peerRecordNotFromOracle`` unless the envelope names `oracle` as its sender, and
  /// ``DropReason/coseSignatureInvalid`` unless it was signed with its key.
  func checkOracle(_ oracle: PublicIdentity) throws(ParseError) {
    guard header.sender.matches(oracle.address) else { throw ParseError(.peerRecordNotFromOracle) }
    try verify(with: oracle.signingKey)
  }
}
