import Envelope
import Wire

extension Oracle {
  /// What relays may know: addresses, keys and directions.
  ///
  /// A reading goes to its readers, a command to whom it may be given, an answer back along either way; a gateway speaks
  /// for the nodes it hosts; endpoints of a group may write to each other; the oracle reaches all.
  public func accessList() -> AccessList {
    let members = record.members
    let indexes = Dictionary(uniqueKeysWithValues: members.enumerated().map { ($1.address, $0) })
    var recipients = members.map { _ in Set<Int>() }
    func allow(_ from: Int?, _ to: Int?) {
      guard let from, let to, from != to else { return }
      recipients[from].insert(to)
    }
    for (index, member) in members.enumerated() {
      if member.address == identity.address { for other in members.indices { allow(index, other) } }
      let host = member.gateway.flatMap { indexes[$0] }
      for reader in member.readers.compactMap({ indexes[$0] }) {
        allow(index, reader)
        allow(host, reader)
        // Its receipts.
        allow(reader, host)
      }
      for commander in member.commanders.compactMap({ indexes[$0] }) {
        allow(commander, index)
        allow(index, commander)
        allow(host, commander)
        allow(commander, host)
      }
      if member.roles.contains(.endpoint) {
        for (other, peer) in members.enumerated() where peer.roles.contains(.endpoint) { allow(index, other) }
      }
      if !member.roles.isDisjoint(with: [.gateway, .endpoint]) { allow(index, indexes[identity.address]) }
    }
    return AccessList(
      version: record.version,
      entries: members.enumerated().map { index, member in
        .init(
          address: member.address, key: member.identity.signingPoint, class: member.class,
          host: member.gateway.flatMap { indexes[$0] }, recipients: recipients[index].sorted())
      })
  }

  /// What `member` is told: everybody, but the configuration of nobody else; a gateway is told that of its nodes too.
  /// A node is told of those only with whom it has to do.
  public func record(for member: Member) -> PeerRecord {
    var told = record
    if member.roles == .node {
      let known = Set(
        member.readers + member.commanders + [member.address, identity.address] + [member.gateway].compactMap(\.self))
      told.members.removeAll { !known.contains($0.address) }
      told.relays = []
    }
    for index in told.members.indices {
      let other = told.members[index]
      if other.address != member.address && other.gateway != member.address { told.members[index].configuration = [:] }
    }
    return told
  }

  /// Seconds after which what an oracle signed is not obeyed any more by whoever has not seen it before: it waits in
  /// mailboxes for members that are away.
  public static let lifetime: UInt64 = 10 * 365 * 86_400

  /// Those who are told the record.
  public var told: [Member] {
    record.members.filter {
      $0.address != identity.address && !$0.roles.isDisjoint(with: [.gateway, .endpoint, .node])
    }
  }

  /// The relays, which are told the access list.
  public var relays: [Member] { record.members.filter { $0.roles.contains(.relay) } }

  /// The record for `member`, sealed and signed.
  ///
  /// `sequence` must rise with everything that this oracle signs; `now` in seconds since 1970; `generator` must be fit for
  /// keys. Throws ``OracleError/invalid(_:)`` if it grows larger than an envelope can be.
  public func recordEnvelope(
    for member: Member, sequence: UInt64, now: UInt64, using generator: inout some RandomNumberGenerator
  ) throws(OracleError) -> SignedEnvelope {
    try sign(
      .confidential, for: member, ContentFormats.peerRecord, sequence, now, using: &generator
    ) { () throws(EmitError) in try record(for: member).cbor() }
  }

  /// The access list for `relay`, signed; see ``recordEnvelope(for:sequence:now:using:)``.
  public func accessListEnvelope(
    for relay: Member, sequence: UInt64, now: UInt64, using generator: inout some RandomNumberGenerator
  ) throws(OracleError) -> SignedEnvelope {
    try sign(
      .authOnly, for: relay, ContentFormats.accessList, sequence, now, using: &generator
    ) { () throws(EmitError) in try accessList().cbor() }
  }

  private func sign(
    _ class: EnvelopeClass, for member: Member, _ format: UInt64, _ sequence: UInt64, _ now: UInt64,
    using generator: inout some RandomNumberGenerator, _ content: () throws(EmitError) -> [UInt8]
  ) throws(OracleError) -> SignedEnvelope {
    do throws(EmitError) {
      // Of those that wait for a member who is away, the newest is enough.
      let extensions = EnvelopeExtensions(topic: format == ContentFormats.peerRecord ? format : nil)
      let draft = EnvelopeDraft(
        class: `class`, recipients: [.init(member)], sequence: sequence, issuedAt: now, lifetime: Oracle.lifetime,
        extensions: extensions,
        content: .init(format: format, bytes: try content()))
      return try SignedEnvelope.make(
        draft, from: identity, maximumSize: SignedEnvelope.maximumRecordSize, using: &generator)
    } catch { throw .invalid(.envelopeTooLarge) }
  }
}
