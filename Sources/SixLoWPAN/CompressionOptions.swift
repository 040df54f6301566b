/// What a compressor may use toward a receiver. By default only what every 6LoWPAN node understands.
@frozen
public struct CompressionOptions: Hashable, Sendable {
  /// Generic header compression (RFC 7400), for receivers known to understand it.
  ///
  /// A payload compressed by it counts as part of the headers, so that all of the packet has to fit in the
  /// writer; if it does not, the payload is left as it is.
  public var genericHeaderCompression: Bool
  /// Leaving out UDP checksums. Only with the upper layer's consent and a MIC on the link (RFC 6282, 4.3.2).
  public var elideUDPChecksum: Bool
  /// The contexts that the receiver is known to have: bit N stands for context N.
  public var contexts: UInt16

  @inlinable
  public init(
    genericHeaderCompression: Bool = false, elideUDPChecksum: Bool = false, contexts: UInt16 = 0
  ) {
    self.genericHeaderCompression = genericHeaderCompression
    self.elideUDPChecksum = elideUDPChecksum
    self.contexts = contexts
  }
}
