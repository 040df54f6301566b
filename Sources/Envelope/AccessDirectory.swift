import COSE
import Crypto
import Wire

/// An access list made ready for the relay: who is admitted, whom each may serve and send to, and with which key an
/// envelope is verified. Each question costs a look-up or two.
public struct AccessDirectory: Sendable {
  public let list: AccessList
  private let byAddress: [Address: Int]
  private let byShortAddress: [Address.Short: Int]
  private let keys: [P256.Signing.PublicKey]
  private let allowed: [Set<Int>]

  /// Takes a list that the oracle signed; see ``accept(_:oracle:current:)``. Throws ``DropReason/peerRecordInvalid``,
  /// and ``DropReason/coseKeyInvalid`` for a key that is no point of P-256.
  public init(_ list: AccessList) throws(ParseError) {
    try list.validate()
    self.list = list
    var keys: [P256.Signing.PublicKey] = []
    for entry in list.entries { keys.append(try P256.Signing.PublicKey(point: entry.key.rawSpan)) }
    self.keys = keys
    allowed = list.entries.map { Set($0.recipients) }
    byAddress = Dictionary(uniqueKeysWithValues: list.entries.enumerated().map { ($1.address, $0) })
    byShortAddress = Dictionary(
      uniqueKeysWithValues: list.entries.enumerated().map { ($1.address.short, $0) })
  }

  /// Takes an access list from an envelope, or refuses it, as ``PeerDirectory/accept(_:for:oracle:current:)`` does.
  ///
  /// A list that is sealed for the relay must be opened before: relays have no need of a key-agreement key, so the
  /// oracle sends it readable, and it holds no names.
  public static func accept(
    _ envelope: SignedEnvelope, for relay: Address, oracle: PublicIdentity, current: GroupEpoch?
  ) throws(ParseError) -> AccessDirectory {
    try envelope.checkOracle(oracle)
    guard envelope.header.recipients.contains(where: { $0.matches(relay) }) else {
      throw ParseError(.envelopeNotForUs)
    }
    guard let content = envelope.readableContent, content.format == ContentFormats.accessList else {
      throw ParseError(.peerRecordInvalid)
    }
    let list = try AccessList(parsing: content.bytes)
    try list.version.checkNewer(than: current)
    return try AccessDirectory(list)
  }

  /// One admitted party.
  public struct Party: Sendable, Hashable {
    fileprivate let index: Int
    public let address: Address
    /// The weakest class it may send or be sent.
    public let `class`: EnvelopeClass
    /// The gateway that hosts it.
    public let host: Address?
    public let key: P256.Signing.PublicKey

    public static func == (left: Party, right: Party) -> Bool { left.address == right.address }
    public func hash(into hasher: inout Hasher) { hasher.combine(address) }
  }

  private func party(at index: Int) -> Party {
    let entry = list.entries[index]
    return Party(
      index: index, address: entry.address, class: entry.class,
      host: entry.host.map { list.entries[$0].address },
      key: keys[index])
  }

  /// The admitted party with this address; `nil` for strangers and for those who were removed.
  public func party(_ address: Address) -> Party? { byAddress[address].map(party(at:)) }

  /// The admitted party that an envelope names. `nil` for strangers and for those who were removed. A short address
  /// has one meaning at most: the list was refused otherwise.
  public func party(_ reference: AddressReference) -> Party? {
    switch reference {
    case .full(let address): party(address)
    case .short(let short): byShortAddress[short].map(party(at:))
    }
  }

  /// Whether the client of a session may collect and hand in what is `address`'s: its own, and of nodes it hosts.
  public func mayServe(_ client: Address, for address: Address) -> Bool {
    guard let served = party(address), party(client) != nil else { return false }
    return client == address || served.host == client
  }

  /// Whether `sender` may send to `recipient`.
  public func maySend(_ sender: Party, to recipient: Party) -> Bool {
    allowed[sender.index].contains(recipient.index)
  }

  /// Whether `sender` may send to `recipient`; never if one of them is not admitted.
  public func maySend(from sender: Address, to recipient: Address) -> Bool {
    guard let sender = party(sender), let recipient = party(recipient) else { return false }
    return maySend(sender, to: recipient)
  }

  /// The weakest class that an envelope between the two may have.
  public func classFloor(_ sender: Party, _ recipient: Party) -> EnvelopeClass {
    max(sender.class, recipient.class)
  }

  /// From whom an admitted envelope is, and to whom.
  public struct Route: Sendable, Hashable {
    public var sender: Party
    /// The node for which the sender vouches.
    public var onBehalfOf: Party?
    /// In the envelope's order, each once.
    public var recipients: [Party]
  }

  /// Everything that a relay checks of an envelope but its freshness, replay and quota.
  ///
  /// Throws ``DropReason/envelopeSenderUnknown``, ``DropReason/coseSignatureInvalid``,
  /// ``DropReason/envelopeOnBehalfOfRefused`` unless the sender hosts the node it vouches for, and for a confidential one
  /// unless the content is protected end to end: a gateway cannot vouch for what it must not have read,
  /// ``DropReason/envelopeRecipientUnknown``, ``DropReason/envelopeNotAllowed`` and
  /// ``DropReason/envelopeClassTooWeak``.
  public func admit(_ envelope: SignedEnvelope) throws(ParseError) -> Route {
    let header = envelope.header
    guard let sender = party(header.sender) else { throw ParseError(.envelopeSenderUnknown) }
    // Before anything else that is answered: a forger learns nothing of who may talk to whom.
    try envelope.verify(with: sender.key)
    var onBehalfOf: Party?
    if let reference = header.extensions.onBehalfOf {
      // Whoever vouches has read it: nobody can vouch for what nobody but its recipients may read.
      guard let node = party(reference), node.host == sender.address,
        node.class != .confidential || envelope.endToEnd != nil
      else { throw ParseError(.envelopeOnBehalfOfRefused) }
      onBehalfOf = node
    }
    guard envelope.satisfies(max(sender.class, onBehalfOf?.class ?? .noConsequence)) else {
      throw ParseError(.envelopeClassTooWeak)
    }
    var recipients: [Party] = []
    for reference in header.recipients {
      guard let recipient = party(reference) else { throw ParseError(.envelopeRecipientUnknown) }
      guard maySend(sender, to: recipient) else { throw ParseError(.envelopeNotAllowed) }
      if let onBehalfOf, !maySend(onBehalfOf, to: recipient) { throw ParseError(.envelopeNotAllowed) }
      guard envelope.satisfies(recipient.class) else { throw ParseError(.envelopeClassTooWeak) }
      if !recipients.contains(recipient) { recipients.append(recipient) }
    }
    return Route(sender: sender, onBehalfOf: onBehalfOf, recipients: recipients)
  }
}
