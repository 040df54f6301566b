import CoAP
import Envelope
import Wire

extension Gateway {
  /// Takes a chunk of a node's stream: checked like what is stored, passed on at once or not at all, and never kept.
  ///
  /// `nil` for anything but a chunk. The node is answered as soon as the chunk is on its way, which sets its pace.
  mutating func forwardChunk(_ request: NodeRequest, now: Instant) -> NodeAnswer? {
    let bytes = request.request.payload
    guard let envelope = try? SignedEnvelope(parsing: bytes, maximumSize: limits.maximumEnvelope),
      envelope.header.class == .stream
    else { return nil }
    var refusal = Refusal(
      reason: .envelopeStructure, radio: node(eui64: request.eui64)?.name, kind: .envelope, size: bytes.count,
      sequence: envelope.header.sequence)
    do throws(ParseError) {
      let sender = try directory.verifiedSender(of: envelope)
      refusal.claimed = sender.name
      guard sender.gateway == identity.address, sender.roles.contains(.node),
        envelope.header.extensions.onBehalfOf == nil
      else { throw ParseError(.envelopeNotAllowed) }
      try Freshness(skew: limits.clockSkew).check(envelope.header, arrival: now, now: now)
      for recipient in try directory.recipients(envelope.header.recipients) {
        guard sender.readers.contains(recipient.address) else { throw ParseError(.envelopeNotAllowed) }
      }
      var answer = NodeAnswer(CoAPResponse(.changed))
      answer.chunk = bytes
      return answer
    } catch {
      refusal.reason = error.reason
      refusals.count(error.reason)
      return NodeAnswer(.refusal(error.reason), [.refused(refusal)])
    }
  }
}
