import Envelope
import Wire

extension Gateway {
  /// Checks a chunk of a node's stream like what is stored: it is passed on at once or not at all, and never kept. The node
  /// is answered as soon as the chunk is on its way, which sets its pace.
  func check(chunk envelope: SignedEnvelope, from sender: Member, now: Instant) throws(ParseError) {
    guard envelope.header.extensions.onBehalfOf == nil else { throw ParseError(.envelopeNotAllowed) }
    try Freshness(skew: limits.clockSkew).check(envelope.header, arrival: now, now: now)
    for recipient in try directory.recipients(envelope.header.recipients) {
      guard sender.readers.contains(recipient.address) else { throw ParseError(.envelopeNotAllowed) }
    }
  }
}
