import Envelope
import Queue
import Wire

extension Endpoint {
  /// Name of the stored value: the envelope of the peer record that is obeyed.
  static var peerRecordKey: String { "endpoint.peer-record" }

  /// Obeys a peer record that the oracle has signed for us, from now on and after a restart; `nil` if the envelope is not
  /// one.
  ///
  /// Throws what ``PeerDirectory/accept(_:for:oracle:current:)`` throws, and ``DropReason/envelopeReplay`` for the record
  /// that is obeyed already.
  mutating func obey(_ envelope: SignedEnvelope) throws(ParseError) -> Delivery? {
    guard let oracle, envelope.header.class == .confidential, envelope.header.sender.matches(oracle.address) else {
      return nil
    }
    try envelope.verify(with: oracle.signingKey)
    let content = try envelope.open(with: identity)
    guard content.format == ContentFormats.peerRecord else { return nil }
    let store = mailboxes.store
    do throws(StoreError) {
      // It was taken, and the relay did not learn that.
      if try store.value(Self.peerRecordKey) == envelope.bytes { throw StoreError.abandoned }
    } catch { throw ParseError(error.kind == .abandoned ? .envelopeReplay : error.reason) }
    let new = try PeerDirectory.accept(envelope, for: identity, oracle: oracle, current: directory.record.version)
    do { try store.setValue(Self.peerRecordKey, to: envelope.bytes) } catch { throw ParseError(error.reason) }
    let before = directory
    directory = new
    forgetRemovedMembers(since: before)
    return Delivery(
      from: new.member(oracle.address)?.name ?? oracle.name, class: .confidential,
      sequence: envelope.header.sequence, content: content)
  }
}

extension PeerDirectory {
  /// The record that was obeyed before a restart, if it is newer than what is given: who was removed stays so.
  static func newest(
    _ given: PeerDirectory, stored key: String, in store: some MailboxStore, for identity: Identity,
    oracle: PublicIdentity
  ) -> PeerDirectory {
    // A store that cannot be read now takes nothing into custody either.
    guard let bytes = try? store.value(key) else { return given }
    return kept(bytes, for: identity, oracle: oracle, current: given.record.version) ?? given
  }
}
