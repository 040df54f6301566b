import Crypto
import Envelope
import Queue
import Wire

/// Who may do what at a relay: the access lists of its groups, made ready for look-ups.
///
/// A value that never changes once it is handed out: each connection checks what it receives against the newest one,
/// wherever it runs, and whatever was checked against an older one is checked again before it is stored.
public struct RelayDirectory: Sendable {
  /// One group: the members of the access list that its oracle signed.
  struct Group: Sendable {
    var oracle: PublicIdentity
    /// `nil` until the first list came.
    var access: AccessDirectory?
    /// Those who were members once, oldest first.
    var removed: [Address] = []
  }

  /// The relay's own address.
  public let relay: Address
  public let limits: RelayLimits
  /// Higher with each list.
  public private(set) var generation: UInt64 = 0
  private(set) var groups: [Group]
  /// The group of each member, and of each oracle.
  private var membership: [Address: Int] = [:]

  init(relay: Address, limits: RelayLimits, oracles: [PublicIdentity]) {
    self.relay = relay
    self.limits = limits
    groups = oracles.map { Group(oracle: $0) }
    index()
  }

  /// The access lists that are obeyed.
  public var lists: [AccessDirectory] { groups.compactMap(\.access) }

  /// The group of a member; `nil` for strangers.
  func group(of address: Address) -> Group? { membership[address].map { groups[$0] } }

  /// The access list that a member is on; `nil` for strangers, and before the first list came.
  public func access(of address: Address) -> AccessDirectory? {
    guard let access = group(of: address)?.access, access.party(address) != nil else { return nil }
    return access
  }

  func position(ofOracle address: Address) -> Int? { groups.firstIndex { $0.oracle.address == address } }

  mutating func update(_ position: Int, _ change: (inout Group) -> Void) {
    change(&groups[position])
    generation += 1
    index()
  }

  private mutating func index() {
    membership.removeAll(keepingCapacity: true)
    for (position, group) in groups.enumerated() {
      membership[group.oracle.address] = position
      // Who is a member of two groups belongs to the first: what is short for two is refused in neither.
      for entry in group.access?.list.entries ?? [] where membership[entry.address] == nil {
        membership[entry.address] = position
      }
    }
  }

  // MARK: Sessions

  /// A session of `client`, whose signature the caller has checked, for its own mailbox and those of `serving`.
  ///
  /// An oracle has one too, to hand in its lists, whether it is on them or not. Throws
  /// ``DropReason/envelopeSenderUnknown`` or ``DropReason/senderRevoked`` for a client that is not on an access list, and
  /// ``DropReason/envelopeNotAllowed`` for an address that it does not host.
  public func openSession(client: Address, serving: [Address] = []) throws(ParseError) -> RelaySession {
    guard access(of: client) != nil || position(ofOracle: client) != nil else {
      throw ParseError(unknown(.full(client)))
    }
    var served = [client]
    var known: Set<Address> = [client]
    for address in serving where known.insert(address).inserted {
      guard let access = access(of: client), access.mayServe(client, for: address) else {
        throw ParseError(.envelopeNotAllowed)
      }
      served.append(address)
    }
    return RelaySession(client: client, served: served)
  }

  /// The signing key with which a client's word is checked; `nil` for strangers.
  public func key(of client: Address) -> P256.Signing.PublicKey? {
    if let party = access(of: client)?.party(client) { return party.key }
    return position(ofOracle: client).map { groups[$0].oracle.signingKey }
  }

  /// Whether a session is still good for `address`.
  public func mayServe(_ session: RelaySession, _ address: Address) -> Bool {
    guard session.served.contains(address) else { return false }
    if let access = access(of: session.client) { return access.mayServe(session.client, for: address) }
    return address == session.client && position(ofOracle: address) != nil
  }

  /// Whether what `sender` sent may still be delivered to `recipient`.
  public func mayDeliver(from sender: Address, to recipient: Address) -> Bool {
    if sender == relay { return access(of: recipient) != nil }
    return access(of: recipient)?.maySend(from: sender, to: recipient) ?? false
  }

  /// The reason to refuse someone who is not on an access list.
  func unknown(_ reference: AddressReference) -> DropReason {
    groups.contains { $0.removed.contains(where: reference.matches) } ? .senderRevoked : .envelopeSenderUnknown
  }

  // MARK: Admission

  /// An envelope that a session may hand in, checked against the list of `generation`.
  public struct Admitted: Sendable {
    public let envelope: SignedEnvelope
    public let route: AccessDirectory.Route
    let generation: UInt64
    let client: Address
  }

  /// What a session handed in.
  public enum Admission: Sendable {
    case envelope(Admitted)
    /// An access list for this relay, of which nothing is checked but its form.
    case accessList(SignedEnvelope)
  }

  /// Everything that needs no clock and no store, in this order: size, structure, access list, signature, directions,
  /// class. Throws the reason.
  public func admit(_ bytes: [UInt8], session: RelaySession) throws(ParseError) -> Admission {
    let isOracle = position(ofOracle: session.client) != nil
    let envelope = try SignedEnvelope(
      parsing: bytes, maximumSize: isOracle ? SignedEnvelope.maximumRecordSize : limits.envelopeSize)
    if envelope.header.contentFormat == ContentFormats.accessList,
      envelope.header.recipients.contains(where: { $0.matches(relay) })
    {
      return .accessList(envelope)
    }
    return .envelope(try admit(envelope, client: session.client))
  }

  /// The envelope again, as the newest list has it.
  func admit(_ envelope: SignedEnvelope, client: Address) throws(ParseError) -> Admitted {
    guard envelope.bytes.count <= limits.envelopeSize else {
      throw ParseError(.envelopeTooLarge, at: limits.envelopeSize)
    }
    guard groups.contains(where: { $0.access != nil }) else { throw ParseError(.queueUnavailable) }
    guard let access = group(of: client)?.access else { throw ParseError(unknown(.full(client))) }
    guard access.party(client) != nil else { throw ParseError(unknown(.full(client))) }
    guard access.party(envelope.header.sender) != nil else { throw ParseError(unknown(envelope.header.sender)) }
    let route = try access.admit(envelope)
    // Handed in by its sender or by the gateway that hosts it.
    guard access.mayServe(client, for: route.sender.address) else { throw ParseError(.envelopeNotAllowed) }
    return Admitted(envelope: envelope, route: route, generation: generation, client: client)
  }
}
