import Wire

/// What reassembly may cost. Every bound holds against senders that mean harm.
@frozen
public struct ReassemblyLimits: Hashable, Sendable {
  /// Datagrams under way at a time, over all senders. Each takes a buffer of ``maximumDatagramSize`` bytes; buffers
  /// are made when first needed and kept.
  public var maximumDatagrams: Int
  /// Bytes of datagrams under way from one link-layer source, each counted with its announced size but at least as
  /// ``minimumCharge``.
  public var bytesPerSource: Int
  /// The largest datagram, bytes: at most 2,047, which is what the field can hold.
  public var maximumDatagramSize: Int
  /// From the first fragment that arrives to the last. RFC 4944, 5.3 allows up to 60 seconds.
  public var timeout: Duration

  /// What a datagram counts for at least, bytes: small ones take a buffer too.
  @inlinable public static var minimumCharge: Int { 512 }

  /// The defaults: 256 datagrams; 5,120 bytes for a source, which are four datagrams of the 1,280 bytes that every link
  /// carries (RFC 8200, 5); any size that the field can hold; and 10 seconds, in which even a duty-cycled node has
  /// sent the last fragment many times over, while what a flood occupies is free again before long.
  @inlinable
  public init(
    maximumDatagrams: Int = 256, bytesPerSource: Int = 4 * 1_280,
    maximumDatagramSize: Int = FirstFragmentHeader.maximumDatagramSize, timeout: Duration = .seconds(10)
  ) {
    self.maximumDatagrams = max(0, maximumDatagrams)
    self.bytesPerSource = bytesPerSource
    self.maximumDatagramSize = min(max(0, maximumDatagramSize), FirstFragmentHeader.maximumDatagramSize)
    self.timeout = timeout
  }
}
