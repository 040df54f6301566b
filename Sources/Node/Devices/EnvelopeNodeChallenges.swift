import Envelope
import Wire

// Freshness without a clock: the command is challenged, and obeyed when its commander has sent the challenge back.
extension EnvelopeNode {
  /// Whether there is room for what the next message brings about: a receipt, or a challenge.
  var hasRoom: Bool {
    let waiting = memory.challenges.count { !$0.isTaken }
    return memory.owed.count + waiting < configuration.maximumOwed && waiting < configuration.maximumChallenges
  }

  /// Whether the freshness of a command cannot be judged by its own word.
  func needsEcho(_ header: EnvelopeHeader) -> Bool { configuration.demandsEcho || header.issuedAt == nil }

  /// Keeps a command until its echo comes; of too many the oldest that was posted gives way.
  mutating func challenge(
    _ envelope: SignedEnvelope, _ content: SignedEnvelope.Content, from commander: Member, now: Instant
  ) {
    let word: UInt64 = random.next()
    let bytes = stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> UInt64($0)) }
    if memory.challenges.count >= configuration.maximumChallenges,
      let oldest = memory.challenges.firstIndex(where: \.isTaken)
    {
      challenged[memory.challenges.remove(at: oldest).challenge] = nil
    }
    memory.challenges.append(
      EchoChallenge(
        commander: commander.address, sequence: envelope.header.sequence, answerHash: envelope.answerHash,
        lifetime: envelope.header.lifetime, content: Self.digest(of: content), challenge: bytes))
    challenged[bytes] = now
    events.append(.challenged(by: commander.address, sequence: envelope.header.sequence))
  }

  /// The command that an echo is for; its challenge is used up, whatever comes of it.
  ///
  /// The challenge alone tells which: its envelope has another number after a reset. Throws
  /// ``DropReason/envelopeEchoMismatch`` for a challenge that is not, or no longer, waited for, and for an echo that says
  /// something else than the command; ``DropReason/envelopeExpired`` for one that comes too late.
  mutating func echoed(
    _ envelope: SignedEnvelope, _ content: SignedEnvelope.Content, from commander: Member, now: Instant
  ) throws(ParseError) -> CommandName {
    guard
      let index = memory.challenges.firstIndex(where: {
        $0.commander == commander.address && $0.challenge == envelope.header.extensions.echoResponse
      })
    else { throw ParseError(.envelopeEchoMismatch) }
    let challenge = memory.challenges.remove(at: index)
    let issued = challenged.removeValue(forKey: challenge.challenge) ?? now
    guard challenge.content == Self.digest(of: content) else { throw ParseError(.envelopeEchoMismatch) }
    let lifetime = min(challenge.lifetime, configuration.challengeLifetime)
    guard now <= issued.advanced(by: .seconds(Int64(clamping: min(lifetime, 1 << 32)))) else {
      throw ParseError(.envelopeExpired)
    }
    return CommandName(sequence: challenge.sequence, answerHash: challenge.answerHash)
  }

  /// After a reset, the age of a challenge counts from when the node first looks at the time.
  mutating func noteAge(now: Instant) {
    for challenge in memory.challenges where challenged[challenge.challenge] == nil {
      challenged[challenge.challenge] = now
    }
  }

  private static func digest(of content: SignedEnvelope.Content) -> ContentDigest {
    ContentDigest(protected: [], payload: content.bytes[...])
  }
}
