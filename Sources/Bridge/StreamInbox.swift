import Envelope
import Wire

/// The receiving end of streams: the keys that members have sent, and which chunk of each comes next.
///
/// A value without I/O. Nothing of it is kept: a stream is seen as it comes, or not at all.
public struct StreamInbox: Sendable {
  /// A chunk in its turn.
  public struct Chunk: Sendable, Hashable {
    /// Whose stream it is.
    public var from: String
    public var number: UInt64
    /// Chunks before it that did not come and will not.
    public var missing: UInt64
    /// Empty at the end of the stream.
    public var bytes: [UInt8]
  }

  private struct Stream: Sendable {
    var key: StreamKey
    var next: UInt64
  }

  private var streams: [Address: Stream] = [:]

  private let freshness: Freshness

  public init(freshness: Freshness = Freshness()) { self.freshness = freshness }

  /// Takes the key of a stream, if it is one that a member has sent confidentially. An older stream of that member ends.
  ///
  /// Returns whether it was one. Throws what parsing the key throws.
  @discardableResult
  public mutating func open<Store>(
    _ delivery: Endpoint<Store>.Delivery, _ directory: PeerDirectory
  ) throws(ParseError) -> Bool {
    guard delivery.content.format == ContentFormats.streamKey, delivery.class == .confidential,
      let sender = directory.member(named: delivery.from)
    else { return false }
    streams[sender.address] = Stream(key: try StreamKey(parsing: delivery.content.bytes), next: 0)
    return true
  }

  /// Takes a chunk: its signature is that of the member whose key opens it, it is not too old, and it comes after all that
  /// were taken.
  ///
  /// Throws the reasons of ``PeerDirectory/verifiedSender(of:)``, ``StreamKey/open(_:)`` and
  /// ``Freshness/check(_:arrival:now:)``,
  /// ``DropReason/coseNoRecipient`` without a key of its sender, ``DropReason/envelopeStructure``, and ``DropReason/envelopeReplay`` for a chunk whose turn is
  /// over.
  public mutating func take(
    _ envelope: SignedEnvelope, _ directory: PeerDirectory, now: Instant
  ) throws(ParseError) -> Chunk {
    let sender = try directory.verifiedSender(of: envelope)
    try freshness.check(envelope.header, arrival: now, now: now)
    guard let stream = streams[sender.address] else { throw ParseError(.coseNoRecipient) }
    let (number, bytes) = try stream.key.open(envelope)
    // The last number of all has no next.
    guard number < .max else { throw ParseError(.envelopeStructure) }
    guard number >= stream.next else { throw ParseError(.envelopeReplay) }
    streams[sender.address]?.next = number + 1
    return Chunk(from: sender.name, number: number, missing: number - stream.next, bytes: bytes)
  }
}
