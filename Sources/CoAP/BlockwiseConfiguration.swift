/// Block sizes and bounds of block-wise transfers (RFC 7959).
public struct BlockwiseConfiguration: Sendable, Hashable {
  /// The exponent of the largest block sent, and asked for, 0 to 6: 6 for 1,024 bytes, 2 for 64 bytes, which fit a
  /// 6LoWPAN frame.
  public var preferredSZX: UInt8 = 6
  /// Whether a client names ``preferredSZX`` in its first request, before it knows that the response is large.
  public var negotiatesEarly = false
  /// Bytes of a request's body that a server accepts.
  public var maximumRequestBody = 65_536
  /// Bytes of a response's body that a client collects.
  public var maximumResponseBody = 65_536
  /// Request bodies that a server assembles for one peer; a further one takes the place of the oldest.
  public var assembliesPerPeer = 4
  /// The same over all peers; further ones are told to come back later.
  public var assemblies = 64
  /// Bytes of bodies under assembly, over all peers.
  public var assemblyBytes = 1 << 20
  /// Large responses kept for the requests for their further blocks, for one peer.
  public var responsesPerPeer = 4
  /// The same over all peers; the one unused longest goes first.
  public var responses = 256
  /// Bytes of those.
  public var responseBytes = 1 << 20
  /// For how long unfinished transfers are kept after their last block; the RFC lets peers expect EXCHANGE_LIFETIME at most.
  public var lifetime: Swift.Duration = .seconds(247)

  public init() {}

  var szx: UInt8 { min(preferredSZX, 6) }
}

/// One configuration of many servers.
final class SharedBlockwiseConfiguration: Sendable {
  let value: BlockwiseConfiguration

  init(_ value: BlockwiseConfiguration) { self.value = value }
}
