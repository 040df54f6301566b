import Envelope
import MemberSecurity
import Wire

// Peer records: the oracle says whom the node reports to and whom it obeys.
extension EnvelopeNode {
  /// Obeys a newer peer record that the oracle has signed for this node; false if the envelope is none.
  ///
  /// From then on, and after a reset, whoever is not a commander any more commands nothing, and has no keys. Throws what
  /// ``PeerDirectory/accept(_:for:oracle:current:)`` throws, and ``DropReason/envelopeReplay`` for the record that is obeyed.
  mutating func obeyRecord(_ envelope: SignedEnvelope) throws(ParseError) -> Bool {
    guard let oracle = configuration.oracle, envelope.header.class == .confidential,
      envelope.header.sender.matches(oracle.address)
    else { return false }
    guard memory.record != envelope.bytes else { throw ParseError(.envelopeReplay) }
    let directory = try PeerDirectory.accept(
      envelope, for: configuration.identity, oracle: oracle, current: configuration.version)
    memory.record = envelope.bytes
    adopt(directory)
    events.append(.recordObeyed(epoch: directory.record.version.epoch))
    return true
  }

  /// Goes on with the record of before a reset, if it is newer than what the node was set up with.
  mutating func adoptKeptRecord() {
    guard let oracle = configuration.oracle, let bytes = memory.record,
      let directory = PeerDirectory.kept(
        bytes, for: configuration.identity, oracle: oracle, current: configuration.version)
    else { return }
    adopt(directory)
  }

  private mutating func adopt(_ directory: PeerDirectory) {
    let own = directory.member(configuration.identity.address)
    configuration.version = directory.record.version
    configuration.readers = own?.readers.compactMap { directory.member($0) } ?? []
    configuration.commanders = own?.commanders.compactMap { directory.member($0) } ?? []
    if let own { configuration.class = own.class }
    let known = Set(configuration.commanders.map(\.address))
    var kept = memory.endToEnd
    for member in kept.keys where !known.contains(member) {
      endToEnd?.remove(member) { address, _ in
        kept[address] = nil
        return true
      }
      kept[member] = nil
      endToEndChallenges[member] = nil
    }
    memory.endToEnd = kept
    memory.challenges.removeAll { !known.contains($0.commander) }
  }
}
